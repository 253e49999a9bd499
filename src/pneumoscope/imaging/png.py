"""The parts of PNG that Pillow does not cover: checksums, the end of the file, and 16-bit colour.

Pillow checks no checksum of image data and reads 16-bit colour (and 16-bit grey with alpha) at 8 bits. Such files are
rare in radiology, but image editors write them, and the rule "16-bit PNG: /65535" allows no lost byte.
Clauses are those of ISO/IEC 15948 (the PNG specification).
"""

from __future__ import annotations

import struct
import zlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.plane import check_one_frame, check_size, luma

_AGAIN = "Copy or export it again."
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # colour type (11.2.1) -> samples per pixel
# The passes of an interlaced image (8.2): first column, first row, distance of columns, distance of rows.
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))


class PngHeader(NamedTuple):
    """The image header of a PNG (11.2.1), and its coded data."""

    width: int
    height: int
    bits: int
    colour_type: int
    interlaced: bool
    coded: tuple[memoryview, ...]


def read_header(data: bytes, name: str, max_pixels: int) -> PngHeader:
    """Walk through a PNG's chunks: check the declared size, every checksum, the number of frames and the end."""
    view, at, frames = memoryview(data), 8, 1
    width = height = bits = colour_type = interlaced = 0
    coded: list[memoryview] = []
    while at + 12 <= len(data):
        length, kind = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data) or (at == 8 and (kind != b"IHDR" or length != 13)):
            break
        if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            problem = f"is a damaged PNG file: the checksum of its part at byte {at} is wrong."
            raise ImageError(name, problem, _AGAIN, code="damaged")
        if kind == b"IDAT":
            coded.append(view[at + 8 : end])
        elif kind == b"IHDR":
            width, height, bits, colour_type, _, _, interlaced = struct.unpack_from(">2I5B", data, at + 8)
            check_size(name, width, height, max_pixels)
        elif kind == b"acTL" and length >= 4:
            frames = int.from_bytes(view[at + 8 : at + 12], "big")
        elif kind == b"IEND":
            check_one_frame(name, frames)
            return PngHeader(width, height, bits, colour_type, interlaced != 0, tuple(coded))
        at = end + 4
    raise ImageError(name, "is a truncated PNG file: its last part (IEND) is missing.", _AGAIN, code="damaged")


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
