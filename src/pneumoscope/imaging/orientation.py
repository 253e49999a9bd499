"""The orientation that a PNG, JPEG or WebP file declares in Exif or XMP.

Only the one tag is read, and a block that is broken or too short only leaves a remark: how a camera's notes are written
must decide neither whether a radiograph is read, nor what appears on the terminal.
"""

from __future__ import annotations

import re
import struct
from typing import NamedTuple

from pneumoscope.imaging.plane import Turn

# Exif tag 274, Orientation (CIPA DC-008 4.6.5): how the stored rows and columns are turned to stand upright.
_TURNS = {
    2: Turn(reverse_columns=True),
    3: Turn(reverse_rows=True, reverse_columns=True),
    4: Turn(reverse_rows=True),
    5: Turn(swap=True),
    6: Turn(swap=True, reverse_columns=True),
    7: Turn(swap=True, reverse_rows=True, reverse_columns=True),
    8: Turn(swap=True, reverse_rows=True),
}
_ORIENTATION = 274
_SHORT, _LONG = 3, 4  # field types of TIFF 6.0 p. 15
_XMP = re.compile(rb"tiff:Orientation(?:\s*=\s*[\"']|>)\s*([1-8])")


class Orientation(NamedTuple):
    """What the notes of a file say about its orientation.

    Attributes:
        turn: How to bring the image upright.
        damaged: There is an Exif block, and it does not say whether the image is to be turned: it ends too early, or
            its orientation is none.
    """

    turn: Turn
    damaged: bool


def read_orientation(exif: bytes, xmp: bytes = b"") -> Orientation:
    """Return the orientation that an Exif block states, or XMP in its place.

    Args:
        exif: The block, with or without its prefix ``Exif``; empty if there is none.
        xmp: The XMP packet; empty if there is none.
    """
    block = exif.removeprefix(b"Exif\0\0")
    try:
        value = _exif_orientation(block) if block else None
        damaged = value is not None and value not in range(1, 9)
    except (struct.error, ValueError):
        value, damaged = None, True
    if (value is None or damaged) and (match := _XMP.search(xmp)):
        value, damaged = int(match[1]), False
    return Orientation(_TURNS.get(value or 1, Turn()), damaged)


def _exif_orientation(block: bytes) -> int | None:
    """Return the value of the tag in the first directory (TIFF 6.0 p. 14); None without the tag.

    Raises:
        ValueError, struct.error: The block ends before its directory does, or the tag has another type.
    """
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None:
        raise ValueError
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    (count,) = struct.unpack_from(f"{order}H", block, start)
    for entry in range(start + 2, start + 2 + 12 * count, 12):
        tag, kind = struct.unpack_from(f"{order}HH", block, entry)
        if tag == _ORIENTATION:
            if kind not in (_SHORT, _LONG):
                raise ValueError
            return int(struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", block, entry + 8)[0])
    return None
