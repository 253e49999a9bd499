"""A tree of DICOM files: chest radiographs with a label are imported under pseudonyms; other files have a reason."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pneumoscope.core.errors import LabelError, ManifestError, UsageError
from pneumoscope.data.importing import import_source
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES
from pneumoscope.data.sources.dicom import make_pseudonym

CR = "1.2.840.10008.5.1.4.1.1.1"
Make = Callable[..., None]


@pytest.fixture
def make(tmp_path: Path) -> Make:
    """A function that writes a file: ``make("a/b", "1.2.3", Modality="DX")``; a tag of None is left out."""

    def write(name: str, uid: str, **tags: Any) -> None:
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = CR
        meta.MediaStorageSOPInstanceUID = uid
        path = tmp_path / "tree" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        dataset = FileDataset(str(path), {}, file_meta=meta, preamble=b"\0" * 128)
        pixels = np.random.default_rng(len(uid) + int(uid[-1])).integers(0, 4096, (40, 30), np.uint16)
        values = {
            "SOPClassUID": CR,
            "SOPInstanceUID": uid,
            "StudyInstanceUID": f"{uid}.9",
            "PatientID": "MRN-4711",
            "PatientName": "Doe^Jane",
            "PatientSex": "F",
            "PatientAge": "034Y",
            "Modality": "CR",
            "BodyPartExamined": "CHEST",
            "ViewPosition": "PA",
            "Rows": 40,
            "Columns": 30,
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "BitsAllocated": 16,
            "BitsStored": 12,
            "HighBit": 11,
            "PixelRepresentation": 0,
            "PixelData": pixels.tobytes(),
            **tags,
        }
        for keyword, value in values.items():
            if value is not None:
                setattr(dataset, keyword, value)
        dataset.save_as(path, enforce_file_format=True)

    return write


def _labels(folder: Path, *rows: str) -> Path:
    path = folder / "labels.csv"
    path.write_text("\n".join(["SOPInstanceUID,label", *rows]) + "\n")
    return path


def _scan(folder: Path, table: Path, **options: Any) -> Listing:
    return SOURCES.get("dicom").list_images(folder / "tree", ImportOptions(table=table, **options))


def test_a_chest_radiograph_is_imported_without_the_patients_identity(tmp_path: Path, make: Make) -> None:
    make("DISK1/IM000001", "1.2.1", Manufacturer="FUJI  PHOTO FILM ")
    make("DISK1/IM000002", "1.2.2", StudyInstanceUID="1.2.1.9", ViewPosition="AP", Manufacturer="")
    make("DISK2/x.dcm", "1.2.3", PatientID="MRN-4712", BodyPartExamined=None, ViewPosition="")
    table = _labels(tmp_path, "1.2.1,normal", "1.2.2,Covid", "1.2.3,normal")
    options = ImportOptions(table=table, mapping={"Covid": "covid-19"})
    manifest, _ = import_source(SOURCES.get("dicom"), tmp_path / "tree", options)
    rows = manifest.table
    assert rows.label.tolist() == ["normal", "covid-19", "normal"]
    assert rows.raw_label.tolist() == ["normal", "Covid", "normal"]
    assert rows.view.fillna("").tolist() == ["PA", "AP", ""]
    assert rows.manufacturer.fillna("").tolist() == ["FUJI PHOTO FILM", "", ""]
    assert (set(rows.sex), set(rows.age), set(rows.bits)) == ({"F"}, {34.0}, {12})
    assert rows.patient_id[0] == rows.patient_id[1] != rows.patient_id[2]
    assert rows.study_id[0] == rows.study_id[1] != rows.study_id[2]
    assert rows.group[0] == rows.group[1] != rows.group[2]
    written = rows.to_csv() + " ".join(manifest.notes)
    for secret in ("4711", "4712", "Doe", "Jane", "1.2.1.9"):
        assert secret not in written


def test_other_files_are_listed_with_their_reason(tmp_path: Path, make: Make) -> None:
    make("kept", "1.2.1")
    make("ct", "1.2.2", Modality="CT")
    make("hand", "1.2.3", BodyPartExamined="HAND")
    make("lateral", "1.2.4", ViewPosition="LL")
    make("raw", "1.2.5", PresentationIntentType="FOR PROCESSING")
    make("unlabelled", "1.2.6")
    make("nameless", "1.2.7", SOPInstanceUID=None)
    make("DICOMDIR", "1.2.8", SOPClassUID="1.2.840.10008.1.3.10")
    (tmp_path / "tree/notes.txt").write_text("notes")
    listing = _scan(tmp_path, _labels(tmp_path, "1.2.1,normal", "1.2.2,normal", "1.2.99,normal"))
    assert [row.image for row in listing.rows] == ["kept"]
    assert {dropped.file: dropped.reason for dropped in listing.dropped} == {
        "ct": "modality CT, not CR or DX or DR or RG",
        "hand": "body part 'HAND', not known as the chest",
        "lateral": "view 'LL', not frontal",
        "raw": "FOR PROCESSING: raw detector values, not made for the eye",
        "unlabelled": "no row in labels.csv",
        "nameless": "it has no SOPInstanceUID",
        "DICOMDIR": "a directory record (DICOMDIR), no image",
        "notes.txt": "not a DICOM file",
        "1.2.99": "no DICOM file has this SOPInstanceUID",
    }


def test_options_import_more_views_modalities_and_body_parts(tmp_path: Path, make: Make) -> None:
    make("lateral", "1.2.1", ViewPosition="RL")
    make("film", "1.2.2", Modality="OT", BodyPartExamined="THX")
    table = _labels(tmp_path, "1.2.1,normal", "1.2.2,normal")
    assert _scan(tmp_path, table, views=("L",)).rows[0].view == "L"
    film = _scan(tmp_path, table, modalities=("OT",), body_parts=("thx",))
    assert [row.image for row in film.rows] == ["film"]
    with pytest.raises(UsageError, match="`modalities='CT'`: is not one of projection radiographs"):
        _scan(tmp_path, table, modalities=("CT",))


@pytest.mark.parametrize(
    ("stated", "view"),
    [("AP SUPINE", "AP Supine"), ("AP ERECT", "AP"), ("AP SEMI ERECT", "AP"), ("PA", "PA"), ("Ap Supine", "AP Supine")],
)
def test_a_view_term_of_our_table_matches_in_any_case(tmp_path: Path, make: Make, stated: str, view: str) -> None:
    """Our table has "AP Supine"; a data set's code strings are in capitals (PS3.5 6.2)."""
    with pydicom.config.disable_value_validation():
        make("a", "1.2.1", ViewPosition=stated)
    assert [row.view for row in _scan(tmp_path, _labels(tmp_path, "1.2.1,normal")).rows] == [view]


def test_a_repeated_instance_is_an_error_that_names_both(tmp_path: Path, make: Make) -> None:
    make("a/1", "1.2.1")
    make("b/1", "1.2.1")
    table = _labels(tmp_path, "1.2.1,normal")
    with pytest.raises(ManifestError, match=r"b/1: has the SOPInstanceUID of a/1: 1\.2\.1"):
        _scan(tmp_path, table)


def test_the_table_must_name_each_image_once_in_existing_columns(tmp_path: Path, make: Make) -> None:
    make("a", "1.2.1")
    with pytest.raises(ManifestError, match=r"labels\.csv, row 3: names '1\.2\.1' again; row 2 did"):
        _scan(tmp_path, _labels(tmp_path, "1.2.1,normal", "1.2.1,covid-19"))
    with pytest.raises(UsageError, match=r"no such column\. Did you mean 'label'"):
        _scan(tmp_path, _labels(tmp_path, "1.2.1,normal"), columns={"label": "lable"})
    with pytest.raises(UsageError, match=r"`columns=\{'patient_id': 'who'\}`: means nothing to the source 'dicom'"):
        _scan(tmp_path, _labels(tmp_path, "1.2.1,normal"), columns={"patient_id": "who"})
    with pytest.raises(UsageError, match="needs the table of labels"):
        SOURCES.get("dicom").list_images(tmp_path / "tree", ImportOptions())
    with pytest.raises(LabelError, match=r"(?s)\(1 images\).* 1  'Abscess'"):
        _scan(tmp_path, _labels(tmp_path, "1.2.1,Abscess"))
    assert _scan(tmp_path, _labels(tmp_path, "1.2.1,Covid")).rows[0].label == "covid-19"


def test_pseudonyms_depend_on_the_key_or_without_a_key_on_the_files(tmp_path: Path, make: Make) -> None:
    make("a", "1.2.1")
    table = _labels(tmp_path, "1.2.1,normal")
    pseudonym = _scan(tmp_path, table, key=b"0123456789abcdef").rows[0].patient_id
    first = _scan(tmp_path, table)
    assert first.rows[0].patient_id == _scan(tmp_path, table).rows[0].patient_id
    assert "without a key" in first.notes[0]
    make("b", "1.2.2")
    assert _scan(tmp_path, table).rows[0].patient_id != first.rows[0].patient_id
    assert _scan(tmp_path, table, key=b"0123456789abcdef").rows[0].patient_id == pseudonym


def test_a_pseudonym_is_hmac_sha256() -> None:
    # printf 'patient|X|7' | openssl dgst -sha256 -hmac secret
    assert make_pseudonym(b"secret", "patient", "X|7") == "09538a97d6c6f66a"
    assert make_pseudonym(b"secret", "patient", "") is None


@pytest.mark.shared
def test_the_sample_files(shared: Path, tmp_path: Path) -> None:
    table = _labels(tmp_path, "1.3.6.1.4.1.5962.1.1.9.1.3.20040826185059.5457,normal")
    options = ImportOptions(table=table)
    manifest, report = import_source(SOURCES.get("dicom"), shared / "data/dicom", options)
    row = manifest.table.iloc[0]
    assert len(manifest) == 1
    assert (row.image, row["view"], row.sex, row.bits, row.width) == ("RG1_J2KI.dcm", "PA", "F", 15, 1841)
    assert {dropped.file: dropped.reason.split(",")[0] for dropped in report.dropped} == {
        "693_UNCR.dcm": "modality CT",
        **dict.fromkeys(
            ("CR_konica_monochrome1_jpeg.dcm", "CR_rsna_pa.dcm", "DX_nih_implicit.dcm"), "no row in labels.csv"
        ),
        "MR2_UNCR.dcm": "modality MR",
        "RG3_J2KI.dcm": "body part 'EXTREMITY'",
        "RG3_J2KR.dcm": "body part 'EXTREMITY'",
        "SC_rgb.dcm": "modality OT",
        "US1_UNCR.dcm": "modality US",
    }
