"""Reading Python source in tests."""

from __future__ import annotations

import ast
import gc
from pathlib import Path


def parse_file(path: Path) -> ast.Module:
    """Return a file's syntax tree."""
    return parse_source(path.read_text(encoding="utf-8"))


def parse_source(source: str) -> ast.Module:
    """Return the syntax tree of a text.

    The garbage collector rests meanwhile: where it ends an object whose failure is then printed, the printed lines are
    parsed inside this parse, and Python 3.11 raises "AST constructor recursion depth mismatch" (gh-106905).
    """
    gc.disable()
    try:
        return ast.parse(source)
    finally:
        gc.enable()
