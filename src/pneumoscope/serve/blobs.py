"""Files of stored pixels: on the disk, and named in its folder, before anyone is told that they are there."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from pneumoscope.files import atomic_path

PIXELS = "png"
THUMBNAIL = "thumb.png"
_KINDS = (PIXELS, THUMBNAIL)


def path_of(folder: Path, image: str, kind: str = PIXELS) -> Path:
    """Return where a file of an image lies; ``image`` is an identifier of ours, never a name that was sent."""
    if not image.isalnum():
        raise ValueError("an identifier has letters and digits only")
    return folder / image[:2] / f"{image}.{kind}"


def keep(folder: Path, image: str, kind: str, content: bytes) -> None:
    """Write a file so that it survives a power cut: its content is synced, then its name."""
    path = path_of(folder, image, kind)
    new = not path.parent.is_dir()
    with atomic_path(path) as temporary:
        temporary.write_bytes(content)
    _sync_folder(path.parent)
    if new:
        _sync_folder(folder)


def erase(folder: Path, image: str) -> None:
    """Remove the files of an image."""
    for kind in _KINDS:
        path_of(folder, image, kind).unlink(missing_ok=True)


def sweep(folder: Path, known: Callable[[str], bool], older_than: float = 3600.0) -> int:
    """Remove files of images that no row knows (left by a crash between file and row); return how many.

    Args:
        folder: The store's.
        known: Whether there is a row for an image.
        older_than: Seconds; a younger one may belong to an upload under way.
    """
    removed = 0
    for path in _all(folder):
        image = path.name.lstrip(".").partition(".")[0]
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > older_than and (path.name.startswith(".") or not known(image)):
                path.unlink()
                removed += 1
    return removed


def _all(folder: Path) -> Iterator[Path]:
    for shard in sorted(folder.iterdir()):
        if shard.is_dir():
            yield from sorted(shard.iterdir())


def _sync_folder(folder: Path) -> None:
    with suppress(PermissionError):  # Windows opens no folders, and writes their entries by itself
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
