"""The thumbnails of many images, out of the way of the memory: 16 bits a pixel, in a temporary file.

The search for near-duplicates reads them block by block. The system keeps the file in memory while there is room.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from pneumoscope.data.fingerprint import SIDE

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WHITE = 65_535


class Pictures(Protocol):
    """Thumbnails by position: an array [N, 64, 64] float32, or `Thumbnails`."""

    def __len__(self) -> int:
        """Return N."""

    def __getitem__(self, rows: Any, /) -> NDArray[np.float32]:
        """Return those at ``rows``, an array of positions or a slice: [n, 64, 64] float32, 0 = black, 1 = white."""


class Thumbnails:
    """Thumbnails [N, 64, 64], black at first.

    Args:
        count: N.
        folder: Where the temporary file lies; None: the system's folder for these.

    Raises:
        OSError: The disk has no room for them.
    """

    def __init__(self, count: int, folder: Path | None = None) -> None:
        shape = (max(count, 1), SIDE, SIDE)
        with tempfile.TemporaryFile(dir=folder) as file:  # without a name: it goes when nothing maps it any more
            self._values = np.memmap(file, dtype=np.uint16, mode="w+", shape=shape)[:count]

    def __len__(self) -> int:
        return len(self._values)

    def __getitem__(self, rows: Any, /) -> NDArray[np.float32]:
        return to_float(np.asarray(self._values[rows]))

    def put(self, rows: NDArray[np.intp] | slice, values: NDArray[np.uint16]) -> None:
        """Set the thumbnails at ``rows`` to [n, 64, 64] uint16, 65,535 = white."""
        self._values[rows] = values

    def take(self, rows: NDArray[np.intp], folder: Path | None = None) -> Thumbnails:
        """Return those at ``rows`` in this order, in a file of their own."""
        taken = Thumbnails(len(rows), folder)
        for start in range(0, len(rows), _BLOCK):
            chosen = rows[start : start + _BLOCK]
            taken.put(slice(start, start + len(chosen)), self._values[chosen])
        return taken


_BLOCK = 4096


def to_integers(small: NDArray[np.float32]) -> NDArray[np.uint16]:
    """Return thumbnails, 0 = black and 1 = white, in 16 bits: a step is a 256th of one of an 8-bit image."""
    rounded: NDArray[np.uint16] = np.round(np.clip(small, 0, 1) * _WHITE).astype(np.uint16)
    return rounded


def to_float(values: NDArray[np.uint16]) -> NDArray[np.float32]:
    """Return thumbnails of 16 bits as float32, 0 = black, 1 = white."""
    small: NDArray[np.float32] = values.astype(np.float32) / np.float32(_WHITE)
    return small
