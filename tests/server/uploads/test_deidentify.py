"""What is stored of a file: its exact pixels, and nothing that names the patient."""

from __future__ import annotations

import hashlib
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pneumoscope.bundle.body_parts import body_part_of, known_part
from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.golden_files import make
from pneumoscope.imaging.golden_files.encode import chunk, exif
from pneumoscope.imaging.golden_files.encode import dicom as encode_dicom
from pneumoscope.imaging.golden_files.encode import png as encode_png
from pneumoscope.imaging.read import decode
from pneumoscope.server.api.schemas.common import Facts
from pneumoscope.server.storage.png_codec import decode_png, draw_thumbnail
from pneumoscope.server.uploads.deidentify import _ALLOWED, allowed_facts, deidentify
from server.sample_files import dicom


@pytest.mark.parametrize("deep", [False, True])
def test_pixels_are_stored_exactly(deep: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536 if deep else 256, (31, 47)).astype("u2" if deep else "u1")
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    decoded, stored, _ = deidentify(buffer.getvalue(), "file 1", 10_000)
    np.testing.assert_array_equal(decode(stored, "x").pixels, decode(buffer.getvalue(), "y").pixels)
    assert decoded.data_sha256 == hashlib.sha256(buffer.getvalue()).hexdigest()
    assert decoded.png_sha256 == hashlib.sha256(stored).hexdigest()


def test_nothing_in_a_stored_dicom_names_the_patient() -> None:
    data = dicom({"InstitutionName": "St Elsewhere", "ImageComments": "Doe"})
    decoded, stored, _ = deidentify(data, "file 1", 10_000)
    stored_bytes = stored + draw_thumbnail(decode_png(stored, "x")) + repr(decoded.facts).encode()
    for word in (b"Doe", b"Jane", b"4711", b"1930", b"2024", b"Elsewhere"):
        assert word in data
        assert word not in stored_bytes
    assert decoded.facts["age"] == 90.0  # 95 in the file
    assert decoded.facts["sex"] == "F"
    assert decoded.exam is not None
    assert (decoded.exam.patient_id, decoded.exam.patient_name, decoded.exam.date) == ("4711", "Doe^Jane", "20240506")


def test_exif_and_text_are_dropped_and_the_orientation_is_applied() -> None:
    buffer = BytesIO()
    square = np.zeros((8, 16), np.uint8)
    square[0] = 255
    Image.fromarray(square).save(buffer, "JPEG", exif=b"Exif\0\0" + exif(6), comment=b"Doe Jane", quality=95)
    decoded, stored, _ = deidentify(buffer.getvalue(), "file 1", 10_000)
    assert b"Exif" not in stored
    assert b"Doe" not in stored
    assert (decoded.width, decoded.height) == (8, 16)  # orientation 6: turned by a quarter


def test_names_in_the_pixels_are_refused() -> None:
    with pytest.raises(ImageError, match="BurnedInAnnotation"):
        deidentify(dicom({"BurnedInAnnotation": "YES"}), "file 1", 10_000)
    assert deidentify(dicom({"BurnedInAnnotation": None}), "file 1", 10_000)[0].facts["burned_in"] == "unknown"


def test_notes_of_the_reader_are_kept() -> None:
    """Whatever was decided to read the pixels stands beside them."""
    broken = encode_png(make.pattern(8), 8, 0, [chunk(b"eXIf", exif(6))[:-1] + b"\0"])
    table = make.table([4096, 0, 16], list(range(4096)))
    for data, depth, expected in (
        (broken, None, {"exif": "damaged"}),
        (encode_png(make.pattern(12), 16, 0), 12, {"depth": 12}),
        (encode_png(make.pattern(12), 16, 0), None, {"largest_value": int(make.pattern(12).max())}),
        (encode_dicom(make.pattern(12), 12, {"WindowCenter": 9, "WindowWidth": 0}), None, {"window": "ignored"}),
        (encode_dicom(make.pattern(12), 12, {"RescaleSlope": 2}), None, {"rescale": "ignored"}),
        (encode_dicom(make.pattern(12), 12, {"VOILUTSequence": [table]}), None, {"lut_bits": 12}),
        (encode_dicom(make.pattern(12), 12, {"VOILUTSequence": [table]}), None, {"lut_bits_declared": 16}),
    ):
        facts = deidentify(data, "x", 10**6, depth)[0].facts
        assert expected.items() <= facts.items()


NAMED = {
    "BodyPartExamined": "CHEST OF JANE DOE", "ViewPosition": "PA DOE", "Manufacturer": "Doe Jane",
    "ManufacturerModelName": "Doe^Jane 4711", "Modality": "DX", "ImageLaterality": "D",
}  # fmt: skip


@pytest.mark.filterwarnings("ignore:Invalid value:UserWarning", "ignore:The value length:UserWarning")
def test_a_name_in_a_text_of_the_device_is_sealed_and_not_a_fact() -> None:
    decoded, _, _ = deidentify(dicom(NAMED), "file 1", 10_000)
    assert decoded.facts.items() >= {"body_part": "CHEST", "modality": "DX"}.items()
    assert not {"view", "manufacturer", "model", "laterality"} & set(decoded.facts)
    assert "DOE" not in repr(decoded.facts).upper()
    assert decoded.exam is not None
    sealed = decoded.exam.exam_identity()
    assert (sealed["body_part"], sealed["model"]) == ("CHEST OF JANE DOE", "Doe^Jane 4711")


@pytest.mark.parametrize(
    ("key", "text", "known"),
    [
        ("view", "PA", "PA"),
        ("view", "AP Supine", "AP Supine"),
        ("view", "MILLER", None),
        ("body_part", "Chest", "CHEST"),
        ("body_part", "LONG^MARY", "CHEST"),  # lung in Dutch, and a name
        ("body_part", "FOOT OF MILLER", "FOOT"),
        ("body_part", "MILLER", "UNLISTED"),
        ("body_part", "HEART", "HEART"),
        ("body_part", "UNKNOWN", None),
        ("manufacturer", "SIEMENS Healthineers", "Siemens"),
        ("manufacturer", "FUJIFILM Corporation", "Fujifilm"),
        ("manufacturer", "GE Healthcare", "GE"),
        ("manufacturer", "Miller", None),
        ("modality", "MILLER", None),
        ("laterality", "U", "U"),
        ("model", "Miller", None),
    ],
)
def test_texts_are_stored_as_known_terms(key: str, text: str, known: str | None) -> None:
    assert allowed_facts({key: text}).get(key) == known


def test_a_known_part_is_judged_as_the_sent_one() -> None:
    terms = (
        "CHEST", "T\xd3RAX", "THORACIC SPINE", "TSPINE", "BRUSTWIRBELS\xc4ULE", "NOT CHEST", "KNEE",
        "LEFT KNEE OF DOE", "DOE",
        "T-D3000", "T-D8500", "\u80f8\u90e8", "\u80f8\u690e", "HEART", "", "OTHER", "MAMMA", "NO",
    )  # fmt: skip
    for term in terms:
        assert body_part_of(known_part(term)) == body_part_of(term), term


def test_the_api_describes_every_fact_that_is_stored() -> None:
    assert set(Facts.__annotations__) == {*_ALLOWED, "burned_in"}
