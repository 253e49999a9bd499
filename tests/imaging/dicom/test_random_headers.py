"""Random CR and DX headers against dcmtk: 200 cases with fixed seeds.

Each case draws signedness, bits, modality table or rescale, VOI table or windows, padding, the shape of a pixel, the
photometric interpretation and the transfer syntax. dcmtk renders the same file. Where dcmtk deviates from the standard,
`Case.options` and `Case.twin` say in what: dcmtk then renders an equivalent header by the standard's formula.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from authorities import compress_with_dcmtk, dcmtk, render_with_dcmtk, stored_values_with_gdcm
from pneumoscope.imaging.golden_files import encode
from pneumoscope.imaging.golden_files.encode import dicom
from pneumoscope.imaging.read import decode

pydicom = pytest.importorskip("pydicom")
CASES, GROUPS = 200, 8
SHAPE = (32, 40)  # JPEG 2000 halves an image five times
DX_STORAGE = "1.2.840.10008.5.1.4.1.1.1.1"
JPEG_LOSSLESS = "1.2.840.10008.1.2.4.70"
NATIVE = (encode.IMPLICIT, encode.EXPLICIT, encode.BIG, encode.DEFLATED)
SYNTAXES = (*NATIVE, encode.RLE, encode.JPEG_LS, encode.JPEG_2000, JPEG_LOSSLESS)


@dataclass(frozen=True)
class Case:
    """One drawn file.

    Attributes:
        tags: Its tags.
        stored: [H, W] stored values with random bits above BitsStored, as they lie in the file.
        bits: BitsStored.
        syntax: Transfer syntax.
        padding: [H, W] whether a pixel is padding.
        twin: Tags of the file that dcmtk renders, where they differ.
        options: How dcmtk is asked for what the file declares.
        step: By how much dcmtk's grey may differ: a table's or a whole range's levels are spread over 16 bits with
            the last step cut off. Windows agree to the last bit.
    """

    tags: dict[str, Any]
    stored: NDArray[np.int64]
    bits: int
    syntax: str
    padding: NDArray[np.bool_]
    twin: dict[str, Any]
    options: tuple[str, ...]
    step: float


# Encoders and GDCM are not made for several threads (a run crashed); dcmtk is a process of its own.
ONE_AT_A_TIME = Lock()


def draw_case(seed: int) -> Case:
    """Draw a case."""
    rng = np.random.default_rng([77, seed])
    bits = int(rng.integers(6, 17))
    allocated = 16 if bits > 8 or rng.random() < 0.3 else 8
    signed = bool(rng.random() < 0.35)
    lowest = -(2 ** (bits - 1)) if signed else 0
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    share = (y / SHAPE[0] + x / SHAPE[1]) / 2 + rng.normal(0, 0.05, SHAPE)
    values = np.clip(np.rint(share * (2**bits - 1)), 0, 2**bits - 1).astype(np.int64) + lowest
    values[0, 0], values[-1, -1] = lowest, lowest + 2**bits - 1
    tags: dict[str, Any] = {"PixelRepresentation": int(signed), "BitsAllocated": allocated}
    if rng.random() < 0.5:
        tags |= {"SOPClassUID": DX_STORAGE, "Modality": "DX", "PresentationIntentType": "FOR PRESENTATION"}
    if rng.random() < 0.4:
        tags["PhotometricInterpretation"] = "MONOCHROME1"
    if rng.random() < 0.5:
        inverse = tags.get("PhotometricInterpretation") == "MONOCHROME1"
        tags["PresentationLUTShape"] = "INVERSE" if inverse else "IDENTITY"
    low, high = _draw_modality(rng, tags, lowest, lowest + 2**bits - 1, signed=signed)
    twin, options, step = _draw_voi(rng, tags, low, high)
    _draw_pixel_shape(rng, tags)
    padding = _draw_padding(rng, tags, values)
    unused = rng.integers(0, 2 ** (allocated - bits), SHAPE) << bits
    stored = (values & (2**bits - 1)) | unused
    if signed:
        stored = np.where(stored >= 2 ** (allocated - 1), stored - 2**allocated, stored)
    syntax = SYNTAXES[seed % len(SYNTAXES)]
    return Case(tags, stored, bits, syntax, padding, twin, options, max(step, 1.5 / 65535))


def _draw_modality(
    rng: np.random.Generator, tags: dict[str, Any], low: int, high: int, *, signed: bool
) -> tuple[float, float]:
    """Draw a rescale, a table or nothing; return the lowest and highest output."""
    kind = rng.choice(["none", "rescale", "table"], p=[0.4, 0.35, 0.25])
    if kind == "rescale":
        slope = float(rng.choice([1, 1, 2, 4, 0.5, 0.25, -1, -2]))
        intercept = float(rng.integers(-3000, 3000))
        tags |= {"RescaleSlope": slope, "RescaleIntercept": intercept, "RescaleType": "US"}
        ends = (low * slope + intercept, high * slope + intercept)
        return min(ends), max(ends)
    if kind == "table":
        depth = int(rng.integers(8, 17))
        count = int(rng.integers(2, min(high - low + 1, 3000)))
        entries = np.sort(rng.integers(0, 2**depth, count))
        entries[-1] = 2**depth - 1
        first = int(rng.integers(low, high - count + 2))
        tags["ModalityLUTSequence"] = [make_table(rng, count, first, depth, entries, signed=signed)]
        return 0, 2**depth - 1
    return low, high


def _draw_voi(
    rng: np.random.Generator, tags: dict[str, Any], low: float, high: float
) -> tuple[dict[str, Any], tuple[str, ...], float]:
    """Draw windows, a table or nothing; return dcmtk's tags and options, and by how much its grey may differ."""
    span, slope = high - low, abs(tags.get("RescaleSlope", 1.0))
    unit, twin = 1.0, {}
    if slope < 1:
        # dcmtk cuts rescaled values to whole numbers; C.11.1.1.2 keeps the fraction. Its file has a smaller unit.
        unit = slope
        twin = {"RescaleSlope": tags["RescaleSlope"] / unit, "RescaleIntercept": tags["RescaleIntercept"] / unit}
    kind = rng.choice(["none", "window", "table"], p=[0.2, 0.55, 0.25])
    if kind == "none":
        if "ModalityLUTSequence" in tags:
            # dcmtk takes the range of the table's entries; C.11.1.1 declares 0 to 2**bits - 1.
            return twin, ("+Ww", f"{(high + 1) / 2:g}", f"{high + 1:g}"), 0
        return twin, (), slope / span
    if kind == "table" and slope >= 1:
        count = int(rng.integers(2, 2000))
        depth = int(rng.integers(8, 17))
        entries = np.sort(rng.integers(0, 2**depth, count))
        entries[-1] = 2**depth - 1
        first = int(rng.integers(max(low, -(2**15)), min(high, 2**16 - 1 if low >= 0 else 2**15 - 1) + 1))
        tags["VOILUTSequence"] = [make_table(rng, count, first, depth, entries, signed=low < 0)]
        return twin, ("+Wl", "1"), 1 / (2**depth - 1)
    centre = float(np.round(rng.uniform(low, high), 1))
    width = float(np.round(rng.uniform(2, 1.5 * span), 1))
    function = rng.choice(["", "LINEAR", "LINEAR_EXACT", "SIGMOID"])
    tags |= {"WindowCenter": [centre, low], "WindowWidth": [width, 50.0]}
    if function:
        tags["VOILUTFunction"] = str(function)
    # dcmtk 3.6.7 does not know LINEAR_EXACT (C.11.2.1.3.2): LINEAR of half a value and one value more is the same.
    if function == "LINEAR_EXACT":
        return twin, ("+Ww", f"{centre / unit + 0.5:.1f}", f"{width / unit + 1:.1f}"), 0
    if unit == 1:
        return twin, ("+Wi", "1"), 0
    if function == "SIGMOID":
        twin |= {"WindowCenter": centre / unit, "WindowWidth": width / unit}
    else:
        twin |= {"WindowCenter": (centre - 0.5) / unit + 0.5, "WindowWidth": (width - 1) / unit + 1}
    return twin, ("+Wi", "1"), 0


def make_table(
    rng: np.random.Generator, count: int, first: int, depth: int, entries: NDArray[np.int64], *, signed: bool
) -> Any:
    """Return a table, its entries in either VR."""
    item = pydicom.Dataset()
    vr = "SS" if signed else "US"
    numbers = [count, first % 2**16, depth]
    item.LUTDescriptor = [number - 2**16 if vr == "SS" and number >= 2**15 else number for number in numbers]
    item["LUTDescriptor"].VR = vr
    if rng.random() < 0.5:
        item.add_new("LUTData", "OW", entries.astype("<u2").tobytes())
    else:
        item.add_new("LUTData", "US", entries.tolist())
    return item


def _draw_pixel_shape(rng: np.random.Generator, tags: dict[str, Any]) -> None:
    kind = rng.choice(["none", "aspect", "spacing", "detector"])
    height, width = float(rng.integers(1, 4)), float(rng.integers(1, 4))
    tags["PixelSpacing"] = [height / 10, width / 10] if kind == "spacing" else None
    if kind == "aspect":
        tags["PixelAspectRatio"] = [int(height), int(width)]
    if kind == "detector":
        tags["ImagerPixelSpacing"] = [height / 10, width / 10]


def _draw_padding(rng: np.random.Generator, tags: dict[str, Any], values: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Draw a padding value or range; return where it holds. dcmtk renders padding as a value, against C.7.5.1.1.2."""
    kind = rng.choice(["none", "value", "range"], p=[0.6, 0.2, 0.2])
    if kind == "none":
        return np.zeros(values.shape, np.bool_)
    one, other = (int(value) for value in rng.choice(values.ravel(), 2))
    tags["PixelPaddingValue"] = one
    if kind == "range":
        tags["PixelPaddingRangeLimit"] = other
    else:
        other = one
    return (values >= min(one, other)) & (values <= max(one, other))


def write_case(case: Case, path: Path) -> bytes:
    """Write the case's file and return its bytes."""
    allocated = case.tags["BitsAllocated"]
    # Encoders take all allocated bits, so that the unused ones are in the stream; then the header says which are used.
    base = encode.EXPLICIT if case.syntax == JPEG_LOSSLESS else case.syntax
    tags = deepcopy(case.tags) | {"HighBit": allocated - 1}
    if base == encode.BIG:  # words keep the byte order of the file
        for table in (*tags.get("ModalityLUTSequence", ()), *tags.get("VOILUTSequence", ())):
            if table["LUTData"].VR == "OW":
                table.LUTData = np.frombuffer(table.LUTData, "<u2").byteswap().tobytes()
    data = dicom(case.stored, allocated, tags, syntax=base)
    path.write_bytes(data)
    if case.syntax == JPEG_LOSSLESS:
        data = compress_with_dcmtk(path, "dcmcjpeg", "+e1").read_bytes()
    dataset = pydicom.dcmread(pydicom.filebase.DicomBytesIO(data))
    dataset.BitsStored, dataset.HighBit = case.bits, case.bits - 1
    dataset.save_as(path)
    return path.read_bytes()


def check_case(seed: int, folder: Path) -> str:
    """Return what is wrong with a case; empty if nothing is."""
    case = draw_case(seed)
    path = folder / f"{seed}.dcm"
    with ONE_AT_A_TIME:
        radiograph = decode(write_case(case, path), str(seed))
        syntax = case.syntax
        if syntax == encode.JPEG_2000:
            # dcmtk has no JPEG 2000: GDCM decodes the stream, and dcmtk renders the same values uncompressed.
            gdcm = stored_values_with_gdcm(path)
            if not np.array_equal(gdcm & (2**case.bits - 1), case.stored & (2**case.bits - 1)):
                return f"{seed}: GDCM decodes other values"
            syntax = encode.EXPLICIT
        if syntax != case.syntax or case.twin:
            write_case(replace(case, tags=case.tags | case.twin, syntax=syntax), path)
    rendered = render_with_dcmtk(path, *case.options)
    if radiograph.pixels[case.padding].any():
        return f"{seed}: padding is not black"
    difference = np.abs(radiograph.pixels - rendered)[~case.padding]
    if difference.size and difference.max() > case.step:
        return f"{seed}: {difference.max():.5f} > {case.step:.5f}, {case.options}, {case.bits} bits, {case.tags}"
    aspect = case.tags.get("PixelAspectRatio")
    expected = None if aspect is None or aspect[0] == aspect[1] else aspect[0] / aspect[1]
    row, column = radiograph.metadata["pixel_aspect_row"], radiograph.metadata["pixel_aspect_col"]
    stated = None if row is None or column is None else float(row) / float(column)
    return "" if stated == expected else f"{seed}: the pixel is {stated}, not {expected}"


@pytest.mark.parametrize("group", range(GROUPS))
def test_random_headers_are_rendered_as_dcmtk_renders_them(group: int, tmp_path: Path) -> None:
    dcmtk("dcm2pnm")
    with ThreadPoolExecutor(4) as pool:
        problems = pool.map(lambda seed: check_case(seed, tmp_path), range(group, CASES, GROUPS))
        assert [problem for problem in problems if problem] == []
