"""PadChest: terms of the reports, and what each states."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from pneumoscope.core.errors import ManifestError
from pneumoscope.core.labels import LabelSet
from pneumoscope.data.padchest_terms import LABELS, UNCLEAR
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES

NAME = "PADCHEST_chest_x_ray_images_labels_160K_01.02.19.csv"
TABLE = """,ImageID,StudyDate_DICOM,StudyID,PatientID,PatientBirth,PatientSex_DICOM,Projection,MethodLabel,Labels
0,1.png,20140915,s1,p1,1930.0,M,PA,Physician,"['normal']"
1,2.png,20140915,s2,p1,1930,F,AP_horizontal,RNN_model,"['pleural effusion', ' Cardiomegaly', 'scoliosis']"
2,3.png,20140915,s3,p2,,O,AP,RNN_model,['scoliosis']
3,4.png,20140915,s4,p3,1990.0,F,PA,RNN_model,"['unchanged', 'NSG tube']"
4,5.png,20140915,s5,p4,1990.0,F,PA,RNN_model,['callus rib fracture']
5,6.png,20140915,s6,p5,1990.0,F,L,RNN_model,['normal']
6,7.png,20140915,s7,p6,1990.0,F,PA,RNN_model,['unchanged']
7,8.png,20140915,s8,p7,1990.0,F,PA,RNN_model,['exclude']
8,9.png,20140915,s9,p8,1990.0,F,PA,RNN_model,nan
9,absent.png,20140915,s9,p8,1990.0,F,PA,RNN_model,['normal']
10,10.png,20140915,s9,p8,1990.0,F,COSTAL,RNN_model,['normal']
11,11.png,20140915,s9,p8,1990.0,F,UNK,RNN_model,['normal']
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "0").mkdir()
    for number in range(1, 13):
        (tmp_path / f"0/{number}.png").touch()
    (tmp_path / NAME).write_text(TABLE)
    return tmp_path


def _scan(folder: Path, **options: object) -> Listing:
    return SOURCES.get("padchest").list_images(folder, ImportOptions(**options))  # type: ignore[arg-type]


def test_every_term_means_labels_of_the_vocabulary() -> None:
    labels = {label for each in LABELS.values() for label in each} | set(UNCLEAR.values())
    assert labels <= set(LabelSet.builtin())


def test_the_maker_of_the_device_is_taken_where_the_table_has_it(folder: Path) -> None:
    assert {row.manufacturer for row in _scan(folder).rows} == {None}
    lines = TABLE.splitlines()
    makers = ["Manufacturer_DICOM", "ImagingDynamicsCompanyLtd", "PhilipsMedicalSystems", *[""] * (len(lines) - 3)]
    table = "\n".join(f"{maker},{line}" for maker, line in zip(makers, lines, strict=True))
    (folder / NAME).write_text(table)
    makers_read = [row.manufacturer for row in _scan(folder).rows]
    assert makers_read == ["ImagingDynamicsCompanyLtd", "PhilipsMedicalSystems", None, None, None]


def test_findings_patients_and_ages(folder: Path) -> None:
    listing = _scan(folder)
    findings = [json.loads(row.findings or "") for row in listing.rows]
    present = [sorted(label for label, value in each.items() if value) for each in findings]
    assert [(row.label, row.view, row.sex, row.age) for row in listing.rows] == [
        ("normal", "PA", "M", 84),
        ("other", "AP Supine", "F", 84),
        ("other", "AP", None, None),
        ("support-devices", "PA", "F", 24),
        ("other", "PA", "F", 24),
    ]
    assert present == [[], ["cardiomegaly", "pleural-effusion"], [], ["support-devices"], []]
    assert findings[3] == {"support-devices": True}
    assert "fracture" not in findings[4] and findings[0]["fracture"] is False
    assert "physicians" in (listing.rows[0].label_provenance or "")
    assert listing.notes == ["1 terms have no label and are in raw_label alone: 'scoliosis'"]
    assert {dropped.file: dropped.reason for dropped in listing.dropped} == {
        "6.png": "projection 'L', not frontal",
        "7.png": "nothing is stated about its findings",
        "8.png": "the publishers exclude it",
        "9.png": "nothing is stated about its findings",
        "absent.png": "its image is not here",
        "10.png": "projection 'COSTAL', not frontal",
        "11.png": "projection 'UNK', not frontal",
        "0/12.png": f"no row in {NAME}",
    }
    assert [row.view for row in _scan(folder, views=("L",)).rows] == ["L"]


def test_a_packed_table_gives_the_same(folder: Path) -> None:
    rows = _scan(folder).rows
    (folder / NAME).unlink()
    (folder / f"{NAME}.gz").write_bytes(gzip.compress(TABLE.encode()))
    assert _scan(folder).rows == rows


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("M,PA,Phys", "M,PAA,Phys"), r"row 2, column 'Projection': has 'PAA'"),
        (("PA,Physician", "PA,Physicist"), r"row 2, column 'MethodLabel': has 'Physicist'\. Did you mean 'Physician'"),
        (("['scoliosis']", "{[]: 1}"), r"row 4, column 'Labels': has '\{\[\]: 1\}'"),
        (("['scoliosis']", "scoliosis"), r"row 4, column 'Labels': has 'scoliosis'"),
        (("1930.0", "2020.0"), r"(?s)row 2, age: has 'born 2020\.0, study 20140915'"),
        (("2.png", "1.png"), r"row 3: names the image '1\.png' again"),
    ],
)
def test_a_bad_cell_names_its_row(folder: Path, change: tuple[str, str], message: str) -> None:
    (folder / NAME).write_text(TABLE.replace(*change, 1))
    with pytest.raises(ManifestError, match=message):
        _scan(folder)


def test_two_tables_are_refused(folder: Path) -> None:
    (folder / "PADCHEST_labels_old.csv").write_text(TABLE)
    with pytest.raises(ManifestError, match=r"has several tables: .*160K.*csv, PADCHEST_labels_old\.csv\. Keep one"):
        _scan(folder)
