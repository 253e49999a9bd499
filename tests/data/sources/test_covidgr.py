"""COVIDGR: two folders, and a severity for each positive image."""

from __future__ import annotations

from pathlib import Path

import pytest

from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES

POSITIVE = {"9c853c25a1c5": "MODERATE", "af47db6c1b39": "MILD", "751d46bc78c5": "NORMAL-PCR+", "417c6405dc83": None}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (*(f"P/{stem}.jpg" for stem in POSITIVE), "N/0001.jpg", "readme.txt", "other.jpg"):
        (tmp_path / "COVIDGR_1.0" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "COVIDGR_1.0" / name).touch()
    lines = [f"{stem},{severity}" for stem, severity in {**POSITIVE, "absent": "SEVERE"}.items() if severity]
    (tmp_path / "severity.csv").write_text("\n".join(["Name,Severity", *lines]))
    return tmp_path


def _scan(folder: Path, *findings: str) -> Listing:
    return SOURCES.get("covidgr").list_images(folder, ImportOptions(findings=findings))


def test_folders_and_severities(folder: Path) -> None:
    listing = _scan(folder)
    assert {(Path(row.image).stem, row.label, row.raw_label, row.view) for row in listing.rows} == {
        ("9c853c25a1c5", "covid-19", "MODERATE", "PA"),
        ("af47db6c1b39", "covid-19", "MILD", "PA"),
        ("751d46bc78c5", "covid-19", "NORMAL-PCR+", "PA"),
        ("417c6405dc83", "covid-19", "P", "PA"),
        ("0001", "normal", "N", "PA"),
    }
    assert {row.patient_id for row in listing.rows} == {None}
    assert {dropped.file: dropped.reason for dropped in listing.dropped} == {
        "COVIDGR_1.0/other.jpg": "not in P or N",
        "COVIDGR_1.0/readme.txt": "not an image by its name (*.txt)",
    }
    assert listing.notes == [
        "severity.csv has 1 images that are not here: 'absent'",
        "1 images with a positive test look normal (NORMAL-PCR+)",
    ]


def test_severities_can_be_chosen(folder: Path) -> None:
    assert [row.raw_label for row in _scan(folder, "MILD", "MODERATE", "SEVERE", "N").rows] == ["N", "MODERATE", "MILD"]
    with pytest.raises(UsageError, match=r"`findings='SEVER'`: is unknown\. Did you mean 'SEVERE'"):
        _scan(folder, "SEVER")


def test_without_the_table_a_note_says_what_is_not_known(folder: Path) -> None:
    (folder / "severity.csv").unlink()
    assert _scan(folder).notes == ["no severity.csv: which positive images look normal is not known"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("MILD", "MIDL"), r"row 3, column 'Severity': has 'MIDL'"),
        (("af47db6c1b39,MILD", "0001,MILD"), r"N/0001\.jpg: is in N, and severity\.csv calls it MILD"),
        (("af47db6c1b39", "9c853c25a1c5"), r"row 3: names '9c853c25a1c5' with another severity"),
    ],
)
def test_a_bad_row_is_named(folder: Path, change: tuple[str, str], message: str) -> None:
    path = folder / "severity.csv"
    path.write_text(path.read_text().replace(*change))
    with pytest.raises(ManifestError, match=message):
        _scan(folder)
