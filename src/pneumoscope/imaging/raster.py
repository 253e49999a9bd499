"""Decode PNG, JPEG, WebP and TIFF into a plane of grey, by Pillow.

This module calls Pillow's plug-ins directly rather than through `Image.open`: the format is already known, the declared
size is checked against our own limit, and none of Pillow's global settings take part. It also covers what Pillow
accepts without an error: checksums, end and 16-bit colour of a PNG (`png.py`), the end of a JPEG, white-is-zero TIFF.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging import png, tiff
from pneumoscope.imaging.colour import measure_colour
from pneumoscope.imaging.libtiff import silence_libtiff
from pneumoscope.imaging.orientation import read_orientation
from pneumoscope.imaging.plane import (
    Metadata,
    Plane,
    check_one_frame,
    check_size,
    make_upright,
    multiply,
    suppress_warnings,
)

_APP0, _COMMENT = 0xE0, 0xFE  # the first of 16 application segments; a comment
# The application segments that say how the colours are coded, and their shortest content (ITU-T T.871, T.872).
_CODING = {(0xE0, b"JFIF\0"): 14, (0xEE, b"Adobe"): 12}
_XMP_NAMESPACE = b"http://ns.adobe.com/xap/1.0/\0"
_TWELVE_BITS = 4095
_HALF_OF_PIXELS = 50_000_000


def decode_png(data: bytes, name: str, max_pixels: int, depth: int | None) -> Plane:
    """Decode a PNG of any bit depth and colour type."""
    header = png.read_header(data, name, max_pixels)
    image = PngImageFile(BytesIO(header.pixel_data))
    facts: Metadata = {}
    if header.bits == 16 and header.colour_type != 0:
        check_size(name, header.width, header.height, _half(max_pixels))
        pixels = png.grey16(header, name, image.info.get("transparency"))
    else:
        pixels, facts = _grey(image, name, header.bits, depth)
    if header.interlaced or header.colour_type == 3 or not pixels[-1].any():
        png.check_complete(header, name)
    bits = 8 if header.colour_type == 3 else header.bits  # a palette's colours have 8 bits, whatever its indices have
    return _oriented(Plane(pixels, bits, facts), header.exif, header.xmp, damaged=header.exif_damaged)


def _half(max_pixels: int) -> int:
    """Return the limit for formats that take twice the memory a pixel: half of the limit where it is large."""
    return min(max_pixels, max(max_pixels // 2, _HALF_OF_PIXELS))


def decode_jpeg(data: bytes, name: str, max_pixels: int, depth: int | None) -> Plane:
    """Decode a JPEG of 8 bits per sample (ISO/IEC 10918-1), grey or colour."""
    # libjpeg fills a missing end with grey. In coded data these pairs of bytes can only be markers: after the last End
    # Of Image (FFD9) no scan (FFDA) may start. Searched from the end, where it is.
    end = data.rfind(b"\xff\xd9")
    if end < 0 or data.find(b"\xff\xda", end) >= 0:
        problem = "is a truncated JPEG file: its End Of Image is missing."
        raise ImageError(name, problem, "Copy or export it again.", code="damaged")
    pixel_data, exif, xmp = _split_jpeg(data)
    image = JpegImageFile(BytesIO(pixel_data))
    check_size(name, *image.size, max_pixels)
    pixels, facts = _grey(image, name, 8, depth)
    return _oriented(Plane(pixels, 8, facts), exif, xmp)


def _oriented(plane: Plane, exif: bytes, xmp: bytes, *, damaged: bool = False) -> Plane:
    """Return a plane turned upright as Exif or XMP asks; its facts say where they cannot be read.

    Args:
        plane: As it is stored.
        exif: The Exif block; empty if there is none.
        xmp: The XMP packet; empty if there is none.
        damaged: The file had an Exif block that was left out.
    """
    orientation = read_orientation(exif, xmp)
    facts = {**plane.metadata, "exif": "damaged"} if orientation.damaged or damaged else plane.metadata
    return Plane(make_upright(plane.pixels, orientation.turn), plane.bits, facts)


def _split_jpeg(data: bytes) -> tuple[bytes, bytes, bytes]:
    """Return a JPEG without its application segments, its Exif block and its XMP packet.

    Pillow parses those segments as it opens a file, and a broken one costs the pixels or a warning.
    """
    pieces, exif, xmp = [data[:2]], b"", b""
    at = 2
    while at + 4 <= len(data) and data[at] == 0xFF:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        if marker == 0xFF:  # a fill byte (10918-1 B.1.1.2)
            at += 1
            continue
        if marker == 0xDA or length < 2:  # Start Of Scan
            break
        end = at + 2 + length
        content = data[at + 4 : end]
        if marker == _APP0 + 1 and content.startswith(b"Exif\0"):
            exif = exif or content[6:]
        elif marker == _APP0 + 1 and content.startswith(_XMP_NAMESPACE):
            xmp = xmp or content
        is_ancillary = _APP0 <= marker < _APP0 + 16 or marker == _COMMENT
        is_coding = len(content) >= _CODING.get((marker, content[:5]), len(content) + 1)
        if is_coding or not is_ancillary:
            pieces.append(data[at:end])
        at = end
    return b"".join([*pieces, data[at:]]), exif, xmp


def decode_webp(data: bytes, name: str, max_pixels: int, depth: int | None) -> Plane:
    """Decode a still WebP image (RFC 9649), lossy or lossless."""
    image = WebPImageFile(BytesIO(data))
    # libwebp's decoder of animations, which Pillow uses for every file, keeps several copies of 4 bytes a pixel.
    check_size(name, *image.size, _half(max_pixels))
    check_one_frame(name, image.n_frames)
    pixels, facts = _grey(image, name, 8, depth)
    return _oriented(Plane(pixels, 8, facts), image.info.get("exif", b""), image.info.get("xmp", b""))


def decode_tiff(data: bytes, name: str, max_pixels: int, depth: int | None) -> Plane:
    """Decode a TIFF 6.0 or BigTIFF of one page: grey up to 16 bits, colour of 8. Pillow itself turns it upright."""
    silence_libtiff()
    header = tiff.read_header(data, name)
    check_size(name, header.width, header.height, max_pixels)
    with suppress_warnings():
        pixels, facts = _decode_tiff(header.pixel_data, header, name, depth)
        if header.inverted:
            pixels = np.float32(1) - pixels  # TIFF 6.0 p. 37; Pillow inverts samples of 1 to 8 bits itself
        if header.alpha_data is not None:
            pixels *= _decode_tiff(header.alpha_data, header, name, None)[0]
    return Plane(pixels, header.bits, facts)


def _decode_tiff(
    data: bytes, header: tiff.TiffHeader, name: str, depth: int | None
) -> tuple[NDArray[np.float32], Metadata]:
    """Return [H, W] float32 in 0..1 of the one image in a classic TIFF, and facts about its samples."""
    try:
        image = TiffImageFile(BytesIO(data))
    except SyntaxError as error:  # Pillow's own for samples that it does not know
        raise tiff.unsupported_form(header.samples, name) from error
    # Pillow leaves rows black that are in no strip or tile (TIFF 6.0 p. 39).
    if max((tile.extents[3] for tile in image.tile if tile.extents), default=0) < header.height:
        problem = "is a damaged TIFF file: it declares more rows than it holds."
        raise ImageError(name, problem, "Export it again.", code="damaged")
    if header.bits > 8 and not image.mode.startswith("I;16"):
        raise tiff.unsupported_samples(name, header.bits)
    return _grey(image, name, header.bits, depth)


def _grey(image: Image.Image, name: str, bits: int, depth: int | None) -> tuple[NDArray[np.float32], Metadata]:
    """Return [H, W] float32 in 0..1, and facts about the samples.

    Colour becomes its luma (`plane.luma`); where the image is transparent, it lies over black.
    """
    mode, transparent = image.mode, image.info.get("transparency")
    if mode.startswith("I;16"):
        values = np.asarray(image)
        image.close()
        return _grey16(values, name, bits, depth, transparent)
    if mode not in ("1", "L", "LA", "RGB", "RGBA", "P", "PA"):
        raise ImageError(name, f"has the colour mode {mode}.", "Convert it to greyscale or RGB.", code="unsupported")
    image.load()  # a palette may be completed only now
    if mode == "PA" or (mode in ("P", "RGB") and image.info.get("transparency") is not None):
        image = _convert(image, "RGBA")
    elif mode == "P":
        image = _convert(image, "RGB")
    alpha = image.getchannel("A") if image.mode in ("LA", "RGBA") else None
    facts = measure_colour(image) if image.mode in ("RGB", "RGBA") else {}
    values = np.asarray(image if mode == "L" else _convert(image, "L"))
    image.close()
    pixels: NDArray[np.float32] = np.divide(values, np.float32(255), dtype=np.float32)
    if alpha is not None:
        del values
        multiply(pixels, np.asarray(alpha), 255)
    elif isinstance(transparent, int):
        # Pillow widens 2- and 4-bit grey to 8 bits, but not the one transparent grey that belongs to it.
        pixels[values == (transparent * 255 // (2**bits - 1) if mode == "L" else transparent)] = 0
    return pixels, facts


def _convert(image: Image.Image, mode: str) -> Image.Image:
    """Return an image in another mode, and free the first one: each takes up to 4 bytes a pixel."""
    converted = image.convert(mode)
    image.close()
    return converted


def _grey16(
    values: NDArray[np.uint16], name: str, bits: int, depth: int | None, transparent: object
) -> tuple[NDArray[np.float32], Metadata]:
    """Return [H, W] float32 in 0..1 of samples of 9 to 16 bits, and facts about them.

    White is the highest value of the depth. Where none is declared, a largest value of at most 12 bits is a fact to
    report: a detector's 12 bits are often saved in 16, and such a picture is nearly black.
    """
    white, brightest = 2 ** (depth or bits) - 1, int(values.max())
    if depth is not None and brightest > white:
        raise ImageError(
            name,
            f"holds the value {brightest}, above {white}, white at the declared depth of {depth} bits.",
            "Declare the true depth, or none for the full 16 bits.",
        )
    pixels = np.divide(values, np.float32(white), dtype=np.float32)
    if isinstance(transparent, int):
        pixels[values == transparent] = 0
    if depth is not None:
        return pixels, {"depth": depth}
    return pixels, {"largest_value": brightest} if bits == 16 and brightest <= _TWELVE_BITS else {}
