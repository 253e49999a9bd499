"""Surroundings that strangers share join none of them and hide no copy. All pairs are known by construction."""

from __future__ import annotations

import io

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from data.conftest import texture
from pneumoscope.data.borders import agree_inside
from pneumoscope.data.fingerprint import thumbnail
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.data.similarity import find_mirrored, find_near_duplicates

FORMS = ["black border with text", "white border", "grey border", "above and below", "turned collimator", "disc"]
PATTERNS = ["ticks", "viewer", "texture"]
PATIENTS = 24


def _surround(picture: Image.Image, pattern: str) -> Image.Image:
    """Return a picture in surroundings that are not flat: a scale, a viewer's toolbar, or the grain of a film."""
    size, box = 256, (26, 26, 230, 230)
    if pattern == "texture":
        grain = np.random.default_rng(5).normal(0, 1, (32, 32))
        film = Image.fromarray(np.clip(90 + 50 * grain, 0, 255).astype(np.uint8))
        sheet = film.resize((size, size), Image.Resampling.BICUBIC)
    else:
        sheet = Image.new("L", (size, size), 0 if pattern == "ticks" else 40)
        pen = ImageDraw.Draw(sheet)
        for place in range(0, size, 8):
            if pattern == "ticks":
                length = 20 if place % 40 == 0 else 10
                for x, y in ((0, 2), (0, size - 2 - length)):
                    pen.line((place, y, place, y + length), fill=255)
                    pen.line((y, place, y + length, place + x), fill=255)
            elif place % 24 == 0:
                pen.rectangle((place, 2, place + 18, 20), fill=140 + place // 3, outline=20)
                pen.text((2, place + 26), f"w{place}", fill=220)
    sheet.paste(picture.resize((box[2] - box[0], box[3] - box[1]), Image.Resampling.BILINEAR), box)
    return sheet


def _shrink(picture: Image.Image, left: int, top: int) -> Image.Image:
    """Return a picture of a size that gives 128 x 128 with a border of these widths."""
    return picture.resize((128 - 2 * left, 128 - 2 * top), Image.Resampling.BILINEAR)


def _frame(picture: Image.Image, form: str) -> Image.Image:
    """Return a picture as a device or a program may surround it."""
    if form == "black border with text":
        framed = ImageOps.expand(_shrink(picture, 13, 13), 13, 0)
        ImageDraw.Draw(framed).text((20, 1), "PORTABLE AP", fill=255)
        return framed
    if form == "white border":
        return ImageOps.expand(_shrink(picture, 13, 13), 13, 255)
    if form == "grey border":
        return ImageOps.expand(_shrink(picture, 16, 16), 16, 90)
    if form == "above and below":
        return ImageOps.expand(_shrink(picture, 0, 20), (0, 20), 255)
    inside = Image.new("L", picture.size, 0)
    if form == "disc":
        ImageDraw.Draw(inside).ellipse((2, 2, 126, 126), fill=255)
    else:
        ImageDraw.Draw(inside).polygon([(15, 30), (100, 10), (118, 95), (30, 120)], fill=255)
    return Image.composite(picture, Image.new("L", picture.size, 0), inside)


def _small(pictures: list[Image.Image]) -> NDArray[np.float32]:
    return np.stack([thumbnail(np.asarray(picture.convert("L"), dtype=np.float32) / 255) for picture in pictures])


def _jpeg(picture: Image.Image) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=50)
    return Image.open(buffer)


@pytest.fixture(scope="module")
def chests() -> list[Image.Image]:
    """Phantoms of different patients, as similar to each other as chests are."""
    pictures = [draw(0, number, "normal", 128).pixels for number in range(PATIENTS)]
    return [Image.fromarray(np.round(pixels * 255).astype(np.uint8)) for pixels in pictures]


@pytest.mark.parametrize("form", FORMS)
def test_the_same_surroundings_join_no_strangers_and_hide_no_copy(chests: list[Image.Image], form: str) -> None:
    framed = [_frame(picture, form) for picture in chests]
    copies = [
        _jpeg(framed[0]),
        framed[6].transform((128, 128), Image.Transform.AFFINE, (1, 0, 3, 0, 1, -2)),
        framed[12].crop((4, 0, 124, 128)),
        framed[18].point(lambda value: 255 * (value / 255) ** 0.7),
    ]
    pairs = find_near_duplicates(_small([*framed, *copies]))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 24), (6, 25), (12, 26), (18, 27)]


@pytest.mark.parametrize("form", ["white border", "disc"])
def test_the_same_surroundings_make_no_stranger_a_mirror_image(chests: list[Image.Image], form: str) -> None:
    framed = [_frame(picture, form) for picture in chests]
    mirrored = [ImageOps.mirror(_jpeg(framed[number])) for number in (0, 12)]
    pairs = find_mirrored(_small([*framed, *mirrored]))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 24), (12, 25)]


def test_pairs_are_judged_by_what_lies_inside_their_common_border() -> None:
    noise = np.random.default_rng(0).random((3, 64, 64)).astype(np.float32)
    framed = np.zeros_like(noise)
    framed[:, 12:52, 12:52] = noise[:, 12:52, 12:52]
    ones, others = framed[[0, 0]], framed[[0, 1]]
    still = np.zeros((2, 2), dtype=np.intp)
    assert agree_inside(ones, others, still).tolist() == [True, False]
    assert agree_inside(ones, np.roll(others, (-3, 5), axis=(1, 2)), still + np.array([3, -5])).tolist() == [
        True,
        False,
    ]
    # The border of one alone, or no border at all, joins nobody: these pairs are left as they are.
    assert agree_inside(noise[[0, 0]], framed[[0, 1]], still).tolist() == [True, True]


@pytest.mark.parametrize("pattern", PATTERNS)
def test_surroundings_that_are_equal_join_no_strangers(pattern: str) -> None:
    """They need not be flat: what is equal in both from the edge on says nothing about the chest."""
    pictures = [Image.fromarray(texture(seed, 256)) for seed in range(PATIENTS)]
    framed = [_surround(picture, pattern) for picture in pictures]
    copies = [_jpeg(framed[0]), framed[6].point(lambda value: 255 * (value / 255) ** 0.7)]
    small = _small([*framed, *copies])
    pairs = find_near_duplicates(small)
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 24), (6, 25)]
    strangers = small[: PATIENTS // 2], small[PATIENTS // 2 : PATIENTS]
    assert not agree_inside(*strangers, np.zeros((PATIENTS // 2, 2), dtype=np.intp)).any()


@pytest.mark.parametrize("pattern", ["black", "ticks", "texture"])
def test_a_copy_that_is_cropped_inside_its_border_is_found(chests: list[Image.Image], pattern: str) -> None:
    """The border is in place and the chest larger by 6%: inside, the pair is aligned again."""

    def surround(picture: Image.Image) -> Image.Image:
        if pattern == "black":
            return ImageOps.expand(picture.resize((204, 204), Image.Resampling.BILINEAR), 26, 0)
        return _surround(picture, pattern)

    numbers = range(0, PATIENTS, 4)
    framed = [surround(chests[number]) for number in numbers]
    cropped = [surround(chests[number].crop((4, 4, 124, 124))) for number in numbers]
    ones, others = _small(framed), _small(cropped)
    agree = agree_inside(ones, others, np.zeros((len(ones), 2), dtype=np.intp))
    assert agree.all()
    assert not agree_inside(ones, np.roll(others, 1, axis=0), np.zeros((len(ones), 2), dtype=np.intp)).any()
