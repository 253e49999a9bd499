"""Answers on disk are used for the same pixels and outlines, and for no others."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from pneumoscope.auditing.answers import AnswerStore
from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.perturbations import AuditImage
from pneumoscope.core.engines.local import LocalEngine


class Counter:
    """A model that counts its questions and answers with the mean."""

    identity = "0" * 64

    def __init__(self, place: int | None = None) -> None:
        self.questions = 0
        self.place = place

    def probabilities(self, pixels: np.ndarray[Any, Any]) -> list[float]:
        self.questions += 1
        return [float(pixels.mean())]


def image_set(level: float = 0.5, lungs: bool = True) -> AuditSet:
    """Two pictures of one file hash each, whatever their pixels."""
    mask = np.zeros((4, 4), np.bool_)
    mask[1:3, 1:3] = lungs
    images = tuple(AuditImage(np.full((4, 4), level, np.float32), mask, seed, 4) for seed in (1, 2))
    rows = SimpleNamespace(table={"sha256": ["a" * 64, "b" * 64]})
    return AuditSet(cast("Any", rows), images, np.array([True, False]), np.array([0, 1]), 2)


def ask(model: Counter, images: AuditSet, folder: Path) -> np.ndarray[Any, Any]:
    store = AnswerStore(cast("Any", model), images, folder, LocalEngine(1))
    return store.scores("same", lambda place: lambda: images.images[place].pixels, np.arange(2), lambda _: None)


def test_the_same_images_are_asked_once(tmp_path: Path) -> None:
    model = Counter()
    ask(model, image_set(), tmp_path)
    ask(model, image_set(), tmp_path)
    assert model.questions == 2


@pytest.mark.parametrize(
    "other",
    [
        image_set(level=0.25),  # the same file at another depth
        image_set(lungs=False),  # its mask was drawn again
        replace(image_set(), positive=np.array([False, True])),  # other donors
        replace(image_set(), group=np.array([0, 0])),
    ],
    ids=["pixels", "outlines", "labels", "groups"],
)
def test_other_pixels_outlines_labels_and_groups_are_asked_again(other: AuditSet, tmp_path: Path) -> None:
    model = Counter()
    ask(model, image_set(), tmp_path)
    assert ask(model, other, tmp_path) == pytest.approx([other.images[0].pixels.mean()] * 2)
    assert model.questions == 4


def test_the_answers_about_another_finding_are_asked_again(tmp_path: Path) -> None:
    """One graph answers about all findings; two of them may be present in the same images."""
    models = [Counter(), Counter(0), Counter(1)]
    for model in models:
        for _ in range(2):
            ask(model, image_set(), tmp_path)
    assert [model.questions for model in models] == [2, 2, 2]


def test_a_cut_file_of_answers_is_asked_again(tmp_path: Path) -> None:
    model = Counter()
    expected = ask(model, image_set(), tmp_path)
    (stored,) = tmp_path.glob("*.npy")
    whole = stored.read_bytes()
    for data in (whole[:-3], whole[:20], b""):
        stored.write_bytes(data)
        assert np.array_equal(ask(model, image_set(), tmp_path), expected)
    assert model.questions == 8
    assert stored.read_bytes() == whole
