"""Changes of an image, by hand-worked pictures."""

from __future__ import annotations

import numpy as np
import pytest

from pneumoscope.auditing.perturbations import PERTURBATIONS, AuditImage, exchange, lung_boxes


@pytest.fixture
def image() -> AuditImage:
    """A grey picture of 50 x 100 pixels with two lungs, the left one an L: its box holds more than it does."""
    pixels = np.full((50, 100), 0.5, np.float32)
    pixels[:, :50] = 0.25
    lungs = np.zeros((50, 100), np.bool_)
    lungs[10:40, 60:80] = True
    lungs[10:40, 20:25] = lungs[35:40, 20:40] = True
    return AuditImage(pixels, lungs, seed=3, input_size=32)


def change(name: str, image: AuditImage) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
    changed = PERTURBATIONS[name].apply(image)
    assert changed.shape == image.pixels.shape
    assert changed.dtype == np.float32
    return changed


def test_blacked_out_lungs_leave_everything_else(image: AuditImage) -> None:
    changed = change("lungs-blacked-out", image)
    assert image.lungs is not None
    assert (changed[image.lungs] == 0).all()
    assert np.array_equal(changed[~image.lungs], image.pixels[~image.lungs])


def test_boxes_hide_the_outline_of_the_lungs(image: AuditImage) -> None:
    """The margin is 4% of the shorter side, 2 pixels: two boxes and nothing else are black."""
    expected = image.pixels.copy()
    expected[8:42, 18:42] = expected[8:42, 58:82] = 0
    assert np.array_equal(change("boxes-blacked-out", image), expected)


def test_of_many_parts_the_two_largest_have_boxes() -> None:
    lungs = np.zeros((20, 20), np.bool_)
    lungs[0:5, 0:5] = lungs[10:15, 10:15] = lungs[18, 18] = True
    boxes = lung_boxes(lungs, 0)
    assert boxes.sum() == 50
    assert not boxes[18, 18]


def test_lungs_only_keeps_the_lungs_and_a_margin(image: AuditImage) -> None:
    changed = change("lungs-only", image)
    assert (changed[8:42, 58:82] == 0.5).all()
    assert (changed[0:8] == 0).all()
    assert changed[20, 35] == 0  # inside the L's box, outside the L and its margin


def test_border_only_keeps_a_tenth_of_each_side(image: AuditImage) -> None:
    changed = change("border-only", image)
    assert (changed[5:45, 10:90] == 0).all()
    assert np.array_equal(changed[:5], image.pixels[:5])
    assert np.array_equal(changed[:, :10], image.pixels[:, :10])


def test_a_thumbnail_holds_as_many_values_as_it_says(image: AuditImage) -> None:
    """8 columns of a picture that is dark on the left: the first and the last are the means of its halves."""
    changed = change("thumbnail-8", image)
    assert changed[25, 0] == pytest.approx(0.25)
    assert changed[25, 99] == pytest.approx(0.5)
    noisy = AuditImage(np.random.default_rng(0).random((64, 64)).astype(np.float32), None, 0, 32)
    assert np.linalg.matrix_rank(change("thumbnail-8", noisy).astype(np.float64), tol=1e-4) <= 8


def test_the_histogram_stays_where_pixels_are_shuffled(image: AuditImage) -> None:
    changed = change("histogram-only", image)
    assert np.array_equal(np.sort(changed, axis=None), np.sort(image.pixels, axis=None))
    assert not np.array_equal(changed, image.pixels)


def test_a_bright_sign_is_erased_and_a_large_bright_thing_stays() -> None:
    pixels = np.full((100, 100), 0.2, np.float32)
    pixels[30:33, 30:33] = 1.0  # a sign of 3 pixels, outside the corners
    pixels[50:80, 30:70] = 0.9  # a shoulder
    pixels[0:4, 0:4] = 1.0  # in a corner, which is evened out
    changed = change("markers-erased", AuditImage(pixels, None, 0, 32))
    assert changed[31, 31] == pytest.approx(0.2)
    assert changed[65, 50] == pytest.approx(0.9)
    assert changed[1, 1] == pytest.approx(0.2)


def test_a_sign_inside_the_lungs_stays_since_it_may_be_disease() -> None:
    pixels = np.full((100, 100), 0.2, np.float32)
    pixels[30:33, 30:33] = 1.0
    lungs = np.zeros((100, 100), np.bool_)
    lungs[25:60, 25:60] = True
    assert change("markers-erased", AuditImage(pixels, lungs, 0, 32))[31, 31] == 1


def test_mirroring_twice_gives_the_picture(image: AuditImage) -> None:
    once = change("mirrored", image)
    assert (once[:, :50] == 0.5).all()
    again = change("mirrored", AuditImage(once, None, 0, 32))
    assert np.array_equal(again, image.pixels)


def test_jpeg_changes_little_and_something(image: AuditImage) -> None:
    noisy = AuditImage(np.random.default_rng(0).random((64, 64)).astype(np.float32), None, 5, 32)
    changed = change("jpeg", noisy)
    assert 0.005 < np.abs(changed - noisy.pixels).mean() < 0.2


def test_half_the_resolution_takes_stripes_of_single_pixels_away() -> None:
    stripes = np.tile(np.array([0, 1], np.float32), (32, 16))
    assert np.allclose(change("half-resolution", AuditImage(stripes, None, 0, 32)), 0.5, atol=0.01)


def test_another_framing_keeps_the_middle_and_cuts_or_turns_the_rest() -> None:
    ramp = np.tile(np.linspace(0, 1, 100, dtype=np.float32), (60, 1))
    cut = PERTURBATIONS["cropped"].apply(AuditImage(ramp, None, 0, 32))
    assert np.array_equal(cut, ramp[3:57, 5:95])
    bar = np.zeros((101, 101), np.float32)
    bar[:, 50] = 1
    reach = 45 * np.tan(np.radians(5))
    turned = [change("turned", AuditImage(bar, None, seed, 32)) for seed in (0, 1)]
    assert [picture.shape for picture in turned] == [bar.shape] * 2
    tops = sorted(int(picture[5].argmax()) - 50 for picture in turned)
    assert tops == pytest.approx([-reach, reach], abs=0.6)


def test_a_corner_of_another_size_is_stretched() -> None:
    own, donor = np.zeros((10, 10), np.float32), np.ones((40, 20), np.float32)
    changed = exchange(own, donor, [(slice(0, 2), slice(0, 2))], [(slice(0, 8), slice(0, 4))])
    assert (changed[:2, :2] == 1).all()
    assert changed.sum() == 4
    assert own.sum() == 0
