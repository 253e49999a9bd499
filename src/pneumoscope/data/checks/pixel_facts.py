"""What a network sees of an image apart from the disease: its frame, its spectrum and its coarse look, as numbers.

A letter burnt into a corner, upscaling, local equalisation or mirroring leaves lungs and metadata as they were, and
still tells two labels apart. Each image gives three short vectors, which the probe of `pixel_probe` reads.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

GRID = 24
"""Cells of the frame's grid in each direction."""

RIM = 4
"""Cells of the grid, from each side, that make the frame: a sixth of the side."""

COARSE = 16
"""Side of the coarse look, in pixels."""

BANDS = 24
"""Bands of the spectrum, from a tenth of the highest frequency to the highest."""

_CROP = 256  # side of the middle part, in pixels, whose spectrum is taken

LOOKS = ("corners and borders", "sharpness", "coarse look")
"""Names of the three vectors."""

SIZES = {LOOKS[0]: 2 * (GRID**2 - (GRID - 2 * RIM) ** 2), LOOKS[1]: BANDS, LOOKS[2]: COARSE**2}
"""Name -> length of the vector."""


def measure_pixels(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return all vectors of one image, one after another in the order of `LOOKS`.

    Args:
        pixels: [H, W] float32, 0 = black, 1 = white.
    """
    return np.concatenate([_frame(pixels), _spectrum(pixels), _coarse_look(pixels)]).astype(np.float32)


def split_vectors(vectors: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    """Return [N, all] vectors by name."""
    ends = np.cumsum(list(SIZES.values()))
    return {name: vectors[:, end - SIZES[name] : end] for name, end in zip(LOOKS, ends, strict=True)}


def _resize(pixels: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    from PIL import Image

    method = Image.Resampling.BOX if min(pixels.shape) >= side else Image.Resampling.BILINEAR
    return np.asarray(Image.fromarray(pixels).resize((side, side), method), dtype=np.float32)


def _frame(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mean and maximum of the outer cells of a grid: a letter is a bright spot in a cell."""
    height, width = (max(length // GRID, 1) for length in pixels.shape)
    if min(pixels.shape) >= GRID:
        tiles = pixels[: height * GRID, : width * GRID].reshape(GRID, height, GRID, width)
        highest = tiles.max(axis=(1, 3))
    else:
        highest = _resize(pixels, GRID)
    rim = np.ones((GRID, GRID), dtype=np.bool_)
    rim[RIM:-RIM, RIM:-RIM] = False
    return np.concatenate([_resize(pixels, GRID)[rim], highest[rim]])


def _spectrum(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logarithm of the power in rings of frequency, relative to their mean."""
    from scipy.fft import rfft2

    height, width = (min(length, _CROP) for length in pixels.shape)
    window, ring = _rings(height, width)
    top, left = (pixels.shape[0] - height) // 2, (pixels.shape[1] - width) // 2
    middle = pixels[top : top + height, left : left + width]
    power = np.abs(rfft2((middle - middle.mean()) * window)) ** 2
    sums = np.bincount(ring, weights=power.ravel(), minlength=BANDS + 1)[:BANDS]
    levels = np.log(sums / np.maximum(np.bincount(ring, minlength=BANDS + 1)[:BANDS], 1) + 1e-9)
    bands: NDArray[np.float32] = (levels - levels.mean()).astype(np.float32)
    return bands


@lru_cache(maxsize=16)
def _rings(height: int, width: int) -> tuple[NDArray[np.float32], NDArray[np.intp]]:
    """Return a window [height, width], and the band of each frequency, `BANDS` where it is in none."""
    window = np.outer(np.hanning(height), np.hanning(width)).astype(np.float32)
    radius = 2 * np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None, :])  # 1: the highest
    ring = ((radius - 0.1) / 0.9 * BANDS).astype(np.intp)
    return window, np.where((radius >= 0.1) & (ring < BANDS), ring, BANDS).ravel()


def _coarse_look(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the picture at 16 by 16 pixels, without its brightness and contrast."""
    small = _resize(pixels, COARSE).ravel()
    spread = float(small.std())
    look: NDArray[np.float32] = (small - small.mean()) / max(spread, 1e-3)
    return look
