"""The orientation that a PNG, JPEG or WebP file declares in Exif or XMP.

Only the one tag is read, and a block that is broken or too short says nothing: how a camera's notes are written must
decide neither whether a radiograph is read, nor what appears on the terminal.
"""

from __future__ import annotations

import re
import struct

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


def exif_turn(exif: bytes, xmp: bytes = b"") -> Turn:
    """Return the turn that an Exif block asks for, or XMP in its place.

    Args:
        exif: The block, with or without its prefix ``Exif``; empty if there is none.
        xmp: The XMP packet; empty if there is none.
    """
    orientation = _exif_orientation(exif.removeprefix(b"Exif\0\0"))
    if orientation is None and (found := _XMP.search(xmp)):
        orientation = int(found[1])
    return _TURNS.get(orientation or 1, Turn())


def _exif_orientation(block: bytes) -> int | None:
    """Return the value of the tag in the first directory (TIFF 6.0 p. 14), or None."""
    order = {b"II": "<", b"MM": ">"}.get(block[:2])
    if order is None or len(block) < 8:
        return None
    (start,) = struct.unpack_from(f"{order}I", block, 4)
    if start + 2 > len(block):
        return None
    (count,) = struct.unpack_from(f"{order}H", block, start)
    for entry in range(start + 2, min(start + 2 + 12 * count, len(block) - 11), 12):
        tag, kind = struct.unpack_from(f"{order}HH", block, entry)
        if tag == _ORIENTATION and kind in (_SHORT, _LONG):
            return int(struct.unpack_from(f"{order}{'H' if kind == _SHORT else 'I'}", block, entry + 8)[0])
    return None
