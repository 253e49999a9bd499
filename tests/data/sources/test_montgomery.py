"""Montgomery County: labels in names, sex and age in readings, masks of single lungs joined to one of both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.core.errors import ManifestError
from pneumoscope.data.masks import read_mask
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES
from pneumoscope.workflows.datasets import import_data


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in (
        "CXR_png/MCUCXR_0001_0.png",
        "CXR_png/MCUCXR_0104_1.png",
        "CXR_png/MCUCXR_0002_0.png",
        "CXR_png/Thumbs.db",
        "ManualMask/leftMask/MCUCXR_0001_0.png",
        "ManualMask/rightMask/MCUCXR_0001_0.png",
        "ManualMask/leftMask/MCUCXR_0002_0.png",
        "ManualMask/rightMask/MCUCXR_0009_0.png",
        "ManualMask/rightMask/MCUCXR_0104_1.png",
        "ManualMask/leftMask/MCUCXR_0104_1.png",
        "masks/MCUCXR_0104_1_mask.png",
        "ClinicalReadings/MCUCXR_0001_0.txt",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    reading = "Patient's Sex: F\nPatient's Age: 027Y\nnormal\n"
    (tmp_path / "ClinicalReadings/MCUCXR_0001_0.txt").write_text(reading)
    return tmp_path


def test_names_readings_and_masks(folder: Path) -> None:
    listing = SOURCES.get("montgomery").list_images(folder, ImportOptions(masks=folder.parent / "drawn"))
    assert [(row.label, row.patient_id, row.sex, row.age, row.view, row.lung_mask) for row in listing.rows] == [
        ("normal", "0001", "F", 27, "PA", None),
        ("normal", "0002", None, None, "PA", None),
        ("tuberculosis", "0104", None, None, "PA", "masks/MCUCXR_0104_1_mask.png"),
    ]
    assert [row.lung_definition for row in listing.rows] == ["lungs", None, "lungs"]
    halves = folder / "ManualMask/leftMask/MCUCXR_0001_0.png", folder / "ManualMask/rightMask/MCUCXR_0001_0.png"
    assert listing.mask_parts == {"CXR_png/MCUCXR_0001_0.png": halves}
    both = "the mask of one lung: the image has a mask of both"
    assert {dropped.file: dropped.reason for dropped in listing.dropped} == {
        "CXR_png/Thumbs.db": "its name is not MCUCXR_NNNN_D",
        "ManualMask/leftMask/MCUCXR_0002_0.png": "the mask of one lung, without that of the other",
        "ManualMask/leftMask/MCUCXR_0104_1.png": both,
        "ManualMask/rightMask/MCUCXR_0104_1.png": both,
        "ManualMask/rightMask/MCUCXR_0009_0.png": "the mask of an image that is not there",
    }


def test_without_a_folder_for_masks_none_is_joined(folder: Path) -> None:
    listing = SOURCES.get("montgomery").list_images(folder, ImportOptions())
    assert not listing.mask_parts
    assert listing.rows[0].lung_definition is None
    assert "no folder is named for joined masks" in listing.dropped[0].reason + listing.dropped[1].reason


def test_a_bad_age_names_its_file(folder: Path) -> None:
    (folder / "ClinicalReadings/MCUCXR_0001_0.txt").write_text("Patient's Sex: F\nPatient's Age: 412Y\n")
    with pytest.raises(ManifestError, match=r"(?s)MCUCXR_0001_0\.txt, age: has '412Y'"):
        SOURCES.get("montgomery").list_images(folder, ImportOptions())


def _lung(columns: slice, side: int = 64) -> NDArray[np.uint8]:
    mask = np.zeros((side, side), np.uint8)
    mask[8:56, columns] = 255
    return mask


# The patient's right lung is on the left of the picture.
RIGHT, LEFT = _lung(slice(8, 28)), _lung(slice(36, 56))


def _set(folder: Path, draw: Callable[..., Path], left: NDArray[np.uint8], right: NDArray[np.uint8]) -> Path:
    """Write a set of one image with a mask of either lung."""
    draw(folder / "set/CXR_png/MCUCXR_0001_0.png", 1, 64)
    for side, mask in (("left", left), ("right", right)):
        path = folder / f"set/ManualMask/{side}Mask/MCUCXR_0001_0.png"
        path.parent.mkdir(parents=True)
        Image.fromarray(mask).save(path)
    return folder / "set"


def test_both_lungs_are_joined_outside_of_the_set(tmp_path: Path, draw: Callable[..., Path]) -> None:
    folder = _set(tmp_path, draw, LEFT, RIGHT)
    before = sorted(folder.rglob("*"))
    manifest, report = import_data("montgomery", folder, tmp_path / "m.parquet")
    (path,) = manifest.mask_paths("lung_mask")
    assert path == tmp_path / "m-masks/lung/CXR_png_MCUCXR_0001_0.png.png"
    assert np.array_equal(read_mask(path), (LEFT > 0) | (RIGHT > 0))
    assert manifest.table.lung_definition.tolist() == ["lungs"]
    assert not report.dropped and sorted(folder.rglob("*")) == before


@pytest.mark.parametrize(
    ("left", "right", "message"),
    [
        (RIGHT, RIGHT, r"leftMask.*and .*rightMask.*: share 960 pixels"),
        (LEFT, RIGHT * 0, r"rightMask.*MCUCXR_0001_0\.png: is empty: no pixel is inside"),
        (LEFT, RIGHT[:32], r"are of different sizes \(64x32, 64x64\)"),
    ],
)
def test_masks_that_are_not_of_two_lungs_are_refused(
    tmp_path: Path, draw: Callable[..., Path], left: NDArray[np.uint8], right: NDArray[np.uint8], message: str
) -> None:
    folder = _set(tmp_path, draw, left, right)
    with pytest.raises(ManifestError, match=message):
        import_data("montgomery", folder, tmp_path / "m.parquet")
