"""Boxes that readers drew around findings, as a manifest holds them: JSON, shares of the image's width and height."""

from __future__ import annotations

import json
from typing import NamedTuple

from pneumoscope.core.arguments import quote
from pneumoscope.core.errors import ManifestError

_ROUNDING = 1e-6  # a box may end so far outside the image: shares come from a division


class Box(NamedTuple):
    """A box in shares of the image's width and height, 0 to 1; the left upper corner of the image is 0, 0."""

    left: float
    top: float
    width: float
    height: float

    def contains(self, left: float, top: float) -> bool:
        """Return whether a point, in shares too, lies inside or on the edge."""
        return self.left <= left <= self.left + self.width and self.top <= top <= self.top + self.height


def parse_boxes(text: str, where: str) -> tuple[Box, ...]:
    """Read boxes as a manifest's cell holds them.

    Args:
        text: JSON: ``[[left, top, width, height], ...]``, shares of width and height; ``[]`` where none was drawn.
        where: The file, row and column, for the error.

    Raises:
        ManifestError: It is no such list, or a box has no area or leaves the image.
    """
    try:
        boxes = tuple(Box(*(float(share) for share in box)) for box in json.loads(text))
    except (TypeError, ValueError) as error:
        raise ManifestError(
            where, f"has {quote(text)}.", "Write [[left, top, width, height], ...] in shares of width and height."
        ) from error
    for box in boxes:
        inside = box.left >= 0 and box.top >= 0 and box.left + box.width <= 1 + _ROUNDING
        if not (inside and box.top + box.height <= 1 + _ROUNDING and box.width > 0 and box.height > 0):
            raise ManifestError(
                where, f"has the box {list(box)}.", "A box has an area and lies inside the image, 0 to 1."
            )
    return boxes
