"""A prediction: what the graph gives for an image, the decision that the card makes of it, and its row in the table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.card import Card, Refusal
from pneumoscope.core.labels import LabelSet, absent_name, result_phrase
from pneumoscope.imaging.read import Radiograph
from pneumoscope.stats.plain_language import ENOUGH_FOR_SHARE, describe_share

_BETWEEN_FINDINGS = "; "  # no label holds a semicolon

OUTSIDE_LUNGS = "outside-lungs"
"""The code of the warning that the model is most active outside the lungs."""


@dataclass(frozen=True, slots=True)
class Output:
    """The graph's outputs for one image; C classes in the order of the card."""

    probabilities: NDArray[np.float32]
    """[C], calibrated, sum 1; of a multi-label model each by itself."""
    logits: NDArray[np.float32]
    """[C]."""
    heatmap: NDArray[np.float32] | None
    """[C, h, w] in 0..1, row 0 = head; None where the model has none."""
    embedding: NDArray[np.float32]
    """[D]."""
    ood: float
    """Out-of-distribution score: larger means less like the training images; the card has the refusal threshold."""


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one image.

    A file that failed keeps its place: ``error`` says why, and there are no probabilities.
    """

    path: str
    probabilities: tuple[float, ...]
    """In the order of the card's labels; empty where the file failed, or was refused before the model saw it."""
    decision: str | None
    """A label; of a multi-label model its findings, see `split_decision`. None: no answer, or the file failed."""
    refused: bool
    reason: str
    """Why it was refused, in words; empty where it was not."""
    ood: float | None
    model: str
    """First 12 digits of the bundle's identity."""
    sha256: str | None
    """Of the file's bytes; None where they could not be read."""
    seconds: float
    """Reading and inference, in the worker."""
    error: str | None = None
    warnings: tuple[str, ...] = ()
    """What to know beside the answer, in words."""
    codes: tuple[str, ...] = ()
    """Why it was refused and what it is warned of, as words for a machine (`ScreeningFinding.code`)."""
    screened: bool = True
    """Whether gatekeeper and lungs graph looked at the image first; False: the model answers about anything."""
    audit: str = ""
    """The verdict of the model's newest audit, in a word."""
    largest_value: int | None = None
    """Of a 16-bit file whose declared depth leaves it nearly black; None where it does not. It is no column."""
    exif_damaged: bool = False
    """Whether an orientation may have been lost with the file's Exif block. It is no column."""

    def printable(self) -> Prediction:
        """Return the prediction with text that every table and page can hold.

        Returns:
            A prediction whose path and error have no control characters and no halves of characters.
        """
        return replace(self, path=printable(self.path), error=None if self.error is None else printable(self.error))

    def about(self, finding: str, place: int) -> Prediction:
        """Return the answer of a multi-label model about one finding, as a binary model's.

        Args:
            finding: One of the model's labels.
            place: Its place among them.

        Returns:
            A prediction with the probabilities of the finding and of its absence.
        """
        p = self.probabilities[place : place + 1]
        decision = None
        if self.decision is not None:
            decision = finding if finding in split_decision(self.decision) else absent_name(finding)
        return replace(self, probabilities=tuple(x for value in p for x in (value, 1 - value)), decision=decision)

    def row(self, labels: Sequence[str]) -> dict[str, Any]:
        """Return the prediction as one row of the table.

        Args:
            labels: Class names in the order of the card.

        Returns:
            Column -> value, in the order of `columns`.
        """
        probabilities = self.probabilities or (None,) * len(labels)
        clean = self.printable()
        return {
            "path": clean.path,
            **{f"p_{label}": p for label, p in zip(labels, probabilities, strict=True)},
            "decision": self.decision,
            "refused": self.refused,
            "reason": self.reason,
            "code": self.codes[0] if self.refused and self.codes else "",
            "warnings": "; ".join(self.warnings),
            "outside_lungs": OUTSIDE_LUNGS in self.codes,
            "screened": self.screened,
            "audit": self.audit,
            "ood": self.ood,
            "model": self.model,
            "sha256": self.sha256,
            "seconds": round(self.seconds, 6),
            "error": clean.error,
        }


Observer = Callable[[Prediction, Radiograph, Output | None], None]
"""Called in the worker for each image that was predicted, while its pixels are in memory (heatmaps, thumbnails); the
output is None where the image was refused before the model saw it."""


def columns(labels: Sequence[str]) -> dict[str, str]:
    """Return the columns of the table of predictions and their types (string, double, bool)."""
    return {
        "path": "string",
        **{f"p_{label}": "double" for label in labels},
        "decision": "string",
        "refused": "bool",
        "reason": "string",
        "code": "string",
        "warnings": "string",
        "outside_lungs": "bool",
        "screened": "bool",
        "audit": "string",
        "ood": "double",
        "model": "string",
        "sha256": "string",
        "seconds": "double",
        "error": "string",
    }


def printable(text: str) -> str:
    r"""Return ``text`` with the bytes of a file name that are not UTF-8 written as ``\xNN``: tables hold only UTF-8."""
    return text.encode("utf-8", "surrogateescape").decode("utf-8", "backslashreplace")


def split_decision(decision: str) -> tuple[str, ...]:
    """Return the labels of a decision: one, or the findings of a multi-label model that reach their thresholds.

    Args:
        decision: As in a table of predictions; the label for "none of these" where no finding does.
    """
    return tuple(decision.split(_BETWEEN_FINDINGS))


def join_findings(findings: Iterable[str]) -> str:
    """Return findings as one decision, as `split_decision` takes it apart."""
    return _BETWEEN_FINDINGS.join(findings)


def decide(card: Card, probabilities: Sequence[float], ood: float) -> tuple[str | None, str]:
    """Return the decision and, where the model gives no answer, the reason.

    The decision is the primary label if its probability reaches the default operating point, else the largest of the
    rest: the threshold, not the maximum, has the promised sensitivity. A multi-label model names all findings that
    reach theirs, or says "none of these".

    Args:
        card: The card of the model.
        probabilities: [C] in the order of the card's labels, sum 1.
        ood: Out-of-distribution score.
    """
    limit = card.refusal.ood_threshold
    # Written as "not <=" so that a score that is not a number is refused too.
    if not ood <= limit:
        return None, (
            f"unlike the images this model was calibrated on: its out-of-distribution score {ood:.4g} exceeds the "
            f"limit {limit:.4g}{_who_keeps(card.refusal)}"
        )
    if card.multilabel:
        answers = zip(card.label_names, card.finding_points, probabilities, strict=True)
        found = [name for name, point, p in answers if p >= point.threshold]
        return join_findings(found) or str(LabelSet.builtin().none_label), ""
    if probabilities[0] >= card.operating_point.threshold:
        return card.primary, ""
    rest = max(range(1, len(probabilities)), key=lambda k: probabilities[k])
    return card.label_names[rest], ""


def _who_keeps(refusal: Refusal) -> str:
    """Return how many calibration images keep the limit; nothing where the card does not count them."""
    if refusal.images is None or refusal.kept is None:
        return ""
    comma = "," if refusal.images < ENOUGH_FOR_SHARE else ""
    return f", which {describe_share(refusal.kept, refusal.images)}{comma} keep"


def band_of(card: Card, p: float) -> Mapping[str, float] | None:
    """Return the card's score band of ``p``, the primary label's probability; None where there is none."""
    for band in card.score_bands:
        if band["low"] <= p < band["high"] or p == band["high"] == 1:
            return band
    return None


def result_words(decision: str | None, error: str | None) -> str:
    """Return a result in a few words, never a bare "normal" and never a diagnosis.

    Args:
        decision: A label; None where the model gives no answer.
        error: Why the file failed; None where it did not.
    """
    if error is not None:
        return "Failed"
    if decision is None:
        return "No answer"
    return ", ".join(result_phrase(name) for name in split_decision(decision))
