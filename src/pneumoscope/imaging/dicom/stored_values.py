"""Read the stored values of a DICOM file: native samples, or a compressed frame that pydicom's plug-ins decompress.

Sections are those of PS3.3 unless stated otherwise.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.dicom.codestream import (
    check_stream,
    is_lossless_jpeg_ls,
    join_stream,
    rle_is_short,
    sample_precision,
    truncated,
)
from pneumoscope.imaging.dicom.file import AGAIN, DicomFile, read_pixel_element
from pneumoscope.imaging.dicom.tags import show_uid

if TYPE_CHECKING:
    from pydicom.pixels.decoders.base import Decoder

    from pneumoscope.imaging.dicom.tags import Tags


class Shape(NamedTuple):
    """The Image Pixel module (C.7.6.3) of a readable file.

    ``unused_low`` is the number of bits below a stored value. It is not 0 in files of older editions of the standard,
    whose HighBit is above BitsStored - 1: 12 bits may lie in the upper 12 of 16.
    """

    rows: int
    columns: int
    samples: int
    allocated: int
    bits: int
    signed: bool
    photometric: str
    unused_low: int = 0


def read_stored_values(file: DicomFile, shape: Shape) -> tuple[NDArray[np.integer], bool]:
    """Return the stored values of a file.

    Args:
        file: The file, which has pixel data.
        shape: Its Image Pixel module.

    Returns:
        [H, W] or [H, W, 3] integers, whose lowest bit is the lowest one stored, and whether their bits are exactly
        those that the file's writer stored. Then the bits above BitsStored are no part of a value (PS3.5 8.1.1). A
        lossy stream may overshoot the range instead.

    Raises:
        ImageError: The pixel data is truncated, damaged or in an unsupported coding.
    """
    decoder, plugins = _find_decoder(file, shape)
    _put_shape(file, shape)
    element = read_pixel_element(file)
    frame, exact = b"", True
    if element.encapsulated:
        frame = join_stream(element.fragments)
        exact = _is_exact(file, frame, shape)
        if not _is_rle(file):
            check_stream(frame, file.tags.name, shape.columns, shape.rows, complete=element.complete)
            _check_high_bit(file, frame, shape)
        if not frame:
            raise truncated(file.tags.name)
    else:
        _check_length(file, len(element.native), shape)
    _put_pixels(file, element.vr, frame or bytes(element.native), encapsulated=element.encapsulated)
    try:
        # Unused bits are taken off by the caller; only a sign that a lossy stream lost has to be put back by pydicom.
        stored, properties = _decode(decoder, plugins, file, restore_sign=shape.signed and not exact)
    except Exception as error:
        segment = shape.rows * shape.columns
        if element.encapsulated and (not element.complete or (_is_rle(file) and rle_is_short(frame, segment))):
            raise truncated(file.tags.name) from error
        problem = f"holds damaged pixel data ({show_uid(file.syntax)})."
        raise ImageError(file.tags.name, problem, AGAIN, code="damaged") from error
    if shape.samples == 3 and properties["photometric_interpretation"] != "RGB":
        problem = "cannot be converted to RGB."
        raise file.tags.wrong("PhotometricInterpretation", problem, "Export it as greyscale.", code="unsupported")
    return (stored >> shape.unused_low if shape.unused_low else stored), exact


def _check_high_bit(file: DicomFile, frame: bytes, shape: Shape) -> None:
    """Refuse a stream whose samples have no bit HighBit, though the values are said to end there."""
    precision = sample_precision(frame)
    high = shape.unused_low + shape.bits - 1
    if shape.unused_low and precision is not None and precision <= high:
        problem = f"is {high}, but the samples of the compressed pixel data have {precision} bits."
        raise file.tags.wrong("HighBit", problem)


def _decode(
    decoder: Decoder, plugins: tuple[str, ...], file: DicomFile, *, restore_sign: bool
) -> tuple[NDArray[np.integer], Any]:
    """Return what the first plug-in decodes that can, and its properties; raise the last one's exception."""
    for place, plugin in enumerate(plugins):
        options: Any = {"decoding_plugin": plugin, "correct_unused_bits": restore_sign}
        try:
            return decoder.as_array(file.tags.dataset, index=0, **options)
        except Exception:
            if place == len(plugins) - 1:
                raise
    raise RuntimeError("no plug-in")


def _find_decoder(file: DicomFile, shape: Shape) -> tuple[Decoder, tuple[str, ...]]:
    """Return pydicom's decoder, and the plug-ins that may decompress for it, in order.

    GDCM and pylibjpeg-rle are not among them: on damaged data they end the whole process (C++'s ``abort``, Rust's
    panic), which no ``except`` holds. pydicom would otherwise prefer GDCM where it happens to be installed.
    """
    from pydicom.pixels.decoders.base import get_decoder
    from pydicom.uid import JPEGBaseline8Bit

    syntax = file.syntax
    if not syntax:
        raise file.tags.wrong("TransferSyntaxUID", "is missing, so that the coding of the pixels is unknown.")
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError as error:
        problem = f"is {show_uid(syntax)}, which is not supported."
        raise file.tags.wrong("TransferSyntaxUID", problem, AGAIN, code="unsupported") from error
    wanted = ("pydicom",) if _is_rle(file) else ("pylibjpeg", "pillow")
    if syntax == JPEGBaseline8Bit and shape.samples == 1:
        # Decoders of lossy JPEG may differ by 1 (ISO/IEC 10918-2). Pillow has libjpeg-turbo, as dcmtk's arithmetic is,
        # as JPEG files are read here, and as the browser has it: the same bits everywhere.
        wanted = ("pillow", "pylibjpeg")
    # An empty name stands for native pixel data, which need no plug-in.
    plugins = tuple(name for name in wanted if name in decoder.available_plugins) if syntax.is_encapsulated else ("",)
    if not plugins:
        raise ImageError(
            file.tags.name,
            f"is compressed as {show_uid(syntax)}, and no decoder for it is installed "
            f"({'; '.join(decoder.missing_dependencies)}).",
            "Install them with: pip install 'pneumoscope[dicom]'",
            code="unsupported",
        )
    return decoder, plugins


def _is_rle(file: DicomFile) -> bool:
    from pydicom.uid import RLELossless

    return bool(file.syntax == RLELossless)


def _is_exact(file: DicomFile, frame: bytes, shape: Shape) -> bool:
    """Return whether the decompressed bits are those that the writer stored.

    They are in a lossless transfer syntax and in a JPEG-LS stream with an error of 0. A lossy stream whose file
    declares an overlay plane in the unused bits (C.9.2) is treated alike: such bits are no overshoot.
    """
    from pydicom.uid import (
        HTJ2KLossless,
        HTJ2KLosslessRPCL,
        JPEG2000Lossless,
        JPEGLossless,
        JPEGLosslessSV1,
        JPEGLSLossless,
        JPEGLSTransferSyntaxes,
    )

    lossless = (JPEGLossless, JPEGLosslessSV1, JPEGLSLossless, JPEG2000Lossless, HTJ2KLossless, HTJ2KLosslessRPCL)
    if file.syntax in lossless or _is_rle(file):
        return True
    if file.syntax in JPEGLSTransferSyntaxes and is_lossless_jpeg_ls(frame):
        return True
    # Where bits below the value are unused, the value ends with the sample: nothing is left to overshoot.
    return shape.unused_low > 0 or any(position >= shape.bits for position in _overlay_positions(file.tags))


def _overlay_positions(tags: Tags) -> list[int]:
    """Return OverlayBitPosition (60xx,0102) of each overlay plane that lies in the pixel data."""
    positions = []
    for group in range(0x6000, 0x6020, 2):
        element = tags.dataset.get((group, 0x0102))
        if element is not None and isinstance(element.value, int):
            positions.append(element.value)
    return positions


def _check_length(file: DicomFile, length: int, shape: Shape) -> None:
    """Refuse native samples that are fewer or more than the declared size."""
    from pydicom.pixels.utils import get_expected_length

    file.tags.dataset.pop("NumberOfFrames", None)
    expected = get_expected_length(file.tags.dataset)
    # One byte of padding is the rule (PS3.5 8.1.1), some more is harmless; a row more means wrong Columns or Rows.
    if not expected <= length < expected + max(2, expected // shape.rows):
        problem = f"has {length:,} bytes; the declared size needs {expected:,}."
        if length < expected:
            problem = f"is truncated: it {problem}"
        raise file.tags.wrong("PixelData", problem, AGAIN)


def _put_shape(file: DicomFile, shape: Shape) -> None:
    """Give the data set the checked values: pydicom would read those of the file again, whatever their VR."""
    for keyword, value in (
        ("Rows", shape.rows),
        ("Columns", shape.columns),
        ("SamplesPerPixel", shape.samples),
        ("BitsAllocated", shape.allocated),
        ("BitsStored", shape.bits),
        ("PixelRepresentation", int(shape.signed)),
    ):
        element = file.tags.dataset[keyword]
        if not isinstance(element.value, int):
            file.tags.dataset.add_new(element.tag, "US", value)


def _put_pixels(file: DicomFile, vr: str, value: bytes, *, encapsulated: bool) -> None:
    """Give the data set what pydicom's decoder takes: one frame, without any offset table of the file."""
    from pydicom.dataset import FileMetaDataset
    from pydicom.encaps import encapsulate

    dataset = file.tags.dataset
    for keyword in ("NumberOfFrames", "ExtendedOffsetTable", "ExtendedOffsetTableLengths"):
        dataset.pop(keyword, None)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = file.syntax
    dataset.add_new("PixelData", vr, encapsulate([value]) if encapsulated else value)
    dataset["PixelData"].is_undefined_length = encapsulated
