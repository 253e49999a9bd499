"""Figures over all findings of a multi-label model: macro, micro and weighted averages, and whole images.

An image counts in a figure only with the findings that are stated of it, and a finding only where these images state
it both present and absent: of another one no error of one kind can show, so that its pairs would be easy ones that say
nothing. The intervals come from a bootstrap of groups
over all findings together, since the findings of one patient are not independent.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import ArrayLike

from pneumoscope.stats import kernels
from pneumoscope.stats.bootstrap import Resampling, bootstrap, resample
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.metrics import group_index

TITLES: Mapping[str, str] = {
    "macro/auroc": "AUROC, mean of the findings",
    "weighted/auroc": "AUROC, mean weighted by the images that have the finding",
    "micro/auroc": "AUROC over all pairs of image and finding",
    "macro/auprc": "Average precision, mean of the findings",
    "macro/f1": "F1 at the default thresholds, mean of the findings",
    "micro/f1": "F1 at the default thresholds over all pairs of image and finding",
    "hamming-loss": "Share of stated findings that are called wrongly",
    "exact-match": "Share of images whose stated findings are all called rightly",
}
"""Name -> name on a page, of the figures that `average_findings` gives."""

SMALLER_IS_BETTER = ("hamming-loss",)
"""Those of `TITLES` that are better when smaller."""

UNMEASURED = "no finding is stated both present and absent in these images"

ONE_MEASURED = "one finding is measured: see its own figure"
"""Why there is no figure over all pairs of image and finding."""

_CELLS = 4_000_000  # weights of pairs of image and finding in memory at a time


def average_findings(
    probabilities: ArrayLike,
    stated: ArrayLike,
    thresholds: ArrayLike,
    groups: ArrayLike,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> dict[str, Estimate]:
    """Return the figures over all findings.

    Args:
        probabilities: [N, C] of each finding by itself, 0..1.
        stated: [N, C] 1 present, 0 absent, NaN unknown.
        thresholds: [C] from which on a finding is called.
        groups: [N] name of each image's group.
        rng: Source of the bootstrap's randomness.
        resamples: Of the bootstrap; with 0 there are no intervals.

    Returns:
        Name as in `TITLES` -> figure, over the findings that these images state both present and absent. With one
        such finding there are no micro averages.
    """
    everything = np.asarray(stated, np.float64)
    measured = measured_findings(everything)
    if not measured:
        return {name: Estimate(value=None, note=UNMEASURED) for name in TITLES}
    p, t = np.asarray(probabilities, np.float64)[:, measured], everything[:, measured]
    called = p >= np.asarray(thresholds, np.float64)[measured]
    statistics = _statistics(p, t == 1, np.isfinite(t), called)
    sample = resample_findings(t, group_index(groups), rng, resamples) if resamples else None
    averages = {name: _estimate(statistic, sample, len(p)) for name, statistic in statistics.items()}
    if len(measured) == 1:
        averages |= {name: Estimate(value=None, note=ONE_MEASURED) for name in TITLES if name.startswith("micro/")}
    return averages


def measured_findings(stated: Floats) -> list[int]:
    """Return the places of the findings [N, C] that are stated both present and absent."""
    return [k for k, column in enumerate(stated.T) if (column == 1).any() and (column == 0).any()]


def resample_findings(stated: Floats, group: Ints, rng: np.random.Generator, resamples: int) -> Resampling:
    """Draw groups as they come: no one class can be the stratum. The rarest answer says whether that can carry.

    Args:
        stated: [N, C] 1 present, 0 absent, NaN unknown; one finding or more is both.
        group: [N] integer group of each image.
        rng: Source of the randomness.
        resamples: Number of resamples.
    """
    sample = resample(np.zeros(len(group), np.intp), group, 1, rng, resamples, "cohort")
    sides = [stated[:, k] == side for k in measured_findings(stated) for side in (1, 0)]
    return replace(sample, fewest=min(len(np.unique(group[side])) for side in sides))


def mean_area(probabilities: Floats, stated: Floats) -> Callable[[Floats], Floats]:
    """Return the mean AUROC of the findings that are stated both ways, as a function of weights [B, N] -> [B].

    Args:
        probabilities: [N, C].
        stated: [N, C] 1 present, 0 absent, NaN unknown.
    """
    known, measured = np.isfinite(stated), measured_findings(stated)

    def statistic(weight: Floats) -> Floats:
        areas = [
            kernels.auroc(probabilities[known[:, k], k], stated[known[:, k], k] == 1, weight[:, known[:, k]])
            for k in measured
        ]
        return np.asarray(np.mean(areas, axis=0), dtype=np.float64)

    return statistic


def mean_log_loss(probabilities: Floats, stated: Floats) -> Callable[[Floats], Floats]:
    """Return the mean binary log-loss over all stated pairs of image and finding, as `mean_area` does."""
    known = np.isfinite(stated)
    p = np.clip(probabilities, 1e-12, 1 - 1e-12)
    loss = np.where(known, -np.log(np.where(stated == 1, p, 1 - p)), 0.0).sum(axis=1)
    pairs = known.sum(axis=1).astype(np.float64)
    return lambda weight: np.asarray((weight @ loss) / (weight @ pairs), dtype=np.float64)


def _estimate(statistic: Callable[[Floats], Floats], sample: Resampling | None, images: int) -> Estimate:
    if sample is not None:
        return bootstrap(statistic, sample)
    value = float(statistic(np.ones((1, images)))[0])
    return Estimate(value=value if np.isfinite(value) else None, note="interval left out: no resamples were asked for")


def _statistics(p: Floats, present: Bools, known: Bools, called: Bools) -> dict[str, Callable[[Floats], Floats]]:
    """Return the figures over findings [N, C] that are all measured, as functions of weights [B, N] -> [B]."""
    findings = range(p.shape[1])

    def each(kernel: Callable[[Floats, Bools, Floats], Floats]) -> Callable[[Floats], Floats]:
        def values(weight: Floats) -> Floats:
            return np.stack(
                [kernel(p[known[:, k], k], present[known[:, k], k], weight[:, known[:, k]]) for k in findings], axis=1
            )

        return values

    areas, precisions = each(kernels.auroc), each(kernels.average_precision)

    def weighted(weight: Floats) -> Floats:
        share = np.stack([(weight * (present & known)[:, k]).sum(1) for k in findings], axis=1)
        return np.asarray((areas(weight) * share).sum(1) / share.sum(1))

    rows, columns = np.nonzero(known)
    score, positive = p[rows, columns], present[rows, columns]

    def micro(weight: Floats) -> Floats:
        step = max(1, _CELLS // len(rows))
        parts = [weight[start : start + step] for start in range(0, len(weight), step)]
        return np.concatenate([kernels.auroc(score, positive, part[:, rows]) for part in parts])

    hits, misses, false = called & present & known, ~called & present & known, called & ~present & known

    def f1(weight: Floats) -> Floats:
        """Return F1 of each finding [B, C]; 0 where nothing is called rightly."""
        top, bottom = 2 * weight @ hits, weight @ (2.0 * hits + misses + false)
        return np.asarray(np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0))

    def micro_f1(weight: Floats) -> Floats:
        top, bottom = (2 * weight @ hits).sum(1), (weight @ (2.0 * hits + misses + false)).sum(1)
        return np.asarray(np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0))

    wrong = misses | false
    some = known.any(1)
    return {
        "macro/auroc": lambda weight: areas(weight).mean(1),
        "weighted/auroc": weighted,
        "micro/auroc": micro,
        "macro/auprc": lambda weight: precisions(weight).mean(1),
        "macro/f1": lambda weight: f1(weight).mean(1),
        "micro/f1": micro_f1,
        "hamming-loss": lambda weight: np.asarray((weight @ wrong).sum(1) / (weight @ known).sum(1)),
        "exact-match": lambda weight: np.asarray(weight @ (some & ~wrong.any(1)) / (weight @ some)),
    }
