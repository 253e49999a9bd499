"""Polygons cover the pixels whose centres they enclose: by hand, by the shoelace formula and by matplotlib."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.path import Path as Outline

from pneumoscope.data.polygons import polygon_mask, union_mask

SQUARE = [(2.0, 3.0), (6.0, 3.0), (6.0, 8.0), (2.0, 8.0)]


def test_a_square_covers_its_area_in_either_direction() -> None:
    mask = polygon_mask([SQUARE], 10, 12)
    assert mask.shape == (12, 10)
    rows, columns = np.nonzero(mask)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (3, 7, 2, 5)
    assert mask.sum() == 4 * 5
    assert (mask == polygon_mask([SQUARE[::-1]], 10, 12)).all()


def test_a_triangle_covers_the_pixels_worked_out_by_hand() -> None:
    # A right angle and legs of 4: a centre (c + .5, r + .5) is inside where c + r + 1 < 4: rows of 3, 2 and 1 pixels.
    assert polygon_mask([[(0, 0), (4, 0), (0, 4)]], 5, 5).sum(axis=1).tolist() == [3, 2, 1, 0, 0]


def test_a_hole_and_a_second_piece_follow_the_even_odd_rule() -> None:
    outer, hole, piece = ([(a, a), (b, a), (b, b), (a, b)] for a, b in ((0, 8), (2, 5), (10, 12)))
    mask = polygon_mask([outer, hole, piece], 12, 12)
    assert mask.sum() == 64 - 9 + 4
    assert not mask[3, 3]
    assert mask[11, 11]


def test_overlapping_polygons_are_joined() -> None:
    other = [(x + 2, y + 2) for x, y in SQUARE]
    assert union_mask([[SQUARE], [other]], 12, 12).sum() == 20 + 20 - 2 * 3


def test_a_polygon_is_cut_at_the_border_of_the_image() -> None:
    assert polygon_mask([[(-5, -5), (3, -5), (3, 2), (-5, 2)]], 10, 10).sum() == 3 * 2


def test_scaling_scales_the_area() -> None:
    assert polygon_mask([SQUARE], 20, 36, scale=(2, 3)).sum() == 20 * 6


@pytest.mark.parametrize("seed", range(5))
def test_stars_agree_with_shoelace_and_with_matplotlib(seed: int) -> None:
    random = np.random.default_rng(seed)
    angle = np.sort(random.uniform(0, 2 * np.pi, 40))
    radius = random.uniform(20, 70, 40)
    x, y = 80 + radius * np.cos(angle), 75 + radius * np.sin(angle)
    mask = polygon_mask([list(zip(x, y, strict=True))], 160, 150)
    area = abs(np.dot(x, np.roll(y, -1)) - np.dot(y, np.roll(x, -1))) / 2
    assert mask.sum() == pytest.approx(area, rel=0.02)
    down, across = np.mgrid[:150, :160] + 0.5
    inside = Outline(np.column_stack([x, y])).contains_points(np.column_stack([across.ravel(), down.ravel()]))
    assert (mask.ravel() == inside).all()
