"""Prose has lines of at most 120 characters, and no turn of phrase that reads translated."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGES = sorted(
    [*(ROOT / "docs").rglob("*.md"), *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md"))]
)
PHRASES = re.compile(r"\b(took it not|of ours|whoever|lest|thereby|beforehand|anew|save for)\b", re.IGNORECASE)


def prose(page: Path) -> list[tuple[int, str]]:
    """The numbered lines of a page outside fenced blocks and tables."""
    text = re.sub(
        r"^```.*?^```$", lambda m: "\n" * m[0].count("\n"), page.read_text(encoding="utf-8"), flags=re.M | re.S
    )
    return [(number, line) for number, line in enumerate(text.splitlines(), 1) if not line.startswith(("|", "!["))]


def test_lines_are_short() -> None:
    long = [f"{page.name}:{number}" for page in PAGES for number, line in prose(page) if len(line) > 120]
    assert long == []


def test_no_phrase_reads_translated() -> None:
    said = [
        f"{page.name}:{number} {m[0]}" for page in PAGES for number, line in prose(page) for m in PHRASES.finditer(line)
    ]
    assert said == []
