"""The 95% interval of an AUROC: a score interval (Newcombe 2006) with a clustered variance (Obuchowski 1997)."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri, stdtrit

from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import (
    FEWEST_GROUPS,
    TAIL,
    correlation_of,
    describe_too_few,
    effective_groups,
    jackknife_variance,
    kish_size,
)
from pneumoscope.stats.kernels import Bools, Floats, Ints

AUROC_SCORE = "score interval (Newcombe 2006), clustered variance (Obuchowski 1997)"

_PRIOR_GROUPS = 4.0
"""How many misplaced groups the guess of the design effect weighs as much as."""

# With fewer groups in one class, and so many times as many in the other, the interval holds 92 times in 100 (cohorts of
# 200 and 1,000 patients, docs/concepts/statistics.md); with classes of like size it holds 93 to 97.
_FEW_GROUPS, _RARE = 25, 5


def estimate_auroc(score: Floats, positive: Bools, group: Ints, *, tail: float = TAIL) -> Estimate:
    """Return the AUROC with a score interval for clustered images.

    The limits are the areas A with |area - A| = t sqrt(variance at A): Newcombe's method 5, its variance scaled so that
    at the observed area it is Obuchowski's. Near 1 few images are misplaced, so that Obuchowski's variance rests on
    little, and at 1 on nothing. The scale then moves to that of groups half of the way to whole correlation, as if four
    misplaced groups had shown that; at 0 and 1 the groups count as wholly correlated.

    Args:
        score: [N] any scores; the larger, the more likely the class.
        positive: [N] whether the image is of the class.
        group: [N] integer group of each image; a group may hold images of both classes.
        tail: Probability outside each limit; .05 makes each limit a one-sided 95% limit.

    Returns:
        The area in 0..1 with its limits. Without images of both classes it is None, with fewer than 10 groups in a
        class it has no limits; the note says so.
    """
    score, positive = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    sides = [np.bincount(index[side])[np.unique(index[side])].astype(np.float64) for side in (positive, ~positive)]
    fewest = min(len(counts) for counts in sides)
    if not fewest:
        return Estimate(value=None, note="needs images both of this class and of others")
    if (score == score[0]).all():
        return Estimate(value=0.5, method=AUROC_SCORE, note="interval not estimable: all scores are equal")
    facts = _area_facts(score, positive, index)
    if fewest < FEWEST_GROUPS:
        return Estimate(value=facts.area, method=AUROC_SCORE, note=describe_too_few(fewest))
    (m, n), kish = (float(counts.sum()) for counts in sides), [kish_size(counts) for counts in sides]
    uninformative = not 0.0 < facts.area < 1.0 or facts.variance <= 0.0
    images_per_unit = kish if uninformative else [(1 + size) / 2 for size in kish]
    near = min(max(facts.area, 0.01), 0.99)
    scale = newcombe_variance(near, m / images_per_unit[0], n / images_per_unit[1]) / newcombe_variance(near, m, n)
    if not uninformative:
        observed = facts.variance / newcombe_variance(facts.area, m, n)
        scale = (facts.misplaced * observed + _PRIOR_GROUPS * scale) / (facts.misplaced + _PRIOR_GROUPS)
    quantile = float(ndtri(1 - tail))
    if max(kish) > 1.0:
        freedom = min(effective_groups(counts) for counts in sides) - 1 if uninformative else facts.freedom
        quantile = float(stdtrit(max(1.0, freedom), 1 - tail))
    low, high = score_limits(facts.area, lambda a: scale * newcombe_variance(a, m, n), quantile)
    separated = facts.area in (0.0, 1.0)
    reason = "the classes are separated" if separated else "every image of a class ranks alike"
    note = f"{reason}: the interval rests on the number of groups" if uninformative else ""
    if not note and fewest < _FEW_GROUPS and max(len(counts) for counts in sides) >= _RARE * fewest:
        note = f"the interval may be too short: {fewest} groups in a class against many"
    return with_limits(facts.area, low, high, AUROC_SCORE, note)


@dataclass(frozen=True, slots=True)
class _AreaFacts:
    """The AUROC and what its variance rests on."""

    area: float
    variance: float
    freedom: float  # of the variance (Satterthwaite)
    misplaced: float  # groups that are not wholly on the right (or wrong) side, in the class that has fewer of them


def obuchowski_variance(score: Floats, positive: Bools, group: Ints) -> float:
    """Return the variance of the AUROC of clustered images; with one image a group it is DeLong's."""
    return components_variance(auroc_components(score, positive), positive, group)


def auroc_components(score: Floats, positive: Bools) -> Floats:
    """Return for each image [N] the share of the other class against which it ranks rightly (ties count half).

    The mean over either class is the AUROC (the structural components of DeLong et al., Biometrics 1988).
    """
    pos, neg = np.sort(score[positive]), np.sort(score[~positive])
    parts = np.empty(len(score))
    parts[positive] = (
        np.searchsorted(neg, score[positive], "left") + np.searchsorted(neg, score[positive], "right")
    ) / (2 * len(neg))
    parts[~positive] = 1 - (
        np.searchsorted(pos, score[~positive], "left") + np.searchsorted(pos, score[~positive], "right")
    ) / (2 * len(pos))
    return parts


def components_variance(component: Floats, positive: Bools, group: Ints) -> float:
    """Return the variance of an AUROC, or of a difference of two, from its components [N] (Obuchowski 1997).

    Each group's deviation is divided by 1 - its share of its class's images (jackknife): a large group pulls the area
    towards itself. With groups of equal size, and so with one image a group, this is Obuchowski's formula. Differences
    of two models' components on the same images give the variance of the difference of their AUROCs.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    area = component[positive].mean()
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    groups = int(index.max()) + 1
    d10 = np.bincount(index[positive], weights=component[positive] - area, minlength=groups)
    d01 = np.bincount(index[~positive], weights=component[~positive] - area, minlength=groups)
    sides = [_side_variance(d, np.bincount(index[side])) for d, side in ((d10, positive), (d01, ~positive))]
    s11 = groups / max(1, groups - 1) * (d10 * d01).sum()
    return float(sum(sides) + 2 * s11 / (m * n))


def _side_variance(deviation: NDArray[Any], counts: Ints) -> float:
    """Return what one class adds to the variance; its groups' summed deviations and images, 0 for other groups."""
    sizes = counts[counts > 0].astype(np.float64)
    sums = deviation[: len(counts)][counts > 0]
    return float((sums**2).sum()) / sizes.sum() ** 2 if len(sizes) < 2 else jackknife_variance(sums, sizes)


def _area_facts(score: Floats, positive: Bools, index: Ints) -> _AreaFacts:
    part, groups = auroc_components(score, positive), int(index.max()) + 1
    area, squares, freedom, misplaced = float(part[positive].mean()), 0.0, 0.0, groups
    for side in (positive, ~positive):
        v, group_here = part[side], index[side]
        counts = np.bincount(group_here, minlength=groups)
        share = _side_variance(np.bincount(group_here, weights=v - area, minlength=groups), counts)
        sizes = counts[counts > 0].astype(np.float64)
        size = len(v) if share <= 0 else float(v.var()) / share
        side_freedom = max(1.0, effective_groups(sizes, correlation_of(max(size, 1e-9), sizes)) - 1)
        squares, freedom = squares + share, freedom + share**2 / side_freedom
        misplaced = min(misplaced, len(np.unique(group_here[v < 1])), len(np.unique(group_here[v > 0])))
    variance = components_variance(part, positive, index) if freedom > 0 else 0.0
    return _AreaFacts(area, variance, squares**2 / freedom if freedom > 0 else 1.0, float(misplaced))


def newcombe_variance(area: float, m: float, n: float) -> float:
    """Return the variance of an AUROC of m and n independent images: Hanley & McNeil's, as Newcombe balances it."""
    half = (m + n) / 2 - 1
    return area * (1 - area) * (1 + half * (1 - area) / (2 - area) + half * area / (1 + area)) / (m * n)


def score_limits(area: float, variance: Callable[[float], float], quantile: float) -> tuple[float, float]:
    """Return the two solutions a of |area - a| = quantile * sqrt(variance(a)), in 0..1."""

    def gap(a: float) -> float:
        return abs(area - a) - quantile * math.sqrt(max(0.0, variance(a)))

    def solve(inner: float, outer: float) -> float:
        if gap(outer) <= 0:  # only at the end of the scale
            return outer
        for _ in range(60):
            middle = (inner + outer) / 2
            inner, outer = (inner, middle) if gap(middle) > 0 else (middle, outer)
        return outer

    return (0.0 if area == 0 else solve(area, 0.0)), (1.0 if area == 1 else solve(area, 1.0))
