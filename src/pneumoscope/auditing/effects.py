"""Effects of an audit with their intervals: AUROCs and their differences, paired by group."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import ndtr, stdtrit

from pneumoscope.stats.auroc_interval import AUROC_SCORE, estimate_auroc, obuchowski_variance
from pneumoscope.stats.comparison.paired import Paired, Scores, compare_all_paired
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import FEWEST_GROUPS, TAIL, describe_too_few
from pneumoscope.stats.kernels import Bools, Floats, Ints

_RESAMPLES = 400


def changes(
    changed: Mapping[str, Floats], intact: Floats, positive: Bools, group: Ints, seed: int
) -> dict[str, Paired]:
    """Return the AUROC on changed images minus that on intact ones, paired by group, adjusted by Holm.

    Args:
        changed: Change -> [N] score.
        intact: [N] score.
        positive: [N].
        group: [N].
        seed: Of the swaps.
    """
    if not positive.any() or positive.all():
        nothing = Estimate(value=None, note="needs images both of this class and of others")
        return {name: Paired(metric="auroc", difference=nothing, note=nothing.note) for name in changed}

    def scores(values: Floats) -> Scores:
        return Scores(np.stack([values, 1 - values], axis=1), 0.5)

    everything = {"intact": scores(intact), **{name: scores(values) for name, values in changed.items()}}
    rng = np.random.default_rng(seed)
    truth = np.where(positive, 0, 1).astype(np.intp)
    return compare_all_paired(everything, "intact", truth, group, "auroc", rng=rng, resamples=_RESAMPLES)


def between(
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


def ratio_of_sums(numerator: Floats, denominator: Floats, group: Ints) -> Estimate:
    """Return sum(numerator) / sum(denominator) with a jackknife interval over groups, on the log scale.

    Args:
        numerator: [N], not negative.
        denominator: [N], not negative.
        group: [N].
    """
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    above, below = np.bincount(index, numerator), np.bincount(index, denominator)
    total, base = float(above.sum()), float(below.sum())
    method = "ratio of sums, jackknife over groups on the log scale"
    if base <= 0:
        return Estimate(value=None, note="nothing to divide by")
    value, groups = total / base, len(above)
    if groups < FEWEST_GROUPS:
        return Estimate(value=value, method=method, note=describe_too_few(groups, "measurement"))
    left_above, left_below = total - above, base - below
    if total <= 0 or (left_above <= 0).any() or (left_below <= 0).any():
        return Estimate(value=value, method=method, note="interval not estimable: one group decides it")
    logs = np.log(left_above / left_below)
    spread = math.sqrt((groups - 1) / groups * float(((logs - logs.mean()) ** 2).sum()))
    reach = math.exp(float(stdtrit(groups - 1, 1 - TAIL)) * spread)
    return with_limits(value, value / reach, value * reach, method)
