"""TIFF against tifffile: byte orders, strips, tiles, predictors, white-is-zero, and samples that are refused."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import pytest
from numpy.typing import NDArray

from authorities import decode_with_tifffile
from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.golden_files import make
from pneumoscope.imaging.golden_files.encode import tiff
from pneumoscope.imaging.read import decode

NONE, DEFLATE, PACKBITS = 1, 8, 32773  # Compression (TIFF 6.0 p. 30 and its supplement 2)
UNSIGNED, SIGNED, FLOAT, UNDEFINED = 1, 2, 3, 4  # SampleFormat (p. 80)


def packbits(data: bytes) -> bytes:
    """Return data as runs of literal bytes (TIFF 6.0 p. 42)."""
    pieces = [data[start : start + 128] for start in range(0, len(data), 128)]
    return b"".join(bytes([len(piece) - 1]) + piece for piece in pieces)


def draw_tiff(
    samples: NDArray[np.int64],
    bits: int,
    *,
    order: str = "<",
    big: bool = False,
    white_is_zero: bool = False,
    compression: int = NONE,
    predictor: int = 1,
    rows_per_strip: int = 0,
    tile: int = 0,
    sample_format: int | None = None,
) -> bytes:
    """Return a greyscale TIFF or BigTIFF of 8 or 16 bits, in strips or in tiles of ``tile`` x ``tile`` pixels."""
    height, width = samples.shape
    kind = np.dtype(f"{order}u{bits // 8}")
    if tile:
        padded = np.pad(samples, ((0, -height % tile), (0, -width % tile)), mode="edge")
        blocks = [
            padded[y : y + tile, x : x + tile]
            for y in range(0, padded.shape[0], tile)
            for x in range(0, padded.shape[1], tile)
        ]
    else:
        rows = rows_per_strip or height
        blocks = [samples[y : y + rows] for y in range(0, height, rows)]
    coded = []
    for block in blocks:
        if predictor == 2:  # horizontal differences, modulo the sample's range (p. 64)
            block = np.diff(block, axis=1, prepend=0) % 2**bits
        plain = block.astype(kind).tobytes()
        coded.append({NONE: bytes, DEFLATE: zlib.compress, PACKBITS: packbits}[compression](plain))
    fields: dict[int, Sequence[int]] = {
        256: [width],
        257: [height],
        258: [bits],
        259: [compression],
        262: [0 if white_is_zero else 1],
        277: [1],
        317: [predictor],
        **({} if sample_format is None else {339: [sample_format]}),
    }
    head = 16 if big else 8
    starts = [head + sum(len(block) + len(block) % 2 for block in coded[:place]) for place in range(len(coded))]
    lengths = [len(block) for block in coded]
    fields |= {322: [tile], 323: [tile], 324: starts, 325: lengths} if tile else {}
    fields |= {} if tile else {273: starts, 278: [rows_per_strip or height], 279: lengths}
    data = b"".join(block + bytes(len(block) % 2) for block in coded)
    at, count, offset, slot = head + len(data), "Q" if big else "H", "Q" if big else "I", 8 if big else 4
    directory = struct.pack(f"{order}{count}", len(fields))
    after, extra = at + len(directory) + len(fields) * (12 + 8 * big) + slot, b""
    for tag, values in sorted(fields.items()):
        packed = struct.pack(f"{order}{len(values)}I", *values)
        if len(packed) > slot:
            packed, extra = struct.pack(f"{order}{offset}", after + len(extra)), extra + packed
        directory += struct.pack(f"{order}HH{offset}", tag, 4, len(values)) + packed.ljust(slot, b"\0")
    version = struct.pack(f"{order}HHHQ", 43, 8, 0, at) if big else struct.pack(f"{order}HI", 42, at)
    return (b"II" if order == "<" else b"MM") + version + data + directory + bytes(slot) + extra


FORMS = [
    {},
    {"rows_per_strip": 7},
    {"rows_per_strip": 1},
    {"tile": 16},
    {"compression": DEFLATE},
    {"compression": DEFLATE, "predictor": 2},
    {"compression": DEFLATE, "predictor": 2, "rows_per_strip": 5},
    {"compression": DEFLATE, "predictor": 2, "tile": 16},
    {"compression": PACKBITS, "rows_per_strip": 7},
    {"compression": DEFLATE, "tile": 16},
    {"big": True},
    {"big": True, "rows_per_strip": 7},
    {"sample_format": UNSIGNED},
    {"sample_format": UNDEFINED},
]


@pytest.mark.parametrize("form", FORMS, ids=lambda form: "-".join(f"{k}={v}" for k, v in form.items()) or "plain")
@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("order", ["<", ">"])
def test_every_form_of_grey_tiff_agrees_with_tifffile(form: dict[str, int], bits: int, order: str) -> None:
    samples = make.pattern(bits)
    for white_is_zero in (False, True):
        data = draw_tiff(samples, bits, order=order, white_is_zero=white_is_zero, **form)  # type: ignore[arg-type]
        expected = samples / (2**bits - 1)
        radiograph = decode(data, "x")
        np.testing.assert_allclose(radiograph.pixels, 1 - expected if white_is_zero else expected, atol=1e-6)
        assert radiograph.bits == bits
        if form.get("compression") != PACKBITS:
            np.testing.assert_array_equal(decode_with_tifffile(data), samples)


@pytest.mark.parametrize("bits", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("sample_format", [SIGNED, FLOAT, 5, 6])
@pytest.mark.parametrize("photometric", [0, 1, 3])
def test_signed_and_float_samples_of_any_depth_are_refused(bits: int, sample_format: int, photometric: int) -> None:
    palette = {320: [0] * 3 * 2**bits} if photometric == 3 else {}
    if bits == 16 and photometric == 3:
        pytest.skip("a palette of 16 bits does not exist")
    data = tiff(make.pattern(bits), bits, photometric, tags={339: [sample_format], **palette})
    with pytest.raises(ImageError, match=f"samples of {bits} bits that are colour, signed, floating") as error_info:
        decode(data, "x")
    assert error_info.value.code == "unsupported"


def test_signed_colours_are_refused() -> None:
    data = tiff(make.colours(8), 8, 2, tags={339: [SIGNED] * 3})
    with pytest.raises(ImageError, match="signed"):
        decode(data, "x")


def test_tifffile_reads_signed_samples_as_negative_numbers() -> None:
    """The authority for the refusal: -128 is not the grey .502 that an unsigned reading gives."""
    data = draw_tiff(np.array([[0x80, 0xFF], [0x00, 0x7F]]), 8, sample_format=SIGNED)
    np.testing.assert_array_equal(decode_with_tifffile(data), [[-128, -1], [0, 127]])


@pytest.mark.parametrize("missing", [1, 3, 150, 3000])
@pytest.mark.parametrize("layout", [{"rowsperstrip": 10}, {"tile": (16, 16)}], ids=["strips", "tiles"])
def test_a_file_without_its_last_bytes_is_truncated(layout: dict[str, object], missing: int) -> None:
    """The directory stands in front of the pixels here, so that only pixels are missing."""
    tifffile = pytest.importorskip("tifffile", reason="no tifffile: pip install 'pneumoscope[dev]'")
    samples = np.random.default_rng(0).integers(1, 65536, (70, 50), dtype=np.uint16)
    file = io.BytesIO()
    tifffile.imwrite(file, samples, photometric="minisblack", **layout)
    whole = file.getvalue()
    assert np.array_equal(np.rint(decode(whole, "a.tif").pixels * 65535), samples)
    with pytest.raises(ImageError, match="truncated") as error:
        decode(whole[:-missing], "a.tif")
    assert error.value.code == "damaged"
