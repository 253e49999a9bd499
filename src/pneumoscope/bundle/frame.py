"""The frame around a picture: black bars, an empty border, the rim of a viewer."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ONE_GREY, _DUST = 0.03, 0.01  # a row is of one grey if all but a hundredth at either end differ by no more
_PLACES = 200  # of a row that are looked at, at least
_FRAME, _LOPSIDED = 0.05, 3  # the least share of both sides together, and the most that one is wider than the other


def trim_frame(pixels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return a picture without the frame around it: rows of one grey above and below, columns left and right.

    Nothing goes where only one of two sides is of one grey, or one is much wider: that is half a picture, no frame.

    Args:
        pixels: [H, W] in 0..1.
    """
    for _ in range(2):  # the rows, then the columns: what lies left and right shows in one grey without a bar above
        height, width = pixels.shape
        some = pixels[:, :: max(1, width // _PLACES)]
        low, high = np.quantile(some, (_DUST, 1 - _DUST), axis=1)
        varied = np.flatnonzero(high - low > _ONE_GREY)
        if len(varied):
            above, below = int(varied[0]), height - 1 - int(varied[-1])
            if above + below >= _FRAME * height and max(above, below) <= _LOPSIDED * min(above, below):
                pixels = pixels[above : height - below]
        pixels = pixels.T
    return pixels
