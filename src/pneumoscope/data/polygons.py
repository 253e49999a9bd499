"""Outlines from annotators, and the masks that they enclose.

Coordinates are in pixels with the origin at the upper left corner of the upper left pixel, so that a pixel's centre
lies at (column + .5, row + .5) and scaling an outline is a plain multiplication. A pixel is inside if its centre is:
an outline of area A covers about A pixels, whatever its size (PIL's own polygon adds half of the border's length).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Ring = Sequence[tuple[float, float]]
"""Corners (x, y) of one closed line; the last is connected_components to the first."""
Polygon = Sequence[Ring]
"""Rings by the even-odd rule: a ring inside another is a hole, one beside it another piece."""


@dataclass(frozen=True, slots=True)
class Outlines:
    """The outlines on one image.

    Args:
        width: Width of the annotated image, in pixels.
        height: Height of the annotated image, in pixels.
        lung: Polygons that enclose lung.
        ignore: Polygons that enclose pacemakers, markings and other things that are not the patient.
    """

    width: int
    height: int
    lung: tuple[Polygon, ...] = ()
    ignore: tuple[Polygon, ...] = ()


def polygon_mask(polygon: Polygon, width: int, height: int, scale: tuple[float, float] = (1, 1)) -> NDArray[np.bool_]:
    """Return [height, width], True where a pixel's centre is inside the polygon.

    Args:
        polygon: Rings, by the even-odd rule.
        width: Columns of the mask.
        height: Rows of the mask.
        scale: Pixels of the mask per unit of x and of y.
    """
    turns = np.zeros((height, width + 1), np.bool_)  # True where a line from the left enters or leaves the polygon
    for ring in polygon:
        corners = np.asarray(ring, np.float64).reshape(-1, 2) * scale
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            # Rows whose centre is in [y0, y1): half open, so that a corner shared by two sides counts once.
            first, end = (math.ceil(y - 0.5) for y in sorted((y0, y1)))
            rows = np.arange(max(first, 0), min(end, height))
            if len(rows):
                x = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
                turns[rows, np.clip(np.ceil(x - 0.5), 0, width).astype(np.intp)] ^= True
    inside: NDArray[np.bool_] = np.logical_xor.accumulate(turns, axis=1)[:, :-1]
    return inside


def union_mask(
    polygons: Sequence[Polygon], width: int, height: int, scale: tuple[float, float] = (1, 1)
) -> NDArray[np.bool_]:
    """Return [height, width], True where a pixel's centre is inside any of the polygons."""
    mask = np.zeros((height, width), np.bool_)
    for polygon in polygons:
        mask |= polygon_mask(polygon, width, height, scale)
    return mask
