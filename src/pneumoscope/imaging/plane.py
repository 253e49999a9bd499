"""The common part of all decoders: the decoded plane, the limit on its size, its orientation and its grey.

`raster.py` (Pillow) and `dicom/decode.py` (pydicom) thus give the same errors in the same words, and the arithmetic
that a browser has to repeat stands in one place.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError

Metadata: TypeAlias = Mapping[str, str | int | float | None]

BAND = 256
"""Rows that are converted at a time."""

# `warnings.catch_warnings` changes process-wide state; two threads inside it at once would leave it changed.
_ONE_AT_A_TIME = threading.Lock()


class Plane(NamedTuple):
    """One decoded image.

    Attributes:
        pixels: [H, W] float32, 0 = black, 1 = white.
        bits: Bits stored per sample in the file.
        metadata: Facts about the exposure; never the patient's name or number.
    """

    pixels: NDArray[np.float32]
    bits: int
    metadata: Metadata


class Turn(NamedTuple):
    """How to bring an image upright: first swap the axes, then reverse rows and columns."""

    swap: bool = False
    reverse_rows: bool = False
    reverse_columns: bool = False


def make_upright(pixels: NDArray[np.float32], turn: Turn) -> NDArray[np.float32]:
    """Return ``pixels`` upright and contiguous in memory; the same array if there is nothing to turn."""
    if turn == Turn():
        return pixels
    pixels = pixels.T if turn.swap else pixels
    return np.ascontiguousarray(
        pixels[:: -1 if turn.reverse_rows else 1, :: -1 if turn.reverse_columns else 1],
    )


def check_size(name: str, width: int, height: int, max_pixels: int) -> None:
    """Refuse an image by the size that its header declares, before anything is decoded."""
    if width < 1 or height < 1:
        raise ImageError(
            name,
            f"its header declares {width} x {height} pixels.",
            "Get an undamaged copy of the file.",
            code="damaged",
        )
    if width * height > max_pixels:
        raise ImageError(
            name,
            f"its header declares {width} x {height} pixels; at most {max_pixels:,} are decoded.",
            "A radiograph has about 10 million. If it is genuine, save a smaller copy and name that, or read it from "
            "Python, where pneumoscope.read takes a larger max_pixels.",
            code="too-many-pixels",
            values={"pixels": width * height, "limit": max_pixels},
        )


def check_one_frame(name: str, frames: int) -> None:
    """Refuse an animation or a stack: nobody can guess the frame that the user means."""
    if frames != 1:
        raise ImageError(
            name,
            f"holds {frames} frames; a radiograph is one.",
            "Save the frame that you mean as a file of its own.",
            code="frames",
        )


def luma(red: NDArray[np.integer], green: NDArray[np.integer], blue: NDArray[np.integer]) -> NDArray[np.uint16]:
    """Return the grey of a colour, in the samples' own unit (8 or 16 bits).

    It is the luma of Rec. ITU-R BT.601, 0.299 R + 0.587 G + 0.114 B, in 16-bit fixed point and rounded to the nearest
    whole number. The weights add up to 65,536, so that grey stays exactly the same, and every language can repeat it
    bit by bit. Pillow's ``convert("L")`` computes the same.
    """
    weighted = red * np.uint32(19595) + green * np.uint32(38470) + blue * np.uint32(7471)
    grey: NDArray[np.uint16] = ((weighted + np.uint32(0x8000)) >> np.uint32(16)).astype(np.uint16)
    return grey


def multiply(pixels: NDArray[np.float32], alpha: NDArray[np.integer], white: int) -> None:
    """Multiply [H, W] float32 by an alpha channel of whole numbers in place, in bands of rows to spare memory.

    Args:
        pixels: The pixels, which are changed.
        alpha: [H, W], 0 to ``white``.
        white: What is opaque.
    """
    for start in range(0, len(pixels), BAND):
        band = slice(start, start + BAND)
        pixels[band] *= np.divide(alpha[band], np.float32(white), dtype=np.float32)


@contextmanager
def suppress_warnings() -> Iterator[None]:
    """Suppress the warnings of a library while it reads one file.

    They quote tag values, which may identify a patient. The decoders check the important ones and raise errors. Only
    one thread at a time is inside (see above): the decoders that need this hold Python's lock anyway, and PNG, JPEG and
    WebP, which come in hundreds of thousands, do not need it.
    """
    with _ONE_AT_A_TIME, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield
