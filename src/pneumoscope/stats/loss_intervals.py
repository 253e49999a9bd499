"""The interval of a mean of losses (log-loss, Brier): positive values, most of whose sum comes from a few large ones.

A lucky study misses the large ones, and its mean and its standard error are then too small together. A bootstrap draws
from the observed values only and is too short (with 10 patients a class it held the truth 88 times in 100). Here the
standard error grows with the mean, as it does for losses: the limits are the M with |mean - M| = t * error * M / mean.
Where a few images make up the whole loss, the upper limit is the largest loss that is possible.
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from pneumoscope.stats.bootstrap import strata_of
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import FEWEST_GROUPS, TAIL, describe_too_few
from pneumoscope.stats.kernels import SMALLEST, Floats, Ints

METHOD = "ratio of sums over groups within classes, standard error in proportion to the mean, Student's quantile"
MOST_NATS = -math.log(SMALLEST)
"""The largest log-loss of an image."""


def mean_of_losses(loss: Floats, truth: Ints, group: Ints, classes: int, *, most: float) -> Estimate:
    """Return the mean loss with its interval.

    Args:
        loss: [N], >= 0.
        truth: [N] class of each image: groups vary within classes, whose numbers are fixed.
        group: [N] integers.
        classes: Number of classes.
        most: The largest loss that an image can have.
    """
    if not len(loss):
        return Estimate(value=None, note="no images")
    value = float(loss.mean())
    index, stratum, fewest = strata_of(truth, group, classes)
    if fewest < FEWEST_GROUPS:
        return Estimate(value=value, method=METHOD, note=describe_too_few(fewest))
    excess = np.bincount(index, weights=loss - value)
    variance = 0.0
    for k in np.unique(stratum):
        group_excess = excess[stratum == k]
        if len(group_excess) > 1:
            variance += len(group_excess) * float(group_excess.var(ddof=1)) / len(loss) ** 2
    if value <= 0 or variance <= 0:
        return Estimate(value=value, method=METHOD, note="interval not estimable: every image has the same loss")
    relative = float(stdtrit(fewest - 1, 1 - TAIL)) * math.sqrt(variance) / value
    high = most if relative >= 1 else min(most, value / (1 - relative))
    return Estimate(value=value, low=value / (1 + relative), high=high, method=METHOD)
