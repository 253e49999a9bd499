"""Montgomery County: labels in names, sex and age in readings, masks of single lungs left out."""

from __future__ import annotations

from pathlib import Path

import pytest

from pneumoscope.core.errors import ManifestError
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "CXR_png/MCUCXR_0001_0.png",
        "CXR_png/MCUCXR_0104_1.png",
        "CXR_png/Thumbs.db",
        "ManualMask/leftMask/MCUCXR_0001_0.png",
        "ManualMask/rightMask/MCUCXR_0001_0.png",
        "masks/MCUCXR_0104_1_mask.png",
        "ClinicalReadings/MCUCXR_0001_0.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    reading = "Patient's Sex: F\nPatient's Age: 027Y\nnormal\n"
    (tmp_path / "ClinicalReadings/MCUCXR_0001_0.txt").write_text(reading)
    return tmp_path


def test_names_readings_and_masks(folder: Path) -> None:
    listing = SOURCES.get("montgomery").list_images(folder, ImportOptions())
    assert [(row.label, row.patient_id, row.sex, row.age, row.view, row.lung_mask) for row in listing.rows] == [
        ("normal", "0001", "F", 27, "PA", None),
        ("tuberculosis", "0104", None, None, "PA", "masks/MCUCXR_0104_1_mask.png"),
    ]
    assert [dropped.file for dropped in listing.dropped] == [
        "CXR_png/Thumbs.db",
        "ManualMask/leftMask/MCUCXR_0001_0.png",
        "ManualMask/rightMask/MCUCXR_0001_0.png",
    ]


def test_a_bad_age_names_its_file(folder: Path) -> None:
    (folder / "ClinicalReadings/MCUCXR_0001_0.txt").write_text("Patient's Sex: F\nPatient's Age: 412Y\n")
    with pytest.raises(ManifestError, match=r"(?s)MCUCXR_0001_0\.txt, age: has '412Y'"):
        SOURCES.get("montgomery").list_images(folder, ImportOptions())
