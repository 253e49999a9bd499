"""Lungs and heart of a stored answer, as masks and as lines of the source image.

A stored outline is a square stretched over the whole image (see `inference.runner`). Mask and lines are one thing: the
level of one half between the squares' centres, without specks and with holes filled.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.lung_parts import remove_specks
from pneumoscope.core.errors import MissingExtraError
from pneumoscope.server.dicom.results.sources import ImageAnswer

UNRECORDED = "not recorded"
"""Stands for the identity of the graph in answers that are older than its record."""


@dataclass(frozen=True, slots=True)
class Outline:
    """A structure that a model's companion outlined on an image."""

    structure: str
    """``lungs`` or ``heart``."""
    square: NDArray[np.bool_]
    """[S, S] bool, True inside, row 0 = head; stretched over the image."""


def find_outlines(answer: ImageAnswer) -> tuple[Outline, ...]:
    """Return the lungs of an image and, behind them, its heart; empty without lungs, see `find_lungs`.

    Where the graph saw no plausible heart (see `bundle.heart_shape`) there are the lungs alone, and so there are in
    answers that are older than the record of the heart.

    Args:
        answer: What a model said about an image.
    """
    lungs, stored = find_lungs(answer), answer.result.get("heart")
    if lungs is None:
        return ()
    heart = None if stored is None else _decode(stored)
    if heart is None or heart.shape != lungs.shape:
        return (Outline("lungs", lungs),)
    return Outline("lungs", lungs), Outline("heart", heart)


def find_lungs(answer: ImageAnswer) -> NDArray[np.bool_] | None:
    """Return where the lungs are on the graph's square; None where there are none, or the image was refused.

    An image that was stored in another size than its header says has none either: nothing could be drawn on it.

    Args:
        answer: What a model said about an image.

    Returns:
        [S, S] bool, True inside, row 0 = head.
    """
    result, header = answer.result, answer.source.header
    stored: Mapping[str, Any] | None = result.get("lungs")
    if stored is None or result.get("refused") or result.get("error"):
        return None
    if (header.get("Rows"), header.get("Columns")) != (answer.source.height, answer.source.width):
        return None
    return _decode(stored)


def _decode(stored: Mapping[str, Any]) -> NDArray[np.bool_] | None:
    """Return a stored mask without specks; None where nothing is left."""
    square = np.zeros((stored["side"], stored["side"]), np.bool_)
    for row, runs in enumerate(stored["rows"]):
        for start, end in zip(runs[::2], runs[1::2], strict=True):
            square[row, start:end] = True
    square = remove_specks(square)
    return square if square.any() else None


def graph_of(answer: ImageAnswer) -> str:
    """Return the identity of the graph that outlined lungs and heart."""
    return str((answer.result.get("lungs") or {}).get("graph", UNRECORDED))


def draw_mask(square: NDArray[np.bool_], height: int, width: int) -> NDArray[np.bool_]:
    """Return the mask of an image.

    Args:
        square: [S, S] bool, see `Outline`.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Returns:
        [height, width] bool, True inside.
    """
    from PIL import Image

    stretched = Image.fromarray(square.astype(np.float32)).resize((width, height), Image.Resampling.BILINEAR)
    inside: NDArray[np.bool_] = np.asarray(stretched) >= 0.5
    return inside


def trace_lines(square: NDArray[np.bool_], height: int, width: int) -> list[NDArray[np.float64]]:
    """Return the outlines of a structure as closed lines on an image.

    Args:
        square: [S, S] bool, see `Outline`.
        height: Of the image, in pixels.
        width: Of the image, in pixels.

    Returns:
        Lines of points [N, 2], column and row, from 0, 0 at the upper left corner of the first pixel to the image's
        width and height (PS3.3 C.10.5.1.2); the first point is the last.

    Raises:
        MissingExtraError: contourpy is not installed.
    """
    try:
        from contourpy import contour_generator
    except ImportError as error:
        raise MissingExtraError("an outline in DICOM", "pacs") from error
    side = len(square)
    # A frame of outside closes the lines at the picture's edge, where they are cut off.
    centres = np.arange(-1, side + 1) + 0.5
    levels = contour_generator(centres, centres, np.pad(square, 1).astype(np.float64), line_type="Separate")
    lines: Any = levels.lines(0.5)
    scale = np.array([width / side, height / side])
    return [np.clip(line, 0, side) * scale for line in lines]
