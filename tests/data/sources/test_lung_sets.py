"""Shenzhen and JSRT: labels, patients and masks as their publishers lay them out."""

from __future__ import annotations

from pathlib import Path

import pandas as pd
import pytest

from pneumoscope.core.errors import ManifestError
from pneumoscope.data.columns import COLUMNS, check_table
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES


def _files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


def test_shenzhen_reads_names_masks_and_readings(tmp_path: Path) -> None:
    _files(
        tmp_path,
        "CXR_png/CHNCXR_0001_0.png",
        "CXR_png/CHNCXR_0330_1.png",
        "CXR_png/Thumbs.db",
        "mask/CHNCXR_0330_1_mask.png",
    )
    (tmp_path / "ClinicalReadings").mkdir()
    (tmp_path / "ClinicalReadings/CHNCXR_0330_1.txt").write_text("female 42yrs\nright PTB")
    listing = SOURCES.get("shenzhen").list_images(tmp_path, ImportOptions())
    rows = {row.image: row for row in listing.rows}
    sick, well = rows["CXR_png/CHNCXR_0330_1.png"], rows["CXR_png/CHNCXR_0001_0.png"]
    assert (sick.raw_label, sick.patient_id, sick.sex, sick.age) == ("tuberculosis", "0330", "F", 42)
    assert (sick.lung_mask, sick.lung_definition) == ("mask/CHNCXR_0330_1_mask.png", "lungs")
    assert (well.label, well.sex, well.lung_mask, well.lung_definition) == ("normal", None, None, None)
    assert [dropped.file for dropped in listing.dropped] == ["CXR_png/Thumbs.db"]


def test_shenzhen_reads_every_reading_and_nested_masks(tmp_path: Path) -> None:
    _files(tmp_path, *(f"mask set/CHNCXR_000{number}_0.png" for number in range(1, 4)))
    root = tmp_path / "mask set"  # the name of the root itself says nothing
    _files(root, "masks/lungs/CHNCXR_0001_0.png", "masks/lungs/CHNCXR_0009_0.png")
    for number, text in ((1, "male 45yrs\nnormal"), (2, "Female, 8 months"), (3, "male 412yrs")):
        (root / f"CHNCXR_000{number}_0.txt").write_text(text)
    with pytest.raises(ManifestError, match=r"CHNCXR_0003_0\.txt, age: has '412'"):
        SOURCES.get("shenzhen").list_images(root, ImportOptions())
    listing = SOURCES.get("shenzhen").list_images(root, ImportOptions(lenient_columns=frozenset({"age"})))
    first, second, third = listing.rows
    assert (first.sex, first.age, first.lung_mask) == ("M", 45, "masks/lungs/CHNCXR_0001_0.png")
    assert (second.sex, third.sex, third.age) == ("F", "M", None)
    assert second.age == pytest.approx(8 / 12, abs=0.01)
    assert [dropped.file for dropped in listing.dropped] == ["masks/lungs/CHNCXR_0009_0.png"]


def test_jsrt_takes_no_class_folder_for_masks(tmp_path: Path) -> None:
    root = tmp_path / "lung-nodules"
    _files(root, "nodule lungs/JPCLN001.png", "masks/heart/JPCLN001.png", "lungs/JPCLN002.png")
    listing = SOURCES.get("jsrt").list_images(root, ImportOptions())
    assert [(row.image, row.heart_mask) for row in listing.rows] == [
        ("nodule lungs/JPCLN001.png", "masks/heart/JPCLN001.png")
    ]
    assert [dropped.file for dropped in listing.dropped] == ["lungs/JPCLN002.png"]


def test_jsrt_tells_lungs_from_heart(tmp_path: Path) -> None:
    _files(
        tmp_path,
        "images/JPCLN001.png",
        "images/JPCNN002.png",
        "lung_masks/JPCLN001.png",
        "heart_masks/JPCLN001.png",
        "left lung/JPCNN002.gif",
        "masks/left clavicle/JPCNN002.png",
    )
    listing = SOURCES.get("jsrt").list_images(tmp_path, ImportOptions())
    assert {(row.image, row.raw_label, row.lung_mask, row.heart_mask) for row in listing.rows} == {
        ("images/JPCLN001.png", "nodule", "lung_masks/JPCLN001.png", "heart_masks/JPCLN001.png"),
        ("images/JPCNN002.png", "normal", None, None),
    }
    assert len(listing.dropped) == 2


def test_jsrt_joins_the_publishers_masks_of_single_lungs(tmp_path: Path) -> None:
    halves = [f"fold1/masks/{side} lung/JPCLN001.gif" for side in ("left", "right")]
    _files(tmp_path, "images/JPCLN001.png", "fold1/masks/heart/JPCLN001.png", *halves)
    listing = SOURCES.get("jsrt").list_images(tmp_path, ImportOptions(masks=tmp_path / "joined"))
    assert listing.mask_parts == {"images/JPCLN001.png": tuple(tmp_path / half for half in halves)}
    assert [(row.lung_definition, row.heart_mask) for row in listing.rows] == [
        ("lungs", "fold1/masks/heart/JPCLN001.png")
    ]
    assert not listing.dropped


def test_a_manifest_of_an_earlier_version_has_no_hearts(make_row: object) -> None:
    row = make_row(0)  # type: ignore[operator]
    table = pd.DataFrame([row]).drop(columns=["heart_mask", "lung_definition"], errors="ignore")
    checked = check_table(
        table.reindex(columns=[name for name in COLUMNS if name not in ("heart_mask", "lung_definition")])
    )
    assert checked.heart_mask.isna().all() and checked.lung_definition.isna().all()
    assert list(checked.columns) == list(COLUMNS)


@pytest.mark.parametrize("value", ["lungs", "lungs-with-heart"])
def test_a_lung_mask_says_what_it_shows(make_row: object, value: str) -> None:
    manifest = Manifest.from_rows([make_row(0, lung_definition=value)], {})  # type: ignore[operator]
    assert manifest.table.lung_definition.tolist() == [value]
