"""How much of a picture has a colour: a radiograph has none, a heat map, a photograph or a screenshot has."""

from __future__ import annotations

import numpy as np
from PIL import Image

from pneumoscope.imaging.plane import Metadata

_CELLS = 96
_COLOURED = 24  # of 255: the least difference between red, green and blue that counts as a colour


def measure_colour(image: Image.Image) -> Metadata:
    """Return the share of an image that has a colour; nothing where it has none.

    The image is averaged to 96 x 96 cells first, so that the colour noise of JPEG at the edges of grey is none.

    Args:
        image: In mode RGB or RGBA.
    """
    cells = np.asarray(image.resize((_CELLS, _CELLS), Image.Resampling.BOX).convert("RGB"), np.int16)
    share = float(((cells.max(2) - cells.min(2)) > _COLOURED).mean())
    return {"colour_share": round(share, 4)} if share else {}
