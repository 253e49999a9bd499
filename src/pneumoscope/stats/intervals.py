"""95% intervals that hold for the data there is: images in groups, few of a class, figures near 1.

Three kinds: Wilson with a cluster design effect for proportions, a score interval with Obuchowski's clustered variance
for the AUROC, and for everything else a bootstrap of groups (``bootstrap.py``). Fewer than 10 groups in a class: the
figure stands, its interval is "not estimable". Each was chosen among others by simulation
(``docs/concepts/statistics.md``).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from scipy.special import chdtri, ndtri, stdtrit

from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.kernels import Bools, Floats, Ints

FEWEST_GROUPS = 10
LEVEL = 0.95
TAIL = (1 - LEVEL) / 2

WILSON = "Wilson, modified near 0 and 1 (Brown, Cai & DasGupta 2001)"
WILSON_CLUSTERED = "Wilson, cluster design effect"

_PRIOR_GROUPS = 2.0
"""How many groups that hold the rarer outcome the guess of the design effect weighs as much as."""
_MOSTLY_SINGLE = 1.5
"""Mean size, as an image sees it, of groups that are counted like single images near 0 and 1."""


def describe_too_few(groups: int, of: str = "class") -> str:
    """Return the note of an interval that is not estimable, since there are too few groups."""
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

    Counts are whole numbers, so that just there the plain limits exclude the truth far too often: up to 16 times in
    100. The limit of the Poisson distribution replaces them (Brown, Cai & DasGupta, Stat Sci 2001, 4.1.1).
    """
    low, high = wilson_limits(share, n, quantile)
    for count, upper in ((share * n, False), ((1 - share) * n, True)):
        if 0 < count <= min(3.0, n / 2) + 1e-9:
            poisson = float(chdtri(2 * count, 1 - 2 * tail)) / 2 / n
            low, high = (low, max(high, 1 - poisson)) if upper else (min(low, poisson), high)
    return low, high


def kish_size(counts: Floats) -> float:
    """Return the mean group size over images (Kish): N divided by it is the size of wholly correlated images."""
    return float((counts**2).sum() / counts.sum())


def effective_size(hits: Floats, counts: Floats) -> float:
    """Return the number of independent images that the groups equal for a proportion: N / design effect.

    The variance is that of a ratio of two sums over groups (Cochran 1977, 6.3), each group's deviation divided by 1 -
    its share of the images: a large group pulls the proportion towards itself and looks less deviant than it is
    (jackknife; Bell & McCaffrey 2002, CR3). Few failures hardly show the correlation within groups: the design effect
    then moves half of the way to that of wholly correlated groups (Kish), as if two groups had shown that. At 0 or 1,
    where nothing shows it, it is Kish's. It is never below 1.

    Args:
        hits: [G] images of each group that count.
        counts: [G] images of each group, all > 0.
    """
    total, groups = float(counts.sum()), len(counts)
    share, kish = float(hits.sum()) / total, kish_size(counts)
    if kish == 1.0 or groups < 2 or share in (0.0, 1.0):
        return total / kish
    # Only the groups that hold the rarer outcome show the correlation.
    informative = float(min((hits > 0).sum(), (hits < counts).sum()))
    design = jackknife_variance(hits - share * counts, counts) / (share * (1 - share) / total)
    blended = (informative * design + _PRIOR_GROUPS * (1 + kish) / 2) / (informative + _PRIOR_GROUPS)
    return float(total / max(1.0, blended))


def jackknife_variance(deviations: Floats, counts: Floats) -> float:
    """Return the variance of a mean over images from its groups' summed deviations [G] and sizes [G]; G >= 2."""
    total, groups = float(counts.sum()), len(counts)
    leverage = deviations / (1 - counts / total)
    return float((groups - 1) / groups * (leverage**2).sum() / total**2)


def effective_groups(counts: Floats, correlation: float = 1.0) -> float:
    """Return the number of equal groups whose variance is as certain as that of these unequal ones.

    A group adds about n (1 + (n - 1) correlation) to a variance, so that a few large groups decide it (the effective
    number of clusters; Carter, Schnepel & Steigerwald 2017).

    Args:
        counts: [G] images of each group.
        correlation: Of the images of a group, 0 to 1.
    """
    weight = counts * (1 + (counts - 1) * correlation)
    return float(weight.sum() ** 2 / (weight**2).sum())


def correlation_of(size: float, counts: Floats) -> float:
    """Return the correlation within groups, 0 to 1, that makes N images worth ``size`` independent ones."""
    kish = kish_size(counts)
    return 1.0 if kish == 1.0 else min(1.0, max(0.0, (float(counts.sum()) / size - 1) / (kish - 1)))


def group_sums(success: Bools, group: Ints) -> tuple[Floats, Floats]:
    """Return how many images of each group count [G] and how many it has [G]; success [N], group [N] integers."""
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    counts = np.bincount(index)
    hits = np.bincount(index, weights=np.asarray(success, dtype=np.float64))
    return np.asarray(hits, dtype=np.float64), np.asarray(counts, dtype=np.float64)


def group_correlation(one: Bools, two: Bools, group: Ints) -> float:
    """Return the correlation of two shares of the same images, from what each group adds to either."""
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    left, right = (np.bincount(index, weights=x - x.mean()) for x in (one, two))
    scale = math.sqrt(float((left**2).sum() * (right**2).sum()))
    return float((left * right).sum()) / scale if scale > 0 else 0.0


def quantile_for(*samples: tuple[float, Floats], tail: float = TAIL) -> float:
    """Return the quantile for effective sizes: the normal's where every group is one image, else Student's.

    Args:
        samples: For each proportion that enters, its effective size and [G] the images of its groups; the fewest
            effective groups set the freedom.
        tail: Probability outside each limit.
    """
    if all((counts == 1).all() for _, counts in samples):
        return float(ndtri(1 - tail))
    fewest = min(effective_groups(counts, correlation_of(size, counts)) for size, counts in samples)
    return float(stdtrit(max(1.0, fewest - 1), 1 - tail))


def estimate_proportion(success: Bools, group: Ints, *, what: str = "class", tail: float = TAIL) -> Estimate:
    """Return the share of True with Wilson's interval, for clustered images.

    With several images in a group, the effective size replaces N, and Student's quantile with effective groups - 1
    degrees of freedom replaces that of the normal distribution (Korn & Graubard 1998; Dean & Pagano 2015). Where most
    groups are one image, the limits near 0 and 1 are ``modified_limits``.

    Args:
        success: [N] of the images in the denominator.
        group: [N] integer group of each.
        what: The name of the denominator, for the note.
        tail: Probability outside each limit; .05 makes each limit a one-sided 95% limit.
    """
    success = np.asarray(success, dtype=np.bool_)
    if not success.size:
        return Estimate(value=None, note=f"no image in this {what}")
    hits, counts = group_sums(success, group)
    share = float(success.mean())
    if len(counts) < FEWEST_GROUPS:
        return Estimate(value=share, method=WILSON, note=describe_too_few(len(counts), what))
    size = effective_size(hits, counts)
    quantile = quantile_for((size, counts), tail=tail)
    if kish_size(counts) < _MOSTLY_SINGLE:
        low, high = modified_limits(share, size, quantile, tail)
    else:
        low, high = wilson_limits(share, size, quantile)
    method = WILSON if len(counts) == success.size else WILSON_CLUSTERED
    return with_limits(share, low, high, method)


def estimate_f1(hit: Bools, group: Ints) -> Estimate:
    """Return F1 with an interval: F1 = 2J / (1 + J), where J = TP / (TP + FP + FN) is a proportion.

    Args:
        hit: [M] whether it is a true positive, for the images that are of the class or were decided to be.
        group: [M].
    """
    share = estimate_proportion(hit, group, what="class or decision")

    def f1_of(j: float | None) -> float | None:
        return None if j is None else 2 * j / (1 + j)

    return Estimate(
        value=f1_of(share.value),
        low=f1_of(share.low),
        high=f1_of(share.high),
        method=f"{share.method} on TP / (TP + FP + FN), transformed" if share.method else "",
        note=share.note,
    )


def combine_limits(parts: Sequence[Estimate], weights: Sequence[float]) -> tuple[float, float] | None:
    """Return the limits of the sum of weight * part, recovered from those of the parts; None where a part has none."""
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
    so that the interval does not shrink to a point at 1, as a bootstrap's does. The method takes classes as
    independent, which they are except in groups that hold several.

    Args:
        successes: For each class, [n_k] of its images.
        groups: For each class, [n_k].
    """
    parts = [
        estimate_proportion(success, group)
        for success, group in zip(successes, groups, strict=True)
        if np.asarray(success).size
    ]
    values = [part.value for part in parts if part.value is not None]
    if not values:
        return Estimate(value=None, note="no images")
    value = float(np.mean(values))
    method = f"{parts[0].method} of each recall, combined (Zou & Donner 2008)"
    limits = combine_limits(parts, [1 / len(parts)] * len(parts))
    if limits is None:
        return Estimate(value=value, method=method, note=next(part.note for part in parts if part.low is None))
    missing = len(successes) - len(parts)
    note = f"over the {len(parts)} classes that occur; {missing} do not" if missing else ""
    return with_limits(value, *limits, method, note)
