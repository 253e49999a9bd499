"""95% intervals that hold for the data there is: images in groups, few of a class, figures near 1.

Three kinds: Wilson with a cluster design effect for proportions, a score interval with Obuchowski's clustered variance
for the AUROC, and for everything else a bootstrap of groups (``bootstrap.py``). Fewer than 10 groups in a class: the
figure stands, its interval is "not estimable". Each was chosen among others by simulation
(``docs/concepts/statistics.md``).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import chdtri, ndtri, stdtrit

from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.kernels import Bools, Floats, Ints

FEWEST_GROUPS = 10
LEVEL = 0.95
TAIL = (1 - LEVEL) / 2

WILSON = "Wilson, modified near 0 and 1 (Brown, Cai & DasGupta 2001)"
WILSON_CLUSTERED = "Wilson, cluster design effect"
AUROC_SCORE = "score interval (Newcombe 2006), clustered variance (Obuchowski 1997)"

_PRIOR_GROUPS = 2.0
_PRIOR_GROUPS_AUROC = 4.0
"""How many groups that hold the rarer outcome (that are misplaced) a guess of the design effect weighs as much as."""
_MOSTLY_SINGLE = 1.5
"""Mean size, as an image sees it, of groups that are counted like single images near 0 and 1."""


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


def modified_limits(share: float, n: float, quantile: float, tail: float = TAIL) -> tuple[float, float]:
    """Return Wilson's limits, moved outwards where 1 to 3 of the n are failures (or successes).

    Counts are whole numbers, so that just there the plain limits exclude the truth far too often: 16 times in 100 at
    the worst. The limit of the Poisson distribution takes their place (Brown, Cai & DasGupta, Stat Sci 2001, 4.1.1).
    """
    low, high = wilson_limits(share, n, quantile)
    for count, upper in ((share * n, False), ((1 - share) * n, True)):
        if 0 < count <= min(3.0, n / 2) + 1e-9:
            poisson = float(chdtri(2 * count, 1 - 2 * tail)) / 2 / n
            low, high = (low, max(high, 1 - poisson)) if upper else (min(low, poisson), high)
    return low, high


def kish_size(counts: Floats) -> float:
    """Return the mean size of a group as an image sees it: N over it is what wholly correlated images are worth."""
    return float((counts**2).sum() / counts.sum())


def effective_size(hits: Floats, counts: Floats) -> float:
    """Return how many independent images the groups are worth for a proportion: N / design effect.

    The variance is that of a ratio of two sums over groups (Cochran 1977, 6.3). With a few failures hardly any of the
    correlation within groups can be seen: the design effect is then drawn half of the way to that of wholly correlated
    groups (Kish), as if that had been seen in two groups. At 0 or 1, where nothing is seen, it is Kish's. It is never
    taken under 1.

    Args:
        hits: [G] images of each group that count.
        counts: [G] images of each group, all > 0.
    """
    total, groups = float(counts.sum()), len(counts)
    share, kish = float(hits.sum()) / total, kish_size(counts)
    if kish == 1.0 or groups < 2 or share in (0.0, 1.0):
        return total / kish
    # Groups that hold the rarer outcome: they alone carry what is known of the correlation.
    seen = float(min((hits > 0).sum(), (hits < counts).sum()))
    variance = groups / (groups - 1) * ((hits - share * counts) ** 2).sum() / total**2
    design = variance / (share * (1 - share) / total)
    blended = (seen * design + _PRIOR_GROUPS * (1 + kish) / 2) / (seen + _PRIOR_GROUPS)
    return float(total / max(1.0, blended))


def group_sums(success: Bools, group: Ints) -> tuple[Floats, Floats]:
    """Return how many images of each group count [G] and how many it has [G]; success [N], group [N] integers."""
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(index)
    hits = np.bincount(index, weights=np.asarray(success, dtype=np.float64))
    return np.asarray(hits, dtype=np.float64), np.asarray(counts, dtype=np.float64)


def quantile_for(*counts: Floats, tail: float = TAIL) -> float:
    """Return the quantile for effective sizes: the normal's where every group is one image, else Student's.

    Args:
        counts: For each proportion that enters, [G] images of its groups; the fewest groups set the freedom.
        tail: Probability outside each limit.
    """
    if all((sizes == 1).all() for sizes in counts):
        return float(ndtri(1 - tail))
    return float(stdtrit(max(1, min(len(sizes) for sizes in counts) - 1), 1 - tail))


def proportion(success: Bools, group: Ints, *, what: str = "class", tail: float = TAIL) -> Estimate:
    """Return the share of True with Wilson's interval, for clustered images.

    With several images a group the effective size takes the place of N and Student's quantile on groups - 1 degrees of
    freedom that of the normal (Korn & Graubard 1998; Dean & Pagano 2015). With mostly one the limits near 0 and 1 are
    ``modified_limits``.

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
    size, quantile = effective_size(hits, counts), quantile_for(counts, tail=tail)
    if kish_size(counts) < _MOSTLY_SINGLE:
        low, high = modified_limits(share, size, quantile, tail)
    else:
        low, high = wilson_limits(share, size, quantile)
    method = WILSON if len(counts) == success.size else WILSON_CLUSTERED
    return Estimate(value=share, low=low, high=high, method=method)


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
    """Return the AUROC with a score interval for clustered images.

    The limits are the areas A with |area - A| = t sqrt(variance at A): Newcombe's method 5, its variance scaled so that
    at the observed area it is Obuchowski's. Near 1 few images are misplaced and that one says little, at 1 nothing: the
    scale is drawn to that of groups half of the way to whole correlation, as if that had been seen in four misplaced
    groups; at 0 and 1 the groups count as wholly correlated. A group may hold images of both classes.
    """
    score, positive = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    sides = [np.bincount(index[side])[np.unique(index[side])].astype(np.float64) for side in (positive, ~positive)]
    fewest = min(len(counts) for counts in sides)
    if not fewest:
        return Estimate(value=None, note="needs images both of this class and of others")
    found = _area_facts(score, positive, index)
    if fewest < FEWEST_GROUPS:
        return Estimate(value=found.area, method=AUROC_SCORE, note=too_few(fewest))
    (m, n), kish = (float(counts.sum()) for counts in sides), [kish_size(counts) for counts in sides]
    nothing_seen = not 0.0 < found.area < 1.0 or found.variance <= 0.0
    worth = kish if nothing_seen else [(1 + size) / 2 for size in kish]
    near = min(max(found.area, 0.01), 0.99)
    scale = newcombe_variance(near, m / worth[0], n / worth[1]) / newcombe_variance(near, m, n)
    if not nothing_seen:
        observed = found.variance / newcombe_variance(found.area, m, n)
        scale = (found.misplaced * observed + _PRIOR_GROUPS_AUROC * scale) / (found.misplaced + _PRIOR_GROUPS_AUROC)
    quantile = float(ndtri(1 - tail))
    if max(kish) > 1.0:
        quantile = float(stdtrit(found.freedom if not nothing_seen else fewest - 1, 1 - tail))
    low, high = score_limits(found.area, lambda a: scale * newcombe_variance(a, m, n), quantile)
    note = "the classes are separated: the interval rests on the number of groups" if nothing_seen else ""
    return Estimate(value=found.area, low=low, high=high, method=AUROC_SCORE, note=note)


@dataclass(frozen=True, slots=True)
class _AreaFacts:
    """How the images of either class stand against those of the other."""

    area: float
    variance: float
    freedom: float  # of the variance (Satterthwaite)
    misplaced: float  # groups that are not all on the right (or all on the wrong) side, of the class with fewer


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
    s10 = i10 / (max(1, i10 - 1) * m) * (d10**2).sum()
    s01 = i01 / (max(1, i01 - 1) * n) * (d01**2).sum()
    s11 = groups / max(1, groups - 1) * (d10 * d01).sum()
    return float(s10 / m + s01 / n + 2 * s11 / (m * n))


def _area_facts(score: Floats, positive: Bools, index: Ints) -> _AreaFacts:
    part, groups = auroc_components(score, positive), int(index.max()) + 1
    area, squares, freedom, misplaced = float(part[positive].mean()), 0.0, 0.0, groups
    for side in (positive, ~positive):
        v, of = part[side], index[side]
        held = len(np.unique(of))
        spread = np.bincount(of, weights=v - area, minlength=groups)
        share = held / max(1, held - 1) * float((spread**2).sum()) / len(v) ** 2
        squares, freedom = squares + share, freedom + share**2 / max(1, held - 1)
        misplaced = min(misplaced, len(np.unique(of[v < 1])), len(np.unique(of[v > 0])))
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
        if gap(outer) <= 0:  # only at the end of the scale itself
            return outer
        for _ in range(60):
            middle = (inner + outer) / 2
            inner, outer = (inner, middle) if gap(middle) > 0 else (middle, outer)
        return outer

    return (0.0 if area == 0 else solve(area, 0.0)), (1.0 if area == 1 else solve(area, 1.0))


def combined(parts: Sequence[Estimate], weights: Sequence[float]) -> tuple[float, float] | None:
    """Return the limits of the sum of weight * part, recovered from those of the parts; None where one has none."""
    value, down, up = 0.0, 0.0, 0.0
    for part, weight in zip(parts, weights, strict=True):
        if part.value is None or part.low is None or part.high is None:
            return None
        value += weight * part.value
        down += (weight * (part.value - part.low)) ** 2
        up += (weight * (part.high - part.value)) ** 2
    return value - math.sqrt(down), value + math.sqrt(up)


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
    limits = combined(parts, [1 / len(parts)] * len(parts))
    if limits is None:
        return Estimate(value=value, method=method, note=next(part.note for part in parts if part.low is None))
    missing = len(successes) - len(parts)
    note = f"over the {len(parts)} classes that occur; {missing} do not" if missing else ""
    return Estimate(value=value, low=limits[0], high=limits[1], method=method, note=note)
