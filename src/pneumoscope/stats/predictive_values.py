"""Predictive values: the meaning of a positive or a negative result where 1, 5 or 20 of 100 have the disease.

Case-control data has no prevalence, so that its own share of right positives says nothing. Predictive values follow
from sensitivity and specificity at a stated prevalence (Mercaldo, Lau & Zhou, Stat Med 2007), through the ratio of how
often a result is right and wrong. Their interval is that of the ratio by the score method: the paper's logit interval
held the truth 78 to 92 times in 100 where one share was near 1 and images were few. Clear cases against clear controls
flatter sensitivity and specificity (spectrum bias); every value carries that note.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.design import Design
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import FEWEST_GROUPS, describe_too_few, effective_size, group_sums, quantile_for
from pneumoscope.stats.metrics import group_index
from pneumoscope.stats.ratios import METHOD, Share, ratio_limits

PREVALENCES = (0.01, 0.05, 0.20)
OPTIMISTIC = "case-control data: optimistic"
NOT_STATED = "optimistic if the data are case-control"


class PredictiveValues(Frozen):
    """Predictive values of one threshold at one prevalence."""

    prevalence: float = Field(description="stated, not measured")
    ppv: Estimate = Field(description="share of the images called positive that are positive")
    npv: Estimate = Field(description="share of the images called negative that are negative")


def predictive_values(
    called: ArrayLike,
    positive: ArrayLike,
    groups: ArrayLike,
    prevalence: float,
    design: Design | None = "case-control",
) -> PredictiveValues:
    """Return PPV and NPV at a prevalence.

    The method takes images of the class and others as independent; a group that holds both makes the interval a little
    too long.

    Args:
        called: [N] whether the score reaches the threshold.
        positive: [N] whether the image is of the class.
        groups: [N].
        prevalence: In 0..1, both ends excluded.
        design: Of the study, for the note: a cohort has no clear cases and controls that flatter the model.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"a prevalence lies between 0 and 1, not at {prevalence}")
    c, y = np.asarray(called, dtype=np.bool_), np.asarray(positive, dtype=np.bool_)
    group = group_index(groups)
    if not y.any() or y.all():
        nothing = Estimate(value=None, note="needs images both of this class and of others")
        return PredictiveValues(prevalence=prevalence, ppv=nothing, npv=nothing)
    sides = [group_sums(c[side], group[side]) for side in (y, ~y)]
    # The shares of positives and of others that are called positive; their rests are the shares that are not.
    hit, false = (Share(float(hits.sum() / counts.sum()), effective_size(hits, counts)) for hits, counts in sides)
    fewest = min(len(counts) for _, counts in sides)
    quantile = quantile_for((hit.size, sides[0][1]), (false.size, sides[1][1]))
    odds = prevalence / (1 - prevalence)
    note = {"case-control": OPTIMISTIC, "cohort": "", None: NOT_STATED}[design]
    return PredictiveValues(
        prevalence=prevalence,
        ppv=_right_share(hit, false, odds, fewest, quantile, note),
        npv=_right_share(false.rest, hit.rest, 1 / odds, fewest, quantile, note),
    )


def _right_share(right: Share, wrong: Share, odds: float, groups: int, quantile: float, note: str) -> Estimate:
    """Return the share of right ones among results of one kind.

    Args:
        right: The share of the images with this result where it is right.
        wrong: The same where it is wrong.
        odds: Odds that the result is right, before the test.
        groups: Groups in the smaller class.
        quantile: Quantile of the interval.
        note: A remark beside the value.
    """
    top, bottom = right.value * odds, wrong.value
    if top + bottom == 0:
        return Estimate(value=None, note="no image has this result")
    value = top / (top + bottom)
    if groups < FEWEST_GROUPS:
        return Estimate(value=value, method=METHOD, note="; ".join(filter(None, [note, describe_too_few(groups)])))
    low, high = (_probability(ratio * odds) for ratio in ratio_limits(right, wrong, quantile))
    return with_limits(value, low, high, METHOD, note)


def _probability(odds: float) -> float:
    return 1.0 if math.isinf(odds) else odds / (1 + odds)
