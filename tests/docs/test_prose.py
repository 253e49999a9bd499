"""Prose and source have lines of at most 120 characters, and no turn of phrase that reads translated."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]
)
FOLDERS = ("src", "tests", "scripts", "benchmarks", "examples", "deploy", "web/src")
KINDS = {"", ".css", ".html", ".mako", ".py", ".sql", ".ts", ".tsx", ".yaml", ".yml"}
GENERATED = ("src/pneumoscope/web/", "src/pneumoscope/builtin/", "src/pneumoscope.egg-info/", "web/src/api/schema.ts")
"""The built web app, the shipped bundle (a hash names it), setuptools' notes, and types that a program writes."""
PHRASES = re.compile(
    r"\b(took it not|of ours|whoever|lest|thereby|beforehand|anew|save for|hitherto|(?:is|are|was|were) told)\b",
    re.IGNORECASE,
)


def prose(page: Path) -> list[tuple[int, str]]:
    """The numbered lines of a page outside fenced blocks and tables."""
    text = re.sub(
        r"^```.*?^```$", lambda m: "\n" * m[0].count("\n"), page.read_text(encoding="utf-8"), flags=re.M | re.S
    )
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if not line.startswith(("|", "!["))]


def source() -> list[Path]:
    """The text files that people write, this one left out: it names the phrases."""
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*"))]
    return [
        path
        for path in [*files, ROOT / "Makefile", ROOT / "mkdocs.yml"]
        if path.is_file()
        and path.suffix in KINDS
        and not path.relative_to(ROOT).as_posix().startswith(GENERATED)
        and path != Path(__file__)
    ]


@pytest.fixture(scope="module")
def lines() -> dict[str, list[tuple[int, str]]]:
    """File -> its numbered lines."""
    texts = {path.relative_to(ROOT).as_posix(): prose(path) for path in PAGES}
    for path in source():
        text = path.read_text(encoding="utf-8")
        texts[path.relative_to(ROOT).as_posix()] = list(enumerate(text.splitlines(), 1))
    assert len(texts) > 300
    return texts


def test_lines_are_short(lines: dict[str, list[tuple[int, str]]]) -> None:
    long = [f"{name}:{number}" for name, text in lines.items() for number, line in text if len(line) > 120]
    assert long == []


def test_no_phrase_reads_translated(lines: dict[str, list[tuple[int, str]]]) -> None:
    phrases = [
        f"{name}:{number} {match[0]}"
        for name, text in lines.items()
        for number, line in text
        for match in PHRASES.finditer(line)
    ]
    assert phrases == []
