"""The interval of a mean of losses (log-loss, Brier): positive values, most of whose sum comes from a few large ones.

A lucky study misses the large ones, and its mean and its standard error are then too small together. A bootstrap draws
from the observed values only and is too short (with 10 patients a class it held the truth 88 times in 100). Here the
standard error grows with the mean, as it does for losses: the limits are the M with |mean - M| = t * error * M / mean.
Where a few images make up the whole loss, the upper limit is the largest loss that is possible.

In a cohort it is mostly the number of patients with the disease that varies, a count, whose variance (not whose
standard error) grows with its mean: the limits are the M with |mean - M| = t * error * sqrt(M / mean).
"""

from __future__ import annotations

import math

import numpy as np
from scipy.special import stdtrit

from pneumoscope.stats.bootstrap import strata_of
from pneumoscope.stats.design import Design
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import FEWEST_GROUPS, TAIL, describe_too_few, effective_groups
from pneumoscope.stats.kernels import SMALLEST, Floats, Ints

METHOD = "ratio of sums over groups within classes, standard error in proportion to the mean, Student's quantile"
COHORT_METHOD = "ratio of sums over groups, variance in proportion to the mean, Student's quantile"
MOST_NATS = -math.log(SMALLEST)
"""The largest log-loss of an image."""


def mean_of_losses(
    loss: Floats, truth: Ints, group: Ints, classes: int, *, most: float, design: Design = "case-control"
) -> Estimate:
    """Return the mean loss with its interval.

    Args:
        loss: [N], >= 0.
        truth: [N] class of each image.
        group: [N] integers.
        classes: Number of classes.
        most: The largest loss that an image can have.
        design: Of the study: whether groups vary within classes, whose numbers are fixed, or with their classes.
    """
    if not len(loss):
        return Estimate(value=None, note="no images")
    value = float(loss.mean())
    index, stratum, fewest = strata_of(truth, group, classes)
    cohort = design == "cohort"
    method = COHORT_METHOD if cohort else METHOD
    if fewest < FEWEST_GROUPS:
        return Estimate(value=value, method=method, note=describe_too_few(fewest))
    drawn_from = np.zeros_like(stratum) if cohort else stratum
    excess, counts = np.bincount(index, weights=loss - value), np.bincount(index).astype(np.float64)
    variance = 0.0
    for k in np.unique(drawn_from):
        members = drawn_from == k
        if (groups := int(members.sum())) > 1:
            # A large group pulls the mean towards itself and looks less deviant than it is (jackknife).
            deviations = (excess[members] - excess[members].mean()) / (1 - counts[members] / counts[members].sum())
            variance += (groups - 1) / groups * float((deviations**2).sum()) / len(loss) ** 2
    if value <= 0 or math.sqrt(variance) <= 1e-9 * value:
        return Estimate(value=value, method=method, note="interval not estimable: every image has the same loss")
    freedom = min(effective_groups(counts[stratum == k]) for k in np.unique(stratum)) - 1
    relative = float(stdtrit(max(1.0, freedom), 1 - TAIL)) * math.sqrt(variance) / value
    if cohort:
        root = math.sqrt(relative**2 + 4)
        return with_limits(
            value, value * ((root - relative) / 2) ** 2, min(most, value * ((root + relative) / 2) ** 2), method
        )
    high = most if relative >= 1 else min(most, value / (1 - relative))
    return with_limits(value, value / (1 + relative), high, method)
