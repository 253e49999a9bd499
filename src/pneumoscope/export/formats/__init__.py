"""The formats into which a bundle can be exported: one module each, found by listing this folder.

A module defines ``FORMAT``, a `Format` whose name is the module's own, with hyphens for underscores. A new format is
one new file. Its libraries are imported when it is used, so that one that is missing breaks only its own format.
"""

from __future__ import annotations

from pneumoscope.core.registry import Registry, discover
from pneumoscope.export.format import Format

FORMATS: Registry[Format] = discover("export format", __name__, "FORMAT")
"""Name -> format."""
