"""Accuracy, precision and F1: figures that mix classes, for either design of a study.

In a case-control study somebody chose the number of images of each class, so that only recalls and false alarms vary.
An interval of right answers among all images, as if classes came by chance, is too long there: it held the truth 98 to
99 times in 100. In a cohort classes do come by chance, and that interval is the right one. It also serves where a class
has too few groups for limits of its own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from pneumoscope.stats import intervals
from pneumoscope.stats.design import Design
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import combine_limits, estimate_proportion
from pneumoscope.stats.kernels import Bools, Ints
from pneumoscope.stats.predictive_values import predictive_values

MIXED = "limits of each class, combined (Zou & Donner 2008)"


def estimate_accuracy(
    correct: Bools, members: Sequence[Bools], group: Ints, design: Design = "case-control"
) -> Estimate:
    """Return the share of right decisions.

    Args:
        correct: [N] whether the decision is right.
        members: For each class, [N] whether the image is of it.
        group: [N].
        design: Of the study.
    """
    if design == "cohort":
        return estimate_proportion(correct, group, what="set of images")
    present = [m for m in members if m.any()]
    parts = [estimate_proportion(correct[m], group[m]) for m in present]
    pooled = estimate_proportion(correct, group, what="set of images")
    limits = combine_limits(parts, [float(m.sum()) / len(correct) for m in present])
    if limits is None or not present:
        return pooled
    return pooled if pooled.value is None else with_limits(pooled.value, *limits, MIXED)


def estimate_precision(decided: Bools, positive: Bools, group: Ints, design: Design = "case-control") -> Estimate:
    """Return the share of right ones among the images decided to be of a class: its PPV at its share in the data."""
    pooled = estimate_proportion(positive[decided], group[decided], what="decision")
    if design == "cohort" or pooled.value is None or not positive.any() or positive.all():
        return pooled
    ppv = predictive_values(decided, positive, group, float(positive.mean())).ppv
    if ppv.low is None or ppv.high is None:
        return pooled
    return with_limits(pooled.value, ppv.low, ppv.high, ppv.method)


def estimate_f1(decided: Bools, positive: Bools, group: Ints, design: Design = "case-control") -> Estimate:
    """Return F1 = 2J / (1 + J), where J = TP / (TP + FP + FN) is recall / (1 + false alarms for each positive)."""
    either = positive | decided
    pooled = intervals.estimate_f1((positive & decided)[either], group[either])
    if design == "cohort" or not positive.any() or positive.all():
        return pooled
    hit, false = (
        estimate_proportion(decided[positive], group[positive]),
        estimate_proportion(decided[~positive], group[~positive]),
    )
    if not hit.value or false.value is None or hit.low is None or hit.high is None or pooled.value is None:
        return pooled
    if false.low is None or false.high is None:
        return pooled
    others = float((~positive).sum() / positive.sum())
    # log J = log recall - log(1 + others * false alarms), each with its own limits.
    alarms = [math.log1p(others * share) for share in (false.low, false.value, false.high)]
    middle = math.log(hit.value) - alarms[1]
    down = math.hypot(math.log(hit.value / hit.low), alarms[2] - alarms[1])
    up = math.hypot(math.log(hit.high / hit.value), alarms[1] - alarms[0])
    low, high = (2 * j / (1 + j) for j in (math.exp(middle - down), min(1.0, math.exp(middle + up))))
    return with_limits(pooled.value, low, high, MIXED)
