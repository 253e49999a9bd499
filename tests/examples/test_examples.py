"""The scripts and notebooks of examples/ run as they are, on drawn images, and are short."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from program import Program, environment

EXAMPLES = Path(__file__).parents[2] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))
NEEDS_TORCH = ("train", "compare")
"""The beginnings of the names of examples that train."""
SMALL = 60_000
"""Bytes of a committed notebook: without outputs, or with a few."""


def skip_without_torch(path: Path) -> None:
    if path.stem.startswith(NEEDS_TORCH):
        pytest.importorskip("torch", reason="no torch: pip install 'pneumoscope[train]'")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script(path: Path, program: Program, tmp_path: Path) -> None:
    skip_without_torch(path)
    assert len(path.read_text(encoding="utf-8").splitlines()) < 40
    output = tmp_path / "output.txt"
    code = program.run(["python", str(path)], tmp_path, environment(tmp_path), output)
    printed = output.read_text(encoding="utf-8")
    assert code == 0, printed
    assert printed.strip(), "prints nothing"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook(path: Path, program: Program, tmp_path: Path) -> None:
    skip_without_torch(path)
    for library in ("nbformat", "IPython"):
        pytest.importorskip(library)
    assert path.stat().st_size < SMALL
    runner, output = Path(__file__).with_name("notebook.py"), tmp_path / "output.txt"
    code = program.run(["python", str(runner), str(path)], tmp_path, environment(tmp_path), output)
    printed = output.read_text(encoding="utf-8")
    assert code == 0, printed
    kinds = [kind for cell in json.loads(printed.splitlines()[-1]) for kind in cell]
    assert "text/html" in kinds, "no cell shows a table or a picture"


def test_there_are_five_scripts_and_three_notebooks() -> None:
    assert (len(SCRIPTS), len(NOTEBOOKS)) == (5, 3)
