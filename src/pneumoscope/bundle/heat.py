"""Where a heatmap is most active: in the lungs or outside."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pneumoscope.bundle.lungs import LungOutlines


def is_active_outside(heat: NDArray[np.float32], outlines: LungOutlines) -> bool:
    """Return whether more of a heatmap's upper half lies outside the lungs than inside.

    Inside is what lies between the outer edges of the lungs, row by row, so that hilum and mediastinum belong to it,
    widened by a twentieth of the picture.

    Args:
        heat: [h, w] in 0..1 of one label, stretched over the picture.
        outlines: Of the same picture.
    """
    lungs = outlines.square("lungs")
    if not lungs.any() or not heat.max() > 0:
        return False
    inside = _widen(_fill_rows(lungs), round(0.05 * len(lungs)))
    rows = (np.arange(len(lungs)) * heat.shape[0]) // len(lungs)
    columns = (np.arange(len(lungs)) * heat.shape[1]) // len(lungs)
    stretched = heat[rows][:, columns]
    active = np.where(stretched >= stretched.max() / 2, stretched, 0)
    return bool(active[~inside].sum() > active[inside].sum())


def _fill_rows(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask with each row filled from its first to its last True."""
    return np.logical_or.accumulate(mask, 1) & np.logical_or.accumulate(mask[:, ::-1], 1)[:, ::-1]


def _widen(mask: NDArray[np.bool_], pixels: int) -> NDArray[np.bool_]:
    """Return a mask widened by so many pixels in each of four directions."""
    for axis in (0, 1):
        padded = np.pad(mask, [(pixels, pixels) if axis == where else (0, 0) for where in (0, 1)])
        sums = np.cumsum(np.insert(padded.astype(np.int32), 0, 0, axis=axis), axis=axis)
        span = 2 * pixels + 1
        mask = np.take(sums, range(span, sums.shape[axis]), axis) > np.take(sums, range(sums.shape[axis] - span), axis)
    return mask
