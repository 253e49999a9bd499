"""The scripts and notebooks of examples/ run as they are, on drawn images, and are short."""

from __future__ import annotations

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
        pytest.importorskip("torch", reason="no torch: pip install 'pneumoscope[lab]'")


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
@pytest.mark.filterwarnings("default")
def test_notebook(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    skip_without_torch(path)
    nbformat = pytest.importorskip("nbformat")
    nbclient = pytest.importorskip("nbclient")
    assert path.stat().st_size < SMALL
    for name, value in environment(tmp_path).items():
        monkeypatch.setenv(name, value)
    notebook = nbformat.read(path, as_version=4)
    nbclient.NotebookClient(
        notebook, timeout=300, kernel_name="python3", resources={"metadata": {"path": tmp_path}}
    ).execute()
    shown = [output for cell in notebook.cells if cell.cell_type == "code" for output in cell.outputs]
    assert any("text/html" in output.get("data", {}) for output in shown), "no cell shows a table or a picture"


def test_there_are_five_scripts_and_three_notebooks() -> None:
    assert (len(SCRIPTS), len(NOTEBOOKS)) == (5, 3)
