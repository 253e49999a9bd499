"""Specks go, holes are filled, and both lungs stay, against masks drawn by hand and scipy's filling of holes."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

from pneumoscope.bundle.lung_parts import remove_specks
from pneumoscope.bundle.lungs import LungOutlines


def _two_lungs(side: int = 60) -> NDArray[np.bool_]:
    mask = np.zeros((side, side), np.bool_)
    mask[10:50, 8:26] = True
    mask[12:40, 34:50] = True
    return mask


def test_specks_go_and_holes_are_filled() -> None:
    lungs = _two_lungs()
    changed = lungs.copy()
    changed[2:6, 52:58] = True  # a marker, 24 of 720 pixels
    changed[55, 5] = True
    changed[20:24, 12:18] = changed[30, 40] = False
    assert np.array_equal(remove_specks(changed), lungs)


def test_a_bay_and_a_gap_at_the_edge_of_the_picture_are_no_holes() -> None:
    lungs = _two_lungs()
    lungs[10:14, 15] = False  # open to the outside
    lungs[50:, 8:26] = True
    lungs[55:, 14:16] = False  # at the lower edge
    assert np.array_equal(remove_specks(lungs), lungs)


def test_a_small_lung_stays_beside_a_large_one() -> None:
    mask = np.zeros((60, 60), np.bool_)
    mask[5:55, 5:25] = True  # 1,000 pixels
    mask[5:15, 40:60] = True  # 200: a fifth
    assert np.array_equal(remove_specks(mask), mask)
    mask[5, 40] = False
    assert remove_specks(mask).sum() == 1000


@pytest.mark.parametrize("inside", [False, True])
def test_an_empty_and_a_full_mask_stay(inside: bool) -> None:
    mask = np.full((8, 8), inside)
    assert np.array_equal(remove_specks(mask), mask)


def test_holes_are_those_of_scipy() -> None:
    generator = np.random.default_rng(0)
    for _ in range(20):
        mask = generator.random((24, 24)) < 0.75
        mask[:, :] |= binary_fill_holes(mask) & (generator.random((24, 24)) < 0.3)
        parts = remove_specks(mask)
        assert np.array_equal(parts, binary_fill_holes(parts))
        assert not (parts & ~binary_fill_holes(mask)).any()


def test_what_is_shown_and_measured_has_no_specks() -> None:
    probabilities = np.zeros((2, 60, 60), np.float32)
    probabilities[0][_two_lungs()] = 0.8
    probabilities[0, 20:24, 12:18] = 0.1  # a hole
    probabilities[0, 2:5, 52:58] = 0.9  # a speck, which would widen the lungs by a sixth
    probabilities[1, 30:40, 20:41] = 0.7
    outlines = LungOutlines(probabilities, ("lungs", "heart"), (120, 180))
    assert outlines.square("lungs")[3, 54] and not outlines.square("lungs")[22, 14]  # as the graph sees it
    assert np.array_equal(outlines.select_parts("lungs"), _two_lungs())
    assert outlines.area("lungs") == _two_lungs().mean()
    assert outlines.cardiothoracic_ratio == pytest.approx(21 / 42)
    mask = outlines.mask("lungs")
    assert mask.shape == (120, 180)
    assert not mask[:16, 140:].any() and mask[30:90, 30:72].all()
