"""A picture's fingerprint, to recognise it again: a small thumbnail and a 64-bit perceptual hash.

The hash is the classic one (Zauner, Implementation and Benchmarking of Perceptual Image Hash Functions, 2010): signs
of the lowest cosine frequencies about their median. It goes into the manifest as a quick key. Chest radiographs look so
much alike that it cannot decide on its own what is a duplicate; ``similarity.py`` does, on the thumbnails.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

SIDE = 64
"""Side of a thumbnail, in pixels."""


def thumbnail(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the picture squeezed to [64, 64] float32, 0 = black, 1 = white, by averaging areas.

    Args:
        pixels: [H, W] float32, 0 = black, 1 = white.
    """
    from PIL import Image

    height, width = pixels.shape
    method = Image.Resampling.BOX if min(height, width) >= SIDE else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize((SIDE, SIDE), method), dtype=np.float32)


def perceptual_hash(small: NDArray[np.float32]) -> str:
    """Return the 64-bit hash of a thumbnail as 16 hexadecimal digits.

    Args:
        small: [64, 64] float32.
    """
    from scipy.fft import dctn

    tiny = small.reshape(SIDE // 2, 2, SIDE // 2, 2).mean(axis=(1, 3))
    low = dctn(tiny, norm="ortho")[:8, :8].ravel()
    return np.packbits(low > np.median(low)).tobytes().hex()


def distance(one: str, other: str) -> int:
    """Return the number of bits, 0 to 64, in which two perceptual hashes differ."""
    return (int(one, 16) ^ int(other, 16)).bit_count()
