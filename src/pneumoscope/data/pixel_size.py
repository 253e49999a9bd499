"""Width and height of an image file by its header alone: boxes that a table gives in pixels become shares by them."""

from __future__ import annotations

from pathlib import Path

from pneumoscope.core.errors import ImageError, MissingExtraError
from pneumoscope.imaging.files import MAGIC_BYTES, format_of
from pneumoscope.imaging.plane import suppress_warnings
from pneumoscope.imaging.read import MAX_PIXELS


def pixel_size(path: Path) -> tuple[int, int]:
    """Return width and height, in pixels.

    Raises:
        ImageError: It is no image, or its header states no size, or far too large a one.
        MissingExtraError: DICOM without the extra "dicom".
    """
    try:
        with path.open("rb") as file:
            is_dicom = format_of(file.read(MAGIC_BYTES)) == "dicom"
        return _size_of_dicom(path) if is_dicom else _size_of_picture(path)
    except (ImportError, MissingExtraError, ImageError):
        raise
    except Exception as error:  # the libraries fail in many ways on damaged files; a header may quote a patient
        raise ImageError(str(path), "has no header that states its size.", "Download it again.") from error


def _size_of_dicom(path: Path) -> tuple[int, int]:
    try:
        import pydicom
    except ImportError as error:
        raise MissingExtraError("reading DICOM files", "dicom") from error
    with suppress_warnings():
        header = pydicom.dcmread(path, stop_before_pixels=True, specific_tags=["Rows", "Columns"])
        return int(header.Columns), int(header.Rows)


def _size_of_picture(path: Path) -> tuple[int, int]:
    from PIL import Image

    try:
        with Image.open(path) as image:
            return image.width, image.height
    except Image.DecompressionBombError as error:
        problem = f"its header declares more than the {MAX_PIXELS:,} pixels that are decoded."
        raise ImageError(str(path), problem, "Get an undamaged copy.", code="too-many-pixels") from error
