"""Files of stored pixels: they are on the disk, and named in its folder, before the upload is answered.

A file lies under its final name from the start. No row names it yet, so nothing looks for it; a half-written file
(after a crash) stays a file that no row names, and `remove_orphans` deletes it. Thumbnails are drawn when a page first
asks for them.
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
from pneumoscope.server.storage.png_codec import decode_png, draw_thumbnail, sha256_of

PIXELS = "png"
THUMBNAIL = "thumb.png"
_KINDS = (PIXELS, THUMBNAIL)


def path_of(folder: Path, image: str, kind: str = PIXELS) -> Path:
    """Return where a file of an image lies.

    Args:
        folder: The store's.
        image: Number of the image, as `new_id` makes it; never a name that was sent.
        kind: `PIXELS` or `THUMBNAIL`.
    """
    if not image.isalnum():
        raise ValueError("an identifier has letters and digits only")
    return folder / image[:2] / f"{image}.{kind}"


def write_pixels(folder: Path, image: str, content: bytes) -> None:
    """Write the pixels of a new image so that they survive a power cut: the content is synced, then the name.

    Raises:
        FileExistsError: The image has pixels already.
        OSError: The disk refused the file.
    """
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
        image: Number of the image.
        sha256: Of what was stored.

    Raises:
        ImageError: They are gone, or not those that were stored.
    """
    try:
        data = path_of(folder, image).read_bytes()
    except FileNotFoundError as error:
        raise ImageError(image, "is not in the store.") from error
    if sha256_of(data) != sha256:
        raise ImageError(image, "was altered.", "Restore it from a backup.")
    return decode_png(data, image)


def write_thumbnail(folder: Path, image: str, sha256: str) -> Path:
    """Draw the thumbnail of an image if there is none; return its path. It can be drawn again, so it is not synced.

    The caller makes sure that the image has not been erased since.

    Raises:
        ImageError: The pixels are gone, or not those that were stored.
    """
    path = path_of(folder, image, THUMBNAIL)
    if not path.is_file():
        temporary = path.with_name(f".{image}.{new_id()}")
        temporary.write_bytes(draw_thumbnail(read_pixels(folder, image, sha256)))
        temporary.replace(path)
    return path


def delete(folder: Path, image: str) -> None:
    """Delete the files of an image; files that are not there are ignored."""
    for kind in _KINDS:
        path_of(folder, image, kind).unlink(missing_ok=True)


def remove_orphans(folder: Path, has_row: Callable[[str], bool], older_than: float = 3600.0) -> int:
    """Delete files of images that no row names (left by a crash between file and row); return how many.

    Args:
        folder: The store's.
        has_row: Whether there is a row for an image.
        older_than: Seconds; a younger file may belong to an upload under way.
    """
    removed = 0
    for path in _list_files(folder):
        image = path.name.lstrip(".").partition(".")[0]
        with suppress(FileNotFoundError):
            if time.time() - path.stat().st_mtime > older_than and (path.name.startswith(".") or not has_row(image)):
                path.unlink()
                removed += 1
    return removed


def _list_files(folder: Path) -> Iterator[Path]:
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
