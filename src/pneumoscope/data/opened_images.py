"""What images of a test part are recognised by, whatever happens to their files.

A comment in a PNG or another container changes the hash of a file, and not the picture. An opened image is therefore
known by its decoded pixels, and by its perceptual hash where it was resized, compressed again or brightened. Neither
gives the picture back.

Two sets share images where any file or any picture is the same, or where a tenth of the smaller set has a perceptual
hash within 2 of 64 bits of one in the other. Measured on 600 radiographs of four public sets: re-compression,
resizing to 224 pixels and brightness leave three quarters of the hashes or more within 2 bits; of 150 images of one set
against the 150 of each other, none had a stranger within 3 bits. A crop by 3% moves 8 bits and is not recognised.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.core.errors import ImageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pneumoscope.data.manifest import Manifest

NEAR_BITS = 2
NEAR_SHARE = 0.1
"""Share of the smaller set from which near perceptual hashes mean the same images."""


@dataclass(frozen=True, slots=True)
class OpenedImages:
    """A set of images, without the images.

    Args:
        files: SHA-256 of the files, 64 hexadecimal digits.
        pixels: First 16 hexadecimal digits of the SHA-256 of the decoded pixels and their size.
        fingerprints: Perceptual hashes, 16 hexadecimal digits (``fingerprint.perceptual_hash``).
        rows: The number of images, where some are the same file.
    """

    files: frozenset[str] = frozenset()
    pixels: frozenset[str] = frozenset()
    fingerprints: frozenset[str] = frozenset()
    rows: int = 0

    @classmethod
    def of(
        cls, files: Iterable[str] = (), pixels: Iterable[str] = (), fingerprints: Iterable[str] = ()
    ) -> OpenedImages:
        """Return the set of images that these hashes name."""
        return cls(frozenset(files), frozenset(pixels), frozenset(fingerprints))

    @classmethod
    def union(cls, sets: Iterable[OpenedImages]) -> OpenedImages:
        """Return all images of several sets."""
        parts = list(sets)
        return cls(
            frozenset().union(*(part.files for part in parts)),
            frozenset().union(*(part.pixels for part in parts)),
            frozenset().union(*(part.fingerprints for part in parts)),
        )

    def __len__(self) -> int:
        return max(self.rows, len(self.files), len(self.pixels))

    def overlaps(self, other: OpenedImages) -> bool:
        """Return whether the two sets share images."""
        if not self.files.isdisjoint(other.files) or not self.pixels.isdisjoint(other.pixels):
            return True
        small, large = sorted((_bits(self.fingerprints), _bits(other.fingerprints)), key=len)
        if not len(small):
            return False
        near = sum(
            int((np.bitwise_count(small[start : start + 64, None] ^ large[None]) <= NEAR_BITS).any(axis=1).sum())
            for start in range(0, len(small), 64)
        )
        return near >= max(1.0, NEAR_SHARE * len(small))


def _bits(fingerprints: frozenset[str]) -> NDArray[np.uint64]:
    """Return perceptual hashes as integers; one without 32 bits set is of a picture without structure, and left out."""
    values = np.array([int(text, 16) for text in sorted(fingerprints)], dtype=np.uint64)
    return values[np.bitwise_count(values) == 32] if len(values) else values


def pixels_hash(pixels: NDArray[np.float32]) -> str:
    """Return what a decoded picture is recognised by; pixels [H, W] float32."""
    digest = hashlib.sha256(f"{pixels.shape[0]}x{pixels.shape[1]}:".encode())
    digest.update(np.ascontiguousarray(pixels, dtype="<f4").data)
    return digest.hexdigest()[:16]


def read_opened_images(manifest: Manifest) -> OpenedImages:
    """Decode the images of a manifest and return what they are recognised by.

    An image that cannot be read is known by the hash of its file alone; the evaluation names it.

    Args:
        manifest: The rows that will be measured.
    """
    return OpenedImages(
        frozenset(str(value) for value in manifest.table["sha256"]),
        frozenset(_hashes_of(manifest.paths())),
        frozenset(str(value) for value in manifest.table["phash"]),
        len(manifest),
    )


def _hashes_of(paths: Sequence[Path]) -> list[str]:
    from pneumoscope.imaging.read import read

    def attempt(path: Path) -> str | None:
        try:
            return pixels_hash(read(path).pixels)
        except (ImageError, OSError):
            return None

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return [value for value in pool.map(attempt, paths) if value is not None]
