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
from PIL import Image

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.plane import BAND, check_one_frame, check_size, luma, multiply

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
_PIECE = 2**20  # bytes that are inflated at a time
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
        exif_damaged: The checksum of an Exif block is wrong, so that the block was left out.
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
    exif_damaged: bool


def read_header(data: bytes, name: str, max_pixels: int) -> PngHeader:
    """Walk through a PNG's chunks: check the declared size, every checksum, the number of frames and the end.

    A wrong checksum of an ancillary chunk (`_ANCILLARY`) only leaves that chunk out, as libpng does.
    """
    view, at, frames = memoryview(data), _SIGNATURE_END, 1
    width = height = bits = colour_type = interlaced = colours = 0
    coded: list[memoryview] = []
    pieces = [view[:_SIGNATURE_END]]
    facts: dict[str, bytes] = {}
    transparent = exif_damaged = False
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
            return PngHeader(
                width=width,
                height=height,
                bits=bits,
                colour_type=colour_type,
                interlaced=interlaced != 0,
                coded=tuple(coded),
                pixel_data=pixel_data,
                exif=facts.get("exif", b""),
                xmp=facts.get("xmp", b""),
                exif_damaged=exif_damaged,
            )
        elif kind == b"eXIf" and not is_intact:
            exif_damaged = True
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
    if _inflated_size(header, size, name) < size:
        problem = "is a truncated PNG file: its image data end before the last row."
        raise ImageError(name, problem, _AGAIN, code="damaged")


def _inflated_size(header: PngHeader, enough: int, name: str) -> int:
    """Return the number of bytes of the inflated image data; it stops counting at ``enough``."""
    inflater, size = zlib.decompressobj(), 0
    try:
        for coded in header.coded:
            piece: bytes | memoryview = coded
            while piece and size < enough:
                size += len(inflater.decompress(piece, _PIECE))
                piece = inflater.unconsumed_tail
        return size + (len(inflater.flush()) if size < enough else 0)
    except zlib.error as error:
        problem = "is a damaged PNG file: its image data cannot be decompressed."
        raise ImageError(name, problem, _AGAIN, code="damaged") from error


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
    pixels, alpha = _colours(header, transparent)
    if alpha is not None:
        multiply(pixels, alpha, 65535)
    return pixels


def _colours(header: PngHeader, transparent: object) -> tuple[NDArray[np.float32], NDArray[np.uint16] | None]:
    """Return [H, W] float32 in 0..1 of the colours, and [H, W] of their alpha or None.

    Pillow undoes the row filters (9.2) and then keeps one byte of each sample. It decodes twice here, for the first and
    the second byte. Grey with alpha has as many bytes in a pixel as 8-bit RGBA, so that once is enough.
    """
    pixels = np.empty((header.height, header.width), np.float32)
    alpha = None if header.colour_type == 2 else np.empty(pixels.shape, np.uint16)
    if header.colour_type == 4:
        assert alpha is not None
        with _decode(header, "RGBA", "RGBA") as image:
            for band, pair in _bands(image, header):
                samples = np.ascontiguousarray(pair).view(">u2")
                np.divide(samples[..., 0], np.float32(65535), out=pixels[band], dtype=np.float32)
                alpha[band] = samples[..., 1]
        return pixels, alpha
    mode = {2: "RGB", 6: "RGBA"}[header.colour_type]
    samples = np.empty((header.height, header.width, len(mode)), np.uint8)
    with _decode(header, mode, f"{mode};16B") as image:
        for band, upper in _bands(image, header):
            samples[band] = upper
    with _decode(header, mode, f"{mode};16L") as image:
        for band, lower in _bands(image, header):
            values = samples[band].astype(np.uint16) << 8 | lower
            np.divide(luma(*np.moveaxis(values[..., :3], -1, 0)), np.float32(65535), out=pixels[band], dtype=np.float32)
            if alpha is not None:
                alpha[band] = values[..., 3]
            elif isinstance(transparent, tuple):
                pixels[band][(values == np.array(transparent)).all(axis=-1)] = 0
    return pixels, alpha


def _decode(header: PngHeader, mode: str, raw_mode: str) -> Image.Image:
    """Return the image data in one of Pillow's raw modes; ``;16L`` means the second byte of each sample."""
    return Image.frombytes(mode, (header.width, header.height), b"".join(header.coded), "zip", raw_mode, False)


def _bands(image: Image.Image, header: PngHeader) -> Iterator[tuple[slice, NDArray[np.uint8]]]:
    """Yield rows of an image, and which they are: Pillow copies all that is asked for."""
    for start in range(0, header.height, BAND):
        stop = min(start + BAND, header.height)
        yield slice(start, stop), np.asarray(image.crop((0, start, header.width, stop)))
