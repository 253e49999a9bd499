"""The parts of PNG that Pillow does not cover: checksums, the end of the file, and 16-bit colour.

Pillow checks no checksum of image data and reads 16-bit colour (and 16-bit grey with alpha) at 8 bits. Such files are
rare in radiology, but image editors write them, and the rule "16-bit PNG: /65535" allows no lost byte. Pillow also
refuses a whole file for a long text, a large colour profile or a malformed resolution. It therefore gets only the
chunks that the pixels depend on; libpng, the reference, likewise drops an ancillary chunk that it cannot read.
Clauses are those of ISO/IEC 15948 (the PNG specification).
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.plane import check_one_frame, check_size, luma

_AGAIN = "Copy or export it again."
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type (11.2.1) -> samples per pixel
# The passes of an interlaced image (8.2): first column, first row, distance of columns, distance of rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


# Chunks that the pixels do not depend on (11.3, and eXIf of the third edition). A damaged one is left out.
_ANCILLARY = frozenset(
    b"bKGD cHRM cICP cLLI dSIG eXIf gAMA hIST iCCP iTXt mDCV oFFs "
    b"pCAL pHYs sBIT sCAL sPLT sRGB sTER tEXt tIME zTXt".split()
)
_SIGNATURE_END = 8
_LARGEST_TEXT = 2**20  # bytes of a text that is inflated to look for an orientation


class PngHeader(NamedTuple):
    """The image header of a PNG (11.2.1), its coded data, and what it says about its orientation.

    Attributes:
        width: In pixels.
        height: In pixels.
        bits: Bits per sample, or per index of a palette.
        colour_type: See `_SAMPLES`.
        interlaced: Adam7.
        coded: The compressed image data.
        pixel_data: The file without the chunks that its pixels do not depend on.
        exif: The Exif block; empty if there is none.
        xmp: The XMP packet; empty if there is none.
    """

    width: int
    height: int
    bits: int
    colour_type: int
    interlaced: bool
    coded: tuple[memoryview, ...]
    pixel_data: bytes
    exif: bytes
    xmp: bytes


def read_header(data: bytes, name: str, max_pixels: int) -> PngHeader:
    """Walk through a PNG's chunks: check the declared size, every checksum, the number of frames and the end.

    A wrong checksum of an ancillary chunk (`_ANCILLARY`) only leaves that chunk out, as libpng does.
    """
    view, at, frames = memoryview(data), _SIGNATURE_END, 1
    width = height = bits = colour_type = interlaced = colours = 0
    coded: list[memoryview] = []
    pieces = [view[:_SIGNATURE_END]]
    facts: dict[str, bytes] = {}
    transparent = False
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data) or (at == _SIGNATURE_END and (kind != b"IHDR" or length != 13)):
            break
        content = view[at + 8 : end]
        is_intact = zlib.crc32(view[at + 4 : end]) == int.from_bytes(view[end : end + 4], "big")
        if not is_intact and kind not in _ANCILLARY:
            problem = f"is a damaged PNG file: the checksum of its part at byte {at} is wrong."
            raise ImageError(name, problem, _AGAIN, code="damaged")
        if kind in (b"IHDR", b"IDAT", b"IEND") or (kind == b"PLTE" and colour_type == 3):
            pieces.append(view[at : end + 4])
        if kind == b"IDAT":
            coded.append(content)
        elif kind == b"IHDR":
            width, height, bits, colour_type, _, _, interlaced = struct.unpack_from(">2I5B", data, at + 8)
            check_size(name, width, height, max_pixels)
        elif kind == b"PLTE":
            colours = length // 3
        elif kind == b"tRNS" and not transparent and not coded:
            # 11.3.2.1; a chunk of another length says nothing.
            transparent = {0: length == 2, 2: length == 6, 3: 0 < length <= colours}.get(colour_type, False)
            pieces += [view[at : end + 4]] if transparent else []
        elif kind == b"acTL" and length >= 4:
            frames = int.from_bytes(content[:4], "big")
        elif kind == b"IEND":
            check_one_frame(name, frames)
            pixel_data = data if sum(map(len, pieces)) == len(data) else b"".join(pieces)
            exif, xmp = facts.get("exif", b""), facts.get("xmp", b"")
            return PngHeader(width, height, bits, colour_type, interlaced != 0, tuple(coded), pixel_data, exif, xmp)
        elif is_intact:
            for fact, value in _orientation_facts(kind, content):
                facts.setdefault(fact, value)
        at = end + 4
    raise ImageError(name, "is a truncated PNG file: its last part (IEND) is missing.", _AGAIN, code="damaged")


def _orientation_facts(kind: bytes, content: memoryview) -> Iterator[tuple[str, bytes]]:
    """Yield the Exif block or XMP packet in an ancillary chunk; a malformed one yields nothing.

    Exif stands in its own chunk, or in the text chunk ``Raw profile type exif`` of ImageMagick (hexadecimal).
    """
    if kind == b"eXIf":
        yield "exif", bytes(content)
    if kind not in (b"tEXt", b"zTXt", b"iTXt"):
        return
    keyword, _, text = bytes(content).partition(b"\0")
    if keyword not in (b"Raw profile type exif", b"XML:com.adobe.xmp"):
        return
    compressed = kind == b"zTXt"
    if kind == b"zTXt":
        text = text[1:]  # the method (11.3.4.3)
    elif kind == b"iTXt":  # 11.3.4.4: flag, method, language, translated keyword, text
        compressed = text[:1] == b"\1"
        text = text[2:].split(b"\0", 2)[-1]
    try:
        plain = zlib.decompressobj().decompress(text, _LARGEST_TEXT) if compressed else text
        if keyword == b"XML:com.adobe.xmp":
            yield "xmp", plain
        else:
            yield "exif", bytes.fromhex(b"".join(plain.split(b"\n")[3:]).decode("ascii"))
    except (zlib.error, ValueError):
        return


def check_complete(header: PngHeader, name: str) -> None:
    """Refuse coded data that end before the last row, which Pillow would leave black without an error.

    This inflates the image once more; a caller whose last row is not black can skip it.
    """
    bits, size = header.bits * _SAMPLES[header.colour_type], 0
    for x, y, every_x, every_y in _PASSES if header.interlaced else ((0, 0, 1, 1),):
        columns, rows = -(-(header.width - x) // every_x), -(-(header.height - y) // every_y)
        size += rows * (1 + -(-columns * bits // 8)) if columns > 0 and rows > 0 else 0
    if len(zlib.decompressobj().decompress(b"".join(header.coded), size)) < size:
        problem = "is a truncated PNG file: its image data end before the last row."
        raise ImageError(name, problem, _AGAIN, code="damaged")


def grey16(header: PngHeader, name: str, transparent: object) -> NDArray[np.float32]:
    """Return [H, W] float32 in 0..1 of 16-bit colour or of 16-bit grey with alpha, over black.

    Args:
        header: What `read_header` returned.
        name: The file, for errors.
        transparent: The one colour (three samples) that is declared transparent (11.3.2.1), or None.
    """
    if header.interlaced:
        way_out = "Save it without interlacing, or as 16-bit greyscale."
        raise ImageError(name, "is interlaced 16-bit colour.", way_out, code="unsupported")
    samples = _samples(header)
    colour = samples[..., :3] if header.colour_type != 4 else samples[..., :1]
    grey = luma(*np.moveaxis(colour, -1, 0)) if header.colour_type != 4 else colour[..., 0]
    pixels = np.divide(grey, np.float32(65535), dtype=np.float32)
    if header.colour_type != 2:
        return pixels * np.divide(samples[..., -1], np.float32(65535), dtype=np.float32)
    if isinstance(transparent, tuple):
        pixels[(colour == np.array(transparent)).all(axis=-1)] = 0
    return pixels


def _samples(header: PngHeader) -> NDArray[np.uint16]:
    """Inflate and unfilter: [H, W, samples] of 16 bits.

    The row filters (9.2) make a byte depend on its left, upper and upper-left neighbours. All three lie on earlier
    anti-diagonals, so a whole anti-diagonal is undone at once.
    """
    height, width, step = header.height, header.width, 2 * _SAMPLES[header.colour_type]
    size = height * (1 + width * step)
    raw = zlib.decompressobj().decompress(b"".join(header.coded), size)
    rows = np.frombuffer(raw, np.uint8).reshape(height, 1 + width * step)
    kinds, coded = rows[:, 0], rows[:, 1:].reshape(height, width, step)
    if kinds.max() > 4:
        raise ValueError(f"unknown row filter {kinds.max()}")
    # One row and one column of zeros stand for the neighbours outside the image.
    plain = np.zeros((height + 1, width + 1, step), np.uint8)
    for diagonal in range(height + width - 1):
        y = np.arange(max(0, diagonal - width + 1), min(height, diagonal + 1))
        x = diagonal - y
        left, up, corner = (
            plain[y + 1, x].astype(np.int16),
            plain[y, x + 1].astype(np.int16),
            plain[y, x].astype(np.int16),
        )
        kind = kinds[y, np.newaxis]
        predicted = np.select(
            [kind == 1, kind == 2, kind == 3, kind == 4],
            [left, up, (left + up) >> 1, _paeth(left, up, corner)],
            np.int16(0),
        )
        plain[y + 1, x + 1] = coded[y, x] + predicted.astype(np.uint8)
    return np.ascontiguousarray(plain[1:, 1:]).view(">u2").astype(np.uint16)


def _paeth(left: NDArray[np.int16], up: NDArray[np.int16], corner: NDArray[np.int16]) -> NDArray[np.int16]:
    """Return the neighbour that is nearest to left + up - corner; ties go left, then up (9.4)."""
    from_left, from_up, from_corner = abs(up - corner), abs(left - corner), abs(left + up - 2 * corner)
    nearest = np.where(from_up <= from_corner, up, corner)
    return np.where((from_left <= from_up) & (from_left <= from_corner), left, nearest)
