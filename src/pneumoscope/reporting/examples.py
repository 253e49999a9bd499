"""Choose the images that a report shows on request, by fixed rules, so that nobody picks the most pleasing ones.

The page takes pictures of patients out of the folder of the data. So examples need a flag, and the page says so.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pneumoscope.bundle.prediction import Prediction
from pneumoscope.inference.predict import PageItem


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of example: which images belong to it, and which come first."""

    title: str
    how: str
    belongs: Callable[[Prediction, str], bool]
    order: Callable[[Prediction], float]
    """The smallest come first. The hash of the file orders images of equal rank."""
    part_of_others: bool = False


@dataclass(frozen=True, slots=True)
class Example:
    """Examples of one kind as a page shows them."""

    title: str
    how: str
    total: int
    """Number of images of this kind."""
    items: tuple[tuple[PageItem, str], ...]
    """The images, each with its true class."""
    synthetic: bool = False
    part_of_others: bool = False
    """Whether the images are counted under another kind too."""


def _is_right(prediction: Prediction, truth: str) -> bool:
    return prediction.decision == truth


def _is_wrong(prediction: Prediction, truth: str) -> bool:
    return prediction.decision is not None and prediction.decision != truth


KINDS = (
    Kind("Right", "The first by the hash of their files, which is as good as a random draw.", _is_right, lambda p: 0.0),
    Kind(
        "Wrong",
        "Those with the largest probability: here the model was most certain.",
        _is_wrong,
        lambda p: -max(p.probabilities),
    ),
    Kind(
        "Most uncertain",
        "Those whose largest probability is the smallest, right or wrong. All of them have an answer.",
        lambda p, truth: p.decision is not None,
        lambda p: max(p.probabilities),
        part_of_others=True,
    ),
    Kind(
        "No answer",
        "Those that are the least like the calibration images.",
        lambda p, truth: p.refused,
        lambda p: -(p.ood if p.ood is not None else float("inf")),
    ),
)


def choose_examples(
    predictions: Sequence[Prediction], truths: Sequence[str], number: int
) -> list[tuple[Kind, int, list[int]]]:
    """Return each kind with how many images are of it and the places of those that are shown.

    Args:
        predictions: All predictions of a part. Failed ones are never shown.
        truths: The true class of each prediction.
        number: The largest number of images of a kind.
    """
    chosen = []
    for kind in KINDS:
        places = [
            place
            for place, (prediction, truth) in enumerate(zip(predictions, truths, strict=True))
            if prediction.error is None and kind.belongs(prediction, truth)
        ]

        def order(place: int, rank: Callable[[Prediction], float] = kind.order) -> tuple[float, str]:
            return rank(predictions[place]), predictions[place].sha256 or ""

        first = sorted(places, key=order)[:number]
        chosen.append((kind, len(places), first))
    return chosen


def add_pictures(
    chosen: Sequence[tuple[Kind, int, list[int]]],
    truths: Sequence[str],
    pictures: Callable[[Sequence[int]], Sequence[PageItem]],
    *,
    synthetic: bool,
) -> list[Example]:
    """Return the examples of `choose_examples` with their pictures.

    Args:
        chosen: The result of `choose_examples`.
        truths: The true class of each image.
        pictures: Reads the files at the given places and returns their items.
        synthetic: Whether the images are drawn.
    """
    return [
        Example(
            kind.title,
            kind.how,
            total,
            tuple(zip(pictures(places), [truths[place] for place in places], strict=True)),
            synthetic,
            kind.part_of_others,
        )
        for kind, total, places in chosen
    ]
