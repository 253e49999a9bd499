"""The RSNA's challenge: three classes of radiologists, and boxes around opacities."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from pneumoscope.core.errors import ManifestError
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES
from pneumoscope.workflows.datasets import import_data

BOXES = (
    "patientId,x,y,width,height,Target\n"
    "aaaa-01,256.0,512.0,128.0,256.0,1\n"
    "aaaa-01,0.0,0.0,512.0,1024.0,1\n"
    "bbbb-02,,,,,0\n"
    "cccc-03,,,,,0\n"
    "dddd-04,,,,,0\n"
)
CLASSES = (
    "patientId,class\n"
    "aaaa-01,Lung Opacity\n"
    "aaaa-01,Lung Opacity\n"
    "bbbb-02,Normal\n"
    "cccc-03,No Lung Opacity / Not Normal\n"
    "dddd-04,Normal\n"
)


@pytest.fixture
def folder(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    for seed, name in enumerate(("aaaa-01", "bbbb-02", "cccc-03", "eeee-05")):
        draw(tmp_path / f"stage_2_train_images/{name}.png", seed, 64)
    (tmp_path / "stage_2_train_labels.csv").write_text(BOXES)
    (tmp_path / "stage_2_detailed_class_info.csv").write_text(CLASSES)
    return tmp_path


def _scan(folder: Path) -> Listing:
    return SOURCES.get("rsna-pneumonia").list_images(folder, ImportOptions())


def test_classes_and_boxes_are_those_of_the_radiologists(folder: Path) -> None:
    listing = _scan(folder)
    assert [(row.label, row.boxes, row.findings) for row in listing.rows] == [
        ("lung-opacity", "[[0.25, 0.5, 0.125, 0.25], [0.0, 0.0, 0.5, 1.0]]", None),
        ("normal", "[]", None),
        ("other", "[]", None),
    ]
    assert {dropped.file: dropped.reason for dropped in listing.dropped} == {
        "dddd-04": "its image is not here",
        "stage_2_train_images/eeee-05.png": "no row in stage_2_detailed_class_info.csv",
    }


def test_a_box_that_is_there_twice_counts_once_and_the_import_says_so(folder: Path) -> None:
    row = BOXES.splitlines()[1]
    (folder / "stage_2_train_labels.csv").write_text(f"{BOXES}{row}\n")
    listing = _scan(folder)
    assert listing.rows[0].boxes == "[[0.25, 0.5, 0.125, 0.25], [0.0, 0.0, 0.5, 1.0]]"
    assert listing.notes == ["stage_2_train_labels.csv repeats 1 box: each counts once"]


def test_the_number_of_an_image_is_no_patient(folder: Path, tmp_path: Path) -> None:
    manifest, report = import_data("rsna-pneumonia", folder, tmp_path / "m.parquet")
    assert manifest.table.patient_id.isna().all()
    assert report.groups == {"image": 3}


@pytest.mark.parametrize(
    ("table", "change", "message"),
    [
        ("detailed_class_info", ("bbbb-02,Normal", "bbbb-02,Norml"), r"row 4, column 'class': has 'Norml'"),
        ("detailed_class_info", ("aaaa-01,Lung Opacity\nbbbb", "aaaa-01,Normal\nbbbb"), r"row 3: has 'Normal'.*row 2"),
        ("detailed_class_info", ("bbbb-02,Normal", "bbbb-02,Lung Opacity"), r"row 4: has the class .* has no box"),
        ("train_labels", ("bbbb-02,,,,,0", "bbbb-02,1,1,5,5,1"), r"row 4: has the class 'Normal', but .* has boxes"),
        ("train_labels", ("bbbb-02,,,,,0", "bbbb-02,,,,,2"), r"row 4, column 'Target': has '2'"),
        ("train_labels", ("256.0,512.0,128.0", "256.0,512.0,-1"), r"row 2: has the box"),
    ],
)
def test_a_bad_row_is_named(folder: Path, table: str, change: tuple[str, str], message: str) -> None:
    path = folder / f"stage_2_{table}.csv"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(ManifestError, match=message):
        _scan(folder)
