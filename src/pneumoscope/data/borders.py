"""Do two aligned pictures agree inside the border that they share, or in the border alone?

Devices and programs surround radiographs: with a collimator's shadow, a margin, a scale of ticks, the toolbar of a
viewer. Strangers from one device have the same surroundings, and these correlate more than their chests. Surroundings
are what is flat in both pictures, or equal in both, from the edge on. Both pictures are cut to the box inside, flat
surroundings there are masked in both by one mask, and the rest must agree at some small shift and scale: a copy that
was cropped inside its border has the border in place and the chest enlarged. A copy whose pixels are equal nearly
everywhere has no such box, and agrees.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_FLAT = 0.03  # difference of greys in 3 by 3 pixels up to which they are one: compression and noise add some
_EQUAL = 0.02  # mean difference of two pictures in 3 by 3 pixels up to which they are equal there
_EQUAL_MOST = 0.06  # the largest of the nine
_THICK = 5  # pixels of 64; equal spots that are thinner happen by chance
_LARGE = 0.04  # share of the common area from which shared surroundings count
_LEAST_REST = 0.04  # share of the picture outside the surroundings from which it is judged
_LEAST_BOX = 0.14  # the same for its box; a text that is written over one of two copies takes less
_LINE = 0.15  # share of a row or column outside the surroundings from which it is in the box
_SKIN = 2  # pixels that are cut off the box, where the border's edge is blurred
_BLUR = 2.0  # pixels of 64
_LEAST = 0.53  # correlation that a pair needs inside where it shares little, such as black air in the corners
_SLOPE = 0.85  # how much more it needs for all of the area being shared
_MOST = 0.8  # the most that it needs, for flat surroundings
_GAIN = 0.05  # how much more it needs at the best of all shifts and scales
_MOST_EQUAL = 0.74  # the same for surroundings that are equal and not flat: strangers of NIH reach .70
_REACH = 8  # pixels of 64, each way
_SCALES = (
    *((scale, scale) for scale in (0.86, 0.90, 0.94, 0.97, 1.0, 1.03, 1.06, 1.11, 1.16)),
    *((1.0, 0.94), (1.0, 1.06), (0.94, 1.0), (1.06, 1.0)),  # height and width apart: the match itself may have cut one
)
_LEAST_OVERLAP = 0.25  # share of the pixels inside that are compared at a shift


def agree_inside(ones: NDArray[np.float32], others: NDArray[np.float32], shifts: NDArray[np.intp]) -> NDArray[np.bool_]:
    """Return [P] whether each pair agrees inside its shared surroundings; a pair that shares none does.

    Args:
        ones: [P, S, S] float32, 0 = black, 1 = white.
        others: The same; ``ones[p, y + dy, x + dx]`` shows what ``others[p, y, x]`` shows.
        shifts: [P, 2] the (dy, dx) of each pair, in pixels.
    """
    others, common = _align(others, shifts)
    flat = _find_flat(ones) & _find_flat(others) & common
    surroundings = _reach_edge(flat | _find_equal(ones, others, common) | ~common) & common
    flat_outside = _reach_edge(flat | ~common) & common
    share = surroundings.sum(axis=(1, 2)) / common.sum(axis=(1, 2))
    rest = common & ~surroundings
    agree = np.ones(len(ones), dtype=np.bool_)
    boxes = {
        int(row): box
        for row in np.flatnonzero((share >= _LARGE) & (rest.mean(axis=(1, 2)) >= _LEAST_REST))
        if (box := _find_box(rest[row])).area >= _LEAST_BOX * rest[row].size
    }
    if boxes:
        rows = np.array(list(boxes))
        inside = common[rows] & ~_widen(flat_outside[rows])
        zoomed = [
            _zoom(ones[row], others[row], weight, boxes[row]) for row, weight in zip(rows.tolist(), inside, strict=True)
        ]
        one, other, weight = (np.stack(pictures) for pictures in zip(*zoomed, strict=True))
        one, other = _even_out(one, weight), _even_out(other, weight)
        correlation = _correlate(one, other, weight)
        flat_share = flat_outside[rows].sum(axis=(1, 2)) / common[rows].sum(axis=(1, 2))
        equal_bar = np.minimum(_LEAST + _SLOPE * share[rows], _MOST_EQUAL)
        bar = np.clip(_LEAST + _SLOPE * flat_share, equal_bar, _MOST)
        agree[rows] = correlation >= bar
        low = np.flatnonzero(correlation < bar)
        if len(low):
            bar = np.clip(_LEAST + _GAIN + _SLOPE * flat_share, equal_bar, _MOST)
            agree[rows[low]] = _correlate_aligned(one[low], other[low], weight[low]) >= bar[low]
        # Where only flat surroundings remain in the box, nothing says that the pair differs.
        agree[rows] |= weight.mean(axis=(1, 2)) < _LEAST_REST
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


def _find_equal(ones: NDArray[np.float32], others: NDArray[np.float32], common: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return [P, S, S] where both pictures are equal, in areas that are thick enough not to be so by chance."""
    from scipy.ndimage import maximum_filter, minimum_filter, uniform_filter

    difference = np.abs(ones - others)
    equal = (uniform_filter(difference, (0, 3, 3)) <= _EQUAL) & (maximum_filter(difference, (1, 3, 3)) <= _EQUAL_MOST)
    kernel = (1, _THICK, _THICK)
    outside = np.pad(equal | ~common, ((0, 0), (_THICK, _THICK), (_THICK, _THICK)), constant_values=True)
    opened: NDArray[np.bool_] = maximum_filter(minimum_filter(outside, kernel), kernel)
    return opened[:, _THICK:-_THICK, _THICK:-_THICK] & common


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


class _Box(NamedTuple):
    """A box in pixels; ``bottom`` and ``right`` lie outside it."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def area(self) -> int:
        """Its number of pixels."""
        return (self.bottom - self.top) * (self.right - self.left)


def _find_box(rest: NDArray[np.bool_]) -> _Box:
    """Return the box of the lines that lie enough outside the surroundings."""
    top, bottom, left, right = 0, len(rest), 0, len(rest)
    for _ in range(2):  # a border at the side can hide one above it
        top, bottom = _bounds(rest[:, left:right].mean(axis=1), top, bottom)
        left, right = _bounds(rest[top:bottom].mean(axis=0), left, right)
    return _Box(top, bottom, left, right)


def _bounds(shares: NDArray[np.float64], first: int, last: int) -> tuple[int, int]:
    """Return the first and past the last line whose share is large enough, or what there was."""
    lines = np.flatnonzero(shares >= _LINE)
    return (int(lines[0]), int(lines[-1]) + 1) if len(lines) else (first, last)


def _zoom(
    one: NDArray[np.float32], other: NDArray[np.float32], inside: NDArray[np.bool_], box: _Box
) -> tuple[NDArray[np.float32], ...]:
    """Return both pictures and the weight of each pixel [S, S] in the box, which is enlarged to the whole picture."""
    from PIL import Image

    side = len(one)
    skin = _SKIN if min(box.bottom - box.top, box.right - box.left) > 4 * _SKIN else 0
    cut = (box.left + skin, box.top + skin, box.right - skin, box.bottom - skin)
    zoomed = (
        np.asarray(Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC, box=cut))
        for picture in (one, other)
    )
    weight = Image.fromarray(inside.astype(np.float32)).resize((side, side), Image.Resampling.BILINEAR, box=cut)
    return *zoomed, (np.asarray(weight) > 0.98).astype(np.float32)


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


def _correlate_aligned(
    ones: NDArray[np.float32], others: NDArray[np.float32], weight: NDArray[np.float32]
) -> NDArray[np.float32]:
    """Return [P] the largest correlation at the best shift of each scale, over the pixels that both have there."""
    from scipy.fft import irfft2, rfft2

    side = ones.shape[1]
    shape, reach = (side + 2 * _REACH,) * 2, np.arange(-_REACH, _REACH + 1)
    spectrum = rfft2(ones * weight, s=shape, axes=(1, 2))
    best = np.full(len(ones), -1, dtype=np.float32)
    for scale in _SCALES:
        down, across = _resampling(side, scale[0]), _resampling(side, scale[1]).T
        seen = ((down @ weight @ across) > 0.98).astype(np.float32)
        scaled = ((down @ others @ across) * seen).astype(np.float32)
        near = irfft2(spectrum * np.conj(rfft2(scaled, s=shape, axes=(1, 2))), s=shape, axes=(1, 2))
        place = near[:, reach[:, None], reach].reshape(len(ones), -1).argmax(axis=1)
        shifts = np.stack(np.divmod(place, len(reach)), axis=1) - _REACH
        moved, there = _align(scaled, shifts)
        both = weight * _align(seen, shifts)[0] * there
        enough = both.sum(axis=(1, 2)) >= _LEAST_OVERLAP * weight.sum(axis=(1, 2))
        np.maximum(best, np.where(enough, _correlate(ones, moved, both), -1), out=best)
    return best


@lru_cache(maxsize=32)
def _resampling(side: int, scale: float) -> NDArray[np.float32]:
    """Return [S, S] that enlarges a line of pixels about its middle by linear interpolation; 0 outside the line."""
    middle = (side - 1) / 2
    places = middle + (np.arange(side) - middle) / scale
    weights: NDArray[np.float32] = np.maximum(1 - np.abs(places[:, None] - np.arange(side)), 0).astype(np.float32)
    return weights


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
