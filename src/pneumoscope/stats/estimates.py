"""Records of this package: a figure with its interval, and what calibration data gives."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from pneumoscope.core.frozen import Frozen


class Estimate(Frozen):
    """A figure with its 95% interval.

    ``value`` is None where the figure cannot be computed, ``low`` and ``high`` where its interval is not estimable
    (fewer than 10 groups in a class); ``note`` says why.
    """

    value: float | None
    low: float | None = None
    high: float | None = None
    method: str = ""
    note: str = ""

    @property
    def may_be_short(self) -> bool:
        """Whether there is an interval that is known not to hold 95 times in 100; ``note`` says why."""
        return self.low is not None and self.high is not None and "may be too short" in self.note

    def __str__(self) -> str:
        if self.value is None:
            return "not estimable"
        if self.low is None or self.high is None:
            return f"{self.value:.3f} [interval not estimable]"
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}]"


_POINT = 1e-9
"""An interval whose length is less than this share of its figure is a point: rounding, not chance, made it."""


def with_limits(value: float, low: float, high: float, method: str, note: str = "") -> Estimate:
    """Return a figure with its interval, never an impossible one.

    An interval holds its figure: where resampling moved it aside, the nearer limit is the figure. An interval of no
    length claims that chance cannot change the figure; it is "not estimable" instead.

    Args:
        value: The figure, finite.
        low: The lower limit.
        high: The upper limit.
        method: How the interval is made.
        note: A remark beside the interval.
    """
    low, high = min(low, value), max(high, value)
    if high - low <= _POINT * max(1.0, abs(value)):
        why = "interval not estimable: nothing in these images varies"
        return Estimate(value=value, method=method, note="; ".join(filter(None, [note, why])))
    if not (math.isfinite(low) and math.isfinite(high)):
        why = "interval not estimable: one of its limits is infinite"
        return Estimate(value=value, method=method, note="; ".join(filter(None, [note, why])))
    return Estimate(value=value, low=low, high=high, method=method, note=note)


class OperatingPoint(Frozen):
    """A threshold on the primary label's probability, chosen on the calibration part only."""

    name: Literal["youden", "sensitivity-95", "sensitivity-98"]
    threshold: float
    sensitivity: Estimate
    specificity: Estimate
    meaning: str = Field(default="", description="in words: how many images of which sources were above it")


class PredictionSets(Frozen):
    """Thresholds of prediction sets, from the second half of the calibration part."""

    alpha: float = Field(description="the sets aim to hold the true label of 1 - alpha of the images of each label")
    thresholds: dict[str, float] = Field(description="label -> the smallest probability at which it is in the set")
    groups: dict[str, int] = Field(description="label -> calibration groups that its threshold rests on")
    expected: dict[str, tuple[float, float]] = Field(
        description="label -> limits within which chance puts the true coverage of such a threshold 95 times in 100"
    )
    method: str
    measured_on: str = Field(default="", description="part whose images gave coverage, with their number")
    coverage: dict[str, Estimate] = Field(
        default_factory=dict, description="label -> share of its images there whose set held it"
    )
    patient_coverage: dict[str, Estimate] = Field(
        default_factory=dict, description="label -> the same for one random image of each group, which is the promise"
    )
    image_thresholds: dict[str, float] = Field(
        default_factory=dict,
        description="label -> the smallest probability at which it is in a set that holds for images, not patients",
    )
    mean_size: float | None = Field(default=None, description="labels in a set there, on average")

    def of(self, probabilities: Mapping[str, float], per: Literal["patient", "image"] = "patient") -> list[str]:
        """Return the labels that cannot be ruled out; none where the image is unusual for every label.

        Args:
            probabilities: Label -> calibrated probability.
            per: What the promise counts: one random image of each patient, or every image. Where the sicker patients
                have more images, sets that hold per patient hold for fewer of all images.

        Raises:
            ValueError: The card was written before there were sets per image.
        """
        limits = self.thresholds if per == "patient" else self.image_thresholds
        if not limits:
            raise ValueError("this card has no prediction sets that hold per image")
        return [label for label, limit in limits.items() if probabilities[label] >= limit]


class LikelihoodBand(Frozen):
    """How much more often a score in a band comes from the primary label than from the others."""

    low: float
    high: float = Field(description="low <= score < high; the last band holds its end")
    ratio: Estimate
    positives: int = Field(description="calibration images of the primary label in the band")
    negatives: int


class Promises(Frozen):
    """The statements of a card that new images can prove wrong."""

    labels: tuple[str, ...] = Field(description="in the order of the graph's outputs; the first is primary")
    class_prior: tuple[float, ...] = Field(description="share of each class in the calibration part")
    score_bands: tuple[dict[str, float], ...] = Field(
        default=(), description="low, high, observed rate, its interval and n of the primary label, on calibration"
    )
    prediction_sets: PredictionSets | None = None
