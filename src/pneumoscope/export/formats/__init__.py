"""The formats in which a graph can be exported: one module each, found by listing this folder.

A module defines ``FORMAT``, a `Format` whose name is the module's own, with hyphens for underscores. A new format is
one new file.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

from pneumoscope.core.registry import Registry
from pneumoscope.export.format import Format


def _discover() -> Registry[Format]:
    registry: Registry[Format] = Registry("export format")
    for path in sorted(Path(__file__).parent.glob("[a-z]*.py")):
        format_: Format = import_module(f"{__name__}.{path.stem}").FORMAT
        if format_.name != path.stem.replace("_", "-"):
            raise ValueError(f"the format {format_.name!r} must be in the module of its name, not in {path.name}")
        registry.add(format_.name, format_)
    return registry


FORMATS: Registry[Format] = _discover()
"""Name -> format."""
