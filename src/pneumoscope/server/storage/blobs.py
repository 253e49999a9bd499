"""Files of stored pixels: on the disk, and named in its folder, before anyone is told that they are there.

A file lies under its last name from the start: nobody looks for it before a row names it, so that a half-written one
(after a crash) is a file that no row names, which is swept. Thumbnails are made when they are first looked at.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.png_codec import stored_sha256, thumbnail, unpack

PIXELS = "png"
THUMBNAIL = "thumb.png"
_KINDS = (PIXELS, THUMBNAIL)


def path_of(folder: Path, image: str, kind: str = PIXELS) -> Path:
    """Return where a file of an image lies; ``image`` is an identifier of ours, never a name that was sent."""
    if not image.isalnum():
        raise ValueError("an identifier has letters and digits only")
    return folder / image[:2] / f"{image}.{kind}"


def keep(folder: Path, image: str, content: bytes) -> None:
    """Write the pixels of a new image so that they survive a power cut: the content is synced, then the name."""
    path = path_of(folder, image)
    new = not path.parent.is_dir()
    if new:
        path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)
    if new:
        _sync_folder(folder)


def read_pixels(folder: Path, image: str, sha256: str) -> NDArray[np.float32]:
    """Return the stored pixels of an image: [H, W] float32, 0 = black, 1 = white, row 0 = head.

    Args:
        folder: The store's.
        image: Which.
        sha256: Of what was stored.

    Raises:
        ImageError: They are gone, or not those that were stored.
    """
    try:
        data = path_of(folder, image).read_bytes()
    except FileNotFoundError as error:
        raise ImageError(image, "is not in the store.") from error
    if stored_sha256(data) != sha256:
        raise ImageError(image, "was altered.", "Restore it from a backup.")
    return unpack(data, image)


def make_thumbnail(folder: Path, image: str, sha256: str) -> Path:
    """Make the thumbnail of an image if there is none; return its path. It can be made again, so it is not synced.

    Whoever calls sees to it that the image was not erased meanwhile.

    Raises:
        ImageError: The pixels are gone, or not those that were stored.
    """
    path = path_of(folder, image, THUMBNAIL)
    if not path.is_file():
        temporary = path.with_name(f".{image}.{new_id()}")
        temporary.write_bytes(thumbnail(read_pixels(folder, image, sha256)))
        temporary.replace(path)
    return path


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
