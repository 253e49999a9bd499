"""A flat border is found to the pixel, whatever its grey; what a device makes of air and shadow is left alone."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.imaging import border
from pneumoscope.imaging.border import NO_BORDER, Border, find_border

INSIDE = np.random.default_rng(0).random((120, 100), np.float32)


@pytest.mark.parametrize("grey", [0.0, 0.05, 0.4, 1.0])
@pytest.mark.parametrize(
    "sides", [(20, 20, 20, 20), (0, 0, 12, 12), (30, 30, 0, 0), (4, 4, 4, 4), (40, 40, 40, 40)], ids=str
)
def test_a_border_is_found_to_the_pixel(sides: tuple[int, int, int, int], grey: float) -> None:
    top, bottom, left, right = sides
    bordered = np.pad(INSIDE, ((top, bottom), (left, right)), constant_values=np.float32(grey))
    assert find_border(bordered) == Border(*sides)
    assert np.array_equal(Border(*sides).cut(bordered), INSIDE)


@pytest.mark.parametrize(
    ("sides", "grey", "found"),
    [
        ((0, 0, 30, 0), 0.0, NO_BORDER),  # air, or the collimator's shadow
        ((0, 0, 30, 10), 0.0, Border(0, 0, 10, 10)),  # as much as both sides have may be a bar
        ((0, 0, 2, 2), 0.0, NO_BORDER),
        ((0, 0, 30, 0), 1.0, Border(0, 0, 30, 0)),  # no device makes a white side
        ((0, 0, 30, 10), 0.5, Border(0, 0, 30, 10)),
    ],
)
def test_black_is_cut_off_as_much_as_both_sides_have(sides: tuple[int, ...], grey: float, found: Border) -> None:
    top, bottom, left, right = sides
    assert find_border(np.pad(INSIDE, ((top, bottom), (left, right)), constant_values=np.float32(grey))) == found


def test_bars_of_two_greys_around_each_other() -> None:
    barred = np.pad(np.pad(INSIDE, ((0, 0), (10, 10))), ((25, 15), (0, 0)), constant_values=np.float32(1))
    assert find_border(barred) == Border(25, 15, 10, 10)


@pytest.mark.parametrize("grey", [0.0, 1.0])
def test_a_picture_of_one_grey_has_no_border(grey: float) -> None:
    assert find_border(np.full((60, 80), grey, np.float32)) == NO_BORDER
    assert find_border(np.pad(INSIDE, 300)) == NO_BORDER  # hardly anything would be left


def test_the_lines_of_a_strip_are_not_looked_at_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(border, "_count_flat", None)
    for shape in ((1, 3_000_000), (3_000_000, 1)):
        assert find_border(np.full(shape, 0.5, np.float32)) == NO_BORDER


@pytest.mark.parametrize("quality", [30, 60, 90])
@pytest.mark.parametrize("grey", [0, 128, 255])
def test_the_noise_of_a_jpeg_hides_no_border(grey: int, quality: int) -> None:
    chest = np.round(draw(40, 1, "normal", (300, 280)).pixels * 255).astype(np.uint8)
    file = BytesIO()
    Image.fromarray(np.pad(chest, ((0, 0), (35, 35)), constant_values=grey)).save(file, "JPEG", quality=quality)
    found = find_border(np.asarray(Image.open(file)).astype(np.float32) / 255)
    assert found.top == found.bottom == 0
    assert 35 - 8 <= found.left <= 35 + 8 and 35 - 8 <= found.right <= 35 + 8  # a block of the JPEG


def test_noise_of_sixteen_bits_hides_no_border() -> None:
    noise = np.random.default_rng(1).integers(0, 200, (160, 140)).astype(np.float32) / 65535
    noise[20:140, 20:120] = INSIDE
    assert find_border(noise) == Border(20, 20, 20, 20)


@pytest.mark.parametrize("patient", range(6))
def test_a_drawn_chest_without_a_border_keeps_its_frame(patient: int) -> None:
    pixels = draw(40, patient, "normal", (300, 280)).pixels
    assert find_border(pixels) == NO_BORDER or min(find_border(pixels)[2:]) > 0  # some are drawn with bars


def test_a_map_is_spread_to_the_place_where_it_was_measured() -> None:
    """The map of a cut picture, laid over the whole one, is the map of what lies there."""
    border, heat = Border(top=20, bottom=60, left=0, right=40), np.array([[1, 0], [0, 0.5]], np.float32)
    whole = border.spread(heat[None], (160, 120), (160, 120))[0]
    assert not whole[:20].any() and not whole[100:].any() and not whole[:, 80:].any()
    resized = np.asarray(Image.fromarray(heat).resize((80, 80), Image.Resampling.BILINEAR))
    assert np.allclose(whole[20:100, :80], resized, atol=1e-6)
    assert np.allclose(NO_BORDER.spread(heat, (2, 2), (2, 2)), heat)


def test_a_border_in_words() -> None:
    assert str(Border(0, 0, 32, 31)) == "32 pixels at the left, 31 at the right"
    assert str(Border(1, 0, 0, 0)) == "1 pixel at the top"


def test_flat_parts_that_meet_are_no_border() -> None:
    halves = np.zeros((200, 200), np.float32)
    halves[:, 100:] = 1
    bars = np.zeros((200, 200), np.float32)
    bars[:50] = 0.8
    smooth = np.repeat(np.linspace(0.5, 0.55, 200, dtype=np.float32)[:, None], 200, axis=1)
    for picture in (halves, bars, smooth):
        assert find_border(picture) == find_border(picture.T) == NO_BORDER
