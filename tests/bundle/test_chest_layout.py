"""One whole upright chest, several, a part of one or a turned one: outlines drawn by hand, phantoms put together."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from scipy.ndimage import rotate

from pneumoscope.bundle.chest_layout import find_part_of_chest, find_several_chests, measure_layout, measure_turn
from pneumoscope.bundle.lung_shape import measure_lung_shape
from pneumoscope.bundle.lungs import LungOutlines
from pneumoscope.bundle.screening import builtin_companions
from pneumoscope.data.phantoms.phantom import draw

Boxes = tuple[tuple[int, int, int, int], ...]
GREY = np.full((100, 100), 0.5, np.float32)


def outlines(*boxes: tuple[int, int, int, int], heart: tuple[int, int] = (46, 62)) -> LungOutlines:
    """Return lungs in boxes (top, bottom, left, right) on a square of 96, and a heart between two columns."""
    lungs, hearts = np.zeros((2, 96, 96), np.float32)
    for top, bottom, left, right in boxes:
        lungs[top:bottom, left:right] = 1
    hearts[40:60, slice(*heart)] = 1
    return LungOutlines(np.stack([lungs, hearts]), ("lungs", "heart"), (100, 100))


def judge(
    lungs: LungOutlines,
    frontal: float = 0.99,
    halves: tuple[tuple[float, float], tuple[float, float]] = ((0.0, 0.0), (0.0, 0.0)),
    pixels: np.ndarray = GREY,
) -> str:
    """Return what is wrong, where the halves have these probabilities of a frontal and of a lateral chest."""
    layout, answers = measure_layout(pixels, lungs, measure_lung_shape(lungs.square("lungs"))), iter(halves)
    several = find_several_chests(layout, frontal, lambda part: next(answers), pixels)
    return several or find_part_of_chest(layout, frontal)


PAIR = ((16, 76, 14, 38), (16, 76, 58, 82))
FOUR = ((16, 76, 6, 18), (16, 76, 28, 40), (16, 76, 56, 68), (16, 76, 78, 90))
FRONTAL, LATERAL, NEITHER = (0.95, 0.0), (0.02, 0.6), (0.9, 0.1)


def test_one_whole_chest_is_not_refused() -> None:
    assert judge(outlines(*PAIR)) == ""
    assert judge(outlines(*PAIR), frontal=0.6) == ""
    pair = outlines(*PAIR)
    layout = measure_layout(GREY, pair, measure_lung_shape(pair.square("lungs")))
    assert (layout.stacked, layout.crossed, layout.balance, layout.upper) == (0, 0, 1, 0)
    assert layout.likeness == pytest.approx(1)


@pytest.mark.parametrize(
    ("boxes", "options", "words"),
    [
        (((6, 40, 14, 38), (6, 40, 58, 82), (54, 90, 14, 38), (54, 90, 58, 82)), {}, "lungs lie above each other"),
        (FOUR, {"halves": (FRONTAL, FRONTAL)}, "each show a chest"),
        (FOUR, {"halves": (FRONTAL, LATERAL)}, "one half shows a frontal view, the other a lateral one"),
        (FOUR, {"halves": (LATERAL, FRONTAL)}, "one half shows a frontal view, the other a lateral one"),
        (((6, 34, 0, 24), (40, 90, 72, 96)), {}, "two sides of one middle"),
        (((0, 76, 4, 46), (0, 76, 50, 92)), {}, "upper edge cuts"),
        (((16, 96, 14, 38), (16, 96, 58, 82)), {}, "lower edge cuts"),
        (((16, 76, 0, 40), (16, 76, 56, 96)), {}, "left and the right edge cut"),
        ((PAIR[0], (16, 76, 58, 70)), {"frontal": 0.8}, "one lung is much smaller"),
    ],
)
def test_several_chests_and_parts_are_named(boxes: Boxes, options: dict[str, Any], words: str) -> None:
    assert words in judge(outlines(*boxes), **options)


def test_four_runs_of_lung_are_one_chest_where_its_halves_are_none() -> None:
    for halves in ((NEITHER, NEITHER), (FRONTAL, NEITHER), (LATERAL, NEITHER), (NEITHER, FRONTAL)):
        assert judge(outlines(*FOUR), halves=halves) == ""


def test_an_edge_may_cut_one_lung_off() -> None:
    assert judge(outlines((16, 76, 0, 36), PAIR[1])) == ""


def turned(degrees: float, shape: tuple[int, int] = (96, 96), boxes: Boxes = PAIR) -> LungOutlines:
    """Return two lungs in boxes of a picture of that shape, turned to the left, on the graph's square."""
    height, width = shape
    lungs = outlines(*boxes).probability("lungs")
    stretched = lungs[(np.arange(height) * 96) // height][:, (np.arange(width) * 96) // width]
    askew = rotate(stretched, degrees, reshape=False, order=1)
    square = askew[(np.arange(96) * height) // 96][:, (np.arange(96) * width) // 96]
    return LungOutlines(square[None], ("lungs",), shape)


@pytest.mark.parametrize("degrees", [-40, -20, 0, 20, 40])
@pytest.mark.parametrize("shape", [(96, 96), (300, 200)])
def test_the_turn_of_a_chest_is_measured_in_its_true_proportions(degrees: float, shape: tuple[int, int]) -> None:
    assert measure_turn(turned(degrees, shape)) == pytest.approx(degrees, abs=2)


def test_a_chest_without_two_lungs_is_not_turned() -> None:
    assert measure_turn(outlines()) == 0
    assert measure_turn(outlines((16, 76, 14, 38))) == 0
    assert measure_turn(outlines(PAIR[0], (70, 76, 58, 62))) == 0


def test_lungs_that_lean_at_one_height_are_not_turned() -> None:
    """Ill lungs may lean; in a turned chest one lies higher too."""
    leaning = np.zeros((96, 96), np.float32)
    for row in range(16, 76):
        for left in (14, 58):
            leaning[row, left + (76 - row) // 3 : left + 14 + (76 - row) // 3] = 1
    assert measure_turn(LungOutlines(leaning[None], ("lungs",), (96, 96))) == 0


def test_turned_lungs_are_not_called_several_chests() -> None:
    """They are unlike their mirror image, which alone would say so."""
    lungs = turned(25, boxes=((6, 90, 26, 38), (6, 90, 58, 70)))
    layout = measure_layout(GREY, lungs, measure_lung_shape(lungs.square("lungs")))
    assert layout.is_turned
    assert layout.likeness < 0.5
    assert judge(lungs, frontal=0.9) == ""


def test_a_smaller_lung_is_refused_only_where_the_gatekeeper_is_in_doubt() -> None:
    """A pneumonectomy or a white lung is ill, and is not to be refused on its shape alone."""
    assert judge(outlines(PAIR[0], (16, 76, 58, 70))) == ""


def test_the_heart_at_one_side_is_half_a_chest() -> None:
    assert "the heart lies far" in judge(outlines(*PAIR, heart=(74, 92)))
    assert judge(outlines(*PAIR, heart=(60, 72))) == ""
    assert "the heart lies far" in judge(outlines(*PAIR, heart=(60, 72)), frontal=0.8)


def test_lungs_in_a_black_border_are_none() -> None:
    pixels = GREY.copy()
    pixels[:, :50] = 0
    assert "outlined lungs is black" in judge(outlines(*PAIR), pixels=pixels)


CHEST = draw(40, 1, "normal", (300, 280)).pixels
OTHER = draw(41, 1, "normal", (300, 280)).pixels


@pytest.mark.parametrize(
    ("pixels", "codes"),
    [
        (CHEST, set()),
        (np.hstack([CHEST, OTHER]), {"several", "other", "lungs"}),
        (np.vstack([CHEST, OTHER]), {"several", "other", "lungs"}),
        (np.vstack([np.hstack([CHEST, OTHER])] * 2), {"several", "other", "lungs"}),
        (np.where(np.arange(280) < 140, CHEST, 0), {"part", "other", "lungs"}),
        (CHEST[:, 140:], {"part", "other", "lungs"}),
        (CHEST[:, 70:210], {"part", "other", "lungs"}),
        (rotate(CHEST, 5, reshape=False, order=1), set()),
        (rotate(CHEST, 20, reshape=False, order=1), {"askew"}),
        (rotate(CHEST, -30, reshape=False, order=1), {"askew"}),
        (np.pad(CHEST, 110, constant_values=1), set()),  # cut off, see test_bordered_images.py
    ],
)
def test_phantoms_put_together_cut_turned_or_framed_are_refused(pixels: np.ndarray, codes: set[str]) -> None:
    refusals = builtin_companions().screen(np.clip(pixels, 0, 1), {}).refusals
    assert bool(refusals) is bool(codes)
    assert {finding.code for finding in refusals} <= codes


def test_a_part_is_not_called_several_chests() -> None:
    """The middle of a chest: an edge cuts through lungs, of which pieces lie above each other."""
    pieces = np.zeros((100, 100), np.float32)
    for rows in (slice(0, 30), slice(60, 100)):
        pieces[rows, 5:45] = pieces[rows, 55:95] = 1
    cut = LungOutlines(np.stack([pieces, np.zeros_like(pieces)]), ("lungs", "heart"), (100, 100))
    moved = np.pad(cut.probabilities[:, 10:90], ((0, 0), (10, 10), (0, 0)))
    inside = LungOutlines(moved, ("lungs", "heart"), (100, 100))
    assert "the upper edge cuts through" in judge(cut)
    assert "lungs lie above each other" in judge(inside)


@pytest.mark.parametrize(("degrees", "side"), [(45, "left"), (-45, "right"), (30, "left"), (-30, "right")])
def test_a_chest_turned_on_a_larger_canvas_is_called_turned(degrees: int, side: str) -> None:
    chest = draw(43, 1, "normal", (300, 280)).pixels
    turned = np.clip(rotate(chest, degrees, reshape=True, order=1), 0, 1)
    (finding,) = builtin_companions().screen(turned, {}).refusals
    assert finding.code == "askew" and f"turned to the {side}" in finding.sentence


@pytest.mark.parametrize(("degrees", "words"), [(25, "to the left by about"), (-25, "to the right by about")])
def test_the_way_out_of_a_turned_chest_names_the_direction(degrees: int, words: str) -> None:
    (finding,) = builtin_companions().screen(np.clip(rotate(CHEST, degrees, reshape=False, order=1), 0, 1), {}).refusals
    assert words in finding.sentence
    assert ("counterclockwise" in finding.sentence) is (degrees < 0)
