"""Do two aligned pictures agree inside the border that they share, or in the border alone?

Devices and programs surround radiographs: with a collimator's shadow, a black or white margin, or a text in one.
Strangers from one device have the same surroundings, and these correlate more than their chests. Here the surroundings
that two pictures share are masked, in both by the same mask, and what remains is compared. The mask is the same for
both, so that it takes away no agreement from a copy: a copy agrees in every part.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLAT = 0.03  # difference of greys in 3 by 3 pixels up to which they are one: compression and noise add some
_LARGE = 0.04  # share of the common area from which shared surroundings count
_LEFT = 0.03  # share of the picture that must remain for a comparison
_LINE = 0.25  # share of a row or column that must remain; what a line of text in a border leaves is less
_BLUR = 2.0  # pixels of 64
_LEAST = 0.5  # correlation that a pair needs inside where it shares little, such as black air in the corners
_SLOPE = 0.85  # how much more it needs for all of the area being shared
_MOST = 0.78  # the most that it needs
_GAIN = 0.2  # correlation that a pixel's shift can add


def agree_inside(ones: NDArray[np.float32], others: NDArray[np.float32], shifts: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return [P] whether each pair agrees inside its shared surroundings; a pair that shares none does.

    Args:
        ones: [P, S, S] float32, 0 = black, 1 = white.
        others: The same; ``ones[p, y + dy, x + dx]`` shows what ``others[p, y, x]`` shows.
        shifts: [P, 2] the (dy, dx) of each pair, in pixels.
    """
    others, common = _align(others, shifts)
    flat = _find_flat(ones) & _find_flat(others) & common
    surroundings = _reach_edge(flat | ~common) & common
    share = surroundings.sum(axis=(1, 2)) / common.sum(axis=(1, 2))
    inside = common & ~_widen(surroundings)
    agree = np.ones(len(ones), dtype=np.bool_)
    rows = np.flatnonzero((share >= _LARGE) & (inside.mean(axis=(1, 2)) >= _LEFT))
    if len(rows):
        zoomed = [_zoom(ones[row], others[row], inside[row]) for row in rows]
        one, other, weight = (np.stack(pictures) for pictures in zip(*zoomed, strict=True))
        one, other = _even_out(one, weight), _even_out(other, weight)
        bar = np.minimum(_LEAST + _SLOPE * share[rows], _MOST)
        correlation = _correlate(one, other, weight)
        doubtful = (correlation < bar) & (correlation >= bar - _GAIN)
        correlation[doubtful] = _correlate_near(one[doubtful], other[doubtful], weight[doubtful])
        agree[rows] = correlation >= bar
    return agree


def _align(others: NDArray[np.float32], shifts: NDArray[np.intp]) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Return the others moved onto the first pictures, and [P, S, S] where they have pixels there."""
    side = others.shape[1]
    y, x = (np.arange(side) - shifts[:, axis, None] for axis in (0, 1))
    common = ((y >= 0) & (y < side))[:, :, None] & ((x >= 0) & (x < side))[:, None, :]
    y, x = np.clip(y, 0, side - 1), np.clip(x, 0, side - 1)
    return others[np.arange(len(others))[:, None, None], y[:, :, None], x[:, None, :]], common


def _find_flat(pictures: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Return [P, S, S] where the pixels around are of one grey."""
    from scipy.ndimage import maximum_filter, minimum_filter

    flat: NDArray[np.bool_] = maximum_filter(pictures, (1, 3, 3)) - minimum_filter(pictures, (1, 3, 3)) <= _FLAT
    return flat


def _reach_edge(areas: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the parts of ``areas`` that are connected with the edge of the picture."""
    from scipy.ndimage import label

    in_plane = np.zeros((3, 3, 3), dtype=np.bool_)
    in_plane[1] = [[False, True, False], [True, True, True], [False, True, False]]
    parts, count = label(areas, in_plane)
    outer = np.zeros(count + 1, dtype=np.bool_)
    for edge in (parts[:, 0], parts[:, -1], parts[:, :, 0], parts[:, :, -1]):
        outer[edge.ravel()] = True
    outer[0] = False
    reached: NDArray[np.bool_] = outer[parts]
    return reached


def _widen(areas: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return ``areas`` and four pixels around: one that the look at 3 by 3 took off, and the blurred edge."""
    from scipy.ndimage import maximum_filter

    wider: NDArray[np.bool_] = maximum_filter(areas, (1, 9, 9))
    return wider


def _zoom(
    one: NDArray[np.float32], other: NDArray[np.float32], inside: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], ...]:
    """Return both pictures and the weight of each pixel [S, S], of the box of lines that lie enough inside."""
    from PIL import Image

    top, bottom, left, right = 0, len(inside), 0, len(inside)
    for _ in range(2):  # a border at the side can hide one above it
        top, bottom = _bounds(inside[:, left:right].mean(axis=1), top, bottom)
        left, right = _bounds(inside[top:bottom].mean(axis=0), left, right)
    side, box = len(one), (left, top, right, bottom)
    zoomed = (
        np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC, box=box))
        for picture in (one, other)
    )
    weight = Image.fromarray(inside.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR, box=box)
    return *zoomed, (np.asarray(weight) > 0.98).astype(np.float32)


def _bounds(shares: NDArray[np.float64], first: int, last: int) -> tuple[int, int]:
    """Return the first and past the last line whose share is large enough, or what there was."""
    lines = np.flatnonzero(shares >= _LINE)
    return (int(lines[0]), int(lines[-1]) + 1) if len(lines) else (first, last)


def _even_out(pictures: NDArray[np.float32], weight: NDArray[np.float32]) -> NDArray[np.float32]:
    """Even out brightness and contrast as `similarity` does, from the pixels inside alone."""
    from scipy.ndimage import gaussian_filter

    def mean(values: NDArray[np.float32], blur: float) -> NDArray[np.float32]:
        share = np.maximum(gaussian_filter(weight, (0, blur, blur)), 1e-3)
        smooth: NDArray[np.float32] = gaussian_filter(values * weight, (0, blur, blur)) / share
        return smooth

    detail = (pictures - mean(pictures, _BLUR)) * weight
    spread = np.sqrt(mean(detail**2, 2 * _BLUR))
    floor = np.sqrt((detail**2).sum(axis=(1, 2), keepdims=True) / np.maximum(weight.sum((1, 2), keepdims=True), 1))
    evened: NDArray[np.float32] = (detail / (spread + floor + 1e-6)).astype(np.float32)
    return evened


def _correlate_near(
    ones: NDArray[np.float32], others: NDArray[np.float32], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return [P] the largest correlation over shifts of up to a pixel: the pairs were aligned on a coarser grid."""
    best = np.full(len(ones), -1, dtype=np.float32)
    edge = np.pad(np.ones((ones.shape[1] - 2, ones.shape[2] - 2), dtype=np.float32), 1)
    for shift in ((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)):
        both = weight * np.roll(weight, shift, axis=(1, 2)) * edge
        np.maximum(best, _correlate(ones, np.roll(others, shift, axis=(1, 2)), both), out=best)
    return best


def _correlate(
    ones: NDArray[np.float32], others: NDArray[np.float32], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return [P] the correlations over the pixels of weight 1; the others have 0."""
    total = np.maximum(weight.sum(axis=(1, 2), keepdims=True), 1)
    ones, others = (
        (pictures - (pictures * weight).sum(axis=(1, 2), keepdims=True) / total) * weight for pictures in (ones, others)
    )
    lengths = np.sqrt((ones**2).sum(axis=(1, 2)) * (others**2).sum(axis=(1, 2)))
    correlation: NDArray[np.float32] = (ones * others).sum(axis=(1, 2)) / np.maximum(lengths, 1e-6)
    return correlation
