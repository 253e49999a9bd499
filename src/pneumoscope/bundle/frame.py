"""What lies around a picture: a frame, the rim of a viewer, the corners of a canvas on which it was turned."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from pneumoscope.imaging.border import find_border

if TYPE_CHECKING:
    from numpy.typing import NDArray

_ONE_GREY, _DUST = 0.03, 0.01  # a row is of one grey if all but a hundredth at either end differ by no more
_PLACES = 200  # of a row that are looked at, at least
_FRAME, _LOPSIDED = 0.05, 3  # the least share of both sides together, and the most that one is wider than the other

_CORNER = 0.04  # share of the side in which the corners of an enlarged canvas are of one grey
_DEGREES = (20, 35, 50)  # a chest that is turned by ten degrees more or less still looks like one to the gatekeeper
_SMALL = 256  # pixels of the longer side: the gatekeeper sees less


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


def turn_back(pixels: NDArray[np.float32]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    """Yield a picture turned back by several angles, if its four corners are those of an enlarged canvas.

    Args:
        pixels: [H, W] in 0..1.

    Yields:
        By how many degrees it would have been turned to the left, and what then lies inside the canvas.
    """
    height, width = pixels.shape
    rows, columns = max(1, round(_CORNER * height)), max(1, round(_CORNER * width))
    places = [
        (top, left) for top in (slice(rows), slice(-rows, None)) for left in (slice(columns), slice(-columns, None))
    ]
    corners = np.concatenate([pixels[place].ravel() for place in places])
    low, high = np.quantile(corners, (_DUST, 1 - _DUST))
    if high - low > _ONE_GREY:
        return
    scale = min(1.0, _SMALL / max(height, width))
    small = Image.fromarray(pixels).resize((max(1, round(scale * width)), max(1, round(scale * height))))
    for degrees in (sign * size for size in _DEGREES for sign in (1, -1)):
        turned = np.asarray(small.rotate(-degrees, Image.Resampling.BILINEAR, fillcolor=float(low)))
        yield degrees, find_border(turned).cut(turned)
