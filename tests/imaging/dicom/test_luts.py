"""Look-up tables whose descriptors are written wrongly, pixel shapes and view terms, against dcmtk."""

from __future__ import annotations

import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from authorities import render_with_dcmtk
from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.golden_files import encode, make
from pneumoscope.imaging.golden_files.encode import dicom
from pneumoscope.imaging.read import decode

pydicom = pytest.importorskip("pydicom")
P12 = make.pattern(12)


def lut(count: int, first: int, bits: int, entries: NDArray[np.int64], vr: str) -> Any:
    """Return a table whose first input is written in the VR ``vr``, whatever its sign."""
    item = pydicom.Dataset()
    packed = struct.pack("<3H", count % 2**16, first % 2**16, bits)
    item.LUTDescriptor = list(struct.unpack("<3h" if vr == "SS" else "<3H", packed))
    item["LUTDescriptor"].VR = vr
    item.add_new("LUTData", "US", entries.tolist())
    return item


@pytest.mark.parametrize("vr", ["US", "SS"])
@pytest.mark.parametrize(
    ("signed", "first"),
    [(True, -2048), (True, -1000), (True, 100), (False, 0), (False, 40_000), (False, 33_000)],
)
def test_the_sign_of_a_modality_table_follows_the_pixels(signed: bool, first: int, vr: str, tmp_path: Path) -> None:
    """The first input is signed if PixelRepresentation is 1, whatever the VR of the descriptor is (C.11.1.1)."""
    bits = 12 if signed else 16
    values = P12 - 2048 if signed else make.pattern(16)
    entries = (np.arange(2500) * 26) % 2**16
    tags = {"PixelRepresentation": int(signed), "ModalityLUTSequence": [lut(2500, first, 16, entries, vr)]}
    expected = entries[np.clip(values - first, 0, 2499)] / 65535
    for syntax in (encode.EXPLICIT, encode.IMPLICIT, encode.BIG):
        data = dicom(values, bits, tags, syntax=syntax)
        np.testing.assert_allclose(decode(data, "x").pixels, expected, atol=1e-6)
    (tmp_path / "x.dcm").write_bytes(data)
    # dcmtk renders the range of the table's entries; C.11.1.1 declares 0 to 65,535.
    rendered = render_with_dcmtk(tmp_path / "x.dcm", "+Ww", "32768", "65536")
    np.testing.assert_allclose(decode(data, "x").pixels, rendered, atol=1e-4)


@pytest.mark.parametrize("vr", ["US", "SS"])
@pytest.mark.parametrize("first", [-2048, -300, 200])
def test_the_sign_of_a_voi_table_follows_its_inputs(first: int, vr: str, tmp_path: Path) -> None:
    entries = np.arange(4096)
    tags = {"PixelRepresentation": 1, "VOILUTSequence": [lut(4096, first, 12, entries, vr)]}
    data = dicom(P12 - 2048, 12, tags)
    expected = np.clip(P12 - 2048 - first, 0, 4095) / 4095
    np.testing.assert_allclose(decode(data, "x").pixels, expected, atol=1e-6)
    (tmp_path / "x.dcm").write_bytes(data)
    np.testing.assert_allclose(expected, render_with_dcmtk(tmp_path / "x.dcm", "+Wl", "1"), atol=1 / 2000)


@pytest.mark.parametrize(
    ("declared", "highest", "used"),
    [
        (16, 4095, 12),  # 12 bits in a table that declares 16: common in exports of CR
        (16, 3000, 12),  # the depth is whole bits: the brightest entry need not be white
        (16, 1023, 10),
        (16, 8191, 13),
        (16, 8192, 16),  # an eighth of 65,536: the declared range
        (16, 65_535, 16),
        (12, 4095, 12),
        (12, 255, 8),
        (12, 600, 12),
        (8, 20, 5),
        (8, 255, 8),
    ],
)
@pytest.mark.parametrize("inverse", [False, True])
def test_a_voi_table_that_fills_little_of_its_declared_range_sets_its_own(
    declared: int, highest: int, used: int, inverse: bool, tmp_path: Path
) -> None:
    entries = np.arange(4096) * highest // 4095
    tags: dict[str, Any] = {"VOILUTSequence": [lut(4096, 0, declared, entries, "US")]}
    if inverse:
        tags["PhotometricInterpretation"] = "MONOCHROME1"
    radiograph = decode(dicom(P12, 12, tags), "x")
    expected = entries[P12] / (2**used - 1)
    np.testing.assert_allclose(radiograph.pixels, 1 - expected if inverse else expected, atol=1e-6)
    note = (radiograph.metadata.get("lut_bits"), radiograph.metadata.get("lut_bits_declared"))
    assert note == ((None, None) if used == declared else (used, declared))
    (tmp_path / "x.dcm").write_bytes(dicom(P12, 12, tags))
    if used != declared and used >= 8:  # dcmtk's option for tables whose depth is declared wrongly; it takes 8 at least
        rendered = render_with_dcmtk(tmp_path / "x.dcm", "+Wl", "1", "+Mv")
        np.testing.assert_allclose(radiograph.pixels, rendered, atol=1.1 / (2**used - 1))


def test_a_table_of_zeros_keeps_its_declared_range() -> None:
    radiograph = decode(dicom(P12, 12, {"VOILUTSequence": [lut(10, 0, 16, np.zeros(10, int), "US")]}), "x")
    assert not radiograph.pixels.any()
    assert "lut_bits" not in radiograph.metadata


def test_a_modality_table_without_a_window_sets_its_own_range_too() -> None:
    tags = {"ModalityLUTSequence": [lut(4096, 0, 16, np.arange(4096), "US")]}
    radiograph = decode(dicom(P12, 12, tags), "x")
    np.testing.assert_allclose(radiograph.pixels, P12 / 4095, atol=1e-6)
    assert radiograph.metadata["lut_bits"] == 12


@pytest.mark.parametrize(
    ("aspect", "shape"),
    [([2, 1], (2, 1)), ([1, 2], (1, 2)), ([4, 3], (4, 3)), ([1, 1], (None, None)), ([0, 0], (None, None))],
)
def test_the_pixel_aspect_ratio_is_height_to_width(
    aspect: list[int], shape: tuple[float | None, float | None], tmp_path: Path
) -> None:
    tags = {"PixelAspectRatio": aspect, "PixelSpacing": None}
    facts = decode(dicom(P12, 12, tags), "x").metadata
    assert (facts["pixel_aspect_row"], facts["pixel_aspect_col"]) == shape
    if shape[0] is None or shape[1] is None:
        return
    # dcmtk makes the pixels square when it scales.
    (tmp_path / "x.dcm").write_bytes(dicom(P12, 12, tags))
    height, width = render_with_dcmtk(tmp_path / "x.dcm", "+Sxv", "60").shape
    assert height / width == pytest.approx(24 / 20 * shape[0] / shape[1], rel=0.02)


def test_the_pixel_aspect_ratio_follows_a_turned_image_and_yields_to_a_spacing() -> None:
    turned = {"PixelAspectRatio": [2, 1], "PixelSpacing": None, "PatientOrientation": ["F", "L"]}
    facts = decode(dicom(P12, 12, turned), "x").metadata
    assert (facts["pixel_aspect_row"], facts["pixel_aspect_col"]) == (1, 2)
    facts = decode(dicom(P12, 12, {"PixelAspectRatio": [2, 1]}), "x").metadata  # beside PixelSpacing 0.2\0.1
    assert facts["pixel_aspect_row"] is None


@pytest.mark.parametrize(
    ("stated", "view"),
    [
        ("AP SUPINE", "AP Supine"),
        ("AP Supine", "AP Supine"),
        ("ap_supine", "AP Supine"),
        ("pa", "PA"),
        ("L", "L"),
        ("LL", "LL"),
    ],
)
def test_a_view_term_matches_our_table_in_any_case(stated: str, view: str) -> None:
    with pydicom.config.disable_value_validation():
        data = dicom(P12, 12, {"ViewPosition": stated})
    assert decode(data, "x").metadata["view"] == view


def test_a_model_sees_the_same_square_whatever_the_shape_of_a_pixel() -> None:
    """Stretch 64 rows of pixels twice as tall as wide, and the same picture drawn in 128 rows of square pixels."""
    torch = pytest.importorskip("torch", reason="needs torch")
    from pneumoscope.training.input.cache import resize_square

    def draw(rows: int) -> Any:
        y, x = np.mgrid[:rows, :128]
        down, along = (y + 0.5) / rows, (x + 0.5) / 128
        return torch.tensor(0.5 + 0.3 * np.sin(6 * down) * np.cos(5 * along) + 0.1 * down, dtype=torch.float32)

    tall, square = (resize_square(draw(rows)[None, None], 32)[0, 0].numpy() for rows in (64, 128))
    np.testing.assert_allclose(tall, square, atol=2e-3)


def with_text(data: bytes, **texts: str) -> bytes:
    """Return a file whose tags hold text that is no value of their VR."""
    from pydicom.datadict import tag_for_keyword
    from pydicom.dataelem import RawDataElement

    dataset = pydicom.dcmread(BytesIO(data))
    for keyword, text in texts.items():
        tag = pydicom.tag.Tag(tag_for_keyword(keyword))
        raw = text.encode() + b" " * (len(text) % 2)
        dataset[tag] = RawDataElement(tag, "DS", len(raw), raw, 0, False, True, True)
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("centre", "width", "function"),
    [
        ("2048", "0", ""),
        ("2048", "0.5", ""),
        ("2048", "0.5", "LINEAR"),
        ("2048", "-5", ""),
        ("2048", "0", "SIGMOID"),
        ("2048", "-1", "LINEAR_EXACT"),
        ("2048\\1000", "0\\500", ""),
        ("2048", "", ""),
        ("", "100", ""),
        ("abc", "100", ""),
        ("2048", "wide", ""),
        ("nan", "100", ""),
    ],
)
def test_a_window_that_the_standard_does_not_allow_is_no_window(
    centre: str, width: str, function: str, tmp_path: Path
) -> None:
    """C.11.2.1.2: the width is at least 1, above 0 for the other functions. dcmtk shows the whole range instead."""
    tags = {"WindowCenter": 1, "WindowWidth": 1, **({"VOILUTFunction": function} if function else {})}
    data = with_text(dicom(P12, 12, tags), WindowCenter=centre, WindowWidth=width)
    radiograph = decode(data, "x")
    np.testing.assert_allclose(radiograph.pixels, P12 / 4095, atol=1e-6)
    assert radiograph.metadata["window"] == "ignored"
    (tmp_path / "x.dcm").write_bytes(data)
    options = () if "" in (centre, width) or centre == "nan" else ("+Wi", "1")  # there dcmtk has no window 1, or NaN
    np.testing.assert_allclose(radiograph.pixels, render_with_dcmtk(tmp_path / "x.dcm", *options), atol=1 / 4095)


def test_the_narrowest_window_is_one(tmp_path: Path) -> None:
    data = dicom(P12, 12, {"WindowCenter": 2048, "WindowWidth": 1})
    (tmp_path / "x.dcm").write_bytes(data)
    radiograph = decode(data, "x")
    np.testing.assert_array_equal(radiograph.pixels, render_with_dcmtk(tmp_path / "x.dcm", "+Wi", "1"))
    assert "window" not in radiograph.metadata


@pytest.mark.parametrize(
    ("slope", "intercept", "window"),
    [
        ("0", "0", False),
        ("0", "-100", True),
        ("-0", "-100", False),
        ("", "-100", True),
        ("", "0", False),
        ("2", "", True),
        ("abc", "5", True),
        ("2", "abc", False),
        ("", "", True),
    ],
)
def test_half_a_rescale_or_a_slope_of_zero_is_none(slope: str, intercept: str, window: bool, tmp_path: Path) -> None:
    """C.11.1.1.2 needs both, and says nothing of a slope of 0. dcmtk shows the stored values."""
    tags = {"RescaleSlope": 1, "RescaleIntercept": 1, **({"WindowCenter": 1000, "WindowWidth": 800} if window else {})}
    data = with_text(dicom(P12, 12, tags), RescaleSlope=slope, RescaleIntercept=intercept)
    radiograph = decode(data, "x")
    (tmp_path / "x.dcm").write_bytes(data)
    rendered = render_with_dcmtk(tmp_path / "x.dcm", *(("+Wi", "1") if window else ()))
    np.testing.assert_allclose(radiograph.pixels, rendered, atol=1 / 4095)
    assert radiograph.metadata.get("rescale") == ("ignored" if slope or intercept else None)


def _incomplete(kind: str) -> Any:
    item = pydicom.Dataset()
    if kind == "explanation":
        item.LUTExplanation = "NORMAL"
    if kind == "descriptor":
        item.LUTDescriptor = [4096, 0, 12]
    if kind == "data":
        item.add_new("LUTData", "US", [1, 2, 3])
    return item


@pytest.mark.parametrize("kind", ["empty", "explanation", "descriptor", "data"])
def test_an_item_without_a_table_is_none(kind: str, tmp_path: Path) -> None:
    """A window or a rescale beside it holds, and the next item that has a table; so dcmtk reads it."""
    window = {"WindowCenter": 1000, "WindowWidth": 800}
    rescale = {"RescaleSlope": 1, "RescaleIntercept": -100}
    table = lut(4096, 0, 12, np.arange(4095, -1, -1), "US")
    for tags, option in (
        ({**window, "VOILUTSequence": [_incomplete(kind)]}, ("+Wi", "1")),
        ({**window, **rescale, "ModalityLUTSequence": [_incomplete(kind)]}, ("+Wi", "1")),
        ({"VOILUTSequence": [_incomplete(kind)]}, ()),
        ({"VOILUTSequence": [_incomplete(kind), table]}, ("+Wl", "2")),
    ):
        data = dicom(P12, 12, tags)
        (tmp_path / "x.dcm").write_bytes(data)
        rendered = render_with_dcmtk(tmp_path / "x.dcm", *option)
        np.testing.assert_allclose(decode(data, "x").pixels, rendered, atol=1 / 2000)


@pytest.mark.parametrize("sequence", ["VOILUTSequence", "ModalityLUTSequence"])
@pytest.mark.parametrize("declared", [1, 2000])
@pytest.mark.parametrize("vr", ["US", "OW"])
def test_a_table_longer_than_its_declared_count_is_used_whole(
    declared: int, vr: str, sequence: str, tmp_path: Path
) -> None:
    item = lut(declared, 0, 12, np.arange(4096), "US")
    if vr == "OW":
        item.add_new("LUTData", "OW", np.arange(4096, dtype="<u2").tobytes())
    data = dicom(P12, 12, {sequence: [item]})
    np.testing.assert_allclose(decode(data, "x").pixels, P12 / 4095, atol=1e-6)
    (tmp_path / "x.dcm").write_bytes(data)
    rendered = render_with_dcmtk(tmp_path / "x.dcm", *(("+Wl", "1") if sequence == "VOILUTSequence" else ()))
    np.testing.assert_allclose(decode(data, "x").pixels, rendered, atol=1 / 2000)


@pytest.mark.parametrize("filling", [0, 65_535])
def test_what_fills_a_table_is_no_entry(filling: int) -> None:
    entries = np.r_[np.arange(2000) * 2, np.full(48, filling)]
    pixels = decode(dicom(P12, 12, {"VOILUTSequence": [lut(2000, 0, 12, entries, "US")]}), "x").pixels
    np.testing.assert_allclose(pixels, np.minimum(P12, 1999) * 2 / 4095, atol=1e-6)


def test_a_table_of_an_odd_number_of_bytes_is_refused_by_name() -> None:
    item = lut(1000, 0, 12, np.arange(1000), "US")
    item.add_new("LUTData", "OB", bytes(1501))
    with pytest.raises(ImageError, match="LUTData"):
        decode(dicom(P12, 12, {"VOILUTSequence": [item]}), "x")
