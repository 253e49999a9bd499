"""Differences between different images: the AUROC of a subgroup less that of the others."""

from __future__ import annotations

import math

from scipy.special import ndtr

from pneumoscope.stats.auroc_interval import AUROC_SCORE, estimate_auroc, obuchowski_variance
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.kernels import Bools, Floats, Ints


def compare_subsets(
    score: Floats, positive: Bools, group: Ints, inside: Bools
) -> tuple[Estimate, Estimate, Estimate, float | None]:
    """Return the AUROC of some images, of the others, their difference, and the p-value of no difference.

    Args:
        score: [N].
        positive: [N].
        group: [N].
        inside: [N] which images are the first set.
    """
    one, other = (estimate_auroc(score[side], positive[side], group[side]) for side in (inside, ~inside))
    gap = subtract(one, other, f"{AUROC_SCORE}, combined (Zou & Donner 2008)")
    if gap.value is None or gap.low is None:
        return one, other, gap, None
    variance = sum(obuchowski_variance(score[side], positive[side], group[side]) for side in (inside, ~inside))
    # Where both are 1, nothing varies: the limits then say more than a normal test could.
    p_value = float(2 * ndtr(-abs(gap.value) / math.sqrt(variance))) if variance > 0 else None
    return one, other, gap, p_value


def subtract(one: Estimate, other: Estimate, method: str) -> Estimate:
    """Return one - other of different images, its limits combined from those of both.

    Zou and Donner, Statistics in Medicine 2008.

    Args:
        one: With or without limits.
        other: With or without limits.
        method: How to name it.
    """
    if one.value is None or other.value is None:
        return Estimate(value=None, note=one.note or other.note)
    value = one.value - other.value
    if one.low is None or one.high is None or other.low is None or other.high is None:
        return Estimate(value=value, note=one.note or other.note)
    low = value - math.hypot(one.value - one.low, other.high - other.value)
    high = value + math.hypot(one.high - one.value, other.value - other.low)
    return with_limits(value, low, high, method)
