"""Two recipes, compared by five or more networks of each, since one network is one draw of its recipe.

A difference of two recipes is uncertain in two ways: another seed gives another network, other patients give other
figures. The two variances are added. The effect of a seed on these patients alone then counts in both, so that the
result errs on the cautious side, as a bootstrap of seeds and patients does (Owen, Ann Appl Stat 2007, on the
"pigeonhole" bootstrap).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from pneumoscope.stats import metrics
from pneumoscope.stats.auroc_interval import auroc_components, components_variance
from pneumoscope.stats.comparison.paired import (
    ONE_SIDED,
    Paired,
    Scores,
    adjust,
    check,
    check_estimable,
    is_area,
    parts_of,
    values_of,
)
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import TAIL
from pneumoscope.stats.kernels import Floats, Ints
from pneumoscope.stats.metric_registry import mean_over

FEWEST_SEEDS = 5
METHOD = "t, variance between seeds and between groups"


def compare_across_seeds(
    a: Sequence[Scores], b: Sequence[Scores], truth: ArrayLike, groups: ArrayLike, metric: str
) -> Paired:
    """Compare two recipes by the mean metric over their seeds, a - b.

    The seeds of the two recipes are not paired: the same number means nothing in two different networks.

    Args:
        a: The answers of the first recipe's networks, one for each seed.
        b: The same for the second recipe; the numbers of seeds may differ.
        truth: [N] class of each image.
        groups: [N] name of each image's group.
        metric: One of ``paired.METRICS``.

    Returns:
        The difference; with fewer than five seeds of either recipe it has no limits, and a note says so.
    """
    y, group = np.asarray(truth, dtype=np.intp), metrics.group_index(groups)
    if not a or not b:
        raise ValueError("a recipe without any seed cannot be compared")
    check({f"{name}{i}": one for name, many in (("a", a), ("b", b)) for i, one in enumerate(many)}, y, group, metric)
    undefined, why = check_estimable(y, group, metric)
    if undefined:
        return Paired(metric=metric, difference=Estimate(value=None, note=why), note=why)
    parts = [np.array([_per_image(one, y, metric) for one in many]) for many in (a, b)]
    figures = [np.array([_figure(row, y, metric) for row in rows]) for rows in parts]
    value = float(figures[0].mean() - figures[1].mean())
    if min(len(a), len(b)) < FEWEST_SEEDS:
        why = f"recipes are compared from {FEWEST_SEEDS} seeds on; here {len(a)} and {len(b)}: networks, not recipes"
    # Variance of each mean over seeds, then of the mean network's difference over groups of images.
    sources = [(float(f.var(ddof=1)) / len(f), len(f) - 1) for f in figures] if not why else []
    if not why:
        gap = parts[0].mean(axis=0) - parts[1].mean(axis=0)
        sources.append(_over_groups(gap, y, group, metric))
    variance = sum(v for v, _ in sources)
    if not why and variance <= 0:
        why = "interval not estimable: no variance between seeds, nor between images"
    if why:
        return Paired(metric=metric, difference=Estimate(value=value, method=METHOD, note=why), note=why)
    freedom = variance**2 / sum(v**2 / df for v, df in sources)  # Satterthwaite, Biometrics Bull 1946
    error = math.sqrt(variance)

    def reach(tail: float) -> float:
        return float(stdtrit(freedom, 1 - tail)) * error

    return Paired(
        metric=metric,
        difference=Estimate(value=value, low=value - reach(TAIL), high=value + reach(TAIL), method=METHOD),
        lower=value - reach(ONE_SIDED),
        upper=value + reach(ONE_SIDED),
        p_value=float(2 * stdtr(freedom, -abs(value) / error)),
        test=f"t over {len(a)} and {len(b)} seeds, with the variance between groups of images",
    )


def compare_all_across_seeds(
    scores: Mapping[str, Sequence[Scores]], reference: str, truth: ArrayLike, groups: ArrayLike, metric: str
) -> dict[str, Paired]:
    """Compare every other recipe with ``reference``, p-values adjusted over this family; as ``compare_all_paired``."""
    return adjust(
        {
            n: compare_across_seeds(s, scores[reference], truth, groups, metric)
            for n, s in scores.items()
            if n != reference
        }
    )


def _per_image(one: Scores, truth: Ints, metric: str) -> Floats:
    """Return what each image [N] adds to the metric."""
    if is_area(metric):
        return auroc_components(np.asarray(one.probabilities[:, 0], dtype=np.float64), truth == 0)
    return values_of(one, truth, metric)


def _figure(per_image: Floats, truth: Ints, metric: str) -> float:
    return mean_over([truth == 0] if is_area(metric) else parts_of(truth, metric), per_image)


def _over_groups(gap: Floats, truth: Ints, group: Ints, metric: str) -> tuple[float, int]:
    """Return the variance of the difference over groups of images, and its degrees of freedom."""
    if is_area(metric):
        positive = truth == 0
        fewest = min(len(np.unique(group[positive])), len(np.unique(group[~positive])))
        return max(0.0, components_variance(gap, positive, group)), fewest - 1
    masks = parts_of(truth, metric)
    variance = 0.0
    for mask in masks:
        index = metrics.group_index(group[mask])
        sums = np.bincount(index, weights=gap[mask] - gap[mask].mean())
        variance += len(sums) / (len(sums) - 1) * float((sums**2).sum()) / (mask.sum() * len(masks)) ** 2
    return variance, min(len(np.unique(group[mask])) for mask in masks) - 1
