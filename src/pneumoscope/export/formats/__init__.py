"""The formats in which a graph can be exported: one module each, found by listing this folder.

A module defines ``FORMAT``, a `Format` whose name is the module's own, with hyphens for underscores. A new format is
one new file.
"""

from __future__ import annotations

from pneumoscope.core.registry import Registry, discover
from pneumoscope.export.format import Format

FORMATS: Registry[Format] = discover("export format", __name__, "FORMAT")
"""Name -> format."""
