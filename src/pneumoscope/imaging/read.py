"""Read files as radiographs: one function, one result, one kind of error.

The file's first bytes decide the format, never its name. Every exception of a library becomes an `ImageError` that
names the file, the problem and the way out; the library's own exception is its cause. The file is read once, and its
size on disk and its declared size in pixels are checked before it is decoded. Several threads may call this module: it
neither reads nor changes a global setting of Pillow or pydicom.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.arguments import argument, check_arguments
from pneumoscope.core.errors import ImageError, PneumoscopeError, UsageError
from pneumoscope.imaging import raster
from pneumoscope.imaging.files import BROKEN_LINK, MAGIC_BYTES, format_of, is_broken_link
from pneumoscope.imaging.plane import Metadata, Plane
from pneumoscope.imaging.remote import address_of, read_bytes

MAX_PIXELS = 100_000_000
MAX_BYTES = 512 * 2**20
PREVIEW_SIDE = 256
"""Longer side, in pixels, of the picture that a notebook shows."""
_DECLARE_DEPTH = "If 12 bits are in use, declare a depth of 12."

Decoder: TypeAlias = Callable[[bytes, str, int, int | None], Plane]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Radiograph:
    """One projection radiograph, ready for a model's graph.

    Attributes:
        pixels: [H, W] float32, 0 = black, 1 = white, row 0 = head, column 0 = patient's right.
        format: "png", "jpeg", "webp", "tiff" or "dicom", by the file's bytes; "array" for pixels without a file.
        bits: Bits stored per sample in the file.
        sha256: SHA-256 of the file's bytes, hexadecimal.
        metadata: Facts about the exposure (DICOM only): view, modality, sex, age in years, pixel spacing in mm...
            Never the patient's name or number. An unknown fact is None.
    """

    pixels: NDArray[np.float32]
    format: str
    bits: int
    sha256: str
    metadata: Metadata

    def __repr__(self) -> str:
        return f"Radiograph({', '.join(f'{name} {value}' for name, value in self._facts())})"

    def _repr_html_(self) -> str:
        """Return a small picture with what is known of it, for a notebook."""
        from pneumoscope.core.notebook import html_png, html_table
        from pneumoscope.imaging.overlay import encode_rgb, shrink, to_rgb

        preview = encode_rgb(shrink(to_rgb(self.pixels), PREVIEW_SIDE))
        return html_png(preview, "radiograph") + html_table((), self._facts())

    def _facts(self) -> list[tuple[str, str | int | float]]:
        height, width = self.pixels.shape
        metadata = [(name.replace("_", " "), value) for name, value in self.metadata.items() if value is not None]
        return [
            ("size", f"{width} x {height} pixels"),
            ("format", self.format),
            ("bits", self.bits),
            *metadata,
            ("sha256", f"{self.sha256[:12]}…"),
        ]


@check_arguments
def read(path: str | Path, *, max_pixels: int = MAX_PIXELS, depth: int | None = None) -> Radiograph:
    """Read a PNG, JPEG, WebP, TIFF or DICOM file.

    Args:
        path: The file, or its address as a text: ``s3://bucket/a.dcm``, ``gs://...``.
        max_pixels: Largest number of pixels that is decoded.
        depth: Bits in use in a 16-bit greyscale PNG or TIFF, where they are fewer than 16: white is then 2**depth - 1.
            Other files declare their depth.

    Returns:
        The pixels, [H, W] float32, 0 = black, 1 = white, row 0 = head, with what is known of them.

    Raises:
        ImageError: The file is not a readable, supported radiograph.
        MissingExtraError: It is DICOM, and the extra ``dicom`` is not installed; or ``remote`` for an address.
    """
    name = str(path)
    return decode(_bytes_of(path, name), name, max_pixels=max_pixels, depth=depth)


def largest_value(radiograph: Radiograph) -> int | None:
    """Return the largest value of a 16-bit PNG or TIFF where it is at most 4,095; None for every other file.

    Such a file probably holds 12 bits, and is nearly black unless its depth is declared.
    """
    value = radiograph.metadata.get("largest_value")
    return value if isinstance(value, int) else None


def describe_low_values(files: int) -> str:
    """Return what to say about a number of files that have a `largest_value`."""
    if files == 1:
        return "1 file stores 16 bits and holds no value above 4,095, so that it is nearly black. " + _DECLARE_DEPTH
    return f"{files:,} files store 16 bits and hold no value above 4,095: they are nearly black. {_DECLARE_DEPTH}"


def has_damaged_exif(metadata: Metadata) -> bool:
    """Return whether a file had an Exif block that could not be read, so that an orientation in it is not known."""
    return metadata.get("exif") == "damaged"


def describe_damaged_exif(files: int) -> str:
    """Return what to say about a number of files that `has_damaged_exif`."""
    subject = "1 file has" if files == 1 else f"{files:,} files have"
    return f"{subject} a damaged Exif block: if the image has to be turned, nobody knows. Check that its head is up."


def check_depth(depth: int | None) -> None:
    """Refuse a number of bits that no 16-bit file can have in use."""
    if depth is not None and not 1 <= depth <= 16:
        raise UsageError(argument("depth", depth), "is not a number of bits.", "Give 1 to 16, or none.")


def decode(
    data: bytes, name: str, *, max_pixels: int = MAX_PIXELS, depth: int | None = None, max_bytes: int = MAX_BYTES
) -> Radiograph:
    """Decode the bytes of a file, as `read` does.

    Args:
        data: The file's bytes.
        name: Stands for the file in errors; on a server it is an opaque id.
        max_pixels: As for `read`.
        depth: As for `read`.
        max_bytes: Largest size of the file, and largest size to which a deflated DICOM file may inflate.

    Raises:
        ImageError: As for `read`.
        MissingExtraError: As for `read`.
    """
    check_depth(depth)
    if len(data) > max_bytes:
        raise _too_large(name, len(data), max_bytes)
    kind = sniff(data, name)
    try:
        if kind == "dicom":
            plane = _decode_dicom(data, name, max_pixels, max_bytes)
        else:
            plane = _DECODERS[kind](data, name, max_pixels, depth)
    except PneumoscopeError:
        raise
    except MemoryError as error:
        problem = "needs more memory than this program may use."
        raise ImageError(name, problem, "Save it as an 8- or 16-bit greyscale PNG.", code="kills-decoder") from error
    except Exception as error:
        raise ImageError(
            name,
            f"is a damaged or unsupported {_LABELS[kind]} file{_detail(error, kind)}.",
            "Get an undamaged copy, or save it as an 8- or 16-bit greyscale PNG.",
            code="damaged",
        ) from error
    return Radiograph(plane.pixels, kind, plane.bits, hashlib.sha256(data).hexdigest(), plane.metadata)


def sniff(data: bytes, name: str) -> str:
    """Return the format of a file by its first bytes: "png", "jpeg", "webp", "tiff" or "dicom"."""
    if not data:
        raise ImageError(name, "is empty (0 bytes).", "Copy or export it again.", code="empty")
    if (format := format_of(data[:MAGIC_BYTES])) is not None:
        return format
    kind, way_out = next(
        ((kind, way_out) for at, magic, kind, way_out in _UNSUPPORTED if data.startswith(magic, at)),
        ("a text file" if _is_text(data[:512]) else "of an unknown kind", "Give a file in one of these formats."),
    )
    raise ImageError(name, f"is {kind}, not PNG, JPEG, WebP, TIFF or DICOM.", way_out, code="not-an-image")


def _bytes_of(path: str | Path, name: str) -> bytes:
    """Return the whole content of a regular file, or of one at an address, within the size limit."""
    if (address := address_of(path)) is not None:
        content = read_bytes(address, MAX_BYTES)
        if len(content) > MAX_BYTES:
            raise _too_large(name, len(content), MAX_BYTES)
        return content
    try:
        path = Path(path)
        if is_broken_link(path):
            raise ImageError(name, f"is {BROKEN_LINK}.", "Restore the file, or remove the link.")
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            with os.scandir(path):  # a folder that must not be listed says so
                raise ImageError(name, "is a folder.", "Give the files in it.")
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(name, "is not a regular file.", "Give a file on disk.")
        if status.st_size > MAX_BYTES:
            raise _too_large(name, status.st_size, MAX_BYTES)
        with path.open("rb", buffering=0) as file:
            return file.readall()
    except (OSError, ValueError) as error:
        reason = (error.strerror if isinstance(error, OSError) else None) or type(error).__name__
        raise ImageError(name, f"cannot be read: {reason}.", "Check the path and the permissions.") from error


def _too_large(name: str, size: int, max_bytes: int) -> ImageError:
    limit = max_bytes // 2**20
    return ImageError(
        name,
        f"has {size / 2**20:,.0f} MiB; at most {limit} MiB are read.",
        "Give one radiograph per file.",
        code="too-large",
        values={"limit_mib": limit},
    )


def _detail(error: Exception, kind: str) -> str:
    """Return a library's own message, except about DICOM, where it may identify the patient."""
    words = " ".join(str(error).split())[:200].rstrip(".")
    if kind == "dicom" or words == "not identified by this driver":
        return ""
    return f" ({words or type(error).__name__})"


def _is_text(start: bytes) -> bool:
    try:
        text = start.decode("utf-8")
    except UnicodeDecodeError as error:
        # A character may be cut in two at the end of the sample.
        return error.start > len(start) - 4 and _is_text(start[: error.start])
    return bool(text) and all(character.isprintable() or character in "\t\r\n\f" for character in text)


def _decode_dicom(data: bytes, name: str, max_pixels: int, max_bytes: int) -> Plane:
    from pneumoscope.imaging.dicom import decode

    return decode.decode(data, name, max_pixels, max_bytes)  # DICOM declares its own depth: BitsStored


_DECODERS: dict[str, Decoder] = {
    "png": raster.decode_png,
    "jpeg": raster.decode_jpeg,
    "webp": raster.decode_webp,
    "tiff": raster.decode_tiff,
}
_LABELS = {"png": "PNG", "jpeg": "JPEG", "webp": "WebP", "tiff": "TIFF", "dicom": "DICOM"}

_CONVERT = "Convert it to PNG, or give the DICOM file that it was made from."
_UNPACK = "Unpack it and give the files in it."
_PREAMBLE = "Write it as a DICOM file (PS3.10: preamble, 'DICM', file meta information)."
# (offset, magic bytes, description, way out)
_UNSUPPORTED: tuple[tuple[int, bytes, str, str], ...] = (
    (0, b"GIF8", "a GIF image", _CONVERT),
    (0, b"BM", "a BMP image", _CONVERT),
    (4, b"ftyphei", "a HEIC image", _CONVERT),
    (4, b"ftypmif1", "a HEIF image", _CONVERT),
    (4, b"ftypavif", "an AVIF image", _CONVERT),
    (4, b"ftyp", "a video", "Give a single radiograph."),
    (0, b"\x00\x00\x00\x0cjP  ", "a JPEG 2000 image outside DICOM", _CONVERT),
    (0, b"\xff\x4f\xff\x51", "a JPEG 2000 codestream outside DICOM", _CONVERT),
    (0, b"\xff\x0a", "a JPEG XL image", _CONVERT),
    (0, b"8BPS", "a Photoshop document", _CONVERT),
    (0, b"%PDF", "a PDF document", "Export the image in it as PNG, or give the DICOM file that it was made from."),
    (0, b"%!PS", "a PostScript document", _CONVERT),
    (0, b"PK\x03\x04", "a ZIP archive", _UNPACK),
    (0, b"PK\x05\x06", "an empty ZIP archive", _UNPACK),
    (0, b"\x1f\x8b", "a gzip archive", _UNPACK),
    (0, b"BZh", "a bzip2 archive", _UNPACK),
    (0, b"\xfd7zXZ\x00", "an xz archive", _UNPACK),
    (0, b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive", _UNPACK),
    (0, b"Rar!", "a RAR archive", _UNPACK),
    (257, b"ustar", "a tar archive", _UNPACK),
    (344, b"n+1\x00", "a NIfTI volume", "Give single projection radiographs, not volumes."),
    (0, b"\x93NUMPY", "a NumPy array", "Pass arrays to a model directly, or save them as 16-bit PNG."),
    (0, b"version https://git-lfs", "a Git LFS pointer, not the image itself", "Fetch the image: git lfs pull."),
    (0, b"<svg", "an SVG drawing", _CONVERT),
    (0, b"<!DOCTYPE", "a web page", "Download the image itself, not the page around it."),
    (0, b"<html", "a web page", "Download the image itself, not the page around it."),
    (0, b"\x08\x00\x00\x00", "a DICOM data set without its file header", _PREAMBLE),
    (0, b"\x08\x00\x05\x00", "a DICOM data set without its file header", _PREAMBLE),
    (0, b"\x08\x00\x08\x00", "a DICOM data set without its file header", _PREAMBLE),
    (0, b"\x08\x00\x16\x00", "a DICOM data set without its file header", _PREAMBLE),
    (0, b"\x02\x00\x00\x00", "a DICOM file without its preamble", _PREAMBLE),
)
