"""NIH ChestX-ray14 with all 14 findings of each image, and the boxes of the publishers."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from pneumoscope.core.errors import ManifestError
from pneumoscope.core.labels import LabelSet
from pneumoscope.data.findings import finding_targets
from pneumoscope.data.source import ImportOptions, Listing
from pneumoscope.data.sources import SOURCES
from pneumoscope.data.sources.nih_chestxray14 import FINDINGS, LABELS
from pneumoscope.workflows.datasets import import_data

HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"
ROWS = (
    "00000001_000.png,No Finding,0,1,58,M,PA\n"
    "00000001_001.png,Infiltration|Pneumonia,1,1,058Y,M,AP\n"
    "00000002_000.png,Cardiomegaly,0,2,33,F,PA\n"
    "00000003_000.png,No Finding,0,3,40,F,PA\n"
)
BOXES = (
    "Image Index,Finding Label,Bbox [x,y,w,h],,,\n"
    "00000001_001.png,Infiltrate,256,512,128,64,,,\n"
    "00000001_001.png,Pneumonia,1000,1000,100,24,,,\n"
    "00009999_000.png,Mass,1,1,10,10,,,\n"
)


@pytest.fixture
def folder(tmp_path: Path, draw: Callable[..., Path]) -> Path:
    for seed, name in enumerate(("00000001_000", "00000001_001", "00000002_000")):
        draw(tmp_path / f"images_001/images/{name}.png", seed, 64)
    (tmp_path / "Data_Entry_2017_v2020.csv").write_text(HEADER + ROWS)
    (tmp_path / "BBox_List_2017.csv").write_text(BOXES)
    return tmp_path


def _scan(folder: Path) -> Listing:
    return SOURCES.get("nih-chestxray14").list_images(folder, ImportOptions())


def test_the_terms_are_those_of_the_vocabulary() -> None:
    assert {term: LabelSet.builtin().find(term) for term in FINDINGS} == dict(LABELS)


def test_all_14_findings_are_present_or_absent(folder: Path) -> None:
    rows = _scan(folder).rows
    findings = [json.loads(row.findings or "") for row in rows]
    assert [(row.label, row.raw_label, sum(each.values())) for row, each in zip(rows, findings, strict=True)] == [
        ("normal", "No Finding", 0),
        ("other", "Infiltration|Pneumonia", 2),
        ("cardiomegaly", "Cardiomegaly", 1),
    ]
    assert all(set(each) == set(LABELS.values()) for each in findings)
    assert rows[1].study_id == "1, follow-up 1"
    # The report of the second image states nothing of an opacity, but pneumonia is one.
    classes = ["pneumonia", "mass", "lung-opacity"]
    targets = finding_targets([(rows[1].label, rows[1].findings)], classes, LabelSet.builtin())
    assert targets.tolist() == [[1, 0, 1]]


def test_boxes_are_shares_of_the_published_size(folder: Path) -> None:
    listing = _scan(folder)
    assert [row.boxes for row in listing.rows] == [
        None,
        "[[0.25, 0.5, 0.125, 0.0625], [0.976562, 0.976562, 0.023438, 0.023438]]",
        None,
    ]
    assert listing.notes == [
        "1 boxes of BBox_List_2017.csv leave the image: what is outside is cut off",
        "BBox_List_2017.csv has boxes of 1 images without a row: '00009999_000.png'",
    ]


def test_a_box_that_is_there_twice_counts_once_and_the_import_says_so(folder: Path) -> None:
    before = _scan(folder)
    row, same_place = BOXES.splitlines()[1], "00000001_001.png,Pneumonia,256,512,128,64,,,"
    (folder / "BBox_List_2017.csv").write_text(f"{BOXES}{row}\n{row}\n")
    listing = _scan(folder)
    assert [row.boxes for row in listing.rows] == [row.boxes for row in before.rows]
    assert "BBox_List_2017.csv repeats 2 boxes: each counts once" in listing.notes
    (folder / "BBox_List_2017.csv").write_text(f"{BOXES}{same_place}\n")  # around another finding
    listing = _scan(folder)
    assert len(json.loads(listing.rows[1].boxes or "")) == 3
    assert not any("again" in note for note in listing.notes)


@pytest.mark.parametrize(("kind", "words"), [("folder", "is a folder"), ("link", "is a symbolic link to a file that")])
@pytest.mark.parametrize(
    ("source", "name"), [("nih-chestxray14", "BBox_List_2017.csv"), ("nih", "rsna.csv")], ids=["boxes", "classes"]
)
def test_a_table_that_is_no_file_is_not_taken_for_absent(
    folder: Path, source: str, name: str, kind: str, words: str
) -> None:
    table = folder / name
    table.unlink(missing_ok=True)
    if kind == "folder":
        table.mkdir()
    else:
        table.symlink_to(folder / "elsewhere.csv")
    with pytest.raises(ManifestError, match=rf"{name}: {words}"):
        SOURCES.get(source).list_images(folder, ImportOptions())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Cardiomegaly,0", "Cardiomegali,0"), r"row 4, column 'Finding Labels': has 'Cardiomegali'.*Cardiomegaly"),
        (("058Y", "412"), r"row 3, age.*`lenient_columns=\['age'\]`"),
    ],
)
def test_a_bad_cell_names_its_row(folder: Path, change: tuple[str, str], message: str) -> None:
    (folder / "Data_Entry_2017_v2020.csv").write_text((HEADER + ROWS).replace(*change))
    with pytest.raises(ManifestError, match=f"(?s){message}"):
        _scan(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("Infiltrate", "Infilt"), r"row 2, column 'Finding Label': has 'Infilt'"),
        (("256,512", "256,top"), r"row 2: has the box '256, top, 128, 64'"),
        (("128,64", "0,64"), r"row 2: has the box .*has an area"),
    ],
)
def test_a_bad_box_names_its_row(folder: Path, change: tuple[str, str], message: str) -> None:
    (folder / "BBox_List_2017.csv").write_text(BOXES.replace(*change))
    with pytest.raises(ManifestError, match=message):
        _scan(folder)


def test_the_manifest_keeps_findings_and_boxes(folder: Path, tmp_path: Path) -> None:
    manifest, report = import_data("nih-chestxray14", folder, tmp_path / "m.parquet")
    assert manifest.table.findings.notna().all()
    assert manifest.table.boxes.notna().sum() == 1
    assert report.reasons == {"its image is not here": 1}


@pytest.mark.shared
def test_the_real_sample(shared: Path) -> None:
    rows = _scan(shared / "data/nih").rows
    counts = Counter(row.label for row in rows)
    findings = [json.loads(row.findings or "") for row in rows]
    assert len(rows) == 507
    assert counts["normal"] == sum(not any(each.values()) for each in findings)
    pneumonia = sum("Pneumonia" in row.raw_label.split("|") for row in rows)
    assert pneumonia == sum(each["pneumonia"] for each in findings) > 0
