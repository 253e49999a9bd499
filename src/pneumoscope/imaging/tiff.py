"""The parts of TIFF that Pillow does not cover: sample formats, byte orders and the tags around the pixels.

Pillow reads signed samples of 8 bits as if they had no sign, knows neither big-endian BigTIFF nor big-endian
white-is-zero of 16 bits, and parses tags that the pixels do not depend on. It therefore gets a file with a new
directory of only the tags that it needs, in a form that it knows. Pages are those of the TIFF 6.0 specification.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.plane import check_one_frame

_PLACES = ((273, 279), (324, 325))
"""Tags of the offsets and of the byte counts: of strips, of tiles."""
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 256, 257, 258, 262, 339
# The tags that decoding depends on: size, samples, compression, strips and tiles, palette, alpha, JPEG and YCbCr (by
# number: p. 117), and Orientation.
_NEEDED = frozenset(
    {*(256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 338, 347)}
    | {512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532}
)
# Field types (p. 15, and BigTIFF's): numbers in one value, and NumPy's name for one.
_TYPES = {1: (1, "u1"), 3: (1, "u2"), 4: (1, "u4"), 5: (2, "u4"), 7: (1, "u1"), 16: (1, "u8")}
_UNSIGNED, _UNDEFINED = 1, 4  # SampleFormat (p. 80); readers take undefined samples for unsigned ones
_MOST_PAGES = 10_000
_LARGEST_VALUE = 2**24  # numbers in one tag: strips of one row in the tallest image, with room


class Field(NamedTuple):
    """One tag: its field type and its numbers."""

    kind: int
    numbers: NDArray[np.unsignedinteger]


class TiffHeader(NamedTuple):
    """What a TIFF declares.

    Attributes:
        width: In pixels.
        height: In pixels.
        bits: The largest BitsPerSample.
        inverted: White is zero (p. 37), and the samples in ``pixel_data`` still have to be inverted.
        pixel_data: A classic TIFF of the same pixels, without the tags that they do not depend on.
    """

    width: int
    height: int
    bits: int
    inverted: bool
    pixel_data: bytes


def read_header(data: bytes, name: str) -> TiffHeader:
    """Read the directory, refuse samples that are not unsigned numbers, and return the file as Pillow reads it."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    try:
        (start,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
        fields, following = _read_directory(data, start, order, big=big)
        check_one_frame(name, 1 + _count_pages(data, following, order, big=big))
    except (struct.error, IndexError, ValueError) as error:
        problem = "is a truncated or damaged TIFF file: its directory is not whole."
        raise ImageError(name, problem, "Copy or export it again.", code="damaged") from error
    if _passes_end(fields, len(data)):
        problem = "is a truncated TIFF file: its pixels go on behind its end."
        raise ImageError(name, problem, "Copy or export it again.", code="damaged")
    bits = max(_numbers(fields, _BITS, 1))
    if not {_UNSIGNED, _UNDEFINED}.issuperset(_numbers(fields, _SAMPLE_FORMAT, _UNSIGNED)):
        raise unsupported_samples(name, bits)
    inverted = bits > 8 and _numbers(fields, _PHOTOMETRIC, 1)[0] == 0
    if inverted:
        fields[_PHOTOMETRIC] = Field(3, np.array([1], np.uint16))
    needed = {tag: field for tag, field in fields.items() if tag in _NEEDED}
    # Only samples of 16 bits and more depend on the byte order; Pillow knows more forms of little-endian files.
    new_order = order if bits >= 16 else "<"
    return TiffHeader(
        width=_numbers(fields, _WIDTH, 0)[0],
        height=_numbers(fields, _HEIGHT, 0)[0],
        bits=bits,
        inverted=inverted,
        pixel_data=_write(data, needed, new_order),
    )


def unsupported_samples(name: str, bits: int) -> ImageError:
    """Return the error that samples have no defined white."""
    return ImageError(
        name,
        f"stores samples of {bits} bits that are colour, signed, floating or above 16 bits.",
        "Save it as 8- or 16-bit unsigned greyscale.",
        code="unsupported",
    )


def _numbers(fields: dict[int, Field], tag: int, default: int) -> list[int]:
    field = fields.get(tag)
    return [default] if field is None or not len(field.numbers) else [int(number) for number in field.numbers]


def _passes_end(fields: dict[int, Field], size: int) -> bool:
    """Return whether a strip or tile ends behind the file's end, where the new directory will stand (`_write`)."""
    return any(
        offset + count > size
        for offsets, counts in _PLACES
        for offset, count in zip(_numbers(fields, offsets, 0), _numbers(fields, counts, 0), strict=False)
    )


def _read_directory(data: bytes, start: int, order: str, *, big: bool) -> tuple[dict[int, Field], int]:
    """Return the tags of a directory (p. 14) whose type is known, and where the next directory starts (0: nowhere)."""
    count_form, entry_form, slot = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    (count,) = struct.unpack_from(f"{order}{count_form}", data, start)
    at = start + (8 if big else 2)
    size = struct.calcsize(f"{order}{entry_form}") + slot
    if at + count * size > len(data):
        raise ValueError
    fields: dict[int, Field] = {}
    for entry in range(at, at + count * size, size):
        tag, kind, number = struct.unpack_from(f"{order}{entry_form}", data, entry)
        if tag not in _NEEDED | {_SAMPLE_FORMAT} or kind not in _TYPES:
            continue
        each, form = _TYPES[kind]
        if number * each > _LARGEST_VALUE:
            raise ValueError
        dtype = np.dtype(f"{order}{form}")
        value = entry + size - slot
        if number * each * dtype.itemsize > slot:
            (value,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, value)
        fields[tag] = Field(kind, np.frombuffer(data, dtype, number * each, value))
    end = at + count * size
    following = data[end : end + slot]
    return fields, int.from_bytes(following, "little" if order == "<" else "big")


def _count_pages(data: bytes, start: int, order: str, *, big: bool) -> int:
    """Return the number of directories from ``start`` on."""
    seen: set[int] = set()
    while start and start not in seen and len(seen) < _MOST_PAGES:
        seen.add(start)
        start = _read_directory(data, start, order, big=big)[1]
    return len(seen)


def _write(data: bytes, fields: dict[int, Field], order: str) -> bytes:
    """Return the file with a classic directory at its end; strips and tiles stay where they are."""
    padded = len(data) + len(data) % 2
    at, extra, entries = padded, b"", b""
    after = at + 2 + 12 * len(fields) + 4
    for tag, (kind, numbers) in sorted(fields.items()):
        each, form = _TYPES[4 if kind == 16 else kind]
        packed = numbers.astype(f"{order}{form}").tobytes()
        count = len(numbers) // (2 if kind == 5 else each)
        if len(packed) > 4:
            packed, extra = struct.pack(f"{order}I", after + len(extra)), extra + packed + bytes(len(packed) % 2)
        entries += struct.pack(f"{order}HHI", tag, 4 if kind == 16 else kind, count) + packed.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, at)
    directory = struct.pack(f"{order}H", len(fields)) + entries + bytes(4)
    return b"".join((head, memoryview(data)[8:], bytes(len(data) % 2), directory, extra))
