"""Pixels as they are stored: a greyscale PNG that is quick to write and to read again.

Every image is written once, read once by each model that is asked and now and then by a page. Choosing a filter for
each row and searching for repetitions, as libraries do, takes longer than the model itself; radiographs are noise to
such a search anyway. So small images are stored as they are (deflate's stored blocks). Larger ones are filtered by one
rule (each row less the one above) and coded without a search, which makes them as small as a library's fastest setting
does in a third of its time. Numbers of clauses are those of ISO/IEC 15948 (the PNG specification).
"""

from __future__ import annotations

import hashlib
import struct
import zlib
from io import BytesIO
from itertools import pairwise
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.imaging.read import decode

PLAIN_BELOW = 4 * 2**20
"""Bytes of samples below which they are not compressed: disk is cheaper than time there."""
_BLOCK = 2**16
"""Pixels that are converted in one step, so that they stay in the processor's cache."""
THUMBNAIL = 192
"""Longer side of a thumbnail, in pixels."""
Samples: TypeAlias = NDArray[np.uint8] | NDArray[np.uint16]
_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_NONE, _UP = 0, 2  # row filters (9.2)


def to_samples(pixels: NDArray[np.float32]) -> Samples:
    """Return pixels as they are stored: 8 bits where these lose nothing, else 16.

    Args:
        pixels: [H, W] in 0..1.
    """
    shallow = np.empty(pixels.shape, np.uint8)
    rows = max(1, _BLOCK // pixels.shape[1])
    for top in range(0, len(pixels), rows):
        block, levels = pixels[top : top + rows], shallow[top : top + rows]
        np.rint(block * np.float32(255), out=levels, casting="unsafe")
        if not np.array_equal(np.divide(levels, np.float32(255), dtype=np.float32), block):
            break
    else:
        return shallow
    deep: NDArray[np.uint16] = np.rint(pixels * np.float32(65535)).astype(np.uint16)
    # 255 * 257 = 65535: levels of 8 bits that came here by way of 16, such as through a window
    return (deep // np.uint16(257)).astype(np.uint8) if not (deep % np.uint16(257)).any() else deep


def encode_png(samples: Samples) -> bytes:
    """Return samples [H, W] as a greyscale PNG of their depth."""
    height, width = samples.shape
    rows = np.ascontiguousarray(samples, samples.dtype.newbyteorder(">")).view(np.uint8).reshape(height, -1)
    large = rows.size >= PLAIN_BELOW
    coded = np.empty((height, 1 + rows.shape[1]), np.uint8)
    coded[:, 0] = _UP if large else _NONE
    coded[:, 1:] = rows
    if large:
        coded[1:, 1:] -= rows[:-1]
    compressor = zlib.compressobj(1 if large else 0, zlib.DEFLATED, 15, 8, zlib.Z_RLE)
    header = struct.pack(">2I5B", width, height, 8 * samples.itemsize, 0, 0, 0, 0)
    data = compressor.compress(coded.data) + compressor.flush()
    return b"".join((_SIGNATURE, _chunk(b"IHDR", header), _chunk(b"IDAT", data), _chunk(b"IEND", b"")))


def decode_png(data: bytes, name: str) -> NDArray[np.float32]:
    """Return stored pixels, whose hash has been checked: [H, W] float32 in 0..1, exactly what `imaging.read` reads.

    Args:
        data: What `encode_png` returned, or another PNG (of an older store).
        name: An opaque name for errors.

    Raises:
        ImageError: The data is no readable PNG.
    """
    width, height, bits, colour = struct.unpack_from(">2I2B", data, 16)
    length = int.from_bytes(data[33:37], "big")
    if data[37:41] != b"IDAT" or colour != 0 or bits < 8 or len(data) != 33 + 12 + length + 12:
        return decode(data, name).pixels
    size = height * (1 + width * bits // 8)
    plain = zlib.decompress(memoryview(data)[41 : 41 + length], bufsize=size)
    coded = np.frombuffer(plain, np.uint8).reshape(height, -1)
    kind, rows = coded[0, 0], np.ascontiguousarray(coded[:, 1:])
    if kind not in (_NONE, _UP) or (coded[:, 0] != kind).any():
        return decode(data, name).pixels
    if kind == _UP:
        for above, row in pairwise(rows):  # ten times as fast as NumPy's own running sum
            row += above
    samples = rows.view(">u2" if bits == 16 else np.uint8)
    return to_pixels(samples)


def to_pixels(samples: NDArray[np.unsignedinteger[Any]]) -> NDArray[np.float32]:
    """Return samples [H, W] of 8 or 16 bits as float32 in 0..1."""
    pixels: NDArray[np.float32] = np.divide(samples, np.float32(np.iinfo(samples.dtype).max), dtype=np.float32)
    return pixels


def sha256_of(png: bytes) -> str:
    """Return the hash under which stored pixels are checked."""
    return hashlib.sha256(png).hexdigest()


def draw_thumbnail(pixels: NDArray[np.float32]) -> bytes:
    """Return a small picture of pixels [H, W] in 0..1, as a PNG of 8 bits."""
    height, width = pixels.shape
    scale = min(1.0, THUMBNAIL / max(height, width))
    image = Image.fromarray(np.rint(pixels * np.float32(255)).astype(np.uint8))
    if scale < 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        image = image.resize(size, Image.Resampling.BOX, reducing_gap=None)
    buffer = BytesIO()
    image.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _chunk(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4, "big") + kind + data + zlib.crc32(data, zlib.crc32(kind)).to_bytes(4, "big")
