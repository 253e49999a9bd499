"""CI runs a test that failed once more: what fails by chance is named, and what is broken still fails."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
TESTS = """\
import pathlib
import pytest

@pytest.mark.parametrize("name", {chance})
def test_chance(name):
    flag = pathlib.Path(__file__).with_name(name)
    was_there = flag.exists()
    flag.touch()
    assert was_there

@pytest.mark.parametrize("name", {broken})
def test_broken(name):
    assert not name
"""

pytestmark = pytest.mark.skipif(shutil.which("bash") is None, reason="no bash")


def run(folder: Path, chance: list[str], broken: list[str]) -> tuple[int, str]:
    """Run scripts/test, as CI does, on tests that fail by chance and on broken ones."""
    (folder / "scripts").mkdir()
    for name in ("test", "test-again"):
        shutil.copy(ROOT / "scripts" / name, folder / "scripts")
    (folder / "pytest.ini").write_text("[pytest]\n")
    (folder / "test_some.py").write_text(TESTS.format(chance=chance, broken=broken))
    ended = subprocess.run(
        [folder / "scripts" / "test", "-n", "0"],
        env=os.environ | {"VENV": sys.prefix, "SECOND_TRY": "1"},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return ended.returncode, ended.stdout


def test_a_test_that_passes_at_the_second_try_is_named(tmp_path: Path) -> None:
    code, said = run(tmp_path, ["one two", "[x]"], [])
    assert code == 0
    named = [line.rpartition(": ")[2] for line in said.splitlines() if line.startswith("PASSED AT THE SECOND TRY ONLY")]
    assert named == ["test_some.py::test_chance[one two]", "test_some.py::test_chance[[x]]"]


def test_a_broken_test_fails_again(tmp_path: Path) -> None:
    code, said = run(tmp_path, ["one"], ["two"])
    assert code == 1
    assert "PASSED AT" not in said


def test_many_failures_are_no_chance(tmp_path: Path) -> None:
    code, said = run(tmp_path, ["one", "two", "three", "four"], [])
    assert code == 1
    assert "4 tests failed. Up to 3 are run again." in said


def test_a_run_that_did_not_end_is_not_tried_again(tmp_path: Path) -> None:
    """A file that cannot be imported ends the run with another code than failures do."""
    (tmp_path / "test_other.py").write_text("import nothing_of_that_name\n")
    code, said = run(tmp_path, ["one"], [])
    assert (code, said.count("test session starts")) == (2, 1)
