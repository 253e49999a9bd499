"""An import that is killed goes on where it stopped, and its manifest is the one of an import that never stopped."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

import pneumoscope as ps
from pneumoscope.core.callbacks import Callbacks
from pneumoscope.core.errors import ImageError
from pneumoscope.core.files import cache_folder
from pneumoscope.data import image_scan, scan_shards
from pneumoscope.data.image_scan import imported_thumbnails, scan_files
from pneumoscope.data.scan_shards import ScanShards, resumable_shards, temporary_shards
from pneumoscope.data.scan_worker import FileToRead, ScanWorker

Draw = Callable[..., Path]
IMAGES = 60


class Messages(Callbacks):
    """Keeps the messages."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def message(self, text: str) -> None:
        self.lines.append(text)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def folder(tmp_path: Path, draw: Draw) -> Path:
    for number in range(IMAGES):
        draw(tmp_path / f"set/{'normal' if number % 2 else 'covid-19'}/{number:03}.png", number)
    return tmp_path / "set"


_KILLED = """
import os, signal, sys
from pathlib import Path
import pneumoscope as ps
from pneumoscope.core.callbacks import Callbacks
from pneumoscope.data import scan_shards

scan_shards.MOST_FILES = 7
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background process ignores it

class Killer(Callbacks):
    def progress(self, task, done, total):
        if task == "reading images" and done >= 32:
            os.kill(os.getpid(), {signal})

ps.import_data("folder", {folder!r}, {output!r}, workers={workers}, callbacks=Killer())
"""


def _kill(folder: Path, output: Path, number: signal.Signals, workers: int) -> None:
    """Import in a process that gets a signal once 32 of the 60 images are read."""
    program = _KILLED.format(signal=int(number), folder=str(folder), output=str(output), workers=workers)
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=120)
    assert ended.returncode != 0, ended.stderr
    assert not output.exists()


@pytest.mark.parametrize(
    ("number", "workers", "kept"),
    [(signal.SIGKILL, 2, 28), (signal.SIGTERM, 0, 28), (signal.SIGINT, 2, 32)],
    ids=["kill", "terminate", "Ctrl-C"],
)
def test_an_interrupted_import_goes_on_and_gives_the_same_file(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals, workers: int, kept: int
) -> None:
    ps.import_data("folder", folder, tmp_path / "whole.parquet", workers=1)
    _kill(folder, tmp_path / "resumed.parquet", number, workers)
    read: list[str] = []
    scan = image_scan.scan_chunk
    monkeypatch.setattr(image_scan, "scan_chunk", lambda files: (read.extend(f.path for f in files), scan(files))[1])
    messages = Messages()
    ps.import_data("folder", folder, tmp_path / "resumed.parquet", callbacks=messages)
    # Shards of seven files: a kill loses what the last one lacks, Ctrl-C nothing.
    assert len(read) == len(set(read)) == IMAGES - kept
    assert f"Going on where an earlier run stopped: it had read {kept} of 60 images." in messages.lines
    assert (tmp_path / "resumed.parquet").read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not any((cache_folder() / scan_shards.FOLDER).iterdir())


def test_the_workers_end_with_a_killed_import(folder: Path, tmp_path: Path) -> None:
    program = (
        "import os, signal\n"
        "from pneumoscope.data.scan_worker import ScanWorker\n"
        "worker = ScanWorker()\n"
        "print(worker._process.pid, flush=True)\n"
        "os.kill(os.getpid(), signal.SIGKILL)"
    )
    started = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert started.stdout is not None
    worker = int(started.stdout.readline())
    started.stdout.close()
    started.wait()
    until = time.monotonic() + 60
    while _runs(worker):
        assert time.monotonic() < until
        time.sleep(0.05)


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def test_the_number_of_workers_does_not_matter(folder: Path, tmp_path: Path) -> None:
    files = []
    for workers in (0, 1, 3):
        ps.import_data("folder", folder, tmp_path / f"{workers}.parquet", workers=workers)
        files.append((tmp_path / f"{workers}.parquet").read_bytes())
    assert files[0] == files[1] == files[2]


def test_only_files_that_did_not_change_are_taken_from_the_shards(folder: Path, tmp_path: Path, draw: Draw) -> None:
    paths = sorted(folder.rglob("*.png"))
    shards = ScanShards(tmp_path / "shards")
    first = scan_files(paths, shards=shards)
    status = paths[3].stat()
    draw(paths[3], 1003)
    os.utime(paths[3], ns=(status.st_atime_ns, status.st_mtime_ns + 1))
    paths.insert(0, draw(tmp_path / "new.png", 1004))
    said: list[str] = []
    again = scan_files(paths, shards=ScanShards(tmp_path / "shards"), say=said.append)
    assert said == ["Going on where an earlier run stopped: it had read 59 of 61 images."]
    differs = again.table["sha256"].to_numpy()[1:] != first.table["sha256"].to_numpy()
    assert np.flatnonzero(differs).tolist() == [3]
    with temporary_shards() as fresh:
        expected = scan_files(paths, shards=fresh)
        assert again.table.drop(columns=["shard", "row"]).equals(expected.table.drop(columns=["shard", "row"]))
        assert (again.thumbnails()[:] == expected.thumbnails()[:]).all()


def test_a_declared_depth_is_part_of_what_is_known(folder: Path, tmp_path: Path) -> None:
    paths, said = sorted(folder.rglob("*.png"))[:3], []
    scan_files(paths, shards=ScanShards(tmp_path / "shards"))
    scan_files(paths, depths=12, shards=ScanShards(tmp_path / "shards"), say=said.append)
    assert said == []


def test_a_damaged_shard_is_read_again(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan_shards, "MOST_FILES", 20)
    paths, said = sorted(folder.rglob("*.png")), []
    expected = scan_files(paths, shards=ScanShards(tmp_path / "shards"))
    one, two, _ = sorted((tmp_path / "shards").glob("*.parquet"))
    one.write_bytes(one.read_bytes()[:100])
    two.with_suffix(".npy").unlink()
    again = scan_files(paths, shards=ScanShards(tmp_path / "shards"), say=said.append)
    assert said == ["Going on where an earlier run stopped: it had read 20 of 60 images."]
    assert again.table["sha256"].tolist() == expected.table["sha256"].tolist()


def test_an_unreadable_file_is_tried_again(folder: Path, tmp_path: Path, draw: Draw) -> None:
    bad = folder / "normal/bad.png"
    bad.write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match="1 of 61 images"):
        ps.import_data("folder", folder, tmp_path / "a.parquet")
    draw(bad, 5000)
    messages = Messages()
    manifest, _ = ps.import_data("folder", folder, tmp_path / "a.parquet", callbacks=messages)
    assert len(manifest) == 61
    assert "Going on where an earlier run stopped: it had read 60 of 61 images." in messages.lines


def test_two_imports_at_once_do_not_share_shards(tmp_path: Path) -> None:
    with resumable_shards("import", "x") as one, resumable_shards("import", "x") as two:
        assert one.folder != two.folder
    assert not one.folder.exists()
    assert not two.folder.exists()


def test_abandoned_shards_are_deleted_after_a_month(cache: Path) -> None:
    with pytest.raises(KeyboardInterrupt), resumable_shards("import", "old") as old:
        raise KeyboardInterrupt
    assert old.folder.is_dir()
    month = time.time() - 31 * 24 * 3600
    os.utime(old.folder / ".lock", (month, month))
    with resumable_shards("import", "new"):
        assert not old.folder.exists()


def test_a_merge_goes_on_too(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    manifest, _ = ps.import_data("folder", folder, source_name="one")
    small = imported_thumbnails([manifest], shards=ScanShards(tmp_path / "shards"))
    monkeypatch.setattr(image_scan, "scan_chunk", lambda files: pytest.fail(f"{files} are read again"))
    again = imported_thumbnails([manifest, manifest], shards=ScanShards(tmp_path / "shards"))
    assert (again[:IMAGES] == small[:]).all()
    assert (again[IMAGES:] == small[:]).all()


def test_a_worker_that_dies_names_its_files(folder: Path) -> None:
    files = [FileToRead(str(path), None) for path in sorted(folder.rglob("*.png"))[:2]]
    with ScanWorker() as worker:
        worker._process.kill()
        with pytest.raises(ImageError, match=r"000\.png to .*002\.png: the process that read these 2 files ended"):
            worker.scan(files)
