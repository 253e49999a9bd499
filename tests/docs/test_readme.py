"""README.md is short, its links lead somewhere, and its Python prints what it shows."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

import pytest

from docs.pages import Runner, blocks
from pneumoscope.core.labels import DISCLAIMER
from program import environment

ROOT = Path(__file__).parents[2]
README = ROOT / "README.md"
LINK = re.compile(r"\]\(([^)#]+)(#[^)]*)?\)")


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", "SECURITY.md"])
def test_links_lead_somewhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    targets = [target for target, _ in LINK.findall(text) if "://" not in target]
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []


@pytest.mark.parametrize("name", ["README.md", "docs/index.md", "docs/start/index.md"])
def test_pages_that_one_begins_with_link_what_is_apart(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    for page in ("guides/findings.md", "operations/on-the-device.md", "operations/pacs.md"):
        assert re.search(rf"\]\([./a-z]*{re.escape(page)}\)", text), page


def test_readme_names_every_extra() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["optional-dependencies"]
    text = README.read_text(encoding="utf-8")
    install = text[text.index("## Install") : text.index("## Documentation")]
    assert [name for name in extras if name not in ("dev", "docs") and f"`{name}`" not in install] == []


def test_readme_is_short_and_says_the_research_sentence() -> None:
    text = README.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 120
    assert DISCLAIMER in " ".join(text.replace("\n> ", " ").split())


def test_readme_python_prints_what_it_shows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "page"
    folder.mkdir()
    monkeypatch.chdir(folder)
    runner = Runner(folder, environment(tmp_path))
    shown = [block for block in blocks(README) if block.kind in ("python", "text")]
    assert [block.kind for block in shown] == ["python", "text"]
    for block in shown:
        runner.run(block)
