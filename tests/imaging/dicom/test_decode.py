"""DICOM: codecs against pydicom's sample files, refusals, metadata and real radiographs."""

from __future__ import annotations

import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pneumoscope.core.errors import ImageError, MissingExtraError
from pneumoscope.imaging.golden_files import encode, make
from pneumoscope.imaging.golden_files.encode import dicom
from pneumoscope.imaging.read import decode, read

pydicom = pytest.importorskip("pydicom")
P12 = make.pattern(12)

# The pydicom package contains these samples. The grey ones are of other modalities; the test changes that tag.
GREY = ("JPEG2000.dcm", "JPEGLSNearLossless_16.dcm", "MR_small_RLE.dcm", "MR_small_bigendian.dcm", "image_dfl.dcm")
COLOUR = (
    "SC_rgb_jpeg_gdcm.dcm",  # JPEG lossless
    "SC_rgb_dcmtk_+eb+cy+np.dcm",  # JPEG baseline, YBR 4:2:2
    "SC_rgb_gdcm_KY.dcm",  # JPEG 2000
    "SC_rgb_jls_lossy_line.dcm",  # JPEG-LS near-lossless
    "SC_rgb_rle_16bit.dcm",
    "SC_rgb_small_odd_big_endian.dcm",
    "SC_ybr_full_422_uncompressed.dcm",
)


def sample(name: str) -> Any:
    """Return a sample of pydicom with the tags of a computed radiograph."""
    from pydicom.data import get_testdata_file

    dataset = get_testdata_file(name, read=True, download=False)
    dataset.Modality = "OT"
    dataset.SOPClassUID = encode.CR_STORAGE
    return dataset


def encode_again(dataset: Any) -> bytes:
    buffer = BytesIO()
    dataset.save_as(buffer)
    return buffer.getvalue()


@pytest.mark.parametrize("name", GREY)
def test_grey_codecs_agree_with_pydicom(name: str) -> None:
    dataset = sample(name)
    for keyword in ("WindowCenter", "WindowWidth", "RescaleSlope", "RescaleIntercept", "PixelPaddingValue"):
        if keyword in dataset:
            del dataset[keyword]
    lowest = -(2 ** (dataset.BitsStored - 1)) if dataset.PixelRepresentation else 0
    reference = (dataset.pixel_array.astype(float) - lowest) / (2**dataset.BitsStored - 1)
    np.testing.assert_allclose(decode(encode_again(dataset), name).pixels, reference, atol=1e-6)


@pytest.mark.parametrize("name", COLOUR)
def test_colour_codecs_agree_with_pydicom(name: str) -> None:
    from pydicom.pixels import pixel_array

    dataset = sample(name)
    white = 2**dataset.BitsStored - 1
    # GDCM, which pydicom prefers where it is installed, interpolates halved colours in another way.
    is_coded = dataset.file_meta.TransferSyntaxUID.is_encapsulated and "rle" not in name
    pixels = pixel_array(dataset, decoding_plugin="pylibjpeg" if is_coded else "")
    reference = pixels @ np.array([0.299, 0.587, 0.114]) / white
    np.testing.assert_allclose(decode(encode_again(dataset), name).pixels, reference, atol=0.51 / white)


@pytest.mark.parametrize("syntax", [encode.JPEG_LS, encode.JPEG_2000, encode.RLE, encode.DEFLATED, encode.BIG])
def test_every_codec_keeps_the_sign(syntax: str) -> None:
    values = P12.repeat(2, 0).repeat(2, 1)
    data = dicom(values - 2048, 12, {"PixelRepresentation": 1}, syntax=syntax)
    np.testing.assert_allclose(decode(data, "x").pixels, values / 4095, atol=1e-6)


def test_a_12_bit_jpeg_agrees_with_pydicom() -> None:
    from pydicom.data import get_testdata_file

    dataset = get_testdata_file("JPGExtended.dcm", read=True, download=False)
    dataset.Modality, dataset.SOPClassUID = "CR", encode.CR_STORAGE
    pixels = decode(encode_again(dataset), "x").pixels
    np.testing.assert_allclose(pixels, dataset.pixel_array / 4095, atol=1e-6)


def test_a_lossy_overshoot_is_white_and_does_not_wrap_to_black() -> None:
    """Decode a 16-bit stream of 12-bit values, as some lossy coders write it. 4,200 is a rounding error above white."""
    from pydicom.uid import JPEG2000

    values = np.full((64, 64), 4200)
    tags = {"BitsStored": 12, "HighBit": 11}
    dataset = pydicom.dcmread(BytesIO(dicom(values, 16)))
    dataset.compress(JPEG2000, j2k_psnr=[80])
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)
    np.testing.assert_array_equal(decode(encode_again(dataset), "x").pixels, np.ones((64, 64), np.float32))


def test_padding_outside_the_stored_bits_is_black() -> None:
    values = P12.copy()
    values[:3] = 0xF830  # -2000 in 16 bits
    tags = {"PixelPaddingValue": 0xF830}
    pixels = decode(dicom(values, 12, tags), "x").pixels
    assert not pixels[:3].any()
    np.testing.assert_allclose(pixels[3:], P12[3:] / 4095, atol=1e-6)


def test_the_view_code_replaces_a_missing_view_position() -> None:
    code = pydicom.Dataset()
    code.CodeValue, code.CodingSchemeDesignator, code.CodeMeaning = "399348003", "SCT", "antero-posterior"
    tags = {"ViewPosition": None, "ViewCodeSequence": [code]}
    assert decode(dicom(P12, 12, tags), "x").metadata["view"] == "AP"


@pytest.mark.parametrize(
    ("age", "years"), [("045Y", 45), ("018M", 1.5), ("026W", 182 / 365.25), ("", None), ("45", None), ("XXXY", None)]
)
def test_age_is_in_years(age: str, years: float | None) -> None:
    with pydicom.config.disable_value_validation():
        data = dicom(P12, 12, {"PatientAge": age})
    assert decode(data, "x").metadata["age"] == (None if years is None else pytest.approx(years))


def test_metadata_follow_the_turned_image() -> None:
    facts = read(make.FOLDER / "dicom-orientation-f-l.dcm").metadata
    assert facts["view"] == "PA"
    assert facts["modality"] == "CR"
    assert facts["sex"] == "F"
    # The file states 0.2 mm between rows and 0.1 mm between columns; decoding turns the image by a quarter.
    assert (facts["pixel_spacing_row"], facts["pixel_spacing_col"]) == (0.1, 0.2)


@pytest.mark.parametrize(
    ("tags", "expected"),
    [
        # PS3.3 10.7.1.1: PixelSpacing differs from ImagerPixelSpacing, so it is corrected for magnification.
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.24, 0.12]}, (0.2, 0.1, "patient")),
        ({"PixelSpacing": [0.2, 0.1], "ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1, "detector")),
        (
            {
                "PixelSpacing": [0.2, 0.1],
                "ImagerPixelSpacing": [0.2, 0.1],
                "PixelSpacingCalibrationType": "FIDUCIAL",
                "PixelSpacingCalibrationDescription": "a coin on the skin",
            },
            (0.2, 0.1, "patient"),
        ),
        ({"PixelSpacing": [0.2, 0.1]}, (0.2, 0.1, "patient")),
        ({"ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1, "detector")),
        ({"PixelSpacing": [0, 0], "ImagerPixelSpacing": [0.2, 0.1]}, (0.2, 0.1, "detector")),
        ({"PixelSpacing": [0, 0]}, (None, None, None)),  # 10.7.1.3: positive
        ({"PixelSpacing": [-0.2, 0.1]}, (None, None, None)),
        ({}, (None, None, None)),
    ],
)
def test_the_kind_of_pixel_spacing_is_patient_or_detector(
    tags: dict[str, Any], expected: tuple[float | None, float | None, str | None]
) -> None:
    absent = dict.fromkeys(("PixelSpacing", "ImagerPixelSpacing"))
    facts = decode(dicom(P12, 12, {**absent, **tags}), "x").metadata
    assert (facts["pixel_spacing_row"], facts["pixel_spacing_col"], facts["pixel_spacing_kind"]) == expected


@pytest.mark.parametrize(
    ("tags", "portable"),
    [
        ({"SeriesDescription": "Chest AP Portable"}, True),
        ({"ProtocolName": "CHEST BEDSIDE"}, True),
        ({"StudyDescription": "XR CHEST NON-PORTABLE"}, None),
        ({"StudyDescription": "PORT PLACEMENT, CHEST"}, None),
        ({"InstitutionName": "Portable X-Ray Inc"}, None),
        ({}, None),
    ],
)
def test_a_description_marks_a_portable_radiograph(tags: dict[str, Any], portable: bool | None) -> None:
    assert decode(dicom(P12, 12, tags), "x").metadata["portable"] is portable


def test_metadata_and_errors_do_not_name_the_patient() -> None:
    secret = {
        "PatientName": "Zyx^Jane",
        "PatientID": "4711",
        "PatientBirthDate": "19500102",
        "OtherPatientIDs": "4712",
        "PatientComments": "lives in Zyxtown",
        "AccessionNumber": "A4713",
        "StudyDate": "20200304",
        "StudyDescription": "Zyx chest",
        "InstitutionName": "Zyx hospital",
        "ReferringPhysicianName": "Zyx^John",
        "OperatorsName": "Zyx^Op",
    }
    words = ("zyx", "471", "1950", "202003")
    texts = [str(dict(decode(dicom(P12, 12, secret), "x").metadata))]
    for wrong in (
        {"Rows": 30},
        {"Modality": "CT"},
        {"NumberOfFrames": 2},
        {"PresentationIntentType": "FOR PROCESSING"},
        {"PatientOrientation": ["A", "P"]},
        {"BitsStored": 99},
        {"PresentationLUTShape": "LIN OD"},
    ):
        with pytest.raises(ImageError) as error_info:
            decode(dicom(P12, 12, {**secret, **wrong}), "x")
        texts.append(str(error_info.value))
    assert not [text for text in texts for word in words if word in text.lower()]


@pytest.mark.parametrize(
    ("tags", "message"),
    [
        ({"Modality": "MR"}, r"Modality \(0008,0060\) is MR: not a projection radiograph"),
        ({"Modality": "US"}, "not a projection radiograph"),
        ({"Modality": "PT"}, "not a projection radiograph"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.2"}, r"SOPClassUID \(0008,0016\) is CT Image Storage"),
        ({"SOPClassUID": "1.2.840.10008.5.1.4.1.1.1.1.1"}, "FOR PROCESSING"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "PALETTE COLOR"),
        ({"PresentationLUTShape": "LIN OD"}, r"PresentationLUTShape \(2050,0020\) is LIN OD"),
        ({"WindowCenter": 100, "WindowWidth": 50, "VOILUTFunction": "CUBIC"}, "VOILUTFunction"),
        ({"PatientOrientation": ["L", "R"]}, "which way the head is"),
        ({"PatientOrientation": ["L"]}, "which way the head is"),
        ({"HighBit": 10}, "HighBit"),
        ({"HighBit": 16}, "HighBit"),
        ({"SamplesPerPixel": None}, r"SamplesPerPixel \(0028,0002\) is missing"),
    ],
)
def test_refusals_name_the_tag_and_the_rule(tags: dict[str, Any], message: str) -> None:
    with pytest.raises(ImageError, match=message):
        decode(dicom(P12, 12, tags), "x")


@pytest.mark.parametrize("modality", ["CR", "DX", "DR", "RG", "OT", "SC", None])
def test_modalities_of_radiographs_are_accepted(modality: str | None) -> None:
    with pydicom.config.disable_value_validation():
        data = dicom(P12, 12, {"Modality": modality})
    np.testing.assert_allclose(decode(data, "x").pixels, P12 / 4095, atol=1e-6)


@pytest.mark.parametrize("view", ["LL", "RL", "LATERAL"])
def test_a_lateral_view_is_recorded_and_not_refused(view: str) -> None:
    assert decode(dicom(P12, 12, {"ViewPosition": view}), "x").metadata["view"] == view


def test_a_lut_with_entries_above_its_depth_is_refused() -> None:
    item = make.table([3, 0, 8], [0, 100, 256])
    with pytest.raises(ImageError, match=r"LUTData \(0028,3006\)"):
        decode(dicom(P12, 12, {"VOILUTSequence": [item]}), "x")


def test_a_lut_of_words_in_big_endian() -> None:
    """Read OW data, which keep the byte order of the file."""
    item = pydicom.Dataset()
    item.LUTDescriptor = [4096, 0, 12]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "OW", np.arange(4095, -1, -1).astype(">u2").tobytes())
    data = dicom(P12, 12, {"ModalityLUTSequence": [item]}, syntax=encode.BIG)
    np.testing.assert_allclose(decode(data, "x").pixels, 1 - P12 / 4095, atol=1e-6)


def test_a_lut_of_bytes_with_more_than_256_entries() -> None:
    """Apply an 8-bit table of 4,096 entries, one per byte. pydicom's apply_voi does not support it."""
    item = pydicom.Dataset()
    item.LUTDescriptor = [4096, 0, 8]
    item["LUTDescriptor"].VR = "US"
    item.add_new("LUTData", "OW", (np.arange(4096) // 16).astype(np.uint8).tobytes())
    pixels = decode(dicom(P12, 12, {"VOILUTSequence": [item]}), "x").pixels
    np.testing.assert_allclose(pixels, (P12 // 16) / 255, atol=1e-6)


def test_the_first_input_of_a_table_in_implicit_vr_may_be_signed() -> None:
    """Implicit VR does not say US or SS: -1,000 reads as 64,536. After a rescale below zero it must be signed."""
    item = make.table([4096, 64536, 12], list(range(4096)))
    tags = {"RescaleSlope": 1, "RescaleIntercept": -1000, "VOILUTSequence": [item]}
    data = dicom(P12, 12, tags, syntax=encode.IMPLICIT)
    np.testing.assert_allclose(decode(data, "x").pixels, P12 / 4095, atol=1e-6)


def test_the_declared_size_is_checked_before_the_pixels() -> None:
    with pytest.raises(ImageError, match=r"60000 x 50000 pixels; at most 100,000,000"):
        decode(dicom(P12, 12, {"Rows": 50_000, "Columns": 60_000}), "x")


def test_a_deflated_file_that_inflates_above_the_limit_is_refused() -> None:
    import zlib

    from pneumoscope.imaging.dicom import decode as module

    small = (make.FOLDER / "dicom-deflated.dcm").read_bytes()
    start = 132 + 12 + int.from_bytes(small[140:144], "little")
    bomb = small[:start] + zlib.compress(bytes(30 * 2**20))[2:-4]
    with pytest.raises(ImageError, match="inflates to more than 20 MiB"):
        module.decode(bomb, "x", 10**8, 20 * 2**20)


def test_the_error_names_a_missing_codec(monkeypatch: pytest.MonkeyPatch) -> None:
    from pydicom.pixels.decoders import JPEG2000LosslessDecoder

    monkeypatch.setattr(JPEG2000LosslessDecoder, "_available", {})
    monkeypatch.setattr(
        JPEG2000LosslessDecoder, "_unavailable", {"pylibjpeg": ("pylibjpeg>=2.0", "pylibjpeg-openjpeg>=2.0")}
    )
    with pytest.raises(ImageError, match=r"JPEG 2000.*pylibjpeg-openjpeg.*pip install 'pneumoscope\[dicom\]'"):
        read(make.FOLDER / "dicom-jpeg-2000.dcm")


def test_missing_pydicom_is_a_missing_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pneumoscope\[dicom\]'"):
        read(make.FOLDER / "dicom-explicit.dcm")


@pytest.mark.shared
def test_a_real_chest_radiograph_has_white_bones(shared: Path) -> None:
    radiograph = read(shared / "data/dicom/RG1_J2KI.dcm")
    pixels = radiograph.pixels
    assert radiograph.bits == 15
    assert radiograph.metadata["view"] == "PA"
    assert radiograph.metadata["pixel_spacing_row"] is None  # the file says 0
    assert radiograph.metadata["pixel_spacing_kind"] is None
    spine, right_lung, left_lung = pixels[800:1000, 850:980], pixels[350:500, 550:700], pixels[350:500, 1150:1300]
    air = pixels[100:180, 0:60]
    assert spine.mean() > right_lung.mean() + 0.2
    assert spine.mean() > left_lung.mean() + 0.2
    assert air.mean() < right_lung.mean()
    # The heart's apex points to the patient's left, the right of the picture.
    assert pixels[1150:1350, 1050:1200].mean() > pixels[1150:1350, 580:680].mean()


@pytest.mark.shared
def test_a_real_chest_radiograph_agrees_with_pydicom(shared: Path) -> None:
    from pydicom.pixels.processing import apply_modality_lut, apply_voi_lut

    path = shared / "data/dicom/RG1_J2KI.dcm"
    dataset = pydicom.dcmread(path)
    displayed = apply_voi_lut(apply_modality_lut(dataset.pixel_array, dataset), dataset) / (2**15 - 1)
    np.testing.assert_allclose(read(path).pixels, 1 - displayed, atol=1e-6)


@pytest.mark.shared
@pytest.mark.parametrize("name", ["693_UNCR.dcm", "MR2_UNCR.dcm", "US1_UNCR.dcm"])
def test_real_slices_are_refused(shared: Path, name: str) -> None:
    with pytest.raises(ImageError, match="not a projection radiograph"):
        read(shared / "data/dicom" / name)


@pytest.mark.shared
def test_the_body_part_of_a_real_extremity_is_recorded(shared: Path) -> None:
    lossless = read(shared / "data/dicom/RG3_J2KR.dcm")
    lossy = read(shared / "data/dicom/RG3_J2KI.dcm")
    assert lossless.metadata["body_part"] == "EXTREMITY"
    assert np.abs(lossless.pixels - lossy.pixels).mean() < 0.01


@pytest.mark.shared
def test_a_real_secondary_capture_in_colour_agrees_with_pydicom(shared: Path) -> None:
    path = shared / "data/dicom/SC_rgb.dcm"
    reference = pydicom.dcmread(path).pixel_array @ np.array([0.299, 0.587, 0.114]) / 255
    np.testing.assert_allclose(read(path).pixels, reference, atol=0.51 / 255)


@pytest.mark.parametrize("keyword", ["Modality", "PhotometricInterpretation", "PresentationLUTShape", "VOILUTFunction"])
def test_a_damaged_term_is_not_echoed_with_its_control_characters(keyword: str) -> None:
    with pydicom.config.disable_value_validation():
        data = dicom(P12, 12, {"WindowCenter": 100, "WindowWidth": 50, keyword: "QQQQQQ"})
    for damaged in (b"\x1b[31mQ", b"\xff\x00\x07\xaeQQ", b"\x0c\x08QQQQ"):
        with pytest.raises(ImageError) as caught:
            decode(data.replace(b"QQQQQQ", damaged), "x")
        assert str(caught.value).isprintable()


def test_a_damaged_transfer_syntax_is_not_echoed_with_its_control_characters() -> None:
    with pytest.raises(ImageError, match=r"TransferSyntaxUID .* is 1\.2\.840\.1000\?") as caught:
        decode(dicom(P12, 12).replace(b"1.2.840.10008.1.2.1", b"1.2.840.1000\x07.1.2.1"), "x")
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("keyword", ["ModalityLUTSequence", "VOILUTSequence"])
def test_a_sequence_in_another_vr_is_named(keyword: str) -> None:
    from pydicom.datadict import tag_for_keyword

    dataset = pydicom.dcmread(BytesIO(dicom(P12, 12)))
    dataset.add_new(tag_for_keyword(keyword), "US", 5)
    buffer = BytesIO()
    dataset.save_as(buffer)
    with pytest.raises(ImageError, match=rf"{keyword} .* is not a sequence"):
        decode(buffer.getvalue(), "x")


@pytest.mark.parametrize("keyword", ["Rows", "Columns", "SamplesPerPixel", "BitsAllocated", "BitsStored"])
def test_a_number_in_another_vr_is_still_a_number(keyword: str) -> None:
    from pydicom.datadict import tag_for_keyword

    dataset = pydicom.dcmread(BytesIO(dicom(P12, 12)))
    dataset.add_new(tag_for_keyword(keyword), "IS", str(dataset[keyword].value))
    dataset.add_new(tag_for_keyword("HighBit"), "LO", "11")
    buffer = BytesIO()
    dataset.save_as(buffer)
    for data in (buffer.getvalue(), buffer.getvalue().replace(b"IS", b"LO")):
        np.testing.assert_allclose(decode(data, "x").pixels, P12 / 4095, atol=1e-6)


@pytest.mark.parametrize(
    ("tags", "years"),
    [
        ({"PatientBirthDate": "20080615", "StudyDate": "20260614"}, 17),
        ({"PatientBirthDate": "20080615", "StudyDate": "20260615"}, 18),
        ({"PatientBirthDate": "20250101", "StudyDate": "20250702"}, 182 / 365.25),
        ({"PatientBirthDate": "20080615", "StudyDate": "20260614", "PatientAge": "045Y"}, 45),
        ({"PatientBirthDate": "20270101", "StudyDate": "20260614"}, None),
        ({"PatientBirthDate": "18000101", "StudyDate": "20260614"}, None),
        ({"PatientBirthDate": "20080615"}, None),
    ],
)
def test_a_missing_age_comes_from_birth_and_study(tags: dict[str, str], years: float | None) -> None:
    assert decode(dicom(P12, 12, {"PatientAge": "", **tags}), "x").metadata["age"] == (
        None if years is None else pytest.approx(years)
    )
