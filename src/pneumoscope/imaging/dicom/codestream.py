"""Check the header of a compressed DICOM frame before it is decompressed.

A decompressor uses the size in the stream, not in the DICOM header around it: it would unpack a stream of 60,000 x
60,000 pixels in a data set of 100 x 100. And it unpacks a stream without its end as far as it goes, and leaves the rest
grey.
"""

from __future__ import annotations

import struct

from pneumoscope.core.errors import ImageError

_AGAIN = "Export it again from its source."
# Start Of Frame markers: JPEG (ISO/IEC 10918-1 table B.1, without DHT, JPG and DAC) and JPEG-LS (ISO/IEC 14495-1 C.1).
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})


def check_stream(frame: bytes, name: str, width: int, height: int) -> None:
    """Refuse a JPEG, JPEG-LS or JPEG 2000 stream of another size than its data set declares, or without its end."""
    declared = _jpeg_2000_size(frame) if b"\xff\x4f\xff\x51" in frame[:1024] else _jpeg_size(frame)
    if declared is None:
        raise ImageError(name, "holds compressed pixel data without a readable header.", _AGAIN, code="damaged")
    if declared != (width, height):
        raise ImageError(
            name,
            f"holds compressed pixel data of {declared[0]} x {declared[1]} pixels, but declares {width} x {height} "
            "in Columns (0028,0011) and Rows (0028,0010).",
            _AGAIN,
            code="damaged",
        )
    # All three families end with FFD9; a fragment is filled up to even length (PS3.5 A.4), some writers use FF.
    if not frame.rstrip(b"\x00\xff").endswith(b"\xd9"):
        problem = "holds truncated pixel data: the end of the compressed stream is missing."
        raise ImageError(name, problem, _AGAIN, code="damaged")


def _jpeg_size(frame: bytes) -> tuple[int, int] | None:
    """Return (width, height) by the Start Of Frame segment, or None."""
    if not frame.startswith(b"\xff\xd8"):
        return None
    at = 2
    while at + 9 <= len(frame) and frame[at] == 0xFF:
        marker = frame[at + 1]
        if marker in _FRAME_MARKERS:
            height, width = struct.unpack_from(">HH", frame, at + 5)
            return width, height
        # Fill bytes may precede a marker (10918-1 B.1.1.2); every other segment before the frame has a length.
        at += 1 if marker == 0xFF else 2 + int.from_bytes(frame[at + 2 : at + 4], "big")
    return None


def _jpeg_2000_size(frame: bytes) -> tuple[int, int] | None:
    """Return (width, height) by the SIZ segment (ISO/IEC 15444-1 A.5.1), also inside a JP2 wrapper, or None."""
    at = frame.find(b"\xff\x4f\xff\x51")
    if at + 24 > len(frame):
        return None
    right, bottom, left, top = struct.unpack_from(">4I", frame, at + 8)
    return right - left, bottom - top
