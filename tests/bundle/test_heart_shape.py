"""A heart is one shadow between the lungs: what is none is left out, and drawn hearts of real patients stay."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from pneumoscope.bundle.heart_shape import find_heart, measure_heart_shape
from pneumoscope.bundle.lungs import LungOutlines


def outlines_of(*hearts: tuple[int, int, int, int], lungs: bool = True) -> LungOutlines:
    """Two lungs of rows 20 to 80, columns 10 to 90, and hearts from row to row and from column to column."""
    masks = np.zeros((2, 100, 100), np.float32)
    if lungs:
        masks[0, 20:80, 10:42] = masks[0, 20:80, 58:90] = 1
    for top, bottom, left, right in hearts:
        masks[1, top:bottom, left:right] = 1
    return LungOutlines(masks, ("lungs", "heart"), (300, 260))


def test_the_shape_of_a_heart_by_hand() -> None:
    outlines = outlines_of((50, 80, 40, 70))
    shape = measure_heart_shape(outlines.square("heart"), outlines.square("lungs"))
    assert shape is not None
    assert (shape.parts, shape.width, shape.height, shape.filled) == (1, 30 / 80, 30 / 60, 1.0)
    assert (shape.across, shape.below) == (pytest.approx((55 - 10) / 80), 0.0)


def test_a_heart_between_the_lungs_is_found_on_either_side() -> None:
    for heart in ((50, 80, 40, 70), (50, 80, 30, 60)):
        found = find_heart(outlines_of(heart))
        assert found is not None and found[55, 50]


@pytest.mark.parametrize(
    "hearts",
    [
        (),
        ((50, 80, 40, 70), (85, 95, 40, 70)),  # in the belly too
        ((50, 80, 65, 95),),  # beside the chest
        ((50, 80, 15, 85),),  # as wide as the chest
        ((50, 60, 40, 70),),  # a stripe
        ((70, 95, 40, 70),),  # below the lungs
    ],
)
def test_what_is_no_heart_is_left_out(hearts: tuple[tuple[int, int, int, int], ...]) -> None:
    assert find_heart(outlines_of(*hearts)) is None


def test_without_lungs_or_without_the_structure_there_is_no_heart() -> None:
    assert find_heart(outlines_of((50, 80, 40, 70), lungs=False)) is None
    only = outlines_of((50, 80, 40, 70))
    assert find_heart(LungOutlines(only.probabilities[:1], ("lungs",), only.shape)) is None


@pytest.mark.shared
def test_all_hearts_that_readers_drew_are_plausible(shared: Path) -> None:
    from PIL import Image

    def read(name: str) -> NDArray[np.float32]:
        with Image.open(folder / name) as mask:
            return (np.asarray(mask.convert("L").resize((192, 192))) > 127).astype(np.float32)

    folder = shared / "data" / "jsrt"
    with (folder / "labels.csv").open() as file:
        rows = list(csv.DictReader(file))[::4]
    assert len(rows) == 60
    for row in rows:
        masks = np.stack([read(row["lung_mask"]), read(row["heart_mask"])])
        assert find_heart(LungOutlines(masks, ("lungs", "heart"), (512, 512))) is not None, row["image"]
