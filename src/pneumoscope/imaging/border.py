"""The flat border around a radiograph: bars and frames of one grey that a program, not the device, has put there.

A border of an eighth of the side changes a quarter of a classifier's decisions and is invisible to a gatekeeper, since
inside it lies a whole chest. Every graph therefore sees what lies inside it, in one frame, which this module finds.

A line (row or column) at the edge is flat where nearly all of its pixels have one grey. Radiographs have flat edges of
their own: air and the collimator's shadow are black, and lie on one side mostly. So black lines are cut off as many on
one side as on the opposite one, and only where they are many; lines of another grey, which no device makes, are cut off
on each side by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from pneumoscope.imaging.proportions import is_strip

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLAT = 0.03
"""Difference of greys in a line up to which they are one; a JPEG's noise and 8 bits add some."""
_DUST = 0.01
"""Share of a line at either end of its greys that is not looked at."""
_PLACES = 256
"""Pixels of a line that are looked at, at least, where it has them."""
_BLACK = 0.1
"""Grey up to which a line may be air or a collimator's shadow."""
_LEAST = 0.025
"""Share of the side that a border takes at least, on one side; less is noise to every graph here."""
_LEAST_INSIDE = 0.25
"""Share of the side that lies inside a border at least; where less would, nothing is cut off."""
_BLOCK = 8
"""Pixels of a JPEG's block: so far into a border the picture beside it may ring."""
_RING, _RING_SHARE = 0.08, 0.9
"""Difference from the border's grey up to which a pixel rings, and the share of a line that does so at least."""


class Border(NamedTuple):
    """The widths of a flat border on each side of a picture, in pixels of it."""

    top: int = 0
    bottom: int = 0
    left: int = 0
    right: int = 0

    def cut(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """Return what lies inside the border.

        Args:
            pixels: [H, W] of the picture that has the border.

        Returns:
            A view of the pixels, [H - top - bottom, W - left - right].
        """
        height, width = pixels.shape
        return pixels[self.top : height - self.bottom, self.left : width - self.right]

    def spread(self, values: NDArray[np.float32], shape: tuple[int, int], size: tuple[int, int]) -> NDArray[np.float32]:
        """Return a map of what lies inside the border as a map of the whole picture; the border has 0.

        Args:
            values: [..., h, w], stretched over what lies inside.
            shape: Height and width of the whole picture, in pixels.
            size: Rows and columns of the new map, stretched over the whole picture.

        Returns:
            [..., *size], bilinear between the centres of the cells.
        """
        lines = _stretch(values, shape[0], self.top, self.bottom, size[0])
        spread = _stretch(lines.swapaxes(-1, -2), shape[1], self.left, self.right, size[1]).swapaxes(-1, -2)
        return np.ascontiguousarray(spread, dtype=np.float32)

    def __str__(self) -> str:
        widths = [f"{width} at the {side}" for side, width in self._asdict().items() if width]
        return ", ".join(widths).replace(" at", " pixels at", 1).replace("1 pixels", "1 pixel") if widths else "none"


NO_BORDER = Border()


def find_border(pixels: NDArray[np.float32]) -> Border:
    """Return the flat border of a picture; `NO_BORDER` where it has none.

    Args:
        pixels: [H, W] in 0..1, 0 = black.

    Returns:
        Its widths, in pixels; none of a strip, on which no graph runs.
    """
    if is_strip(pixels.shape):  # it has too many lines to look at one by one
        return NO_BORDER
    top = bottom = left = right = 0
    for _ in range(2):  # bars at the sides hide one above them that has another grey
        inside = Border(top, bottom, left, right).cut(pixels)
        above, below = _measure_pair(inside)
        top, bottom = top + above, bottom + below
        before, behind = _measure_pair(Border(top, bottom, left, right).cut(pixels).T)
        left, right = left + before, right + behind
    height, width = pixels.shape
    if height - top - bottom < _LEAST_INSIDE * height or width - left - right < _LEAST_INSIDE * width:
        return NO_BORDER
    return Border(top, bottom, left, right)


def _stretch(
    values: NDArray[np.floating[Any]], length: int, before: int, behind: int, cells: int
) -> NDArray[np.float64]:
    """Return [..., cells, w], bilinear in the rows of [..., h, w], which lie inside a border; 0 on the border.

    Each new row mixes two old ones. As a matrix product this would cost h times as much, and start threads.
    """
    inside = (np.arange(cells) + 0.5) / cells * length - before
    share = inside / (length - before - behind)
    inner = values.shape[-2]
    at = np.clip(share * inner - 0.5, 0, inner - 1)
    low = at.astype(int)
    part = (at - low)[:, None]
    mixed: NDArray[np.float64] = values[..., low, :] * (1 - part)
    mixed += values[..., np.minimum(low + 1, inner - 1), :] * part
    return mixed * ((share > 0) & (share < 1))[:, None]


def _measure_pair(pixels: NDArray[np.float32]) -> tuple[int, int]:
    """Return how many rows at the upper and at the lower edge belong to a border."""
    height, width = pixels.shape
    some = pixels[:, :: max(1, width // _PLACES)]
    (first, first_grey), (last, last_grey) = _count_flat(some), _count_flat(some[::-1])
    if first + last >= height:  # two flat parts that meet are the picture itself, as is one grey
        return 0, 0
    black_first, black_last = first_grey <= _BLACK, last_grey <= _BLACK
    if black_first and black_last:
        common = min(first, last)
        first = last = common if common >= _LEAST * height else 0
    first = first if not black_first or last else 0
    last = last if not black_last or first else 0
    first = _add_ringing(some, first, first_grey) if first >= _LEAST * height else 0
    last = _add_ringing(some[::-1], last, last_grey) if last >= _LEAST * height else 0
    return (first, last) if first + last < height else (0, 0)


def _count_flat(lines: NDArray[np.float32]) -> tuple[int, float]:
    """Return how many lines from the first on are flat and of one grey, and that grey."""
    dust = round(_DUST * lines.shape[1])
    grey = 0.0
    for number, line in enumerate(lines):
        ordered = np.sort(line)
        low, high = float(ordered[dust]), float(ordered[-1 - dust])
        middle = float(ordered[len(ordered) // 2])
        if high - low > _FLAT or (number and abs(middle - grey) > _FLAT):
            return number, grey
        if not number:
            grey = middle
    return len(lines), grey


def _add_ringing(lines: NDArray[np.float32], count: int, grey: float) -> int:
    """Return the width of a border with the lines in which a JPEG has mixed it with the picture's edge."""
    further = lines[count : count + _BLOCK]
    rings = (np.abs(further - grey) <= _RING).mean(axis=1) >= _RING_SHARE
    return count + (0 if rings.all() else int(np.argmin(rings)))  # what goes on as it is is the picture
