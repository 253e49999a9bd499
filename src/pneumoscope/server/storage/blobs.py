"""Files of stored pixels: they are on the disk, and named in its folder, before the upload is answered.

A file lies under its final name from the start. No row names it yet, so nothing looks for it; a half-written file
(after a crash) stays a file that no row names, and `remove_orphans` deletes it. Thumbnails are drawn when a page first
asks for them.
"""

from __future__ import annotations

import hmac
import os
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError, RunError
from pneumoscope.server.storage.crypto import Secret, new_id
from pneumoscope.server.storage.png_codec import decode_png, draw_thumbnail, sha256_of

PIXELS = "png"
THUMBNAIL = "thumb.png"
SEALED = "sealed"
"""An object in quarantine, a kept file of an object, or a result, encrypted."""
_KINDS = (PIXELS, THUMBNAIL, SEALED)
SIGNATURE = 64
"""Bytes of a thumbnail's signature."""


def path_of(folder: Path, image: str, kind: str = PIXELS) -> Path:
    """Return where a file of an image lies.

    Args:
        folder: The store's.
        image: Number of the image, as `new_id` makes it; never a name that was sent.
        kind: `PIXELS`, `THUMBNAIL` or `SEALED`.
    """
    if not image.isalnum():
        raise ValueError("an identifier has letters and digits only")
    return folder / image[:2] / f"{image}.{kind}"


def write_pixels(folder: Path, image: str, content: bytes, kind: str = PIXELS) -> None:
    """Write the pixels of a new image so that they survive a power cut: the content is synced, then the name.

    Args:
        folder: The store's.
        image: Number of the image, of an object in quarantine, or of a result.
        content: The whole file.
        kind: `PIXELS` or `SEALED`.

    Raises:
        FileExistsError: The image has pixels already.
        FileNotFoundError: The folder is gone. It is never made again: its place may be that of a volume, and what
            is written there would be hidden, or lost, when the volume is back.
        OSError: The disk refused the file.
    """
    path = path_of(folder, image, kind)
    new = not path.parent.is_dir()
    if new:
        path.parent.mkdir(exist_ok=True)
    with path.open("xb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    _sync_folder(path.parent)
    if new:
        _sync_folder(folder)


def read_content(folder: Path, image: str, sha256: str) -> bytes:
    """Return the stored pixels of an image as they lie on the disk: a PNG.

    Args:
        folder: The store's.
        image: Number of the image.
        sha256: Of what was stored.

    Raises:
        ImageError: They are gone, or not those that were stored.
    """
    try:
        content = path_of(folder, image).read_bytes()
    except FileNotFoundError as error:
        raise ImageError(image, "is not in the store.") from error
    if sha256_of(content) != sha256:
        raise ImageError(image, "was altered.", "Restore it from a backup.")
    return content


def read_sealed(folder: Path, secret: Secret, number: str) -> bytes:
    """Return what a sealed file holds.

    Args:
        folder: The store's.
        secret: The store's.
        number: Of the object.

    Raises:
        ImageError: It is gone, or not what was stored.
    """
    try:
        return secret.unseal_bytes(path_of(folder, number, SEALED).read_bytes(), number)
    except FileNotFoundError as error:
        raise ImageError(number, "is not in the store.") from error
    except RunError as error:
        raise ImageError(number, "was altered.", "Restore it from a backup.") from error


def read_pixels(folder: Path, image: str, sha256: str) -> NDArray[np.float32]:
    """Return the stored pixels of an image: [H, W] float32, 0 = black, 1 = white, row 0 = head.

    Args:
        folder: The store's.
        image: Number of the image.
        sha256: Of what was stored.

    Raises:
        ImageError: They are gone, or not those that were stored.
    """
    return decode_png(read_content(folder, image, sha256), image)


def is_whole(folder: Path, image: str, sha256: str) -> bool:
    """Return whether the pixels of an image are there, as they were stored."""
    try:
        read_content(folder, image, sha256)
    except (ImageError, OSError):
        return False
    return True


def replace_pixels(folder: Path, image: str, by: str) -> None:
    """Give the stored pixels of one image to another that has lost its own; durable when this returns.

    Args:
        folder: The store's.
        image: Number of the image that has lost its pixels.
        by: Number under which they are stored now.
    """
    path = path_of(folder, image)
    path.parent.mkdir(exist_ok=True)
    path_of(folder, by).replace(path)
    path_of(folder, image, THUMBNAIL).unlink(missing_ok=True)
    _sync_folder(path.parent)
    _sync_folder(folder)


def read_thumbnail(folder: Path, image: str, sha256: str, sign: Callable[[bytes], bytes]) -> bytes:
    """Return the thumbnail of an image, a PNG; draw it if there is none, or one that this server has not drawn.

    On the disk its signature stands behind it. It can be drawn again, so it is not synced. The caller makes sure that
    the image has not been erased since.

    Args:
        folder: The store's.
        image: Number of the image.
        sha256: Of its pixels as they were stored.
        sign: Returns the signature of bytes, `SIGNATURE` bytes long, which nobody without the server's secret can make.

    Raises:
        ImageError: The pixels are gone, or not those that were stored.
    """
    path = path_of(folder, image, THUMBNAIL)
    with suppress(FileNotFoundError):
        content = path.read_bytes()
        picture = content[:-SIGNATURE]
        if hmac.compare_digest(content[-SIGNATURE:], sign(picture)):
            return picture
    picture = draw_thumbnail(read_pixels(folder, image, sha256))
    temporary = path.with_name(f".{image}.{new_id()}")
    with suppress(OSError):  # on a full disk it is drawn again each time
        temporary.write_bytes(picture + sign(picture))
        temporary.replace(path)
    return picture


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


def holds_files(folder: Path) -> bool:
    """Return whether the store's folder holds any image's file."""
    return next(_list_files(folder), None) is not None


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
