"""The layouts that can be imported: one module each, found by listing this folder.

A module defines ``SOURCE``, a `Source` whose name is the module's own, with hyphens for underscores. A new layout is
one new file.
"""

from __future__ import annotations

from pneumoscope.core.registry import Registry, discover
from pneumoscope.data.source import Source

SOURCES: Registry[Source] = discover("source", __name__, "SOURCE")
"""Name -> source."""
