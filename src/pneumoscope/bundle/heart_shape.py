"""Whether an outline of a heart can be one: where the graph sees the heart in two places, or in the belly, it is none.

The heart is one shadow between the lungs. In 240 radiographs of JSRT with hearts that were drawn by readers (van
Ginneken et al., Medical Image Analysis 2006), all measures of `HeartShape` lie inside `LIMITS`, which leave some room:
the middle lies at .50 to .65 of the lungs' width, and on the other side in a mirrored picture; the width is .35 to .64
of theirs, the height .32 to .55.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.lungs import LungOutlines

LIMITS: Mapping[str, tuple[float, float]] = MappingProxyType(
    {
        "parts": (1, 1),
        "across": (0.35, 0.7),
        "width": (0.3, 0.75),
        "height": (0.25, 0.65),
        "below": (-1.0, 0.15),
        "filled": (0.55, 1.0),
    }
)
"""Smallest and largest value of each measure of a plausible heart."""


@dataclass(frozen=True, slots=True)
class HeartShape:
    """How the outline of a heart lies in the box around both lungs; all but the first are shares.

    Attributes:
        parts: How many pieces it has.
        across: Where its middle lies, from the box's left edge (0) to its right one (1).
        width: Its width, of the box's width.
        height: Its height, of the box's height.
        below: How far it goes below the box, of the box's height; negative where it ends above.
        filled: Its area, of the box around itself.
    """

    parts: int
    across: float
    width: float
    height: float
    below: float
    filled: float


def measure_heart_shape(heart: NDArray[np.bool_], lungs: NDArray[np.bool_]) -> HeartShape | None:
    """Return how a heart lies between the lungs; None where one of them is missing.

    Args:
        heart: [S, S] bool, True inside, row 0 = head.
        lungs: [S, S] bool, True inside.
    """
    from scipy.ndimage import label

    if not heart.any() or not lungs.any():
        return None
    upper, lower, left, right = _box_of(lungs)
    top, bottom, start, end = _box_of(heart)
    return HeartShape(
        parts=int(label(heart)[1]),
        across=(float(np.nonzero(heart)[1].mean()) + 0.5 - left) / (right - left),
        width=(end - start) / (right - left),
        height=(bottom - top) / (lower - upper),
        below=(bottom - lower) / (lower - upper),
        filled=float(heart.sum()) / ((bottom - top) * (end - start)),
    )


def find_heart(outlines: LungOutlines) -> NDArray[np.bool_] | None:
    """Return where the heart is, without specks and with holes filled; None where the graph sees no plausible one.

    Args:
        outlines: Of a picture. A graph that was not taught the heart has none.

    Returns:
        [S, S] bool, True inside.
    """
    if not {"heart", "lungs"} <= set(outlines.structures):
        return None
    heart = outlines.select_parts("heart")
    shape = measure_heart_shape(heart, outlines.select_parts("lungs"))
    if shape is None or any(not LIMITS[name][0] <= value <= LIMITS[name][1] for name, value in asdict(shape).items()):
        return None
    return heart


def _box_of(mask: NDArray[np.bool_]) -> tuple[int, int, int, int]:
    """Return first row, row after the last, first column and column after the last of a mask with any pixel set."""
    rows, columns = np.flatnonzero(mask.any(1)), np.flatnonzero(mask.any(0))
    return int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1
