"""Check the header of a compressed DICOM frame before it is decompressed.

A decompressor uses the size in the stream, not in the DICOM header around it: it would unpack a stream of 60,000 x
60,000 pixels in a data set of 100 x 100. And it unpacks a stream without its end as far as it goes, and leaves the rest
grey.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from itertools import pairwise

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.dicom.file import AGAIN

# Start Of Frame markers: JPEG (ISO/IEC 10918-1 table B.1, without DHT, JPG and DAC) and JPEG-LS (ISO/IEC 14495-1 C.1).
_FRAME_MARKERS = frozenset({*range(0xC0, 0xD0), 0xF7} - {0xC4, 0xC8, 0xCC})
_START_OF_SCAN = 0xDA
_END = b"\xff\xd9"  # End Of Image in JPEG and JPEG-LS, End Of Codestream in JPEG 2000
_JPEG_2000 = b"\xff\x4f\xff\x51"  # Start Of Codestream, then SIZ (ISO/IEC 15444-1 A.4.1)
_JP2_SIGNATURE = b"\x00\x00\x00\x0cjP  "


def join_stream(fragments: Sequence[memoryview]) -> bytes:
    """Return the compressed stream of one frame, which may lie in several fragments (PS3.5 A.4).

    Fragments after the one that ends the stream belong to further frames.
    """
    pieces: list[memoryview] = []
    for fragment in fragments:
        pieces.append(fragment)
        if bytes(fragment[-64:]).rstrip(b"\x00\xff").endswith(_END):
            break
    return _open_jp2(b"".join(pieces))


def check_stream(stream: bytes, name: str, width: int, height: int, *, complete: bool) -> None:
    """Refuse a JPEG, JPEG-LS or JPEG 2000 stream of another size than its data set declares, or without its end.

    Args:
        stream: The stream.
        name: The file, for errors.
        width: Columns of the data set.
        height: Rows of the data set.
        complete: The pixel data element has its end.
    """
    declared = _jpeg_2000_size(stream) if stream.startswith(_JPEG_2000) else _jpeg_size(stream)
    if declared is None:
        if not complete:
            raise truncated(name)
        raise ImageError(name, "holds compressed pixel data without a readable header.", AGAIN, code="damaged")
    if declared != (width, height):
        raise ImageError(
            name,
            f"holds compressed pixel data of {declared[0]} x {declared[1]} pixels, but declares {width} x {height} "
            "in Columns (0028,0011) and Rows (0028,0010).",
            AGAIN,
            code="damaged",
        )
    # Between markers no family has the bytes FFD9. A thumbnail in a header may, but a scan follows it.
    end = stream.rfind(_END)
    if end < 0 or (not stream.startswith(_JPEG_2000) and stream.find(b"\xff\xda", end) >= 0):
        raise truncated(name)


def truncated(name: str) -> ImageError:
    """Return the error that a file ends before its pixel data does."""
    problem = "holds truncated pixel data: the end of the compressed stream is missing."
    return ImageError(name, problem, AGAIN, code="damaged")


def is_lossless_jpeg_ls(stream: bytes) -> bool:
    """Return whether a JPEG-LS stream is lossless: NEAR is 0 in its Start Of Scan (ISO/IEC 14495-1 C.2.3)."""
    for marker, segment in _jpeg_segments(stream):
        if marker == _START_OF_SCAN and len(segment) >= 3:
            return segment[-3] == 0
    return False


def sample_precision(stream: bytes) -> int | None:
    """Return the bits of a sample in a JPEG, JPEG-LS or JPEG 2000 stream; None without a readable header."""
    if stream.startswith(_JPEG_2000):
        return (stream[42] & 0x7F) + 1 if len(stream) > 42 else None  # Ssiz (ISO/IEC 15444-1 A.5.1)
    return next(
        (segment[0] for marker, segment in _jpeg_segments(stream) if marker in _FRAME_MARKERS and segment), None
    )


def rle_is_short(stream: bytes, expected: int) -> bool:
    """Return whether an RLE frame (PS3.5 annex G) holds less than ``expected`` bytes in one of its segments."""
    if len(stream) < 64:
        return True
    count, *offsets = struct.unpack_from("<16I", stream)
    starts = [*offsets[: min(count, 15)], len(stream)]
    return any(_rle_length(stream[start:stop], expected) < expected for start, stop in pairwise(starts))


def _rle_length(segment: bytes, enough: int) -> int:
    """Return how many bytes a segment decodes to; it stops counting at ``enough``."""
    at, length = 0, 0
    while at < len(segment) and length < enough:
        code = segment[at]
        if code < 128:
            length += min(code + 1, len(segment) - at - 1)
            at += code + 2
        else:
            if code > 128:
                length += 257 - code if at + 1 < len(segment) else 0
                at += 1
            at += 1
    return length


def _jpeg_segments(stream: bytes) -> Iterable[tuple[int, bytes]]:
    """Yield marker and content of each segment up to the first Start Of Scan."""
    if not stream.startswith(b"\xff\xd8"):
        return
    at = 2
    while at + 4 <= len(stream) and stream[at] == 0xFF:
        marker = stream[at + 1]
        if marker == 0xFF:  # fill bytes may precede a marker (10918-1 B.1.1.2)
            at += 1
            continue
        length = int.from_bytes(stream[at + 2 : at + 4], "big")
        yield marker, stream[at + 4 : at + 2 + length]
        if marker == _START_OF_SCAN:
            return
        at += 2 + length


def _jpeg_size(stream: bytes) -> tuple[int, int] | None:
    """Return (width, height) by the Start Of Frame segment, or None."""
    for marker, segment in _jpeg_segments(stream):
        if marker in _FRAME_MARKERS:
            if len(segment) < 5:
                return None
            height, width = struct.unpack_from(">HH", segment, 1)
            return width, height
    return None


def _jpeg_2000_size(stream: bytes) -> tuple[int, int] | None:
    """Return (width, height) by the SIZ segment (ISO/IEC 15444-1 A.5.1), or None."""
    if len(stream) < 24:
        return None
    right, bottom, left, top = struct.unpack_from(">4I", stream, 8)
    return right - left, bottom - top


def _open_jp2(stream: bytes) -> bytes:
    """Return the codestream in a JP2 file, or the stream itself.

    PS3.5 A.4.4 allows only the codestream; some writers wrap it. The boxes before it (ISO/IEC 15444-1 I.4) may be long.
    """
    if not stream.startswith(_JP2_SIGNATURE):
        return stream
    at = 0
    while at + 8 <= len(stream):
        length, kind = struct.unpack_from(">I4s", stream, at)
        start = at + 8
        if length == 1 and at + 16 <= len(stream):
            (length,) = struct.unpack_from(">Q", stream, at + 8)
            start = at + 16
        end = len(stream) if length == 0 else at + length
        if kind == b"jp2c":
            return stream[start:end]
        if end < start:
            break
        at = end
    return stream
