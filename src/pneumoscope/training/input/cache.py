"""Decoded images, resized once: uint8 [S, S] on disk, memory-mapped, keyed by content.

Decoding and resizing cost more than a small network's forward pass, so they are paid once for each image and size, not
once an epoch. The images lie in shards of a few hundred, each named by the hashes of what it holds: a shard appears
whole or not at all, an interrupted build goes on with the next one, and another manifest of the same images finds them.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from numpy.typing import NDArray
from torch import Tensor

from pneumoscope.core.errors import ImageError
from pneumoscope.core.files import atomic_path, cache_folder
from pneumoscope.imaging.border import find_border
from pneumoscope.imaging.proportions import check_no_strip
from pneumoscope.imaging.read import read

SHARD = 512
VERSION = 1  # of the pixels: raise it when decoding or resizing changes


def resize_square(image: Tensor, size: int) -> Tensor:
    """Resize [N, 1, H, W] to [N, 1, size, size], antialiased; the very operation that the exported graph holds.

    Antialiasing matters: a radiograph of 3,000 pixels sampled at 224 points without it is noise, and the noise tells
    the detectors apart (Parmar et al., On Aliased Resizing, CVPR 2022).
    """
    return F.interpolate(image, size=(size, size), mode="bilinear", align_corners=False, antialias=True)


@dataclass(frozen=True)
class CachedImages:
    """Images by position: ``shards[i]`` is a memory-mapped uint8 [n, S, S]; ``place`` gives (shard, row) by image."""

    size: int
    shards: tuple[NDArray[np.uint8], ...]
    place: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.place)

    def take(self, indices: Sequence[int]) -> Tensor:
        """Return images [n, 1, S, S] uint8 at ``indices``."""
        out = np.empty((len(indices), 1, self.size, self.size), np.uint8)
        for row, (shard, position) in enumerate(self.place[list(indices)]):
            out[row, 0] = self.shards[shard][position]
        return torch.from_numpy(out)


def _decode(path: Path, sha256: str, size: int, depth: int | None, *, cut_borders: bool) -> NDArray[np.uint8]:
    radiograph = read(path, depth=depth)
    if radiograph.sha256 != sha256:
        raise ImageError(
            str(path),
            f"has changed since the import: SHA-256 {radiograph.sha256[:12]}… instead of {sha256[:12]}….",
            "Import the data again.",
        )
    pixels = radiograph.pixels
    check_no_strip(pixels.shape, str(path))
    if cut_borders:
        pixels = np.ascontiguousarray(find_border(pixels).cut(pixels))
    tensor = torch.from_numpy(pixels)[None, None]
    return (resize_square(tensor, size)[0, 0] * 255).round().clamp(0, 255).to(torch.uint8).numpy()


def _evict(folder: Path, keep: set[Path]) -> None:
    """Delete the shards used longest ago while the cache is over its limit (``PNEUMOSCOPE_CACHE_GB``, 20)."""
    limit = float(os.environ.get("PNEUMOSCOPE_CACHE_GB", "20")) * 1e9
    shards = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime)
    total = sum(path.stat().st_size for path in shards)
    for path in shards:
        if total <= limit:
            return
        if path not in keep:
            size = path.stat().st_size
            with suppress(PermissionError):  # another user's
                path.unlink(missing_ok=True)
                total -= size


def open_cache(
    paths: Sequence[Path],
    hashes: Sequence[str],
    size: int,
    *,
    depths: Sequence[int | None] | None = None,
    cut_borders: bool = True,
    folder: Path | None = None,
    advance: Callable[[int], None] = lambda _: None,
) -> CachedImages:
    """Return the images at ``paths``, decoding those that are not in the cache.

    Args:
        paths: Files, in the order wanted.
        hashes: Their SHA-256, which is their identity.
        size: Side of the square, in pixels.
        depths: Bits in use in 16-bit files, see `imaging.read.read`; None for every file where it is None.
        cut_borders: Cut off flat borders, as before a classifier looks; False: the images go with masks of their size.
        folder: The cache; the user's by default.
        advance: Called with the number of images that have become ready.

    Raises:
        ImageError: A file cannot be read, has changed since the import, or is a strip, on which no graph runs.
    """
    folder = folder or cache_folder()
    folder.mkdir(parents=True, exist_ok=True)
    # Bytes in one block and not texts: a million of these take a fifth of a gigabyte of Python's memory.
    names, first, inverse = np.unique(np.array(hashes, dtype="S64"), return_index=True, return_inverse=True)
    shards: list[NDArray[np.uint8]] = []
    used: set[Path] = set()

    def decode(place: int) -> NDArray[np.uint8]:
        depth = depths[place] if depths else None
        return _decode(paths[place], hashes[place], size, depth, cut_borders=cut_borders)

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        for start in range(0, len(names), SHARD):
            places = first[start : start + SHARD].tolist()
            # The depth decides about the pixels of a 16-bit file, so that it is part of the key.
            contents = " ".join(
                f"{name}/{depth}" if depths and (depth := depths[place]) else name
                for name, place in zip(names[start : start + SHARD].astype(str).tolist(), places, strict=True)
            )
            inside = " inside borders" if cut_borders else ""
            key = hashlib.sha256(f"{VERSION} {size}{inside} {contents}".encode()).hexdigest()[:32]
            path = folder / f"{key}.npy"
            if path.is_file():
                with suppress(PermissionError):  # another user's: the order in which shards go is all that it changes
                    os.utime(path)
                advance(len(places))
            else:
                images = np.empty((len(places), size, size), np.uint8)
                for row, image in enumerate(pool.map(decode, places)):
                    images[row] = image
                    advance(1)
                with atomic_path(path) as temporary:
                    np.save(temporary, images)
            used.add(path)
            shards.append(_map(path))
    _evict(folder, used)
    positions = np.stack(np.divmod(inverse.reshape(-1), SHARD), axis=1).astype(np.int64)
    return CachedImages(size, tuple(shards), positions)


def _map(path: Path) -> NDArray[np.uint8]:
    """Return a shard, memory-mapped.

    NumPy's own mapping keeps the file open, and a system allows a thousand open files: half a million images.
    """
    with path.open("rb") as file:
        np.lib.format.read_magic(file)
        shape, _, _ = np.lib.format.read_array_header_1_0(file)
        start = file.tell()
    everything = torch.from_file(str(path), shared=False, size=start + int(np.prod(shape)), dtype=torch.uint8)
    images: NDArray[np.uint8] = everything.numpy()[start:].reshape(shape)
    return images
