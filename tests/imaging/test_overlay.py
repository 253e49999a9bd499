"""Overlays against values worked out by hand."""

from __future__ import annotations

from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from pneumoscope.imaging.overlay import (
    LUNG,
    colour_heat,
    encode_rgb,
    outline_mask,
    overlay_heat,
    shrink,
    to_rgb,
    write_png,
)

PIXELS = np.linspace(0, 1, 60, dtype=np.float32).reshape(6, 10)


def test_without_heat_the_radiograph_is_unchanged() -> None:
    overlay = overlay_heat(PIXELS, np.zeros((3, 3), np.float32))
    np.testing.assert_array_equal(overlay, to_rgb(PIXELS))
    np.testing.assert_array_equal(to_rgb(PIXELS)[..., 0], np.rint(PIXELS * 255))


def test_full_heat_mixes_by_strength() -> None:
    overlay = overlay_heat(PIXELS, np.ones((3, 3), np.float32), strength=0.5)
    hottest = colour_heat(np.ones((1, 1), np.float32))[0, 0].astype(float)
    np.testing.assert_allclose(overlay, to_rgb(PIXELS) * 0.5 + hottest * 0.5, atol=0.51)


def test_heat_is_drawn_where_the_map_has_it() -> None:
    heat = np.zeros((2, 2), np.float32)
    heat[0, 1] = 1  # head, patient's left
    warmth = np.abs(overlay_heat(np.zeros((40, 40), np.float32), heat).astype(int)).sum(axis=2)
    assert warmth[:20, 20:].sum() > 0.6 * warmth.sum()
    assert warmth[0, 39] == warmth.max()


def test_colours_grow_brighter_with_heat() -> None:
    colours = colour_heat(np.linspace(0, 1, 101, dtype=np.float32)[np.newaxis])[0]
    brightness = np.asarray(Image.fromarray(colours[np.newaxis]).convert("L"))[0].astype(int)
    assert (np.diff(brightness) >= 0).all()


def test_an_outline_is_the_border_of_the_mask() -> None:
    mask = np.zeros((6, 10), bool)
    mask[1:5, 2:7] = True
    drawn = (outline_mask(to_rgb(PIXELS), mask, thickness=1) == LUNG).all(axis=2)
    expected = mask.copy()
    expected[2:4, 3:6] = False
    np.testing.assert_array_equal(drawn, expected)


def test_a_mask_of_the_whole_picture_has_no_outline() -> None:
    rgb = to_rgb(PIXELS)
    np.testing.assert_array_equal(outline_mask(rgb, np.ones((6, 10), bool)), rgb)


def test_a_mask_of_another_size_is_stretched() -> None:
    small = np.array([[True, False]])
    drawn = (outline_mask(to_rgb(PIXELS), small, thickness=1) == LUNG).all(axis=2)
    assert (drawn == (np.arange(10) == 4)).all()


def test_shrinking_keeps_the_shape_and_never_enlarges() -> None:
    rgb = to_rgb(np.zeros((300, 200), np.float32))
    assert shrink(rgb, 150).shape == (150, 100, 3)
    assert shrink(rgb, 400) is rgb


def test_a_png_contains_the_picture(tmp_path: Path) -> None:
    rgb = to_rgb(PIXELS)
    write_png(tmp_path / "a.png", rgb)
    for data in (encode_rgb(rgb), (tmp_path / "a.png").read_bytes()):
        np.testing.assert_array_equal(np.asarray(Image.open(BytesIO(data))), rgb)
