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
from pneumoscope.imaging import png
from pneumoscope.imaging.plane import Plane, Turn, check_one_frame, check_size, make_upright, suppress_warnings

# Exif tag 274, Orientation (CIPA DC-008 4.6.5): how the stored rows and columns are turned to stand upright.
_EXIF_TURNS = {
    2: Turn(reverse_columns=True),
    3: Turn(reverse_rows=True, reverse_columns=True),
    4: Turn(reverse_rows=True),
    5: Turn(swap=True),
    6: Turn(swap=True, reverse_columns=True),
    7: Turn(swap=True, reverse_rows=True, reverse_columns=True),
    8: Turn(swap=True, reverse_rows=True),
}
_EXIF_KEYS = frozenset({"exif", "Raw profile type exif", "xmp", "XML:com.adobe.xmp"})


def decode_png(data: bytes, name: str, max_pixels: int, depth: int | None) -> Plane:
    """Decode a PNG of any bit depth and colour type."""
    header = png.read_header(data, name, max_pixels)
    image = PngImageFile(BytesIO(data))
    if header.bits == 16 and header.colour_type != 0:
        image.load()  # Exif may follow the image data
        pixels = png.grey16(header, name, image.info.get("transparency"))
    else:
        pixels = _grey(image, name, header.bits, depth)
    if header.interlaced or header.colour_type == 3 or not pixels[-1].any():
        png.check_complete(header, name)
    bits = 8 if header.colour_type == 3 else header.bits  # a palette's colours have 8 bits, whatever its indices have
    return Plane(make_upright(pixels, _exif_turn(image)), bits, {})


def decode_jpeg(data: bytes, name: str, max_pixels: int, depth: int | None) -> Plane:
    """Decode a JPEG of 8 bits per sample (ISO/IEC 10918-1), grey or colour."""
    # libjpeg fills a missing end with grey. In coded data these pairs of bytes can only be markers: after the last End
    # Of Image (FFD9) no scan (FFDA) may start. Searched from the end, where it is.
    end = data.rfind(b"\xff\xd9")
    if end < 0 or data.find(b"\xff\xda", end) >= 0:
        problem = "is a truncated JPEG file: its End Of Image is missing."
        raise ImageError(name, problem, "Copy or export it again.", code="damaged")
    image = JpegImageFile(BytesIO(data))
    check_size(name, *image.size, max_pixels)
    return Plane(make_upright(_grey(image, name, 8, depth), _exif_turn(image)), 8, {})


def decode_webp(data: bytes, name: str, max_pixels: int, depth: int | None) -> Plane:
    """Decode a still WebP image (RFC 9649), lossy or lossless."""
    image = WebPImageFile(BytesIO(data))
    check_size(name, *image.size, max_pixels)
    check_one_frame(name, image.n_frames)
    return Plane(make_upright(_grey(image, name, 8, depth), _exif_turn(image)), 8, {})


def decode_tiff(data: bytes, name: str, max_pixels: int, depth: int | None) -> Plane:
    """Decode a TIFF 6.0 or BigTIFF of one page: grey up to 16 bits, colour of 8. Pillow itself turns it upright."""
    with suppress_warnings():
        image = TiffImageFile(BytesIO(data))
        check_size(name, *image.size, max_pixels)
        check_one_frame(name, image.n_frames)
        # Pillow leaves rows black that are in no strip or tile (TIFF 6.0 p. 39).
        if max(tile.extents[3] for tile in image.tile if tile.extents) < image.tag_v2[257]:
            problem = "is a damaged TIFF file: it declares more rows than it holds."
            raise ImageError(name, problem, "Export it again.", code="damaged")
        bits = max(image.tag_v2.get(258, (1,)))  # BitsPerSample
        white_is_zero = image.tag_v2.get(262) == 0  # PhotometricInterpretation
        if bits > 8 and not image.mode.startswith("I;16"):
            raise ImageError(
                name,
                f"stores samples of {bits} bits that are colour, signed, floating or above 16 bits.",
                "Save it as 8- or 16-bit unsigned greyscale.",
                code="unsupported",
            )
        pixels = _grey(image, name, bits, depth)
    if white_is_zero and image.mode.startswith("I;16"):
        pixels = np.float32(1) - pixels  # TIFF 6.0 p. 37; Pillow inverts 1- and 8-bit samples itself, not 16-bit
    return Plane(pixels, bits, {})


def _grey(image: Image.Image, name: str, bits: int, depth: int | None) -> NDArray[np.float32]:
    """Return [H, W] float32 in 0..1: luma of colour (`plane.luma`), over black where the image is transparent."""
    mode, transparent = image.mode, image.info.get("transparency")
    if mode.startswith("I;16"):
        return _grey16(np.asarray(image), name, bits, depth, transparent)
    if mode not in ("1", "L", "LA", "RGB", "RGBA", "P", "PA"):
        raise ImageError(name, f"has the colour mode {mode}.", "Convert it to greyscale or RGB.", code="unsupported")
    image.load()  # a palette may be completed only now
    if mode == "PA" or (mode in ("P", "RGB") and image.info.get("transparency") is not None):
        image = image.convert("RGBA")
    elif mode == "P":
        image = image.convert("RGB")
    values = np.asarray(image if mode == "L" else image.convert("L"))
    pixels: NDArray[np.float32] = np.divide(values, np.float32(255), dtype=np.float32)
    if image.mode in ("LA", "RGBA"):
        pixels *= np.divide(np.asarray(image.getchannel("A")), np.float32(255), dtype=np.float32)
    elif isinstance(transparent, int):
        # Pillow widens 2- and 4-bit grey to 8 bits, but not the one transparent grey that belongs to it.
        pixels[values == (transparent * 255 // (2**bits - 1) if mode == "L" else transparent)] = 0
    return pixels


def _grey16(
    values: NDArray[np.uint16], name: str, bits: int, depth: int | None, transparent: object
) -> NDArray[np.float32]:
    """Return [H, W] float32 in 0..1 of samples of 9 to 16 bits; white is the highest value of the depth."""
    white = 2 ** (depth or bits) - 1
    if depth is not None and (brightest := int(values.max())) > white:
        raise ImageError(
            name,
            f"holds the value {brightest}, above {white}, white at the declared depth of {depth} bits.",
            "Declare the true depth, or none for the full 16 bits.",
        )
    pixels = np.divide(values, np.float32(white), dtype=np.float32)
    if isinstance(transparent, int):
        pixels[values == transparent] = 0
    return pixels


def _exif_turn(image: Image.Image) -> Turn:
    """Return the turn that Exif asks for, or XMP in its place."""
    if _EXIF_KEYS.isdisjoint(image.info):
        return Turn()
    with suppress_warnings():
        return _EXIF_TURNS.get(image.getexif().get(274, 1), Turn())
