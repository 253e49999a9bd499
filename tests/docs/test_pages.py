"""Everything that Start and Guides show is run, on drawn images, and prints what they say that it prints."""

from __future__ import annotations

from pathlib import Path

import pytest

from docs.pages import Runner, blocks
from program import Program, environment

ROOT = Path(__file__).parents[2]
PAGES = sorted(p for part in ("start", "guides") for p in (ROOT / "docs" / part).glob("*.md"))
LEFT_OUT_AT_MOST = 17
"""Blocks that cannot be run here: figures of real sets, a server that runs until it is stopped."""


@pytest.mark.parametrize("page", PAGES, ids=lambda page: f"{page.parent.name}-{page.stem}")
def test_page_runs(page: Path, program: Program, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("torch", reason="no torch: pip install 'pneumoscope[train]'")
    folder = tmp_path / "page"
    folder.mkdir()
    variables = environment(tmp_path)
    for name in ("PNEUMOSCOPE_HOME", "PNEUMOSCOPE_CACHE"):
        monkeypatch.setenv(name, variables[name])
    monkeypatch.chdir(folder)
    runner = Runner(folder, variables, program)
    for block in blocks(page):
        if not block.left_out:
            runner.run(block)


def test_few_blocks_are_left_out() -> None:
    reasons = [(page.name, block.line, block.left_out) for page in PAGES for block in blocks(page) if block.left_out]
    assert len(reasons) <= LEFT_OUT_AT_MOST, reasons
    assert all(len(reason) > 10 for _, _, reason in reasons), reasons
