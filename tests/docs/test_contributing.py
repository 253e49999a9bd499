"""The examples of CONTRIBUTING.md work on a copy of the package, and each touches as few files as it says."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import pytest

from docs.pages import Runner, blocks
from program import Program, environment

ROOT = Path(__file__).parents[2]
GUIDE = ROOT / "CONTRIBUTING.md"
FILES = {"recipe": 1, "source": 1, "metric": 1, "export format": 1, "label": 0, "route": 2}
"""How many files of the package each addition may touch."""
DATA = {"src/pneumoscope/core/labels.yaml"}
"""The vocabulary is data: an entry there is no change of the package's code."""


def sections() -> dict[str, tuple[int, int]]:
    """What is added -> the first and last line of its section."""
    lines = GUIDE.read_text(encoding="utf-8").splitlines()
    heads = [(number, line) for number, line in enumerate(lines, 1) if line.startswith("## ")]
    ends = [number for number, _ in heads[1:]] + [len(lines) + 1]
    return {
        line.removeprefix("## ").partition(" ")[2]: (number, end)
        for (number, line), end in zip(heads, ends, strict=True)
        if line.startswith("## A ") or line.startswith("## An ")
    }


@pytest.mark.parametrize("addition", sorted(FILES))
def test_example_works_and_touches_few_files(addition: str, program: Program, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="no torch: pip install 'pneumoscope[train]'")
    first, last = sections()[addition]
    shown = [block for block in blocks(GUIDE) if first <= block.line < last]
    touched = {block.title for block in shown if block.title.startswith("src/")} - DATA
    assert len(touched) == FILES[addition], touched

    folder = tmp_path / "project"
    shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    runner = Runner(folder, environment(tmp_path) | {"PYTHONPATH": str(folder / "src")}, program)
    assert any(block.kind == "console" for block in shown), "nothing shows that the example works"
    for block in shown:
        runner.run(block)


def test_the_guide_says_the_same_numbers() -> None:
    text = GUIDE.read_text(encoding="utf-8")
    said = {name: int(number) for name, number in re.findall(r"^\| an? ([a-z ]+?) \| (\d) \|", text, re.MULTILINE)}
    assert said == FILES
