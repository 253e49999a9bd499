"""The probe on pixels finds clues that are planted on one label, and nothing where chance made the labels."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageOps

from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.findings import Clear, Finding
from pneumoscope.data.checks.leaks import find_mirrored_conflicts
from pneumoscope.data.checks.pixel_facts import LOOKS, SIZES, measure_pixels, split_vectors
from pneumoscope.data.checks.pixel_probe import guess_from_vectors
from pneumoscope.data.checks.pixels import guess_label
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.data.similarity import Pair

COUNT = 80
Change = Callable[[Image.Image], Image.Image]


def _letter(picture: Image.Image) -> Image.Image:
    marked = picture.copy()
    ImageDraw.Draw(marked).text((6, 4), "R", fill=255)
    return marked


def _upscale(picture: Image.Image) -> Image.Image:
    return picture.resize((70, 70)).resize(picture.size, Image.Resampling.BICUBIC)


@pytest.fixture(scope="module")
def chests() -> list[Image.Image]:
    pictures = [draw(0, number, "normal", 96).pixels for number in range(COUNT)]
    return [Image.fromarray(np.round(pixels * 255).astype(np.uint8)) for pixels in pictures]


def _context(build: Callable[..., CheckContext], chests: list[Image.Image], change: Change) -> CheckContext:
    """Change every other image, and call these pneumonia."""
    context = build([{"label": "pneumonia" if number % 2 else "normal"} for number in range(COUNT)])
    pictures = [change(picture) if number % 2 else picture for number, picture in enumerate(chests)]
    vectors = np.stack([measure_pixels(np.asarray(picture, dtype=np.float32) / 255) for picture in pictures])
    return CheckContext(context.manifest, context.labels, context.facts, (), (), vectors)


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        (_letter, "a letter, a text or a border"),
        (_upscale, "resizing, sharpening or local equalisation"),
        (ImageOps.mirror, "mirrored images, or children against adults"),
    ],
    ids=["a letter", "upscaled", "mirrored"],
)
def test_a_clue_of_one_label_confounds(
    context: Callable[..., CheckContext], chests: list[Image.Image], change: Change, hint: str
) -> None:
    outcome = guess_label(_context(context, chests, change))
    assert isinstance(outcome, Finding), outcome.sentence
    assert outcome.confounds
    assert hint in outcome.what_to_do


def test_labels_by_chance_are_clear(context: Callable[..., CheckContext], chests: list[Image.Image]) -> None:
    outcome = guess_label(_context(context, chests, lambda picture: picture))
    assert isinstance(outcome, Clear)
    assert outcome.applicable


def test_few_groups_and_unmeasured_images_are_not_judged(context: Callable[..., Any]) -> None:
    assert not guess_label(context([{}, {"label": "pneumonia"}])).applicable


def test_the_guess_agrees_with_scikit_learns_discriminant() -> None:
    """With one number and two labels of one size the rule is the nearest mean: that is LDA with equal priors."""
    discriminant = pytest.importorskip("sklearn.discriminant_analysis").LinearDiscriminantAnalysis
    random = np.random.default_rng(0)
    label = np.arange(200) % 2
    values = (random.normal(size=(200, 1)) + label[:, None]).astype(np.float32)
    guess = guess_from_vectors({"v": values}, label, np.arange(200), np.random.default_rng(1), ("v",), permutations=19)
    reference = discriminant(priors=[0.5, 0.5]).fit(values, label).score(values, label)
    assert guess["v"].balanced == pytest.approx(reference, abs=0.03)
    np.testing.assert_array_equal(guess["v"].hits, guess["one cell of v"].hits)
    assert guess["v"].p == 1 / 20


def test_vectors_are_named_and_do_not_depend_on_brightness(chests: list[Image.Image]) -> None:
    pixels = np.asarray(chests[0], dtype=np.float32) / 255
    one, darker = (split_vectors(measure_pixels(each)[None]) for each in (pixels, pixels * 0.5))
    assert {name: vector.shape[1] for name, vector in one.items()} == SIZES
    for name in LOOKS[1:]:
        np.testing.assert_allclose(one[name], darker[name], atol=2e-3)


def test_a_mirrored_copy_with_another_label_or_part_blocks(context: Callable[..., CheckContext]) -> None:
    rows = [{"split": "train"}, {"label": "pneumonia", "split": "train"}, {"split": "test"}, {"split": "train"}]
    plain = context(rows)
    pairs = (Pair(0, 1, 0.9), Pair(0, 2, 0.9), Pair(0, 3, 0.9))
    outcome = find_mirrored_conflicts(CheckContext(plain.manifest, plain.labels, plain.facts, (), pairs))
    assert isinstance(outcome, Finding)
    assert outcome.severity == "block"
    assert outcome.rows == (0, 1, 2)
    assert isinstance(find_mirrored_conflicts(plain), Clear)
