"""One whole chest, several, or a part of one: outlines drawn by hand, and phantoms put together."""

from __future__ import annotations

import numpy as np
import pytest

from pneumoscope.bundle.chest_layout import find_part_of_chest, find_several_chests, measure_layout
from pneumoscope.bundle.lung_shape import measure_lung_shape
from pneumoscope.bundle.lungs import LungOutlines
from pneumoscope.bundle.screening import builtin_companions
from pneumoscope.data.phantoms.phantom import draw

GREY = np.full((100, 100), 0.5, np.float32)


def outlines(*boxes: tuple[int, int, int, int], heart: tuple[int, int] = (46, 62)) -> LungOutlines:
    """Return lungs in boxes (top, bottom, left, right) on a square of 96, and a heart between two columns."""
    lungs, hearts = np.zeros((2, 96, 96), np.float32)
    for top, bottom, left, right in boxes:
        lungs[top:bottom, left:right] = 1
    hearts[40:60, slice(*heart)] = 1
    return LungOutlines(np.stack([lungs, hearts]), ("lungs", "heart"), (100, 100))


def judge(lungs: LungOutlines, frontal: float = 0.99, half: float = 0.0, pixels: np.ndarray = GREY) -> str:
    layout = measure_layout(pixels, lungs, measure_lung_shape(lungs.square("lungs")))
    several = find_several_chests(layout, frontal, lambda part: half, pixels)
    return several or find_part_of_chest(layout, frontal)


PAIR = ((16, 76, 14, 38), (16, 76, 58, 82))


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
        (((16, 76, 6, 18), (16, 76, 28, 40), (16, 76, 56, 68), (16, 76, 78, 90)), {"half": 0.95}, "each show a chest"),
        (((6, 34, 0, 24), (40, 90, 72, 96)), {}, "two sides of one middle"),
        (((0, 76, 4, 46), (0, 76, 50, 92)), {}, "upper edge cuts"),
        (((16, 96, 14, 38), (16, 96, 58, 82)), {}, "lower edge cuts"),
        ((PAIR[0], (16, 76, 58, 70)), {"frontal": 0.8}, "one lung is much smaller"),
    ],
)
def test_several_chests_and_parts_are_named(
    boxes: tuple[tuple[int, int, int, int], ...], options: dict[str, float], words: str
) -> None:
    assert words in judge(outlines(*boxes), **options)


def test_four_runs_of_lung_are_one_chest_where_its_halves_are_none() -> None:
    assert judge(outlines((16, 76, 6, 18), (16, 76, 28, 40), (16, 76, 56, 68), (16, 76, 78, 90)), half=0.9) == ""


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
    ],
)
def test_phantoms_put_together_or_cut_are_refused(pixels: np.ndarray, codes: set[str]) -> None:
    refusals = builtin_companions().screen(np.ascontiguousarray(pixels), {}).refusals
    assert bool(refusals) is bool(codes)
    assert {finding.code for finding in refusals} <= codes
