"""Names that fit a file system, and errors of a full or read-only disk that name the file."""

from __future__ import annotations

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pneumoscope.core import files
from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import atomic_path, draft_folder, new_folder, shorten_name, write_text

ENDING = "-0123456789ab-covid-19.png"


@pytest.mark.parametrize("character", ["a", "é", "肺", "🫁"], ids=["1 byte", "2 bytes", "3 bytes", "4 bytes"])
def test_a_name_is_shortened_by_bytes_keeps_its_ending_and_can_be_written(tmp_path: Path, character: str) -> None:
    """The authority is the file system of this machine: NAME_MAX, usually 255 bytes."""
    name = shorten_name(character * 250, ENDING)
    assert name.endswith(ENDING)
    assert name.startswith(character)
    write_text(tmp_path / name, "x")  # its temporary name is longer
    assert len(os.fsencode(name)) <= os.pathconf(tmp_path, "PC_NAME_MAX") - 25
    assert len(os.fsencode(name)) > 200


def test_a_short_name_stays_and_a_long_ending_keeps_its_end() -> None:
    assert shorten_name("thorax", ENDING) == f"thorax{ENDING}"
    assert shorten_name("thorax", "x" * 300 + ".png", 20) == "x" * 16 + ".png"
    assert shorten_name("\udcff", ".png") == "?.png"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES])
def test_an_error_while_writing_names_the_file_and_not_its_temporary_name(tmp_path: Path, number: int) -> None:
    target = tmp_path / "table.parquet"
    with pytest.raises(OSError, match=os.strerror(number)) as caught, atomic_path(target):
        raise OSError(number, os.strerror(number))
    assert caught.value.filename == str(target)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("inside", [None, "graph/model.ort"])
@pytest.mark.parametrize("folder_of", [new_folder, draft_folder])
def test_a_full_disk_names_the_folder_and_not_its_draft(
    tmp_path: Path, inside: str | None, folder_of: Callable[..., Any]
) -> None:
    out = tmp_path / "out"
    arguments = (out, "an x") if folder_of is new_folder else (out,)
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught, folder_of(*arguments) as draft:
        names = () if inside is None else ("source.ort", None, str(draft / inside))
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), *names)
    if inside is None:
        assert caught.value.filename == str(out)
    else:
        assert (caught.value.filename, caught.value.filename2) == ("source.ort", str(out / inside))
    assert not list(tmp_path.iterdir())


def test_an_array_that_is_written_in_part_is_a_full_disk(tmp_path: Path) -> None:
    """NumPy's error has neither a number nor a name."""
    target = tmp_path / "shard.npy"
    with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)) as caught, atomic_path(target):
        raise OSError("12288 requested and 4032 written")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, str(target))
    if Path("/dev/full").exists():  # the words are NumPy's own
        with Path("/dev/full").open("wb", buffering=0) as file, pytest.raises(OSError) as raised:
            np.zeros(100_000).tofile(file)
        assert raised.value.errno or re.search("requested and .* written", str(raised.value))


def test_what_is_put_into_a_new_folder_during_the_work_stays_and_so_does_the_work(tmp_path: Path) -> None:
    out = tmp_path / "out"
    (tmp_path / "out-2").mkdir()
    out.mkdir()
    with (
        pytest.raises(UsageError, match=r"not empty any more.*in .*out-3\.") as caught,
        new_folder(out, "an x") as draft,
    ):
        (draft / "model.onnx").write_text("model")
        (out / "thesis.txt").write_text("mine")
    assert caught.value.thing == str(out)
    assert (out / "thesis.txt").read_text() == "mine"
    assert (tmp_path / "out-3" / "model.onnx").read_text() == "model"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["out", "out-2", "out-3"]


@pytest.mark.parametrize("present", [True, False])
def test_a_new_folder_appears_when_the_work_is_done_and_not_when_it_fails(tmp_path: Path, present: bool) -> None:
    out = tmp_path / "a" / "out"
    if present:
        out.mkdir(parents=True)
    with pytest.raises(ZeroDivisionError), new_folder(out, "an x") as draft:
        (draft / "half").write_text("x")
        raise ZeroDivisionError
    assert list(out.parent.iterdir()) == ([out] if present else [])
    with new_folder(out, "an x") as draft:
        (draft / "whole").write_text("x")
        assert not (out / "whole").exists()
    assert [path.name for path in out.iterdir()] == ["whole"]
    assert list(out.parent.iterdir()) == [out]


def test_a_link_to_an_empty_folder_stays_a_link(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    link = tmp_path / "link"
    link.symlink_to("there")
    with new_folder(link, "an x") as draft:
        (draft / "whole").write_text("x")
    assert link.is_symlink()
    assert (tmp_path / "there" / "whole").read_text() == "x"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["link", "there"]


def test_a_new_folder_that_cannot_be_made_is_refused_before_the_work(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = tmp_path / "here"
    here.mkdir()
    monkeypatch.chdir(here)
    (tmp_path / "broken").symlink_to("nowhere")
    (tmp_path / "round").symlink_to("round")
    cases = {".": "is the current folder", "../here": "is the current folder"}
    cases |= dict.fromkeys(("../broken", "../round"), "is a link to a folder that is not there")
    for name, problem in cases.items():
        with pytest.raises(UsageError, match=problem), new_folder(Path(name), "an x"):
            raise AssertionError("the work began")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["broken", "here", "round"]


def test_a_draft_replaces_a_folder_with_what_it_holds(tmp_path: Path) -> None:
    out = tmp_path / "bundle"
    out.mkdir()
    (out / "old").write_text("x")
    with draft_folder(out) as draft:
        (draft / "new").write_text("x")
    assert [path.name for path in out.iterdir()] == ["new"]


HELD = """
import sys
from pathlib import Path
from pneumoscope.core.files import new_folder
with new_folder(Path(sys.argv[1]), "an x") as draft:
    (draft / "model.ort").write_text("half")
    print(draft, flush=True)
    sys.stdin.read()
"""


@pytest.mark.skipif(os.name == "nt", reason="folders have no locks on Windows")
def test_the_next_run_removes_the_draft_of_a_killed_one_and_leaves_that_of_a_living_one(tmp_path: Path) -> None:
    command = [sys.executable, "-c", HELD, str(tmp_path / "out")]
    for other in (".out.tmp", ".out-2.17.tmp", ".other.17.tmp"):
        (tmp_path / other).mkdir()
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        left = Path(process.stdout.readline().strip())
        with new_folder(tmp_path / "out", "an x"):
            assert (left / "model.ort").read_text() == "half"
        (tmp_path / "out").rmdir()
        process.kill()
    assert left.exists()
    with new_folder(tmp_path / "out", "an x"):
        assert not left.exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == [".other.17.tmp", ".out-2.17.tmp", ".out.tmp", "out"]


@pytest.mark.skipif(os.name == "nt", reason="folders have no locks on Windows")
@pytest.mark.parametrize("moment", ["before the lock", "as it is taken", "after it"])
def test_a_draft_that_another_run_took_for_an_abandoned_one_is_made_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    """Another run that starts now finds a draft that has no lock yet, and removes it."""
    lock_folder = files._lock_folder
    locked: list[Path] = []

    def meet(folder: Path) -> int | None:
        locked.append(folder)
        if len(locked) > 1:
            return lock_folder(folder)
        if moment == "after it":
            lock = lock_folder(folder)
            folder.rmdir()
            return lock
        other = lock_folder(folder)
        assert other is not None
        try:
            if moment == "before the lock":
                folder.rmdir()
            return lock_folder(folder)
        finally:
            os.close(other)

    monkeypatch.setattr(files, "_lock_folder", meet)
    with new_folder(tmp_path / "out", "an x") as draft:
        (draft / "a").touch()
        with pytest.raises(BlockingIOError):
            lock_folder(draft)
    assert len(locked) == 2
    assert (tmp_path / "out" / "a").exists()


@pytest.mark.skipif(os.name != "posix", reason="no SIGTERM")
def test_sigterm_removes_a_draft_and_ends_a_forked_process_as_before(tmp_path: Path) -> None:
    code = """
import os, signal, sys
from pathlib import Path
from pneumoscope.core.errors import TerminationRequest
from pneumoscope.core.files import new_folder
try:
    with new_folder(Path(sys.argv[1]), "an export"):
        if (child := os.fork()) == 0:
            os.kill(os.getpid(), signal.SIGTERM)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGTERM
        os.kill(os.getpid(), signal.SIGTERM)
except TerminationRequest:
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL
    print("asked to stop")
"""
    command = [sys.executable, "-c", code, str(tmp_path / "new")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout == "asked to stop\n"
    assert list(tmp_path.iterdir()) == []
