"""Effects of an audit with their intervals: differences of AUROCs, paired by group, and ratios of sums."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
from scipy.special import stdtrit

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
