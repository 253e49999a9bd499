"""The names of the layouts that can be imported, without importing them: for the command line's help."""

from __future__ import annotations

from pathlib import Path


def source_names() -> list[str]:
    """Return the names of all sources, in order: those of the modules in ``data/sources``."""
    return sorted(path.stem.replace("_", "-") for path in (Path(__file__).parent / "sources").glob("[a-z]*.py"))
