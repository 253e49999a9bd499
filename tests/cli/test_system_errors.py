"""Full and read-only disks, and databases that are cut short or newer: one line, exit code 1, no traceback."""

from __future__ import annotations

import errno
import os
import sqlite3
from pathlib import Path
from shutil import copytree
from typing import Any

import pytest
from typer.testing import CliRunner

from pneumoscope.cli import main
from pneumoscope.data.manifest import Manifest, write_manifest


def invoke(*arguments: object) -> Any:
    return CliRunner().invoke(main.app, [str(argument) for argument in arguments])


@pytest.fixture
def manifest(phantom_set: Manifest, tmp_path: Path) -> Path:
    path = tmp_path / "m.parquet"
    write_manifest(phantom_set, path)
    return path


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
@pytest.mark.parametrize(
    "command",
    [
        "data split MANIFEST --again -o new/m.parquet",
        "data show MANIFEST -o new/sheet.png",
        "phantoms new/set --per-class 1 --size 32",
        "report builtin -o new/report.html",
    ],
)
def test_a_disk_that_cannot_be_written_is_one_line(
    manifest: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, command: str, number: int
) -> None:
    """Every file of the package is put in place by `Path.replace`, and every folder made by `Path.mkdir`."""

    def fail(self: Path, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(self))

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Path, "replace", fail)
    monkeypatch.setattr(Path, "mkdir", fail)
    done = invoke(*(manifest if word == "MANIFEST" else word for word in command.split()))
    assert done.exit_code == 1, done.output
    last = done.stderr.strip().splitlines()[-1]
    assert os.strerror(number) in last
    assert "new" in last
    assert "Traceback" not in done.stderr


def test_a_place_that_is_no_folder_is_one_line() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full on this system")
    done = invoke("report", "builtin", "-o", "/dev/full/x")
    assert done.exit_code == 2
    assert done.stderr.strip().splitlines()[-1].startswith("/dev/full")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A server's folder as the program makes it."""
    home = tmp_path_factory.mktemp("site")
    words = ["users", "add", "chief", "--password-stdin", "--home", str(home)]
    done = CliRunner().invoke(main.app, words, input="correct horse battery\n")
    assert done.exit_code == 0, done.output
    return home


@pytest.mark.parametrize("state", ["truncated", "junk", "newer"])
@pytest.mark.parametrize("command", ["users list", "reads report", "reads exports", "backup copy"])
def test_a_damaged_or_newer_database_is_one_line(site: Path, tmp_path: Path, command: str, state: str) -> None:
    home = tmp_path / "site"
    copytree(site, home)
    file = home / "pneumoscope.sqlite"
    whole = file.read_bytes()
    file.write_bytes({"truncated": whole[:100_000], "junk": b"junk" * 1000, "newer": whole}[state])
    if state == "newer":
        with sqlite3.connect(file) as connection:
            connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.close()
    words = [str(tmp_path / word) if word == "copy" else word for word in command.split()]
    done = invoke(*words, "--home", home)
    assert done.exit_code == 1, done.output
    [line] = done.stderr.strip().splitlines()
    assert "database" in line
    if state == "newer":
        assert "newer version" in line


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "Make room"),
        (sqlite3.OperationalError("database or disk is full"), "the database: database or disk is full."),
        (RuntimeError("[enforce fail at inline_container.cc:664] . unexpected pos 64 vs 0"), "cannot be written"),
        (IsADirectoryError(errno.EISDIR, "Is a directory", "runs"), "runs: Is a directory."),
    ],
)
def test_errors_of_the_system_are_described_in_one_line(error: Exception, words: str) -> None:
    text = main.describe_system_error(error)
    assert text is not None
    assert words in text
    assert "\n" not in text


@pytest.mark.parametrize("error", [ValueError("x"), RuntimeError("shapes differ"), KeyError("x")])
def test_faults_of_the_program_keep_their_traceback(error: Exception) -> None:
    assert main.describe_system_error(error) is None
