"""Options that several commands share."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.core.errors import UsageError

if TYPE_CHECKING:
    from pneumoscope.data.manifest import Manifest

Allow = Annotated[
    list[str] | None, typer.Option("--allow", help="Accept this finding of the data gate.", metavar="NAME")
]
Because = Annotated[
    list[str] | None, typer.Option("--because", help="Why; once for each --allow, or one for all.", metavar="TEXT")
]


def pairs(texts: Sequence[str] | None, option: str, form: str, *, last: bool = False) -> dict[str, str]:
    """Return ``KEY=VALUE`` options as a mapping.

    Args:
        texts: The options as they were given.
        option: Its name, for errors.
        form: What it must look like, for errors.
        last: Split at the last equals sign, for keys that may hold one; else at the first, for values that may.

    Raises:
        UsageError: One is not of that form, or a key comes twice.
    """
    found: dict[str, str] = {}
    for text in texts or ():
        key, equals, value = text.rpartition("=") if last else text.partition("=")
        if not (equals and key and value):
            raise UsageError(f"{option} {text}", f"must be {form}.")
        if key in found:
            raise UsageError(f"{option} {key}", "is given twice.", "Say each once.")
        found[key] = value
    return found


def read_manifest_at(path: Path, roots: Sequence[str] | None) -> Manifest:
    """Read a manifest, its sources moved to where ``--root SOURCE=DIR`` says."""
    from pneumoscope.data.manifest import read_manifest

    return read_manifest(path, {name: Path(folder) for name, folder in pairs(roots, "--root", "SOURCE=DIR").items()})


def read_secret(path: Path) -> bytes:
    """Return what is in a key file, its line end left off.

    Raises:
        UsageError: There is no such file, or it has fewer than 16 bytes.
    """
    if not path.is_file():
        raise UsageError(f"--key {path}", "there is no such file.", "Make one with: openssl rand -hex 32 > FILE")
    secret = path.read_bytes().strip()
    if len(secret) < 16:
        raise UsageError(f"--key {path}", f"has {len(secret)} bytes; a secret needs 16 or more.")
    return secret
