"""95% intervals that hold for the data there is: images in groups, few of a class, figures near 1.

Three kinds, as the design decides once for all: Wilson with a cluster design effect for proportions, the logit of the
AUROC with Obuchowski's clustered variance, and for everything else a bootstrap of groups (``bootstrap.py``). Fewer
than 10 groups in a class: the figure stands, its interval is "not estimable". What their coverage is, by simulation,
is in ``docs/statistics.md``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import expit, ndtri
from scipy.stats import t as student

from pneumoscope.card import Estimate
from pneumoscope.stats import weighted
from pneumoscope.stats.weighted import Bools, Floats, Ints

FEWEST_GROUPS = 10
LEVEL = 0.95
TAIL = (1 - LEVEL) / 2

WILSON = "Wilson"
WILSON_CLUSTERED = "Wilson, cluster design effect"
AUROC_LOGIT = "logit, clustered (Obuchowski 1997)"
AUROC_NEWCOMBE = "score interval on groups (Newcombe 2006, method 5)"


def too_few(groups: int, of: str = "class") -> str:
    """Return the note of an interval that is not estimable."""
    return f"interval not estimable: {groups} groups in this {of}, fewer than {FEWEST_GROUPS}"


def wilson_limits(share: float, n: float, quantile: float) -> tuple[float, float]:
    """Return Wilson's limits of a proportion ``share`` of (effective) size ``n`` (Wilson, JASA 1927)."""
    z2 = quantile**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = quantile / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n**2))
    low = 0.0 if share == 0 else centre - half
    return max(0.0, low), 1.0 if share == 1 else min(1.0, centre + half)


def effective_size(hits: Floats, counts: Floats) -> float:
    """Return how many independent images the groups are worth for a proportion: N / design effect.

    The variance is that of a ratio of two sums over groups (Cochran 1977, 6.3). At 0 or 1 no correlation within groups
    can be seen, and with a few failures hardly any: the design effect is then drawn towards that of wholly correlated
    groups (Kish: N over sum n_g^2 / N), as if that had been seen in two groups. It is never taken under 1.

    Args:
        hits: [G] images of each group that count.
        counts: [G] images of each group, all > 0.
    """
    total, groups = counts.sum(), len(counts)
    share = hits.sum() / total
    kish = float((counts**2).sum() / total)
    if kish == 1.0 or groups < 2:
        return float(total / kish)
    # Groups that hold the rarer outcome: they alone carry what is known of the correlation.
    seen = float(min((hits > 0).sum(), (hits < counts).sum()))
    if share in (0.0, 1.0):
        return float(total / kish)
    variance = groups / (groups - 1) * ((hits - share * counts) ** 2).sum() / total**2
    design = variance / (share * (1 - share) / total)
    blended = (seen * design + 2.0 * kish) / (seen + 2.0)
    return float(total / max(1.0, blended))


def group_sums(success: Bools, group: Ints) -> tuple[Floats, Floats]:
    """Return how many images of each group count [G] and how many it has [G]; success [N], group [N] integers."""
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(index)
    hits = np.bincount(index, weights=np.asarray(success, dtype=np.float64))
    return np.asarray(hits, dtype=np.float64), np.asarray(counts, dtype=np.float64)


def quantile_for(*counts: Floats) -> float:
    """Return the quantile for effective sizes: the normal's where every group is one image, else Student's.

    Args:
        counts: For each proportion that enters, [G] images of its groups; the fewest groups set the freedom.
    """
    if all((sizes == 1).all() for sizes in counts):
        return float(ndtri(1 - TAIL))
    return float(student.ppf(1 - TAIL, max(1, min(len(sizes) for sizes in counts) - 1)))


def proportion(success: Bools, group: Ints, *, what: str = "class", tail: float = TAIL) -> Estimate:
    """Return the share of True with Wilson's interval, for clustered images.

    With one image a group this is the plain Wilson interval. With several, the effective size takes the place of N and
    Student's quantile on groups - 1 degrees of freedom that of the normal (Korn & Graubard 1998; Dean & Pagano 2015).

    Args:
        success: [N] of the images in the denominator.
        group: [N] integer group of each.
        what: What the denominator is, for the note.
        tail: Probability outside each limit; .05 makes each limit a one-sided 95% limit.
    """
    success = np.asarray(success, dtype=np.bool_)
    if not success.size:
        return Estimate(value=None, note=f"no image in this {what}")
    hits, counts = group_sums(success, group)
    share = float(success.mean())
    if len(counts) < FEWEST_GROUPS:
        return Estimate(value=share, method=WILSON, note=too_few(len(counts), what))
    if len(counts) == success.size:
        low, high = wilson_limits(share, float(success.size), float(ndtri(1 - tail)))
        return Estimate(value=share, low=low, high=high, method=WILSON)
    quantile = float(student.ppf(1 - tail, len(counts) - 1))
    low, high = wilson_limits(share, effective_size(hits, counts), quantile)
    return Estimate(value=share, low=low, high=high, method=WILSON_CLUSTERED)


def f1(hit: Bools, group: Ints) -> Estimate:
    """Return F1 with an interval: F1 = 2J / (1 + J), where J = TP / (TP + FP + FN) is a proportion.

    Args:
        hit: [M] True where a true positive, of the images that are of the class or were decided to be.
        group: [M].
    """
    share = proportion(hit, group, what="class or decision")

    def bend(j: float | None) -> float | None:
        return None if j is None else 2 * j / (1 + j)

    return Estimate(
        value=bend(share.value),
        low=bend(share.low),
        high=bend(share.high),
        method=f"{share.method} on TP / (TP + FP + FN), transformed" if share.method else "",
        note=share.note,
    )


def auroc(score: Floats, positive: Bools, group: Ints, *, tail: float = TAIL) -> Estimate:
    """Return the AUROC with a logit-transformed interval for clustered images (Obuchowski, Biometrics 1997).

    A group may hold images of both classes. Where the classes are separated (AUROC 0 or 1) the variance is 0 and no
    evidence of certainty: Newcombe's score interval (Stat Med 2006, method 5) on the number of groups is given.
    """
    score, positive = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    pos_groups, neg_groups = len(np.unique(group[positive])), len(np.unique(group[~positive]))
    if not pos_groups or not neg_groups:
        return Estimate(value=None, note="needs images both of this class and of others")
    area = float(weighted.auroc(score, positive, np.ones((1, len(score))))[0])
    if min(pos_groups, neg_groups) < FEWEST_GROUPS:
        return Estimate(value=area, method=AUROC_LOGIT, note=too_few(min(pos_groups, neg_groups)))
    variance = obuchowski_variance(score, positive, group)
    if not 0.0 < area < 1.0 or variance <= 0.0:
        low, high = newcombe_limits(area, pos_groups, neg_groups, float(ndtri(1 - tail)))
        note = "the classes are separated: the interval rests on the number of groups"
        return Estimate(value=area, low=low, high=high, method=AUROC_NEWCOMBE, note=note)
    centre, error = math.log(area / (1 - area)), math.sqrt(variance) / (area * (1 - area))
    quantile = float(student.ppf(1 - tail, min(pos_groups, neg_groups) - 1))
    low, high = float(expit(centre - quantile * error)), float(expit(centre + quantile * error))
    return Estimate(value=area, low=low, high=high, method=AUROC_LOGIT)


def obuchowski_variance(score: Floats, positive: Bools, group: Ints) -> float:
    """Return the variance of the AUROC of clustered images; with one image a group it is DeLong's."""
    return components_variance(auroc_components(score, positive), positive, group)


def auroc_components(score: Floats, positive: Bools) -> Floats:
    """Return for each image [N] the share of the other class that it stands rightly against (ties half).

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

    Differences of two models' components on the same images give the variance of the difference of their AUROCs.
    """
    m, n = int(positive.sum()), int((~positive).sum())
    area = component[positive].mean()
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    groups = int(index.max()) + 1
    d10 = np.bincount(index[positive], weights=component[positive] - area, minlength=groups)
    d01 = np.bincount(index[~positive], weights=component[~positive] - area, minlength=groups)
    i10, i01 = len(np.unique(index[positive])), len(np.unique(index[~positive]))
    s10 = i10 / ((i10 - 1) * m) * (d10**2).sum()
    s01 = i01 / ((i01 - 1) * n) * (d01**2).sum()
    s11 = groups / (groups - 1) * (d10 * d01).sum()
    return float(s10 / m + s01 / n + 2 * s11 / (m * n))


def newcombe_limits(area: float, m: int, n: int, quantile: float) -> tuple[float, float]:
    """Return the limits of an AUROC by solving |area - A| = z sqrt(var(A)), Hanley & McNeil's variance at A."""
    half = (m + n) / 2 - 1

    def gap(a: float) -> float:
        variance = a * (1 - a) * (1 + half * (1 - a) / (2 - a) + half * a / (1 + a)) / (m * n)
        return abs(area - a) - quantile * math.sqrt(variance)

    def solve(inner: float, outer: float) -> float:
        if gap(outer) <= 0:  # only at the end of the scale itself
            return outer
        for _ in range(80):
            middle = (inner + outer) / 2
            inner, outer = (inner, middle) if gap(middle) > 0 else (middle, outer)
        return outer

    return (0.0 if area == 0 else solve(area, 0.0)), (1.0 if area == 1 else solve(area, 1.0))


def mean_of_proportions(successes: Sequence[Bools], groups: Sequence[Ints]) -> Estimate:
    """Return the mean of several proportions (balanced accuracy: the recalls) with an interval built from theirs.

    Wilson's limits of each are combined by the method of variance estimates recovery (Zou & Donner, Stat Med 2008),
    so that the interval does not shrink to a point at 1, as a bootstrap's does. Classes are taken as independent,
    which they are but for groups that hold several.

    Args:
        successes: For each class, [n_k] of its images.
        groups: For each class, [n_k].
    """
    parts = [
        proportion(success, group) for success, group in zip(successes, groups, strict=True) if np.asarray(success).size
    ]
    values = [part.value for part in parts if part.value is not None]
    if not values:
        return Estimate(value=None, note="no images")
    value = float(np.mean(values))
    method = f"{parts[0].method} of each recall, combined (Zou & Donner 2008)"
    down, up = 0.0, 0.0
    for part in parts:
        if part.value is None or part.low is None or part.high is None:
            return Estimate(value=value, method=method, note=part.note)
        down += ((part.value - part.low) / len(parts)) ** 2
        up += ((part.high - part.value) / len(parts)) ** 2
    missing = len(successes) - len(parts)
    note = f"over the {len(parts)} classes that occur; {missing} do not" if missing else ""
    return Estimate(value=value, low=value - math.sqrt(down), high=value + math.sqrt(up), method=method, note=note)
