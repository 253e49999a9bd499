"""The parts of TIFF that Pillow does not cover: sample formats, byte orders, pages and the tags around the pixels.

Pillow reads signed samples of 8 bits as if they had no sign, knows neither big-endian BigTIFF nor big-endian
white-is-zero of 16 bits, takes a thumbnail for the image, mistakes planes for one another and parses tags that the
pixels do not depend on. It therefore gets a file with a new directory of only the tags that it needs, in a form that it
knows. Pages are those of the TIFF 6.0 specification.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.plane import check_one_frame

_PLACES = ((273, 279), (324, 325))
"""Tags of the offsets and of the byte counts: of strips, of tiles."""
_WIDTH, _HEIGHT, _BITS, _PHOTOMETRIC, _SAMPLE_FORMAT = 256, 257, 258, 262, 339
_SAMPLES, _PLANAR, _EXTRA_SAMPLES = 277, 284, 338
_KIND, _OLD_KIND, _INNER = 254, 255, 330  # NewSubfileType and SubfileType (p. 36, 40); SubIFDs (Tech Note 1)
_REDUCED = 1  # bit 0 of NewSubfileType: a copy of another image in the file, in lower resolution
_OLD_REDUCED = 2  # the same as a value of SubfileType
_UNSPECIFIED, _PREMULTIPLIED, _ALPHA = 0, 1, 2  # ExtraSamples (p. 31)
# The tags that decoding depends on: size, samples, compression, strips and tiles, palette, alpha, JPEG and YCbCr (by
# number: p. 117), and Orientation.
_NEEDED = frozenset(
    {*(256, 257, 258, 259, 262, 266, 273, 274, 277, 278, 279, 284, 292, 293, 317, 320, 322, 323, 324, 325, 338, 347)}
    | {512, 513, 514, 515, 517, 518, 519, 520, 521, 529, 530, 531, 532}
)
# Field types (p. 15, and BigTIFF's): numbers in one value, and NumPy's name for one.
_TYPES = {
    1: (1, "u1"),
    3: (1, "u2"),
    4: (1, "u4"),
    5: (2, "u4"),
    7: (1, "u1"),
    13: (1, "u4"),
    16: (1, "u8"),
    18: (1, "u8"),
}
_LONG_TYPES = {13: 4, 16: 4, 18: 4}  # what a classic file has in their place
_READ = _NEEDED | {_SAMPLE_FORMAT, _KIND, _OLD_KIND, _INNER}
_UNSIGNED, _UNDEFINED = 1, 4  # SampleFormat (p. 80); readers take undefined samples for unsigned ones
_MOST_PAGES = 10_000
_MOST_SAMPLES = 6  # of a pixel
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
        samples: Samples of a pixel, in words.
        inverted: White is zero (p. 37), and the samples in ``pixel_data`` still have to be inverted.
        pixel_data: A classic TIFF of the same pixels, without the tags that they do not depend on.
        alpha_data: A classic TIFF of their alpha, where it lies in a plane of its own; else None.
    """

    width: int
    height: int
    bits: int
    samples: str
    inverted: bool
    pixel_data: bytes
    alpha_data: bytes | None


@dataclass
class _Directory:
    """A directory: its tags, and where the next one starts (0: nowhere)."""

    fields: dict[int, Field]
    following: int

    @property
    def is_reduced(self) -> bool:
        """Whether it is a thumbnail of another image in the file."""
        return bool(_numbers(self.fields, _KIND, 0)[0] & _REDUCED) or (
            _KIND not in self.fields and _numbers(self.fields, _OLD_KIND, 1)[0] == _OLD_REDUCED
        )


def read_header(data: bytes, name: str) -> TiffHeader:
    """Read the directory, refuse samples that are not unsigned numbers, and return the file as Pillow reads it."""
    order = "<" if data[:2] == b"II" else ">"
    big = struct.unpack_from(f"{order}H", data, 2)[0] == 43
    try:
        (start,) = struct.unpack_from(f"{order}{'Q' if big else 'I'}", data, 8 if big else 4)
        directories = list(_directories(data, start, order, big=big))
    except (struct.error, IndexError, ValueError) as error:
        problem = "is a truncated or damaged TIFF file: its directory is not whole."
        raise ImageError(name, problem, "Copy or export it again.", code="damaged") from error
    images = [directory for directory in directories if not directory.is_reduced] or directories
    check_one_frame(name, len(images))
    fields = images[0].fields
    if _passes_end(fields, len(data)):
        problem = "is a truncated TIFF file: its pixels go on behind its end."
        raise ImageError(name, problem, "Copy or export it again.", code="damaged")
    bits = max(_numbers(fields, _BITS, 1))
    if not {_UNSIGNED, _UNDEFINED}.issuperset(_numbers(fields, _SAMPLE_FORMAT, _UNSIGNED)):
        raise unsupported_samples(name, bits)
    # Only samples of 16 bits and more depend on the byte order; Pillow knows more forms of little-endian files.
    new_order = order if bits >= 16 else "<"
    samples = _describe_samples(fields)
    if _numbers(fields, _SAMPLES, 1)[0] > _MOST_SAMPLES:
        raise unsupported_form(samples, name)  # Pillow would log it, which reaches the terminal
    fields, alpha = _without_extra_samples(fields)
    inverted = bits > 8 and _numbers(fields, _PHOTOMETRIC, 1)[0] == 0
    if inverted:
        fields = {**fields, _PHOTOMETRIC: Field(3, np.array([1], np.uint16))}
    return TiffHeader(
        width=_numbers(fields, _WIDTH, 0)[0],
        height=_numbers(fields, _HEIGHT, 0)[0],
        bits=bits,
        samples=samples,
        inverted=inverted,
        pixel_data=_write(data, _needed(fields), new_order),
        alpha_data=None if alpha is None else _write(data, _needed(alpha), new_order),
    )


def unsupported_samples(name: str, bits: int) -> ImageError:
    """Return the error that samples have no defined white."""
    return ImageError(
        name,
        f"stores samples of {bits} bits that are colour, signed, floating or above 16 bits.",
        "Save it as 8- or 16-bit unsigned greyscale.",
        code="unsupported",
    )


def unsupported_form(samples: str, name: str) -> ImageError:
    """Return the error that Pillow knows no such combination of samples."""
    problem = f"stores {samples}, a form of TIFF that is not read."
    way_out = "Save it as 8- or 16-bit unsigned greyscale, without an alpha channel."
    return ImageError(name, problem, way_out, code="unsupported")


def _describe_samples(fields: dict[int, Field]) -> str:
    """Return the samples of a pixel in words: ``1 grey sample of 16 bits and 1 further (alpha)``."""
    photometric = _numbers(fields, _PHOTOMETRIC, 1)[0]
    colours = {0: "white-is-zero grey", 1: "grey", 2: "RGB", 3: "palette", 5: "CMYK", 6: "YCbCr", 8: "Lab"}
    extra = [_EXTRA_NAMES.get(kind, str(kind)) for kind in _numbers(fields, _EXTRA_SAMPLES, -1) if kind >= 0]
    count, bits = _numbers(fields, _SAMPLES, 1)[0], sorted(set(_numbers(fields, _BITS, 1)))
    return (
        f"{count} {'samples' if count > 1 else 'sample'} of {' and '.join(map(str, bits[:4]))} bits a pixel "
        f"({colours.get(photometric, f'photometric interpretation {photometric}')}"
        + (f" with {', '.join(extra[:4])})" if extra else ")")
    )


_EXTRA_NAMES = {_UNSPECIFIED: "an unspecified sample", _PREMULTIPLIED: "premultiplied alpha", _ALPHA: "alpha"}


def _needed(fields: dict[int, Field]) -> dict[int, Field]:
    return {tag: field for tag, field in fields.items() if tag in _NEEDED}


def _without_extra_samples(fields: dict[int, Field]) -> tuple[dict[int, Field], dict[int, Field] | None]:
    """Return the tags of the colours, and those of the alpha where it lies in a plane of its own (p. 38), else None.

    Colours that are multiplied by alpha already lie over black. Where the samples of a pixel lie together, Pillow
    separates them.
    """
    extra = _numbers(fields, _EXTRA_SAMPLES, _UNSPECIFIED)
    photometric, count = _numbers(fields, _PHOTOMETRIC, 1)[0], _numbers(fields, _SAMPLES, 1)[0]
    colours = 1 if photometric in (0, 1, 3) else 3
    if photometric == 0 and _PREMULTIPLIED in extra:
        return fields, None  # nobody defines it, and Pillow does not read it
    if _numbers(fields, _PLANAR, 1)[0] == 2 and count > colours:
        alpha = None
        if _ALPHA in extra:
            place = colours + extra.index(_ALPHA)
            alpha = _planes(fields, place, place + 1, count, 1)
        return _planes(fields, 0, colours, count, photometric), alpha
    if photometric == 1 and extra == [_PREMULTIPLIED]:
        return {**fields, _EXTRA_SAMPLES: Field(3, np.array([_UNSPECIFIED], np.uint16))}, None
    return fields, None


def _planes(fields: dict[int, Field], start: int, stop: int, count: int, photometric: int) -> dict[int, Field]:
    """Return the tags of some of ``count`` planes, whose strips or tiles follow each other, as those of an image."""
    planes = {tag: field for tag, field in fields.items() if tag != _EXTRA_SAMPLES}
    for tag, numbers in (
        (_PHOTOMETRIC, [photometric]),
        (_SAMPLES, [stop - start]),
        (_PLANAR, [2 if stop - start > 1 else 1]),
        (_BITS, _numbers(fields, _BITS, 1)[:1] * (stop - start)),
    ):
        planes[tag] = Field(3, np.array(numbers, np.uint16))
    for tag in (tag for pair in _PLACES for tag in pair if tag in fields):
        kind, places = fields[tag]
        each = len(places) // count
        planes[tag] = Field(kind, places[start * each : stop * each])
    return planes


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


def _read_directory(data: bytes, start: int, order: str, *, big: bool) -> _Directory:
    """Return the tags of a directory (p. 14) whose type is known."""
    count_form, entry_form, slot = ("Q", "HHQ", 8) if big else ("H", "HHI", 4)
    (count,) = struct.unpack_from(f"{order}{count_form}", data, start)
    at = start + (8 if big else 2)
    size = struct.calcsize(f"{order}{entry_form}") + slot
    if at + count * size > len(data):
        raise ValueError
    fields: dict[int, Field] = {}
    for entry in range(at, at + count * size, size):
        tag, kind, number = struct.unpack_from(f"{order}{entry_form}", data, entry)
        if tag not in _READ or kind not in _TYPES:
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
    return _Directory(fields, int.from_bytes(following, "little" if order == "<" else "big"))


def _directories(data: bytes, start: int, order: str, *, big: bool) -> Iterator[_Directory]:
    """Yield the directories in the order of the file; a thumbnail may have the full image in an inner directory."""
    seen: set[int] = set()
    waiting = [start]
    while waiting and len(seen) < _MOST_PAGES:
        start = waiting.pop()
        if start in seen or (not start and seen):
            continue
        seen.add(start)
        directory = _read_directory(data, start, order, big=big)
        yield directory
        inner = _numbers(directory.fields, _INNER, 0) if directory.is_reduced else []
        waiting += [directory.following, *reversed(inner)]


def _write(data: bytes, fields: dict[int, Field], order: str) -> bytes:
    """Return the file with a classic directory at its end; strips and tiles stay where they are."""
    padded = len(data) + len(data) % 2
    at, extra, entries = padded, b"", b""
    after = at + 2 + 12 * len(fields) + 4
    for tag, (kind, numbers) in sorted(fields.items()):
        each, form = _TYPES[kind := _LONG_TYPES.get(kind, kind)]
        packed = numbers.astype(f"{order}{form}").tobytes()
        count = len(numbers) // (2 if kind == 5 else each)
        if len(packed) > 4:
            packed, extra = struct.pack(f"{order}I", after + len(extra)), extra + packed + bytes(len(packed) % 2)
        entries += struct.pack(f"{order}HHI", tag, kind, count) + packed.ljust(4, b"\0")
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, at)
    directory = struct.pack(f"{order}H", len(fields)) + entries + bytes(4)
    return b"".join((head, memoryview(data)[8:], bytes(len(data) % 2), directory, extra))
