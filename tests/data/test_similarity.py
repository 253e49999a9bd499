"""The search finds copies and no pairs of different patients; its figures agree with independent computations."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageOps
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pneumoscope.data import similarity
from pneumoscope.data.evened import WHOLE, even_out
from pneumoscope.data.fingerprint import distance, perceptual_hash, thumbnail
from pneumoscope.data.grouping import find_component_roots
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.data.similarity import (
    NEAR,
    SAME,
    _fine_similarity,
    _Spectra,
    find_mirrored,
    find_near_duplicates,
)
from pneumoscope.imaging.read import read

PATIENTS = 40


def _small(picture: Image.Image) -> NDArray[np.float32]:
    return thumbnail(np.asarray(picture.convert("L"), dtype=np.float32) / 255)


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def _shift(picture: Image.Image) -> Image.Image:
    return picture.transform(picture.size, Image.Transform.AFFINE, (1, 0, 8, 0, 1, 5))


COPIES: dict[str, Callable[[Image.Image], Image.Image]] = {
    "the same": lambda picture: picture,
    "half the size": lambda picture: picture.resize((64, 64), Image.Resampling.LANCZOS),
    "JPEG of quality 60": lambda picture: _jpeg(picture, 60),
    "brighter": lambda picture: picture.point(lambda value: min(255, int(value + 40))),
    "equalised": ImageOps.equalize,
    "shifted": _shift,
    "cropped by 6% left and right": lambda picture: picture.crop((8, 0, 120, 128)),
    "cropped by 10% on each side": lambda picture: picture.crop((13, 13, 115, 115)),
    "a border of 10%": lambda picture: ImageOps.expand(picture, 13, 0),
    "turned by 5 degrees": lambda picture: picture.rotate(5, Image.Resampling.BICUBIC),
    "turned by -3 degrees": lambda picture: picture.rotate(-3, Image.Resampling.BICUBIC),
    "inverted": ImageOps.invert,
    "resized, brighter and JPEG": lambda picture: _jpeg(picture.resize((100, 100)).point(lambda v: v * 1.1), 60),
}


# Pairs that real sets share: a plain copy, two equalised copies and three cropped ones.
_RADIOGRAPHY, _KAGGLE = "radiography/COVID-19_Radiography_Dataset", "kaggle-pneumonia/chest_xray"
REAL = [
    (f"{_RADIOGRAPHY}/Normal/images/Normal-290.png", "nih/images/00007408_000.png"),
    (
        f"{_RADIOGRAPHY}/Viral Pneumonia/images/Viral Pneumonia-233.png",
        f"{_KAGGLE}/test/PNEUMONIA/person348_virus_714.jpeg",
    ),
    (
        f"{_RADIOGRAPHY}/Viral Pneumonia/images/Viral Pneumonia-1133.png",
        f"{_KAGGLE}/test/PNEUMONIA/person1348_virus_2324.jpeg",
    ),
    (f"{_RADIOGRAPHY}/COVID/images/COVID-1139.png", "ieee8023/images/16745_6_1.png"),
    (f"{_RADIOGRAPHY}/COVID/images/COVID-1577.png", "ieee8023/images/A7E260CE-8A00-4C5F-A7F5-27336527A981.jpeg"),
    (f"{_RADIOGRAPHY}/COVID/images/COVID-1118.png", "ieee8023/images/16747_1_1.jpg"),
]


@pytest.fixture(scope="module")
def chests() -> list[Image.Image]:
    """Phantoms of different patients, as similar to each other as chests are."""
    pictures = [draw(0, number, "normal", 128).pixels for number in range(PATIENTS)]
    return [Image.fromarray(np.round(pixels * 255).astype(np.uint8)) for pixels in pictures]


def test_different_patients_are_not_near_duplicates(chests: list[Image.Image]) -> None:
    assert find_near_duplicates(np.stack([_small(picture) for picture in chests])) == []


@pytest.mark.parametrize("change", COPIES, ids=str)
def test_only_copies_are_found(chests: list[Image.Image], change: str) -> None:
    copies = [COPIES[change](picture) for picture in chests[::10]]
    pairs = find_near_duplicates(np.stack([_small(picture) for picture in [*chests, *copies]]))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 40), (10, 41), (20, 42), (30, 43)]


def test_the_same_pixels_are_one_exposure_even_when_blank() -> None:
    blank = np.zeros((3, 64, 64), dtype=np.float32)
    blank[1] = 0.5
    noise = np.random.default_rng(0).random((1, 64, 64), dtype=np.float32)
    pairs = find_near_duplicates(np.concatenate([blank, noise, noise]))
    assert [(pair.first, pair.second) for pair in pairs] == [(0, 2), (3, 4)]
    assert all(pair.similarity >= SAME for pair in pairs)


def test_mirrored_copies_are_found_and_no_others(chests: list[Image.Image]) -> None:
    copies = [_jpeg(ImageOps.mirror(picture), 60) for picture in chests[::10]]
    small = np.stack([_small(picture) for picture in [*chests, *copies]])
    assert [(pair.first, pair.second) for pair in find_mirrored(small)] == [(0, 40), (10, 41), (20, 42), (30, 43)]
    assert find_mirrored(small[:PATIENTS]) == []


def test_all_pairs_of_a_cluster_are_found(chests: list[Image.Image]) -> None:
    """There are more copies than candidates that are compared together."""
    copies = [_jpeg(chests[0].point(lambda v, by=by: min(255, v + by)), 90 - by) for by in range(45)]
    small = np.stack([_small(picture) for picture in [*copies, *chests[1:]]])
    pairs = {(pair.first, pair.second) for pair in find_near_duplicates(small)}
    assert pairs == {(i, j) for j in range(45) for i in range(j)}


def test_pairs_depend_on_neither_the_processors_nor_the_room_for_spectra(
    chests: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    small = np.stack([_small(picture) for picture in [*chests, *map(COPIES["shifted"], chests)]])
    expected = find_near_duplicates(small)
    assert len(expected) == PATIENTS
    monkeypatch.setattr(os, "cpu_count", lambda: 3)
    monkeypatch.setattr(similarity, "_STORED", 24)
    monkeypatch.setattr(similarity, "_COMPARED", 8)
    assert [(pair.first, pair.second) for pair in find_near_duplicates(small)] == [
        (pair.first, pair.second) for pair in expected
    ]


def test_progress_reaches_the_end_and_an_interruption_ends_the_search(
    chests: list[Image.Image], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(similarity, "_BLOCK", 16)
    small = np.stack([_small(picture) for picture in chests])
    ticks: list[int] = []
    find_near_duplicates(small, ticks.append)
    assert ticks == sorted(ticks)
    assert ticks[-1] == PATIENTS

    def interrupt(done: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        find_near_duplicates(small, interrupt)


def test_fewer_than_two_pictures_have_no_pair() -> None:
    assert find_near_duplicates(np.zeros((1, 64, 64), dtype=np.float32)) == []
    assert find_near_duplicates(np.zeros((0, 64, 64), dtype=np.float32)) == []


def test_similarity_is_the_best_correlation_over_shifts(chests: list[Image.Image]) -> None:
    small = np.stack([_small(chests[0]), _small(_shift(chests[0])), _small(chests[1])])
    taper = np.hanning(66)[1:-1] ** 0.25
    detail = even_out(small, blur=2.0) * np.outer(taper, taper)
    detail -= detail.mean(axis=(1, 2), keepdims=True)
    detail /= np.sqrt((detail**2).sum(axis=(1, 2), keepdims=True))

    def by_hand(one: NDArray[np.float64], other: NDArray[np.float64]) -> float:
        padded = np.pad(other, 8)
        return max(float((one * padded[y : y + 64, x : x + 64]).sum()) for y in range(17) for x in range(17))

    pairs = [(0, 1), (0, 2), (1, 2)]
    expected = [by_hand(detail[i], detail[j]) for i, j in pairs]
    assert _fine_similarity(_Spectra(small), np.array(pairs), WHOLE) == pytest.approx(expected, abs=1e-4)
    assert expected[0] >= NEAR > expected[1]


def test_component_roots_agree_with_scipys_connected_components() -> None:
    random = np.random.default_rng(0)
    links = random.integers(0, 200, size=(120, 2))
    graph = coo_array((np.ones(120), links.T), shape=(200, 200))
    _, expected = connected_components(graph, directed=False)
    roots = find_component_roots(200, [(int(i), int(j)) for i, j in links])
    assert len(set(zip(roots, expected, strict=True))) == len(set(roots)) == len(set(expected))
    assert all(roots[place] <= place for place in range(200))


def test_the_perceptual_hash_differs_little_between_copies_and_much_between_pictures(chests: list[Image.Image]) -> None:
    hashes = [perceptual_hash(_small(picture)) for picture in chests]
    copies = [perceptual_hash(_small(_jpeg(picture.resize((100, 100)), 60))) for picture in chests]
    assert max(distance(one, other) for one, other in zip(hashes, copies, strict=True)) <= 6
    others = [distance(hashes[i], hashes[j]) for i in range(PATIENTS) for j in range(i)]
    assert np.median(others) > 12
    assert distance("0000000000000000", "f00000000000000f") == 8


@pytest.mark.shared
@pytest.mark.parametrize(("one", "other"), REAL, ids=lambda path: Path(path).name)
def test_copies_between_real_sets_are_found(shared: Path, one: str, other: str) -> None:
    small = np.stack([thumbnail(read(shared / "data" / name).pixels) for name in (one, other)])
    assert [pair.similarity >= NEAR for pair in find_near_duplicates(small)] == [True]
