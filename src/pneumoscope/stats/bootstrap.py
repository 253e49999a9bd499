"""The interval of every figure that is neither a proportion nor an AUROC: a bootstrap of groups, with BCa limits.

It draws groups, not images, since images of one patient are not independent. Of a case-control study it draws within
classes, whose numbers somebody chose; of a cohort it draws from all patients, whose classes are chance. Bias correction
and acceleration follow Efron, JASA 1987, several strata follow Davison & Hinkley, Bootstrap Methods and Their
Application, 1997, 5.3.2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri, stdtrit

from pneumoscope.stats.design import Design
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import FEWEST_GROUPS, TAIL, describe_too_few, effective_groups
from pneumoscope.stats.kernels import Floats, Ints

METHOD = "group bootstrap, BCa, stratified by class"
COHORT_METHOD = "group bootstrap, BCa, not stratified"

MAY_BE_SHORT = "the interval may be too short"
"""The note of an interval that is known not to hold 95 times in 100."""

FEW_GROUPS = 25
"""With fewer groups in a class the interval of a bootstrap may be too short."""

_CELLS = 2_000_000  # weights in memory at a time
_BLOCKS = 250  # at most this many leave-out blocks in a stratum
_UNDEFINED = 0.01  # of the resamples of a cohort

Statistic = Callable[[Floats], Floats]
"""Weights [B, N] -> values [B]; a value may be infinite, or NaN where it is not defined."""


@dataclass(frozen=True, slots=True)
class Resampling:
    """Bootstrap draws of whole groups, which every metric of an evaluation shares.

    In a case-control study a group's stratum is the rarest class among its images, so that no resample loses a rare
    class; in a cohort there is one stratum. Of the n groups of a
    stratum n - 1 are drawn and weighted by n / (n - 1): drawing n would make every interval too short, by 5% at n = 10
    (Rao & Wu, JASA 1988).
    """

    group: Ints  # [N] group of each image, 0..G-1
    stratum: Ints  # [G]
    counts: NDArray[np.uint16]  # [B, G] how often each group was drawn
    scale: Floats  # [G] n / (n - 1) of its stratum
    fewest: int  # groups in the class that has the fewest
    design: Design = "case-control"

    @property
    def method(self) -> str:
        """The name of this bootstrap."""
        return COHORT_METHOD if self.design == "cohort" else METHOD

    def blocks(self) -> Iterator[Floats]:
        """Yield the images' weights [rows, N], a few rows at a time."""
        rows = max(1, _CELLS // len(self.group))
        for start in range(0, len(self.counts), rows):
            yield (self.counts[start : start + rows] * self.scale)[:, self.group]


def strata_of(truth: Ints, group: Ints, classes: int) -> tuple[Ints, Ints, int]:
    """Return each image's group [N] in 0..G-1, each group's stratum [G] (its rarest class), and the fewest groups.

    Args:
        truth: [N] class of each image.
        group: [N] integer group of each image.
        classes: Number of classes.
    """
    index = np.unique(group, return_inverse=True)[1].reshape(-1)
    groups = int(index.max()) + 1
    holds = np.zeros((groups, classes), dtype=np.bool_)
    holds[index, truth] = True
    by_class = holds.sum(axis=0)
    stratum = np.where(holds, by_class, groups + 1).argmin(axis=1).astype(np.intp)
    return index, stratum, int(by_class[by_class > 0].min())


def resample(
    truth: Ints,
    group: Ints,
    classes: int,
    rng: np.random.Generator,
    resamples: int = 2000,
    design: Design = "case-control",
) -> Resampling:
    """Draw ``resamples`` resamples of groups.

    Args:
        truth: [N] class of each image.
        group: [N] integer group of each image.
        classes: Number of classes.
        rng: Source of the randomness.
        resamples: Number of resamples.
        design: Of the study: case-control draws within classes, cohort from all groups.
    """
    index, stratum, fewest = strata_of(truth, group, classes)
    if design == "cohort":
        stratum = np.zeros_like(stratum)
    groups = len(stratum)
    counts = np.ones((resamples, groups), dtype=np.uint16)
    scale = np.ones(groups)
    for k in np.unique(stratum):
        members = np.flatnonzero(stratum == k)
        n = len(members)
        if n > 1:
            scale[members] = n / (n - 1)
            for start in range(0, resamples, 100):
                rows = slice(start, min(start + 100, resamples))
                draws = rng.multinomial(n - 1, np.full(n, 1 / n), size=rows.stop - rows.start)
                counts[rows, members] = draws
    return Resampling(index, stratum, counts, scale, fewest, design)


def bootstrap(
    statistic: Statistic, sample: Resampling, *, bound: Callable[[float], float] = float, tail: float = TAIL
) -> Estimate:
    """Return a figure with its BCa interval.

    The tails are those of Student's distribution with the degrees of freedom that the strata leave (Hesterberg, Am Stat
    2015). Where the figure cannot be computed, or an interval would claim too much, the note says why.

    Args:
        statistic: The figure under weights.
        sample: The resamples.
        bound: Applied to the figure and both limits at the end (a rising function), such as a square root.
        tail: Probability outside each limit; .05 makes each limit a one-sided 95% limit.
    """
    value = float(statistic(np.ones((1, len(sample.group))))[0])
    if math.isnan(value):
        return Estimate(value=None, note="not defined on these images")
    if math.isinf(value):
        return Estimate(value=None, note="no finite value: the classes are separated, or touch in one tied score only")

    def without_interval(note: str) -> Estimate:
        return Estimate(value=bound(value), method=sample.method, note=note)

    if sample.fewest < FEWEST_GROUPS:
        return without_interval(describe_too_few(sample.fewest))
    values = np.concatenate([statistic(weight) for weight in sample.blocks()])
    defined = values[~np.isnan(values)]
    # A resample of a cohort can lose a class of ten patients (1 in 20,000): the others still show the variation.
    if len(defined) < (1 - _UNDEFINED) * len(values):
        return without_interval("interval not estimable: not defined in some resamples")
    values, finite = defined, defined[np.isfinite(defined)]
    if not len(finite) or np.ptp(finite) <= 1e-9 * max(1.0, abs(value)):
        return without_interval("interval not estimable: every resample gives the same value")
    low, high = _bca_limits(values, value, *_influence(statistic, sample), tail)
    if not (math.isfinite(low) and math.isfinite(high)):
        return without_interval("interval not estimable: the classes are separated in some resamples")
    return with_limits(bound(value), bound(low), bound(high), sample.method, _warn_of_few(sample))


def _warn_of_few(sample: Resampling) -> str:
    """Return a warning where few groups, or a few large ones, decide the interval, which is then short; else nothing.

    With 10 to 25 groups in a class bootstrap intervals hold 91 to 95 times in 100. With 12 patients of 1 to 20 images,
    whose scores correlate by .9, that of a calibration slope held 87 times (docs/concepts/statistics.md).
    """
    sizes = np.bincount(sample.group).astype(np.float64)
    equal = min(effective_groups(sizes[sample.stratum == k]) for k in np.unique(sample.stratum))
    if equal < FEWEST_GROUPS:
        return f"{MAY_BE_SHORT}: the unequal groups tell as much as {equal:.0f} equal ones"
    if sample.fewest < FEW_GROUPS:
        return f"{MAY_BE_SHORT}: {sample.fewest} groups in a class, fewer than {FEW_GROUPS}"
    return ""


def _influence(statistic: Statistic, sample: Resampling) -> tuple[float, float]:
    """Return acceleration and degrees of freedom, from leaving out a group (of large strata, a block of groups)."""
    cubes, squares, over = 0.0, 0.0, 0.0
    sizes = np.bincount(sample.group).astype(np.float64)
    for k in np.unique(sample.stratum):
        members = np.flatnonzero(sample.stratum == k)
        blocks = min(len(members), _BLOCKS)
        if blocks < 2:
            continue
        rows = max(1, _CELLS // len(sample.group))
        values = np.concatenate(
            [
                statistic(_leave_out(members, blocks, slice(start, start + rows), sample))
                for start in range(0, blocks, rows)
            ]
        )
        values = values[np.isfinite(values)]
        if len(values) < 2:
            continue
        influence = (blocks - 1) / blocks * (values.mean() - values)
        cubes += float((influence**3).sum())
        squares += float((influence**2).sum())
        freedom = max(1.0, effective_groups(sizes[members]) - 1)
        over += float((influence**2).sum()) ** 2 / freedom
    if squares <= 0:
        return 0.0, float(len(sample.stratum))
    return cubes / (6 * squares**1.5), squares**2 / over


def _leave_out(members: Ints, blocks: int, which: slice, sample: Resampling) -> Floats:
    """Return weights [rows, N], each without one block of a stratum's groups; the other groups carry its weight."""
    weight = np.ones((blocks, len(sample.stratum)))[which]
    block = np.arange(len(members)) % blocks
    left_out = np.arange(blocks)[which][:, None] == block
    weight[:, members] = np.where(left_out, 0.0, len(members) / (len(members) - left_out.sum(axis=1, keepdims=True)))
    return weight[:, sample.group]


def _bca_limits(values: Floats, value: float, acceleration: float, freedom: float, tail: float) -> tuple[float, float]:
    """Return the limits from resampled values [B] and the figure itself."""
    size = len(values)
    below = ((values < value).sum() + 0.5 * (values == value).sum()) / size  # ties count half: a discrete figure
    bias = float(ndtri(np.clip(below, 1 / (size + 1), size / (size + 1))))
    quantile = float(stdtrit(freedom, 1 - tail))
    ordered = np.sort(values)

    def limit(z: float) -> float:
        moved = bias + z
        share = float(ndtr(bias + moved / max(1 - acceleration * moved, 0.1)))
        place = min(max(share * (size + 1) - 1, 0.0), size - 1.0)
        floor = int(place)
        if floor == size - 1 or ordered[floor] == ordered[floor + 1] or math.isinf(ordered[floor]):
            return float(ordered[floor])
        return float(ordered[floor] + (place - floor) * (ordered[floor + 1] - ordered[floor]))

    return limit(-quantile), limit(quantile)
