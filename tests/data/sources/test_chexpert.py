"""CheXpert and MIMIC-CXR-JPG: findings that are present, absent, uncertain or not named."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable
from pathlib import Path

import pytest

from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.data.chexpert_columns import LABELS, NO_FINDING
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES
from pneumoscope.workflows.datasets import import_data

FINDINGS = [NO_FINDING, *LABELS]
HEADER = "Path,Sex,Age,Frontal/Lateral,AP/PA," + ",".join(FINDINGS)
PATHOLOGIES = {label for label in LABELS.values() if label != "support-devices"}


def _cells(**values: str) -> str:
    """Return 14 cells, blank where no value is given; ``Lung_Opacity`` means the column with a blank."""
    named = {name.replace("_", " "): value for name, value in values.items()}
    assert set(named) <= set(FINDINGS)
    return ",".join(named.get(name, "") for name in FINDINGS)


def _line(patient: int, view: str = "frontal,AP", study: int = 1, facts: str = "Female,68", **values: str) -> str:
    side, _, projection = view.partition(",")
    path = f"CheXpert-v1.0-small/train/patient{patient:05}/study{study}/view1_{side}.jpg"
    return f"{path},{facts},{side.capitalize()},{projection},{_cells(**values)}"


ROWS = (
    _line(1, No_Finding="1.0", Support_Devices="1.0"),
    _line(2, "frontal,PA", No_Finding="1.0", facts="Male,0"),
    _line(2, "lateral,", study=2, Pneumonia="1.0"),
    _line(3, Pneumonia="-1.0", Pleural_Effusion="0.0"),
    _line(4, Pneumonia="-1.0"),
    _line(5, Lung_Opacity="0.0", Edema="1.0", Pneumothorax="0.0", facts="Unknown,90"),
    _line(6, "frontal,LL", Edema="1.0"),
    _line(7, Edema="1.0"),
)


@pytest.fixture
def folder(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    for seed, row in enumerate(ROWS[:-1]):
        place = row.split(",")[0].removeprefix("CheXpert-v1.0-small/")
        draw(tmp_path / "another name" / place, seed, 64)
    (tmp_path / "another name/train.csv").write_text("\n".join((HEADER, *ROWS)) + "\n")
    return tmp_path


def _scan(folder: Path, name: str = "chexpert", **options: object) -> Listing:
    return SOURCES.get(name).list_images(folder, ImportOptions(**options))  # type: ignore[arg-type]


def _findings(listing: Listing) -> dict[str, dict[str, bool]]:
    return {row.patient_id or "": json.loads(row.findings or "") for row in listing.rows}


@pytest.mark.parametrize("inside", ["", "another name"])
def test_frontal_images_are_found_from_either_folder(folder: Path, inside: str) -> None:
    listing = _scan(folder / inside)
    assert [(row.patient_id, row.view, row.sex, row.age, row.label) for row in listing.rows] == [
        ("patient00001", "AP", "F", 68, "support-devices"),
        ("patient00002", "PA", "M", None, "normal"),
        ("patient00003", "AP", "F", 68, "other"),
        ("patient00005", "AP", None, 90, "edema"),
    ]
    assert {dropped.file.partition("/")[0]: dropped.reason for dropped in listing.dropped} == {
        "patient00002": "a lateral",
        "patient00004": "nothing is stated about its findings",
        "patient00006": "view 'LL' of an image that is called frontal",
        "patient00007": "its image is not here",
    }
    assert any("the age of 1 images is 0 and counts as unknown" in note for note in listing.notes)


def test_no_finding_makes_all_but_devices_absent_and_a_blank_is_unknown(folder: Path) -> None:
    findings = _findings(_scan(folder))
    assert findings["patient00001"] == {**dict.fromkeys(PATHOLOGIES, False), "support-devices": True}
    assert findings["patient00002"] == dict.fromkeys(PATHOLOGIES, False)
    assert findings["patient00003"] == {"pleural-effusion": False}


def test_a_negated_opacity_does_not_contradict_oedema(folder: Path) -> None:
    listing = _scan(folder)
    assert _findings(listing)["patient00005"] == {"edema": True, "pneumothorax": False}
    assert any("1 rows negate a finding and state" in note for note in listing.notes)
    assert listing.rows[-1].raw_label == "Lung Opacity=0.0|Edema=1.0|Pneumothorax=0.0"


@pytest.mark.parametrize(("uncertain", "present", "label"), [("zeros", False, "other"), ("ones", True, "pneumonia")])
def test_uncertain_findings_count_as_the_user_says(folder: Path, uncertain: str, present: bool, label: str) -> None:
    listing = _scan(folder, uncertain=uncertain)
    row = next(row for row in listing.rows if row.patient_id == "patient00004")
    assert (_findings(listing)["patient00004"], row.label) == ({"pneumonia": present}, label)
    assert _scan(folder, uncertain="ignore").rows == _scan(folder).rows


def test_laterals_come_in_when_asked_for(folder: Path) -> None:
    rows = _scan(folder, views=("L",)).rows
    assert [(row.patient_id, row.study_id, row.view) for row in rows] == [("patient00002", "patient00002, study2", "L")]


def test_valid_is_read_by_radiologists(folder: Path, draw: Callable[..., Path]) -> None:
    draw(folder / "another name/valid/patient64541/study1/view1_frontal.jpg", 9, 64)
    zeros = {name.replace(" ", "_"): "0.0" for name in FINDINGS}
    line = _line(64541, **zeros).replace("/train/", "/valid/")
    (folder / "another name/valid.csv").write_text(f"{HEADER}\n{line}\n")
    row = _scan(folder).rows[-1]
    assert (row.label, row.label_provenance) == ("normal", "three radiologists (Irvin 2019)")


def test_a_finding_beside_no_finding_counts(folder: Path) -> None:
    table = folder / "another name/train.csv"
    table.write_text(f"{HEADER}\n{_line(1, No_Finding='1.0', Fracture='1.0')}\n")
    listing = _scan(folder)
    assert _findings(listing) == {"patient00001": {"fracture": True}}
    assert any("1 rows have a finding beside No Finding" in note for note in listing.notes)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        (_line(1, Edema="2"), r"train\.csv, row 2, column 'Edema': has '2'\. Write 1 \(present\)"),
        (_line(1, "frontl,AP"), r"row 2, column 'Frontal/Lateral': has 'Frontl'"),
        (_line(1, facts="Female,412", Edema="1.0"), r"(?s)row 2, age: has '412'"),
        (_line(1).replace("patient", "person"), r"row 2, column 'Path'"),
        (f"{_line(1)}\n{_line(1)}", r"row 3: names 'patient00001/study1/view1_frontal\.jpg' again"),
    ],
)
def test_a_bad_cell_names_its_row(folder: Path, line: str, message: str) -> None:
    (folder / "another name/train.csv").write_text(f"{HEADER}\n{line}\n")
    with pytest.raises(ManifestError, match=message):
        _scan(folder)


def test_two_copies_a_missing_table_and_an_unknown_choice_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"`uncertain='zero'`: is unknown\. Did you mean 'zeros'"):
        _scan(folder, uncertain="zero")
    with pytest.raises(UsageError, match="`uncertain`: means nothing to the source 'nih'"):
        _scan(folder, "nih", uncertain="zeros")
    copy = folder / "copy/patient00001/study1/view1_frontal.jpg"
    copy.parent.mkdir(parents=True)
    copy.touch()
    with pytest.raises(ManifestError, match=r"has two files 'patient00001/study1/view1_frontal\.jpg'"):
        _scan(folder)
    with pytest.raises(ManifestError, match=r"neither train\.csv nor valid\.csv"):
        _scan(folder / "copy")


def test_the_manifest_keeps_the_findings(folder: Path, tmp_path: Path) -> None:
    manifest, report = import_data("chexpert", folder, tmp_path / "m.parquet", uncertain="ones")
    assert manifest.table.findings.notna().all()
    assert report.groups == {"patient": 5}


STUDIES = f"subject_id,study_id,{','.join(FINDINGS)}\n" + "".join(
    f"{patient},{study},{_cells(**values)}\n"
    for patient, study, values in (
        ("10000032", "50414267", {"No_Finding": "1.0"}),
        ("10000764", "57375967", {"Consolidation": "1.0", "Lung_Opacity": "-1.0"}),
        ("10000898", "50771383", {}),
    )
)
IMAGES = (
    "dicom_id,subject_id,study_id,PerformedProcedureStepDescription,ViewPosition,Rows\n"
    "02aa804e-bde0afdd,10000032,50414267,CHEST (PA AND LAT),PA,3056\n"
    "174413ec-4ec4c1f7,10000032,50414267,CHEST (PA AND LAT),LATERAL,3056\n"
    "096052b7-d256dc40,10000764,57375967,CHEST (PORTABLE AP),AP,2000\n"
    "79eee504-b1b60ab8,10000764,57375967,CHEST (PORTABLE AP),,2000\n"
    "2a2277a9-b0ded155,10000898,50771383,CHEST (PA AND LAT),PA,2000\n"
    "e084de3b-be89b11e,10000935,99999999,CHEST (PA AND LAT),AP LLD,2000\n"
    "68b5c4b1-227d0485,10000935,99999999,CHEST (PA AND LAT),AP,2000\n"
    "f0000000-00000000,10000032,50414267,CHEST (PA AND LAT),AP,2000\n"
)


@pytest.fixture
def mimic(tmp_path: Path) -> Path:
    for line in IMAGES.splitlines()[1:-1]:
        name, patient, study, *_ = line.split(",")
        image = tmp_path / f"files/p{patient[:2]}/p{patient}/s{study}/{name}.jpg"
        image.parent.mkdir(parents=True, exist_ok=True)
        image.touch()
    (tmp_path / "mimic-cxr-2.0.0-chexpert.csv.gz").write_bytes(gzip.compress(STUDIES.encode()))
    (tmp_path / "mimic-cxr-2.0.0-metadata.csv").write_text(IMAGES)
    return tmp_path


def test_mimic_takes_the_findings_of_the_study(mimic: Path) -> None:
    listing = _scan(mimic, "mimic-cxr-jpg")
    assert [(row.image, row.label, row.patient_id, row.study_id, row.view) for row in listing.rows] == [
        ("files/p10/p10000032/s50414267/02aa804e-bde0afdd.jpg", "normal", "10000032", "50414267", "PA"),
        ("files/p10/p10000764/s57375967/096052b7-d256dc40.jpg", "consolidation", "10000764", "57375967", "AP"),
    ]
    assert {dropped.file[:3]: dropped.reason for dropped in listing.dropped} == {
        "174": "view 'LATERAL', not stated to be frontal",
        "79e": "view '', not stated to be frontal",
        "2a2": "nothing is stated about its findings",
        "e08": "view 'AP LLD', not stated to be frontal",
        "68b": "its study has no row in mimic-cxr-2.0.0-chexpert.csv.gz",
        "f00": "its image is not here",
    }
    assert [row.view for row in _scan(mimic, "mimic-cxr-jpg", views=("L",)).rows] == ["L"]
    ones = _scan(mimic, "mimic-cxr-jpg", uncertain="ones").rows[1]
    assert json.loads(ones.findings or "") == {"consolidation": True, "lung-opacity": True}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            ("LATERAL,", "LATERL,"),
            r"row 3, column 'ViewPosition': has 'LATERL'\. Did you mean 'LATERAL'",
        ),
        (("174413ec-4ec4c1f7", "02aa804e-bde0afdd"), r"row 3: names the image '02aa804e-bde0afdd' again"),
    ],
)
def test_mimic_names_a_bad_row(mimic: Path, change: tuple[str, str], message: str) -> None:
    (mimic / "mimic-cxr-2.0.0-metadata.csv").write_text(IMAGES.replace(*change, 1))
    with pytest.raises(ManifestError, match=message):
        _scan(mimic, "mimic-cxr-jpg")


def test_mimic_refuses_a_repeated_study_a_damaged_archive_and_a_missing_table(mimic: Path) -> None:
    table = mimic / "mimic-cxr-2.0.0-chexpert.csv.gz"
    table.write_bytes(gzip.compress(f"{STUDIES}10000032,50414267,{_cells()}\n".encode()))
    with pytest.raises(ManifestError, match="row 5: names the study '50414267' again; row 2 did"):
        _scan(mimic, "mimic-cxr-jpg")
    table.write_bytes(table.read_bytes()[:-20])
    with pytest.raises(ManifestError, match="is a damaged gzip archive"):
        _scan(mimic, "mimic-cxr-jpg")
    table.unlink()
    with pytest.raises(ManifestError, match=r"has no mimic-cxr-2\.0\.0-chexpert\.csv"):
        _scan(mimic, "mimic-cxr-jpg")


def test_mimic_without_a_patients_number_has_no_patient(mimic: Path) -> None:
    """A patient who is called "nan" would join all of them to one group."""
    (mimic / "mimic-cxr-2.0.0-metadata.csv").write_text(
        IMAGES.replace(",10000032,", ",,").replace(",10000764,", ",nan,")
    )
    assert [row.patient_id for row in _scan(mimic, "mimic-cxr-jpg").rows] == [None, None]


def test_mimic_takes_the_image_and_not_what_lies_beside_it(mimic: Path) -> None:
    rows = _scan(mimic, "mimic-cxr-jpg").rows
    for path in sorted(mimic.rglob("*.jpg")):
        path.with_suffix(".html").touch()  # before .jpg in the alphabet
    assert _scan(mimic, "mimic-cxr-jpg").rows == rows
