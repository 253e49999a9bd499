"""NIH ChestX-ray14: labels by the RSNA's class where there is one, else by the findings of the publishers' table."""

from __future__ import annotations

from pathlib import Path

import pytest

from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES

HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
ROWS = (
    "00000001_000.png,No Finding,0,1,58,M,PA\n"
    "00000001_001.png,Infiltration|Pneumonia,1,1,058Y,M,AP\n"
    "00000002_000.png,Cardiomegaly,0,2,33,F,PA\n"
    "00000003_000.png,No Finding,0,3,40,F,PA\n"
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images_001/images").mkdir(parents=True)
    for name in ("00000001_000", "00000001_001", "00000002_000", "00000009_000"):
        (tmp_path / f"images_001/images/{name}.png").touch()
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(HEADER + ROWS)
    return tmp_path


def test_labels_patients_and_views_are_those_of_the_table(folder: Path) -> None:
    listing = SOURCES.get("nih").list_images(folder, ImportOptions())
    assert [(row.label, row.patient_id, row.view, row.age) for row in listing.rows] == [
        ("normal", "1", "PA", 58),
        ("pneumonia", "1", "AP", 58),
        ("other", "2", "PA", 33),
    ]
    assert listing.rows[1].study_id == "1, follow-up 1"
    assert {(dropped.file, dropped.reason) for dropped in listing.dropped} == {
        ("00000003_000.png", "its image is not here"),
        ("images_001/images/00000009_000.png", "no row in Data_Entry_2017_v2020.csv"),
    }


def test_a_class_of_the_rsna_goes_before_a_finding_of_the_program(folder: Path) -> None:
    (folder / "rsna.csv").write_text("Image Index,rsna_class\n00000001_000.png,Lung Opacity\n")
    first, second, _ = SOURCES.get("nih").list_images(folder, ImportOptions()).rows
    assert (first.label, first.raw_label) == ("lung-opacity", "Lung Opacity")
    assert "RSNA" in (first.label_provenance or "")
    assert "program" in (second.label_provenance or "")
    only = SOURCES.get("nih").list_images(folder, ImportOptions(findings=("Lung Opacity",)))
    assert [row.image for row in only.rows] == ["images_001/images/00000001_000.png"]


def test_boxes_of_the_rsna_come_in_as_shares_of_the_image(folder: Path) -> None:
    table = 'Image Index,rsna_class,boxes_xywh_of_1\n00000001_000.png,Lung Opacity,"[[0.25, 0.5, 0.2, 0.25]]"\n'
    (folder / "rsna.csv").write_text(table + "00000001_001.png,Normal,[]\n")
    rows = SOURCES.get("nih").list_images(folder, ImportOptions()).rows
    assert [row.boxes for row in rows] == ["[[0.25, 0.5, 0.2, 0.25]]", "[]", None]
    (folder / "rsna.csv").write_text(table.replace("0.2, 0.25", "0.8, 0.25"))
    with pytest.raises(ManifestError, match=r"row 2, column 'boxes_xywh_of_1'.*inside the image"):
        SOURCES.get("nih").list_images(folder, ImportOptions())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Cardiomegaly", "Cardiomegali"), r"row 4, column 'Finding Labels': has 'Cardiomegali'.*Cardiomegaly"),
        (("No Finding,0,1", "No Finding|Mass,0,1"), r"row 2, column 'Finding Labels': has 'No Finding'"),
        (("058Y", "412"), r"row 3, age"),
    ],
)
def test_an_unknown_term_names_its_row(folder: Path, change: tuple[str, str], message: str) -> None:
    table = folder / "Data_Entry_2017_v2020.csv"
    table.write_text(table.read_text().replace(*change))
    with pytest.raises(ManifestError, match=message):
        SOURCES.get("nih").list_images(folder, ImportOptions())


def test_an_unknown_class_and_a_term_that_no_row_has_are_refused(folder: Path) -> None:
    with pytest.raises(UsageError, match=r"no image of Data_Entry_2017_v2020\.csv has it"):
        SOURCES.get("nih").list_images(folder, ImportOptions(findings=("Lung Opacity",)))
    (folder / "rsna.csv").write_text("Image Index,rsna_class\n00000001_000.png,Opacity\n")
    with pytest.raises(ManifestError, match=r"rsna\.csv, row 2, column 'rsna_class': has 'Opacity'"):
        SOURCES.get("nih").list_images(folder, ImportOptions())
