"""How far one way to run a bundle is from the reference: differences, changed decisions, the AUROC, and the limits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.evidence import EngineFigures
from pneumoscope.bundle.prediction import decide
from pneumoscope.certification.result import INT8_AUROC, INT8_FLIPPED, LARGEST, LARGEST_HALVED
from pneumoscope.core.labels import display_name
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.comparison.paired import estimate_area_difference
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.metrics import group_index

REFUSED = "no answer"
"""In place of a decision: the out-of-distribution score exceeds the card's limit."""


@dataclass(frozen=True)
class Answers:
    """What one engine answered to N images.

    Args:
        probabilities: [N, C].
        ood: [N] out-of-distribution scores; None where the engine does not compute them: then the reference's count.
    """

    probabilities: NDArray[np.float64]
    ood: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Question:
    """One label whose AUROC is compared.

    Args:
        label: Its name.
        place: Its place in the probabilities.
        known: [N] whether an image states it.
        positive: [N] whether it is present; meaningless where it is not known.
    """

    label: str
    place: int
    known: NDArray[np.bool_]
    positive: NDArray[np.bool_]

    @property
    def askable(self) -> bool:
        """Whether both answers occur."""
        return bool((self.positive & self.known).any() and (~self.positive & self.known).any())


def compare_engine(
    engine: str,
    about: str,
    answers: Answers,
    reference: Answers,
    questions: Sequence[Question],
    groups: NDArray[np.str_],
    card: Card,
    *,
    halved: bool = False,
) -> EngineFigures:
    """Compare the answers of an engine with those of ONNX Runtime.

    Args:
        engine: A name in `result.ENGINES`.
        about: What ran, with versions.
        answers: Of the engine to N images.
        reference: Of ONNX Runtime to the same.
        questions: The labels whose AUROC is compared; of several the largest loss counts.
        groups: [N] the independent unit.
        card: Of the bundle.
        halved: Whether the engine has float32 weights where the graph stores float16.
    """
    gap = np.abs(answers.probabilities - reference.probabilities)
    if answers.ood is None:
        answers = replace(answers, ood=reference.ood)
    said, expected = (decisions(card, one.probabilities, one.ood) for one in (answers, reference))
    flipped = said != expected
    difference = _auroc_difference(answers, reference, questions, groups, card)
    largest, at_threshold = float(gap.max()), 0
    if engine == "int8":
        share = float(flipped.mean())
        holds = share <= INT8_FLIPPED and difference.value is not None and difference.value >= INT8_AUROC
        limit = f"AUROC difference at least {INT8_AUROC:g}, at most {100 * INT8_FLIPPED:g}% of decisions changed"
    else:
        most = LARGEST_HALVED if halved else LARGEST[engine]
        refusal_flipped = flipped & ((said == REFUSED) | (expected == REFUSED))
        near = np.where(refusal_flipped, _at_refusal(card, answers, reference, most), gap.max(axis=1) <= most)
        at_threshold = int((flipped & near).sum())
        # `largest` may be no number, which is past every limit.
        holds = bool(largest <= most) and at_threshold == int(flipped.sum())
        limit = f"largest difference at most {most:g}"
        limit += " (the graph stores its weights as float16)" if halved else ""
        limit += "; no decision changed, but where a score lies so near its threshold"
    return EngineFigures(
        engine=engine,
        about=about,
        images=len(gap),
        largest=largest,
        mean=float(gap.mean()),
        flipped=int(flipped.sum()),
        at_threshold=at_threshold,
        flipped_share=estimate_proportion(flipped, group_index(groups), what="set of images"),
        auroc_difference=difference,
        limit=limit,
        holds=holds,
    )


def decisions(card: Card, probabilities: NDArray[np.float64], ood: NDArray[np.float64] | None) -> NDArray[np.str_]:
    """Return [N] what the bundle says of each image, by its card's thresholds.

    Args:
        card: Of the bundle.
        probabilities: [N, C].
        ood: [N]; None: no image is refused.
    """
    scores = np.full(len(probabilities), -np.inf) if ood is None else ood
    said = [decide(card, row.tolist(), float(score))[0] for row, score in zip(probabilities, scores, strict=True)]
    return np.array([REFUSED if word is None else word for word in said])


def _at_refusal(card: Card, answers: Answers, reference: Answers, most: float) -> NDArray[np.bool_]:
    """Return [N] whether both scores are so near the card's limit that a share ``most`` of it explains a refusal."""
    limit = card.refusal.ood_threshold
    if answers.ood is None or reference.ood is None or not np.isfinite(limit):
        return np.zeros(len(answers.probabilities), np.bool_)
    gaps = [np.abs(ood - limit) for ood in (answers.ood, reference.ood)]
    return np.asarray(np.maximum(*gaps) <= most * abs(limit), np.bool_)


def measure_auroc(reference: Answers, questions: Sequence[Question], groups: NDArray[np.str_]) -> tuple[Estimate, str]:
    """Return the AUROC of the reference for the first label that can be asked about, and that label.

    Args:
        reference: Of ONNX Runtime.
        questions: The labels.
        groups: [N] the independent unit.
    """
    for one in questions:
        if one.askable:
            score = reference.probabilities[one.known, one.place]
            return estimate_auroc(score, one.positive[one.known], group_index(groups[one.known])), one.label
    return Estimate(value=None, note="no label has images with and without it"), ""


def _auroc_difference(
    answers: Answers, reference: Answers, questions: Sequence[Question], groups: NDArray[np.str_], card: Card
) -> Estimate:
    """Return the paired difference of the AUROC; of several labels that of the largest loss, with its name."""
    worst: Estimate | None = None
    for one in questions:
        if not one.askable:
            continue
        ours, theirs = (each.probabilities[one.known, one.place] for each in (answers, reference))
        found = estimate_area_difference(ours, theirs, one.positive[one.known], groups[one.known])
        if card.multilabel:
            note = "; ".join(filter(None, [f"of {display_name(one.label)}, the largest loss", found.note]))
            found = found.model_copy(update={"note": note})
        if worst is None or (found.value is not None and (worst.value is None or found.value < worst.value)):
            worst = found
    return worst or Estimate(value=None, note="no label has images with and without it")
