"""Is acting on the model better than treating everyone or no one? Decision-curve analysis (Vickers & Elkin 2006).

A person who acts at a probability of t considers a missed case (1 - t) / t times as bad as a needless action. On that
scale the net benefit is counted in true positives per image: sensitivity * prevalence - (1 - specificity) *
(1 - prevalence) * t / (1 - t). Doing nothing has 0. A curve shows values; people choose t.

In case-control data the collector chose the prevalence. There are therefore also curves at stated prevalences, to which
the probabilities are moved first (``prevalence.at_prior``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.design import Design, designs_of, wider
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import estimate_proportion, group_correlation
from pneumoscope.stats.metrics import group_index

THRESHOLDS = (0.01, 0.02, 0.03, 0.05, 0.075, *(round(0.1 + 0.05 * k, 2) for k in range(17)), 0.95)
METHOD = "limits of sensitivity and specificity, combined (Zou & Donner 2008)"


class NetBenefit(Frozen):
    """Net benefit at one threshold probability, in true positives per image; treating no one has 0."""

    threshold: float = Field(description="probability at which a person would act")
    model: Estimate = Field(description="acting where the model's probability reaches it")
    treat_all: float = Field(description="acting on every image")


class DecisionCurve(Frozen):
    """Net benefit over threshold probabilities, at one prevalence."""

    prevalence: float
    stated: bool = Field(description="False: the share in these images; True: assumed, and probabilities moved to it")
    points: tuple[NetBenefit, ...]
    method: str = Field(default=METHOD, description="of the intervals")


def net_benefit(
    called: ArrayLike,
    positive: ArrayLike,
    groups: ArrayLike,
    prevalence: float | None,
    at: float,
    design: Design = "case-control",
) -> NetBenefit:
    """Return the net benefit of acting on the images that are called positive.

    Args:
        called: [N] whether the probability reaches ``at``.
        positive: [N] whether the image is of the class.
        groups: [N].
        prevalence: Share of the class; None for its share in these images.
        at: Threshold probability, in 0..1, 1 excluded.
        design: Of the study; in a cohort the share of the class in these images is chance, too.
    """
    c, y = np.asarray(called, dtype=np.bool_), np.asarray(positive, dtype=np.bool_)
    group = group_index(groups)
    share = float(y.mean()) if prevalence is None else prevalence
    harm = at / (1 - at)
    if prevalence is None and design == "cohort":
        hit, false = (
            estimate_proportion(c & y, group, what="set of images"),
            estimate_proportion(c & ~y, group, what="set of images"),
        )
        model = _difference(hit, 1.0, false, harm, correlation=group_correlation(c & y, c & ~y, group))
    else:
        hit, false = (
            estimate_proportion(c[y], group[y]),
            estimate_proportion(c[~y], group[~y], what="class of the others"),
        )
        model = _difference(hit, share, false, harm * (1 - share))
    return NetBenefit(threshold=at, model=model, treat_all=round(share - harm * (1 - share), 12))


def _difference(gain: Estimate, by: float, loss: Estimate, weight: float, correlation: float = 0.0) -> Estimate:
    """Return gain * by - loss * weight with limits recovered from those of both."""
    if gain.value is None or loss.value is None:
        return Estimate(value=None, note=gain.note if gain.value is None else loss.note)
    value = by * gain.value - weight * loss.value
    if gain.low is None or gain.high is None or loss.low is None or loss.high is None:
        return Estimate(value=value, note=gain.note if gain.low is None else loss.note)

    def reach(x: float, y: float) -> float:
        return math.sqrt(max(0.0, x * x - 2 * correlation * x * y + y * y))

    down = reach(by * (gain.value - gain.low), weight * (loss.high - loss.value))
    up = reach(by * (gain.high - gain.value), weight * (loss.value - loss.low))
    return with_limits(value, value - down, value + up, "")


def decision_curve(
    probability: ArrayLike,
    positive: ArrayLike,
    groups: ArrayLike,
    *,
    prevalence: float | None = None,
    thresholds: Sequence[float] = THRESHOLDS,
    design: Design | None = "case-control",
) -> DecisionCurve:
    """Return the decision curve of probabilities of one class.

    Args:
        probability: [N] of the class, at the prevalence of the curve.
        positive: [N] whether the image is of the class.
        groups: [N].
        prevalence: A stated prevalence; None for the share in these images.
        thresholds: Threshold probabilities.
        design: Of the study; None takes the wider of both intervals.
    """
    p, y = np.asarray(probability, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    share = float(y.mean()) if prevalence is None else prevalence
    designs = designs_of(design if prevalence is None else "case-control")

    def point(at: float) -> NetBenefit:
        points = [net_benefit(p >= at, y, groups, prevalence, at, each) for each in designs]
        return points[0].model_copy(update={"model": wider([each.model for each in points], designs)})

    points = tuple(point(at) for at in thresholds)
    return DecisionCurve(prevalence=share, stated=prevalence is not None, points=points)
