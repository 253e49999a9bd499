"""Where the corners of a picture lie: letters, signs and frames are mostly there."""

from __future__ import annotations

CORNER = 0.20
"""Side of a corner, as a share of each side."""


def corner_places(shape: tuple[int, int], share: float = CORNER) -> list[tuple[slice, slice]]:
    """Return the four corners of a picture as slices: top left, top right, bottom left, bottom right.

    Args:
        shape: Height and width in pixels.
        share: Side of a corner, as a share of each side.
    """
    height, width = shape
    rows, columns = max(1, round(share * height)), max(1, round(share * width))
    tops, lefts = (slice(0, rows), slice(height - rows, height)), (slice(0, columns), slice(width - columns, width))
    return [(top, left) for top in tops for left in lefts]
