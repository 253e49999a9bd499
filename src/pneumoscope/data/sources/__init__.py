"""The layouts that can be imported: one module each, found by listing this folder.

A module defines ``SOURCE``, a `Source` whose name is the module's own, with hyphens for underscores. A new layout is
one new file.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from pneumoscope.core.registry import Registry
from pneumoscope.data.source import Source


def _discover() -> Registry[Source]:
    registry: Registry[Source] = Registry("source")
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        source: Source = import_module(f"{__name__}.{path.stem}").SOURCE
        if source.name != path.stem.replace("_", "-"):
            raise ValueError(f"the source {source.name!r} must be in the module of its name, not in {path.name}")
        registry.add(source.name, source)
    return registry


SOURCES: Registry[Source] = _discover()
"""Name -> source."""
