"""What a positive or a negative result means where 1, 5 or 20 of 100 have the disease.

Case-control data has no prevalence: its own share of right positives says nothing. Predictive values follow from
sensitivity and specificity at a stated prevalence; their intervals are built on the logit scale (Mercaldo, Lau & Zhou,
Stat Med 2007), each proportion with the size that its groups are worth. Clear cases against clear controls flatter
sensitivity and specificity (spectrum bias): every value carries that note.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from pydantic import BaseModel, ConfigDict, Field
from scipy.special import expit

from pneumoscope.card import Estimate
from pneumoscope.stats.intervals import FEWEST_GROUPS, effective_size, group_sums, quantile_for, too_few
from pneumoscope.stats.metrics import group_index

PREVALENCES = (0.01, 0.05, 0.20)
METHOD = "logit of sensitivity and specificity (Mercaldo 2007), effective sizes"
OPTIMISTIC = "case-control data: optimistic"


class PredictiveValues(BaseModel):
    """Predictive values of one threshold at one prevalence."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    prevalence: float = Field(description="stated, not measured")
    ppv: Estimate = Field(description="of those called positive, the share that is")
    npv: Estimate = Field(description="of those called negative, the share that is")


def predictive_values(called: ArrayLike, positive: ArrayLike, groups: ArrayLike, prevalence: float) -> PredictiveValues:
    """Return PPV and NPV at a prevalence.

    Images of the class and of the others are taken as independent; a group that holds both makes the interval a little
    too long.

    Args:
        called: [N] whether the score reaches the threshold.
        positive: [N] whether the image is of the class.
        groups: [N].
        prevalence: In 0..1, both ends excluded.
    """
    if not 0 < prevalence < 1:
        raise ValueError(f"a prevalence lies between 0 and 1, not at {prevalence}")
    c, y = np.asarray(called, dtype=np.bool_), np.asarray(positive, dtype=np.bool_)
    group = group_index(groups)
    if not y.any() or y.all():
        nothing = Estimate(value=None, note="needs images both of this class and of others")
        return PredictiveValues(prevalence=prevalence, ppv=nothing, npv=nothing)
    sides = [group_sums(c[side], group[side]) for side in (y, ~y)]
    # The shares of positives and of others that are called, and that are not.
    above = [(hits.sum() / counts.sum(), effective_size(hits, counts)) for hits, counts in sides]
    below = [(1 - share, size) for share, size in above]
    fewest, quantile = min(len(counts) for _, counts in sides), quantile_for(*(counts for _, counts in sides))
    odds = prevalence / (1 - prevalence)
    return PredictiveValues(
        prevalence=prevalence,
        ppv=_share(above[0], above[1], odds, fewest, quantile),
        npv=_share(below[1], below[0], 1 / odds, fewest, quantile),
    )


def _share(
    right: tuple[float, float], wrong: tuple[float, float], odds: float, groups: int, quantile: float
) -> Estimate:
    """Return the share of right ones among results of one kind.

    Args:
        right: How often that result comes where it is right, and the effective size behind that share.
        wrong: How often it comes where it is wrong.
        odds: Of it being right, before the test.
        groups: Of the smaller class.
        quantile: Of the interval.
    """
    top, bottom = right[0] * odds, wrong[0]
    if top + bottom == 0:
        return Estimate(value=None, note="no image has this result")
    value = top / (top + bottom)
    if groups < FEWEST_GROUPS:
        return Estimate(value=value, method=METHOD, note=f"{OPTIMISTIC}; {too_few(groups)}")
    logs, variance = [], 0.0
    for share, size in (right, wrong):
        # The logarithm of 0 has no value: z^2 / 2 successes and failures are added (the paper's adjusted interval,
        # after Agresti & Coull), to this share alone, since the other needs none and would be moved.
        extra = quantile**2 if share == 0 else 0.0
        moved = (share * size + extra / 2) / (size + extra)
        logs.append(math.log(moved))
        variance += (1 - moved) / (moved * (size + extra))
    centre = logs[0] - logs[1] + math.log(odds)
    half = quantile * math.sqrt(variance)
    low, high = float(expit(centre - half)), float(expit(centre + half))
    return Estimate(value=value, low=min(low, value), high=max(high, value), method=METHOD, note=OPTIMISTIC)
