"""The antialiased resize as two matrix products, for programs that compute such a resize wrongly.

Core ML's converter maps an antialiased resize to a plain one and says nothing; OpenVINO's CPU plugin runs it as one.
A resize is linear in the pixels and separate in rows and columns: ``A @ image @ B.T`` for images of one size.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def resize_matrix(size: int, side: int) -> NDArray[np.float64]:
    """Return the weights [size, side] of an antialiased linear resize from ``side`` pixels to ``size``.

    The triangle filter is as wide as the pixels that one output pixel covers, and at least two wide; weights beyond the
    edge are left out and the rest sum to 1. That is ``antialias=True`` of torch and of ONNX with ``exclude_outside``,
    and what Pillow does.

    Args:
        size: Pixels afterwards.
        side: Pixels before.
    """
    scale = side / size
    reach = max(scale, 1.0)  # half the width of the triangle
    centre = (np.arange(size)[:, None] + 0.5) * scale
    pixel = np.arange(side)[None] + 0.5
    weights = np.maximum(0.0, 1.0 - np.abs(pixel - centre) / reach)
    return np.asarray(weights / weights.sum(1, keepdims=True))
