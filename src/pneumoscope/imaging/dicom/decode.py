"""Decode a DICOM file into a plane of grey: refuse other objects, read the stored values, apply the display chain.

pydicom parses the file and its plug-ins decompress it; the greyscale chain is `display.py`. The decoder reads only
single projection radiographs that are meant for display: a slice, a stack or raw detector data would get a plausible
and meaningless score. Errors name a tag, never a value that could identify the patient; metadata is a fixed list of
facts. Sections are those of the DICOM standard, PS3.3 unless stated otherwise.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.core.errors import ImageError, MissingExtraError
from pneumoscope.imaging.colour import measure_colour
from pneumoscope.imaging.dicom.display import DisplayChain, Lut, Rescale, Window
from pneumoscope.imaging.dicom.file import AGAIN, DicomFile, parse
from pneumoscope.imaging.dicom.stored_values import Shape, read_stored_values
from pneumoscope.imaging.dicom.tags import Tags, metadata, show_term, show_uid
from pneumoscope.imaging.plane import (
    Metadata,
    Plane,
    Turn,
    check_one_frame,
    check_size,
    luma,
    make_upright,
    suppress_warnings,
)

_RADIOGRAPH = "Give a plain radiograph (modality CR or DX)."

# Defined terms of Modality (C.7.3.1.1.1) under which projection radiographs travel. OT, HC, XC and SC say nothing
# against it: digitised film, hard copy, a photograph, a secondary capture.
RADIOGRAPHS = frozenset({"CR", "DX", "DR", "RG", "MG", "IO", "PX", "OT", "HC", "XC", "SC", ""})
"""Modalities of files that are decoded; many files say none."""
_STORAGE = "1.2.840.10008.5.1.4.1.1."
# Storage classes (PS3.4 B.5): CR; DX, MG and IO for presentation; secondary capture in its five forms.
_CLASSES = frozenset(_STORAGE + end for end in ("1", "1.1", "1.2", "1.3", "7", "7.1", "7.2", "7.3", "7.4"))
_FOR_PROCESSING = frozenset(_STORAGE + end for end in ("1.1.1", "1.2.1", "1.3.1"))
_COLOURS = frozenset({"RGB", "YBR_FULL", "YBR_FULL_422", "YBR_PARTIAL_420", "YBR_ICT", "YBR_RCT"})


def decode(data: bytes, name: str, max_pixels: int, max_bytes: int) -> Plane:
    """Decode a DICOM file (PS3.10) that holds one projection radiograph.

    Args:
        data: The file's bytes.
        name: The file, for errors.
        max_pixels: Largest number of pixels that is decoded.
        max_bytes: Largest size to which a deflated file may inflate.
    """
    try:
        import pydicom  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("reading DICOM files", "dicom") from error
    with suppress_warnings():
        file = parse(data, name, max_bytes)
        tags = file.tags
        _check_kind(file)
        shape = _read_shape(tags, max_pixels)
        turn = _read_turn(tags)
        facts = dict(metadata(tags, swapped=turn.swap))
        if any(tags.texts("PatientOrientation")):
            facts["orientation"] = "stated"
        display = _read_display(tags, shape) if shape.samples == 1 else None
        if display and (lut := display.output) and lut.used_bits != lut.bits:
            facts["lut_bits"], facts["lut_bits_declared"] = lut.used_bits, lut.bits
        if display and display.voi is None and (tags.has_value("WindowCenter") or tags.has_value("WindowWidth")):
            facts["window"] = "ignored"
        if display and display.modality is None and any(map(tags.has_value, ("RescaleSlope", "RescaleIntercept"))):
            facts["rescale"] = "ignored"
        stored, exact = read_stored_values(file, shape)
    del file, tags  # they hold copies of the pixels
    if display:
        pixels = _apply_display(stored, display, exact=exact)
    else:
        pixels, colour = _grey_of_colour(stored, shape, exact=exact)
        facts.update(colour)
    return Plane(make_upright(pixels, turn), shape.bits, facts)


_OTHER_KINDS = frozenset({"CT", "MR", "US", "MG", "NM", "PT", "SR"})
"""Modalities (PS3.3 C.7.3.1.1.1) that a refusal may name: terms of the standard identify nobody."""


def _check_kind(file: DicomFile) -> None:
    """Refuse every object but one projection radiograph that is meant for display."""
    tags = file.tags
    modality, sop_class = tags.text("Modality"), tags.text("SOPClassUID")
    if modality not in RADIOGRAPHS:
        problem = f"is {show_term(modality)}: not a projection radiograph."
        error = tags.wrong("Modality", problem, _RADIOGRAPH, code="not-a-radiograph")
        if modality in _OTHER_KINDS:
            error.values = {"kind": modality}  # a page says it in its own words: "This is a CT"
        raise error
    # The terms of PresentationIntentType (C.8.11.1) and the SOP class say the same.
    if tags.text("PresentationIntentType") == "FOR PROCESSING" or sop_class in _FOR_PROCESSING:
        raise tags.wrong(
            "PresentationIntentType",
            "says FOR PROCESSING: raw detector values, not prepared for display.",
            "Give the FOR PRESENTATION image of the same exposure.",
            code="not-a-radiograph",
        )
    if file.truncated:
        raise ImageError(tags.name, "is a truncated DICOM file: it ends before its pixel data.", AGAIN, code="damaged")
    if file.pixels_at is None:
        raise ImageError(tags.name, "is a DICOM file without pixel data.", _RADIOGRAPH, code="not-a-radiograph")
    if sop_class.startswith(_STORAGE) and sop_class not in _CLASSES:
        from pydicom.uid import UID

        problem = f"is {show_uid(UID(sop_class))}: not a projection radiograph."
        raise tags.wrong("SOPClassUID", problem, _RADIOGRAPH, code="not-a-radiograph")
    # This number is the authority, not an offset table. Some writers give 0 to a single frame (C.7.6.6.1.1).
    check_one_frame(tags.name, tags.integer("NumberOfFrames") or 1)
    if tags.values("SharedFunctionalGroupsSequence") or tags.values("PerFrameFunctionalGroupsSequence"):
        raise ImageError(tags.name, "is an enhanced multi-frame object.", _RADIOGRAPH, code="frames")


def _read_shape(tags: Tags, max_pixels: int) -> Shape:
    """Return the Image Pixel module, checked before any pixel is decoded."""
    shape = Shape(
        rows=tags.required("Rows"),
        columns=tags.required("Columns"),
        samples=tags.required("SamplesPerPixel"),
        allocated=tags.required("BitsAllocated"),
        bits=tags.required("BitsStored"),
        signed=tags.required("PixelRepresentation") == 1,
        photometric=tags.text("PhotometricInterpretation"),
    )
    check_size(tags.name, shape.columns, shape.rows, max_pixels)
    if shape.samples == 1 and shape.photometric in ("MONOCHROME1", "MONOCHROME2"):
        pass
    elif shape.samples != 3 or shape.photometric not in _COLOURS:
        raise tags.wrong(
            "PhotometricInterpretation",
            f"is {show_term(shape.photometric) or 'missing'} with {shape.samples} samples per pixel; MONOCHROME1, "
            "MONOCHROME2, RGB and YBR are read.",
            "Export it as greyscale.",
            code="unsupported",
        )
    elif shape.signed:
        raise tags.wrong("PixelRepresentation", "says that colours are signed.", code="unsupported")
    if not 1 <= shape.bits <= min(16, shape.allocated):
        problem = f"is {shape.bits} of {shape.allocated} bits allocated; 1 to 16 are read."
        raise tags.wrong("BitsStored", problem, code="unsupported")
    # Editions before 2007 let a value end above BitsStored - 1 (PS3.5 8.1.1); dcmtk reads it there, and takes 0 for an
    # absent tag.
    high = tags.integer("HighBit") or shape.bits - 1
    if not shape.bits - 1 <= high < shape.allocated:
        problem = f"is {high}; of {shape.allocated} bits allocated, {shape.bits} stored ones cannot end there"
        raise tags.wrong("HighBit", f"{problem} (PS3.5 8.1.1).")
    return shape._replace(unused_low=high - shape.bits + 1)


def _read_display(tags: Tags, shape: Shape) -> DisplayChain:
    """Return the greyscale chain (PS3.4 N.2) that the file declares."""
    lut_shape = tags.text("PresentationLUTShape")
    if lut_shape not in ("", "IDENTITY", "INVERSE"):
        problem = f"is {show_term(lut_shape)}; IDENTITY and INVERSE are read."
        raise tags.wrong("PresentationLUTShape", problem, code="unsupported")
    modality = _read_modality(tags, signed=shape.signed)
    raw = DisplayChain(shape.bits, shape.signed)
    ends = np.array([raw.lowest, raw.lowest + 2**shape.bits - 1], np.float64)
    negative = float((modality(ends) if modality else ends).min()) < 0
    return DisplayChain(
        bits=shape.bits,
        signed=shape.signed,
        modality=modality,
        voi=_read_voi(tags, negative=negative),
        # MONOCHROME1: the lowest value shows white (C.7.6.3.1.2). INVERSE is required to go with it (C.7.6.1, table
        # C.7-9) and says the same thing again: it is not a second inversion. Some devices write only one of the two.
        inverted=shape.photometric == "MONOCHROME1" or lut_shape == "INVERSE",
        padding=_read_padding(tags, shape),
    )


def _read_modality(tags: Tags, *, signed: bool) -> Lut | Rescale | None:
    """Return the modality transformation (C.11.1), or None."""
    for item in _table_items(tags, "ModalityLUTSequence"):
        # The sign of its first input follows PixelRepresentation, whatever VR the file gives it (C.11.1.1).
        return _read_lut(item, negative=signed)
    try:
        slope, intercept = tags.number("RescaleSlope"), tags.number("RescaleIntercept")
    except ImageError:
        return None
    # Half a rescale, or a slope of 0 (which C.11.1.1.2 does not foresee), is none: dcmtk too shows the stored values.
    return None if not slope or intercept is None else Rescale(slope, intercept)


def _table_items(tags: Tags, keyword: str) -> list[Tags]:
    """Return the items of a sequence that hold a table; some writers leave an empty one beside a window or a slope."""
    return [item for item in tags.items(keyword) if item.has_value("LUTDescriptor") and item.has_value("LUTData")]


def _read_voi(tags: Tags, *, negative: bool) -> Lut | Window | None:
    """Return the first VOI table, else the first window (C.11.2), or None. ``negative``: its input may be below 0."""
    for item in _table_items(tags, "VOILUTSequence"):
        return _read_lut(item, negative=negative)
    if not tags.has_value("WindowCenter") and not tags.has_value("WindowWidth"):
        return None
    function = tags.text("VOILUTFunction") or "LINEAR"
    if function not in ("LINEAR", "LINEAR_EXACT", "SIGMOID"):
        problem = f"is {show_term(function)}; LINEAR, LINEAR_EXACT and SIGMOID are defined."
        raise tags.wrong("VOILUTFunction", problem, code="unsupported")
    try:
        centre, width = tags.number("WindowCenter"), tags.number("WindowWidth")
    except ImageError:
        return None
    # A width that C.11.2.1.2 forbids, or half a window, is no window: dcmtk too shows the whole range then.
    if centre is None or width is None or (width < 1 if function == "LINEAR" else width <= 0):
        return None
    return Window(centre, width, function)


def _read_lut(item: Tags, *, negative: bool) -> Lut:
    """Return a look-up table by its descriptor (C.11.1.1): number of entries, first input, bits of an entry."""
    descriptor = item.numbers("LUTDescriptor")
    if len(descriptor) != 3 or not 1 <= descriptor[2] <= 16:
        raise item.wrong("LUTDescriptor", "is not (entries, first input, 1 to 16 bits).")
    count, first, bits = int(descriptor[0]) % 2**16 or 2**16, int(descriptor[1]) % 2**16, int(descriptor[2])
    # 16 bits with or without a sign: a wrong VR (or none, in implicit VR) must not decide, but what the inputs can be.
    if negative and first >= 2**15:
        first -= 2**16
    data = item.values("LUTData")
    if len(data) == 1 and isinstance(data[0], bytes):
        order = "<" if item.dataset.original_encoding[1] else ">"
        packed = len(data[0]) in (count, count + 1) and count > 1  # 8-bit entries, one per byte
        if packed:
            entries = np.frombuffer(data[0], np.uint8)[:count]
        else:
            entries = np.frombuffer(data[0][: len(data[0]) // 2 * 2], np.dtype(f"{order}u2"))
    else:
        entries = np.array(data, np.int64)
    # A table longer than its declared count: dcmtk takes the entries that there are. Zeros alone, or what no entry can
    # be, are filling.
    rest = entries[count:]
    if len(rest) and not (0 < int(rest.max()) < 2**bits):
        entries = entries[:count]
    if len(entries) < count or int(entries.max()) >= 2**bits:
        raise item.wrong("LUTData", "has fewer entries, or higher ones, than its LUTDescriptor (0028,3002) declares.")
    return Lut(first, entries, bits)


def _read_padding(tags: Tags, shape: Shape) -> tuple[int, int] | None:
    """Return the lowest and highest stored value of the padding (C.7.5.1.1.2), or None."""
    value = tags.integer("PixelPaddingValue")
    if value is None:
        return None
    limit = tags.integer("PixelPaddingRangeLimit")
    ends = []
    for end in (value, value if limit is None else limit):
        # The type of these tags follows PixelRepresentation; not every writer knows.
        if shape.signed and end >= 2 ** (shape.allocated - 1):
            end -= 2**shape.allocated
        elif not shape.signed and end < 0:
            end += 2**shape.allocated
        ends.append(end)
    return min(ends), max(ends)


def _apply_display(stored: NDArray[np.integer], display: DisplayChain, *, exact: bool) -> NDArray[np.float32]:
    """Return [H, W] float32 in 0..1: each stored value through the table, in bands of rows to spare memory.

    Args:
        stored: [H, W] integers.
        display: The greyscale chain.
        exact: The values are the file's own bits, so that bits above BitsStored (old overlays) are no part of them
            (PS3.5 8.1.1). Otherwise they come from a decompressor, and a lossy one may overshoot the range.
    """
    table, lowest, mask = display.table(), display.lowest, 2**display.bits - 1
    outside = display.padding if display.padding and not lowest <= display.padding[0] <= lowest + mask else None
    pixels = np.empty(stored.shape, np.float32)
    for start in range(0, len(stored), 256):
        values = stored[start : start + 256].astype(np.int32)
        # Two's complement to the order of the table: turning the sign bit over is subtracting the lowest value.
        index = (values & mask) ^ -lowest if exact else np.clip(values - lowest, 0, mask)
        band = pixels[start : start + 256]
        np.take(table, index, out=band, mode="clip")
        if outside:
            band[(values >= outside[0]) & (values <= outside[1])] = 0.0
    return pixels


def _grey_of_colour(stored: NDArray[np.integer], shape: Shape, *, exact: bool) -> tuple[NDArray[np.float32], Metadata]:
    """Return [H, W] float32 in 0..1 of [H, W, 3] unsigned colours, by luma, and how much of them has a colour."""
    white = 2**shape.bits - 1
    colours = stored & white if exact else np.minimum(stored, white)
    grey = luma(*np.moveaxis(colours, -1, 0))
    eight_bits = (colours >> shape.bits - 8 if shape.bits > 8 else colours << 8 - shape.bits).astype(np.uint8)
    colour = measure_colour(Image.fromarray(eight_bits, "RGB"))
    return np.divide(grey, np.float32(white), dtype=np.float32), colour


def _read_turn(tags: Tags) -> Turn:
    """Return how to bring row 0 to the head and column 0 to the patient's right (C.7.6.1.1.1).

    PatientOrientation names the direction of the columns' order (along a row) and of the rows' order (down a column);
    ('L', 'F') is upright. Of an oblique direction ('LF') the first letter is the main one. A lateral view has no right:
    only its head is brought up. Without the tag the image stays as stored, as every viewer shows it.
    """
    directions = tags.texts("PatientOrientation")
    if not any(directions):
        return Turn()
    along, down = (d[:1] for d in directions) if len(directions) == 2 else ("", "")
    if down in ("F", "H") and along in ("L", "R", "A", "P"):
        return Turn(reverse_rows=down == "H", reverse_columns=along == "R")
    if along in ("F", "H") and down in ("L", "R", "A", "P"):
        return Turn(swap=True, reverse_rows=along == "H", reverse_columns=down == "R")
    raise tags.wrong(
        "PatientOrientation",
        "does not say which way the head is: one of its two directions is H or F, the other L, R, A or P.",
        "Correct or remove the tag at its source.",
    )
