"""The parts of an outline: specks and holes of a segmentation are no lung and no heart.

A network judges each pixel almost alone, so that it sees a little lung in an arm, in the air of the stomach or beside
the neck. Such specks change an area little and a width a lot.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_LEAST_PART = 0.2  # of the largest part's area: a lung that a disease has shrunk is larger, a speck is not


def remove_specks(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return a mask without its small parts and with its holes filled.

    Parts touch by their sides, not by their corners. A part goes where its area is less than a fifth of the largest
    one's, so that both lungs stay.

    Args:
        mask: [H, W] bool, True inside.

    Returns:
        [H, W] bool; an empty mask stays empty.
    """
    from scipy.ndimage import label

    labels, count = label(mask)
    if not count:
        return mask
    areas = np.bincount(labels.ravel())
    areas[0] = 0  # what is outside
    parts: NDArray[np.bool_] = (areas >= _LEAST_PART * areas.max())[labels]
    # A hole is a part of the outside that no edge of the picture touches.
    outside, count = label(~parts)
    is_hole = np.ones(count + 1, np.bool_)
    is_hole[0] = False
    for edge in (outside[0], outside[-1], outside[:, 0], outside[:, -1]):
        is_hole[edge] = False
    filled: NDArray[np.bool_] = parts | is_hole[outside]
    return filled
