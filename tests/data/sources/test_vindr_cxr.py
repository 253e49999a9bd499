"""VinDr-CXR: three readers of an image become one statement by a stated rule, and boxes follow the findings."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import DigitalXRayImageStorageForPresentation, ExplicitVRLittleEndian

from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.data.reader_votes import combine_readings
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES
from pneumoscope.data.sources.vindr_cxr import LABELS, NO_FINDING
from pneumoscope.workflows.datasets import import_data

TERMS = [term for term in (*LABELS, NO_FINDING) if term != "Other disease"]


def _labels(*rows: tuple[str, ...], readers: bool = True) -> str:
    """Return a table of findings: each row is image, reader and the terms that are 1."""
    terms = TERMS if readers else [term.replace("Other diseases", "Other disease") for term in TERMS]
    lines = [",".join(["image_id", *(["rad_id"] if readers else []), *terms])]
    for image, reader, *named in rows:
        lines.append(",".join([image, *([reader] if readers else []), *("1" if t in named else "0" for t in terms)]))
    return "\n".join(lines) + "\n"


TRAIN = _labels(
    ("aa", "R9", "Cardiomegaly", "Aortic enlargement"),
    ("aa", "R10", "Cardiomegaly", "Rib fracture"),
    ("aa", "R8", "No finding"),
    ("bb", "R1", "No finding"),
    ("bb", "R2", "No finding"),
    ("bb", "R3", "Nodule/Mass"),
    ("cc", "R1", "Clavicle fracture"),
    ("cc", "R2", "Rib fracture"),
    ("cc", "R3", "Consolidation"),
    ("dd", "R1", "No finding"),
    ("dd", "R2", "No finding"),
    ("dd", "R3", "No finding"),
)
BOXES = (
    "image_id,rad_id,class_name,x_min,y_min,x_max,y_max\n"
    "aa,R9,Cardiomegaly,16,32,48,64\n"
    "aa,R10,Cardiomegaly,32,32,64,48\n"
    "aa,R9,Aortic enlargement,1,1,2,2\n"
    "aa,R10,Rib fracture,1,1,2,2\n"
    "aa,R8,No finding,,,,\n"
    "bb,R3,Nodule/Mass,0,0,32,32\n"
)


@pytest.fixture
def folder(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    for seed, name in enumerate(("train/aa", "train/bb", "train/cc", "test/ee", "train/zz")):
        draw(tmp_path / f"{name}.png", seed, 64)
    tables = {
        "image_labels_train.csv": TRAIN,
        "annotations_train.csv": BOXES,
        "image_labels_test.csv": _labels(("ee", "", "Pneumonia", "Lung Opacity"), readers=False),
        "annotations_test.csv": "image_id,class_name,x_min,y_min,x_max,y_max\nee,Lung Opacity,0,0,32.0,64.0\n",
    }
    (tmp_path / "annotations").mkdir()
    for name, text in tables.items():
        (tmp_path / "annotations" / name).write_text(text)
    return tmp_path


def _scan(folder: Path, readers: str | None = None) -> Listing:
    return SOURCES.get("vindr-cxr").list_images(folder, ImportOptions(readers=readers))


def _present(listing: Listing) -> list[list[str]]:
    return [[name for name, present in json.loads(row.findings or "{}").items() if present] for row in listing.rows]


def test_most_readers_decide(folder: Path) -> None:
    listing = _scan(folder)
    assert [(Path(row.image).stem, row.label) for row in listing.rows] == [
        ("aa", "cardiomegaly"),
        ("bb", "normal"),
        ("cc", "fracture"),  # of two bones, by one reader each
        ("ee", "pneumonia"),
    ]
    assert _present(listing) == [["cardiomegaly"], [], ["fracture"], ["lung-opacity", "pneumonia"]]
    assert {row.view for row in listing.rows} == {"PA"}
    first = listing.rows[0]
    assert first.raw_label == "R10: Cardiomegaly|Rib fracture; R8: No finding; R9: Aortic enlargement|Cardiomegaly"
    assert first.label_provenance == "3 radiologists apart: a finding counts that more than half name (Nguyen 2022)"
    assert listing.rows[3].label_provenance == "consensus of five radiologists (Nguyen 2022)"
    assert {dropped.file: dropped.reason for dropped in listing.dropped} == {
        "dd": "its image is not here",
        "train/zz.png": "no row in a table of findings",
    }


def test_boxes_are_those_of_the_findings_that_count(folder: Path) -> None:
    listing = _scan(folder)
    assert [row.boxes for row in listing.rows] == [
        "[[0.25, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.25]]",
        "[]",
        "[]",
        "[[0.0, 0.0, 0.5, 1.0]]",
    ]
    assert listing.notes == [
        "annotations_train.csv: 1 boxes of a finding without a label are left out",
        "annotations_train.csv: 2 boxes of a finding that does not count as present are left out",
    ]
    assert _scan(folder, "any").rows[1].boxes == "[[0.0, 0.0, 0.5, 0.5]]"


def test_a_box_that_is_there_twice_counts_once_and_the_import_says_so(folder: Path) -> None:
    (folder / "annotations_train.csv").write_text(f"{BOXES}{BOXES.splitlines()[1]}\n")
    listing = _scan(folder)
    assert listing.rows[0].boxes == "[[0.25, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.25]]"
    assert "annotations_train.csv repeats 1 box: each counts once" in listing.notes


def test_other_rules_of_readers(folder: Path) -> None:
    one = _scan(folder, "any")
    assert _present(one)[:3] == [
        ["cardiomegaly", "fracture"],
        ["lung-lesion", "lung-opacity"],
        ["consolidation", "fracture", "lung-opacity"],
    ]
    assert [row.label for row in one.rows[:3]] == ["other", "lung-lesion", "other"]
    every = _scan(folder, "unanimous")
    assert _present(every)[:3] == [[], [], []]
    assert [row.label for row in every.rows[:3]] == ["other", "other", "other"]
    stated = json.loads(every.rows[2].findings or "")
    assert "fracture" not in stated and "consolidation" not in stated and stated["edema"] is False
    # A consolidation that one reader saw is an opacity that may be there.
    assert "lung-opacity" not in stated
    with pytest.raises(UsageError, match=r"`readers='most'`: is unknown.*Say one of majority, any, unanimous"):
        _scan(folder, "most")


@pytest.mark.parametrize(
    ("rule", "expected"),
    [
        ("majority", {"a": True, "b": False, "c": True, "d": False}),
        ("any", {"a": True, "b": True, "c": True, "d": False, "e": True}),
        ("unanimous", {"c": True, "d": False}),
    ],
)
def test_rules_of_votes(rule: str, expected: dict[str, bool]) -> None:
    # By hand: a has 2 of 3 votes, b 1 of 3, c 3 of 3, d 0 of 3; of e one reader says yes, one no, one nothing.
    readings = [
        {"a": True, "b": False, "c": True, "d": False, "e": True},
        {"a": True, "b": True, "c": True, "d": False, "e": False},
        {"a": False, "b": False, "c": True, "d": False},
    ]
    assert combine_readings(readings, rule) == expected


def test_kaggles_table_is_the_same_training_part(folder: Path, tmp_path: Path) -> None:
    for path in (folder / "annotations").iterdir():
        path.unlink()
    (folder / "train.csv").write_text(
        "image_id,class_name,class_id,rad_id,x_min,y_min,x_max,y_max\n"
        "aa,Cardiomegaly,3,R10,16.0,32.0,48.0,64.0\n"
        "aa,Cardiomegaly,3,R9,32.0,32.0,64.0,48.0\n"
        "aa,No finding,14,R8,,,,\n"
        "bb,No finding,14,R1,,,,\n"
        "bb,No finding,14,R2,,,,\n"
        "bb,Nodule/Mass,8,R3,0,0,32,32\n"
    )
    listing = _scan(folder)
    assert [(row.label, row.boxes) for row in listing.rows] == [
        ("cardiomegaly", "[[0.25, 0.5, 0.5, 0.5], [0.5, 0.5, 0.5, 0.25]]"),
        ("normal", "[]"),
    ]
    # Kaggle's readers had no way to name a pneumonia: nothing is said of it.
    assert "pneumonia" not in json.loads(listing.rows[0].findings or "")


def test_images_of_another_size_need_the_size_of_the_originals(folder: Path) -> None:
    table = folder / "annotations/annotations_train.csv"
    table.write_text(BOXES.replace("32,32,64,48", "320,320,640,480").replace("16,32,48,64", "160,320,480,640"))
    with pytest.raises(ManifestError, match=r"aa\.png: has 64x64 pixels, and its boxes reach to 640x640.*train_meta"):
        _scan(folder)
    (folder / "train_meta.csv").write_text("image_id,dim0,dim1\naa,640,1280\n")
    assert _scan(folder).rows[0].boxes == "[[0.125, 0.5, 0.25, 0.5], [0.25, 0.5, 0.25, 0.25]]"
    (folder / "train_meta.csv").write_text("image_id,dim0,dim1\naa,640,x\n")
    with pytest.raises(ManifestError, match=r"train_meta\.csv, row 2: has the size '640, x'"):
        _scan(folder)


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("image_labels_train", ("Cardiomegaly", "Cardiomegali"), r"'Cardiomegali'.*Did you mean 'Cardiomegaly'"),
        ("image_labels_train", ("aa,R10,0", "aa,R10,2"), r"row 3, column 'Aortic enlargement': has '2'"),
        ("image_labels_train", ("aa,R10", "aa,"), r"row 3, column 'rad_id': names no reader"),
        ("image_labels_train", ("aa,R10", "aa,R9"), r"row 3: names 'aa' again for the reader 'R9'"),
        ("annotations_train", ("Nodule/Mass", "Nodul"), r"row 7, column 'class_name': 'Nodul' is no finding"),
        ("annotations_train", ("16,32,48,64", "16,32,16,64"), r"row 2: has the box '16, 32, 16, 64'"),
        ("annotations_train", ("16,32,48,64", "16,32,48,a"), r"row 2: has the box.*Write four numbers"),
    ],
)
def test_a_bad_row_is_named(folder: Path, table: str, change: tuple[str, str], message: str) -> None:
    path = folder / f"annotations/{table}.csv"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(ManifestError, match=message):
        _scan(folder)


def test_a_folder_without_a_table_is_refused(tmp_path: Path, draw: Callable[..., Path]) -> None:
    draw(tmp_path / "aa.png", 1, 64)
    with pytest.raises(ManifestError, match=r"has neither image_labels_train\.csv"):
        _scan(tmp_path)


def test_readers_who_name_different_opacities_agree_on_an_opacity(folder: Path) -> None:
    rows = [("bb", "R1", "Consolidation"), ("bb", "R2", "Edema"), ("bb", "R3", "No finding")]
    (folder / "annotations/image_labels_train.csv").write_text(_labels(*rows))
    listing = _scan(folder)
    assert (listing.rows[0].label, _present(listing)[0]) == ("lung-opacity", ["lung-opacity"])


def test_dicom_files_give_the_size_of_boxes(tmp_path: Path, draw: Callable[..., Path]) -> None:
    pixels = np.asarray(Image.open(draw(tmp_path / "drawn.png", 1, 64)).resize((32, 64)))
    header = Dataset()
    header.file_meta = FileMetaDataset()
    header.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    header.SOPClassUID, header.SOPInstanceUID = DigitalXRayImageStorageForPresentation, "1.2.3"
    header.PatientSex, header.PatientAge, header.Modality = "F", "061Y", "DX"
    header.Rows, header.Columns, header.SamplesPerPixel, header.PhotometricInterpretation = 64, 32, 1, "MONOCHROME2"
    header.BitsAllocated, header.BitsStored, header.HighBit, header.PixelRepresentation = 8, 8, 7, 0
    header.PixelData = pixels.tobytes()
    (tmp_path / "set").mkdir()
    pydicom.dcmwrite(tmp_path / "set/aa.dicom", header, enforce_file_format=True)
    (tmp_path / "set/image_labels_test.csv").write_text(_labels(("aa", "", "Edema"), readers=False))
    boxes = "image_id,class_name,x_min,y_min,x_max,y_max\naa,Edema,8,8,16,32\n"
    (tmp_path / "set/annotations_test.csv").write_text(boxes)
    manifest, _ = import_data("vindr-cxr", tmp_path / "set", tmp_path / "m.parquet")
    (row,) = manifest.table.itertuples()
    assert (row.label, row.sex, row.age, row.view, row.width) == ("edema", "F", 61, "PA", 32)
    assert row.boxes == "[[0.25, 0.125, 0.25, 0.375]]"


def test_a_table_that_lacks_a_finding_or_ends_early_says_so(folder: Path) -> None:
    path = folder / "annotations/image_labels_train.csv"
    lines = [line.split(",") for line in TRAIN.splitlines()]
    place = lines[0].index("Pneumothorax")
    path.write_text("\n".join(",".join(line[:place] + line[place + 1 :]) for line in lines)[:-6])
    notes = _scan(folder).notes
    assert "image_labels_train.csv: row 13 has fewer cells than the header; those at the end count as blank" in notes
    assert "image_labels_train.csv has no column of these findings, which are unknown: pneumothorax" in notes


def test_a_size_that_no_dicom_file_has_is_refused(folder: Path) -> None:
    (folder / "train_meta.csv").write_text("image_id,dim0,dim1\naa,64,99999999\n")
    with pytest.raises(ManifestError, match=r"has the size '64, 99999999'\. Write rows and columns, 1 to 65,535"):
        _scan(folder)
