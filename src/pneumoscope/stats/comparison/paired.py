"""Two models on the same images: differences with intervals, p-values and Holm's adjustment.

Both models see the same images, so that every figure here is a difference a - b image by image, which is far more
certain than the two figures' own intervals suggest. Groups (patients) stay whole throughout. The comparison is of two
trained networks; ``seeds.py`` compares two recipes, from five seeds on. Differences of log-loss and Brier score
are better when smaller (``Metric.smaller_is_better``); all others when larger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field
from scipy.special import stdtrit

from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.registry import suggestion
from pneumoscope.stats import auroc_interval, intervals, kernels, metrics
from pneumoscope.stats.bootstrap import Resampling, bootstrap, resample
from pneumoscope.stats.comparison.paired_tests import TestResult, delong, draw_swaps, mcnemar, swap_areas, swap_means
from pneumoscope.stats.design import Design, designs_of, wider
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import FEWEST_GROUPS, TAIL, describe_too_few
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.metric_registry import PairedArea, PairedMean, mean_over
from pneumoscope.stats.metric_table import COMPARED, compared_metric

__all__ = [
    "METRICS",
    "Paired",
    "Scores",
    "adjust",
    "compare_all_paired",
    "compare_paired",
    "delong",
    "estimate_area_difference",
    "holm",
    "mcnemar",
]

METRICS = tuple(COMPARED)

DISCORDANT = "Wilson limits of the two discordant shares, clustered, combined (Zou & Donner 2008)"
AREAS = "paired, clustered (Obuchowski 1997), or each AUROC's limits combined (Zou & Donner 2008): the wider"
PAIRED_AREAS = "paired (DeLong 1988, clustered by Obuchowski 1997), Student's quantile"
RANKED_ALIKE = "both rank all images alike"
"""Why the difference of two AUROCs is 0 without an interval."""
ONE_SIDED = 0.05
_NO_VARIANCE = 1e-24


@dataclass(frozen=True, slots=True)
class Scores:
    """The answers of one model to the images, which have the same order for all models."""

    probabilities: Floats
    """[N, C], rows sum to 1; the first class is the primary one."""
    threshold: float
    """The model's own frozen threshold: called positive where the primary class's probability reaches it."""


class Paired(Frozen):
    """Two models on the same images: the difference a - b of one metric."""

    metric: str
    difference: Estimate = Field(description="a - b, two-sided 95%")
    lower: float | None = Field(default=None, description="one-sided 95% lower limit of a - b")
    upper: float | None = Field(default=None, description="one-sided 95% upper limit of a - b")
    p_value: float | None = Field(default=None, description="two-sided, of no difference")
    adjusted: float | None = Field(default=None, description="p_value after Holm's adjustment over the family")
    test: str = Field(default="", description="which test, in words")
    note: str = Field(default="", description="why something is missing")


def compare_paired(
    a: Scores,
    b: Scores,
    truth: ArrayLike,
    groups: ArrayLike,
    metric: str,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    design: Design | None = None,
) -> Paired:
    """Compare two models by one metric.

    Args:
        a: The first model.
        b: The second, on the same images in the same order.
        truth: [N] class of each image, in 0..C-1.
        groups: [N] name of each image's group (patient, cluster or image).
        metric: One of ``METRICS``.
        rng: Source of the randomness of resamples and swaps.
        resamples: How many of each.
        design: Of the study; None, not stated, takes the wider of the intervals for either design.
    """
    both = compare_all_paired({"a": a, "b": b}, "b", truth, groups, metric, rng=rng, resamples=resamples, design=design)
    return both["a"].model_copy(update={"adjusted": None})


def compare_all_paired(
    scores: Mapping[str, Scores],
    reference: str,
    truth: ArrayLike,
    groups: ArrayLike,
    metric: str,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    design: Design | None = None,
) -> dict[str, Paired]:
    """Compare every other model with ``reference``; p-values are adjusted over this family (Holm).

    All comparisons share the same resamples and swaps. Arguments as in ``paired``.

    Returns:
        For each model but the reference, in the order of ``scores``: model - reference.
    """
    if reference not in scores:
        raise UsageError(reference, f"no such model among: {', '.join(scores)}.{suggestion(reference, scores)}")
    y, group = np.asarray(truth, dtype=np.intp), metrics.group_index(groups)
    check(scores, y, group, metric)
    if resamples < 1:
        raise ValueError(f"resamples is {resamples}, must be at least 1")
    classes = scores[reference].probabilities.shape[1]
    images = _Images(
        truth=y,
        group=group,
        samples=tuple(resample(y, group, classes, rng, resamples, each) for each in designs_of(design)),
        swaps=draw_swaps(int(group.max()) + 1, resamples, rng),
    )
    comparisons = {
        name: _pair(one, scores[reference], images, metric) for name, one in scores.items() if name != reference
    }
    return adjust(comparisons)


def adjust(family: Mapping[str, Paired]) -> dict[str, Paired]:
    """Return the comparisons of one family with their p-values adjusted (Holm)."""
    adjusted = holm([pair.p_value for pair in family.values()])
    return {
        name: pair.model_copy(update={"adjusted": p}) for (name, pair), p in zip(family.items(), adjusted, strict=True)
    }


def holm(p_values: Sequence[float | None]) -> list[float | None]:
    """Return p-values adjusted so that the chance of any false finding in the family is held (Holm 1979).

    A comparison that was not estimable (None) stays None and does not count as a member of the family.
    """
    order = sorted((p, i) for i, p in enumerate(p_values) if p is not None)
    result: list[float | None] = [None] * len(p_values)
    highest = 0.0
    for rank, (p, i) in enumerate(order):
        highest = max(highest, min(1.0, (len(order) - rank) * p))
        result[i] = highest
    return result


def holm_of_comparisons(p_values: Sequence[float | None], comparisons: Sequence[int]) -> list[float | None]:
    """Return p-values adjusted as by `holm`, where some of them are of the same comparison and count once.

    Args:
        p_values: Of each row; None where it was not estimable.
        comparisons: The comparison that each row is of.
    """
    family = {number: p for number, p in zip(comparisons, p_values, strict=True) if p is not None}
    adjusted = dict(zip(family, holm(list(family.values())), strict=True))
    return [None if p is None else adjusted[number] for number, p in zip(comparisons, p_values, strict=True)]


@dataclass(frozen=True, slots=True)
class _Images:
    """The images, resamples and swaps that all comparisons share."""

    truth: Ints  # [N]
    group: Ints  # [N] in 0..G-1
    samples: tuple[Resampling, ...]  # one for each design that intervals must hold for
    swaps: Bools  # [B, G]


def check(scores: Mapping[str, Scores], truth: Ints, group: Ints, metric: str) -> None:
    """Refuse an unknown metric and scores that are not of the same images."""
    compared_metric(metric)
    shapes = {np.shape(one.probabilities) for one in scores.values()}
    if len(shapes) != 1 or len(shape := shapes.pop()) != 2 or shape[0] != len(truth) or len(group) != len(truth):
        raise ValueError(f"probabilities must all be [N, C] of the same {len(truth)} images and classes")
    if not all(np.isfinite(one.probabilities).all() for one in scores.values()):
        raise ValueError("a probability is not a finite number")
    if not len(truth) or truth.min() < 0 or truth.max() >= shape[1]:
        raise ValueError(f"truth must name one of {shape[1]} classes for at least one image")


def values_of(scores: Scores, truth: Ints, metric: str) -> Floats:
    """Return what each image [N] adds to a metric that is a mean (all but the AUROC)."""
    probability = np.asarray(scores.probabilities, dtype=np.float64)
    return mean_form(metric).values(probability, scores.threshold, truth)


def parts_of(truth: Ints, metric: str) -> list[Bools]:
    """Return the sets of images [N] over which a metric is a mean; several: the mean of their means."""
    return mean_form(metric).parts(truth)


def mean_form(metric: str) -> PairedMean:
    """Return how two models are compared by a metric that is a mean over images."""
    paired = compared_metric(metric).paired
    if not isinstance(paired, PairedMean):
        raise ValueError(f"{metric} is not a mean over images")
    return paired


def is_area(metric: str) -> bool:
    """Return whether two models are compared by an area under the ROC curve."""
    return isinstance(compared_metric(metric).paired, PairedArea)


def check_estimable(truth: Ints, group: Ints, metric: str) -> tuple[bool, str]:
    """Return whether the metric is undefined here, and why it is, or why it has no interval ("" if it has one).

    Every class that the metric uses must have ten groups; for log-loss and Brier score, whose resamples are stratified,
    every class that occurs.
    """
    area = is_area(metric)
    if area:
        needed = [truth == 0, truth != 0]
    elif mean_form(metric).kind == "loss":
        needed = [truth == k for k in np.unique(truth)]
    else:
        needed = parts_of(truth, metric)
    fewest = min(len(np.unique(group[part])) for part in needed)
    if not fewest:
        return True, "needs images both of the first class and of others" if area else "no such images"
    return False, describe_too_few(fewest) if fewest < FEWEST_GROUPS else ""


def _pair(a: Scores, b: Scores, images: _Images, metric: str) -> Paired:
    undefined, why = check_estimable(images.truth, images.group, metric)
    if undefined:
        return Paired(metric=metric, difference=Estimate(value=None, note=why), note=why)
    if is_area(metric):
        positive = images.truth == 0
        one, two = (np.asarray(s.probabilities[:, 0], dtype=np.float64) for s in (a, b))
        limits: _Limits = partial(_area_limits, one, two, positive, images.group)
        test = partial(_area_test, one, two, positive, images)
    else:
        one, two = values_of(a, images.truth, metric), values_of(b, images.truth, metric)
        parts = parts_of(images.truth, metric)
        if mean_form(metric).kind == "loss":
            limits = partial(_loss_limits, one - two, images.samples)
        else:
            limits = partial(_share_limits, one - two, parts, images.group)
        test = partial(_mean_test, one, two, parts, images, metric)
    both = limits(TAIL)
    if why:
        bare = Estimate(value=both.value, method=both.method, note=why)
        return Paired(metric=metric, difference=bare, note=why)
    single = limits(ONE_SIDED)
    p_value, name = test()
    return Paired(
        metric=metric,
        difference=both,
        lower=single.low,
        upper=single.high,
        p_value=p_value,
        test=name,
        note=both.note,
    )


_Limits = Callable[[float], Estimate]
"""Tail -> the difference with limits that leave so much outside on either side."""


def _combine(a: Estimate, b: Estimate, correlation: float) -> tuple[float, float]:
    """Return the limits of a - b from those of a and b (Zou & Donner, Stat Med 2008)."""
    if a.value is None or a.low is None or a.high is None or b.value is None or b.low is None or b.high is None:
        raise ValueError("both must have limits")

    def reach(x: float, y: float) -> float:
        return math.sqrt(max(0.0, x * x - 2 * correlation * x * y + y * y))

    value = a.value - b.value
    low = value - reach(a.value - a.low, b.high - b.value)
    return low, value + reach(a.high - a.value, b.value - b.low)


def _loss_limits(gap: Floats, samples: Sequence[Resampling], tail: float) -> Estimate:
    """Return a difference of mean losses with limits; gap [N], a sample for each design that they must hold for."""
    estimates = [bootstrap(partial(kernels.mean, gap), sample, tail=tail) for sample in samples]
    return wider(estimates, [sample.design for sample in samples])


def _share_limits(gap: Floats, parts: Sequence[Bools], group: Ints, tail: float) -> Estimate:
    """Return a difference of shares (accuracy, sensitivity, ...) with limits.

    It is (share where only a is right) - (share where only b is right). Wilson's limits of each do not shrink to a
    point when there is no such image, as a bootstrap's do.

    Args:
        gap: [N] 1 where only a is right, -1 where only b is, else 0.
        parts: The sets of images; the difference is the mean of theirs.
        group: [N].
        tail: Probability outside each limit.
    """
    value = mean_over(parts, gap)
    down, up = 0.0, 0.0
    for part in parts:
        here, members = gap[part], group[part]
        wins = intervals.estimate_proportion(here > 0, members, tail=tail)
        losses = intervals.estimate_proportion(here < 0, members, tail=tail)
        if wins.low is None or losses.low is None:
            return Estimate(value=value, method=DISCORDANT, note=wins.note)
        low, high = _combine(wins, losses, intervals.group_correlation(here > 0, here < 0, members))
        centre = float(here.mean())
        down += ((centre - low) / len(parts)) ** 2
        up += ((high - centre) / len(parts)) ** 2
    return Estimate(value=value, low=value - math.sqrt(down), high=value + math.sqrt(up), method=DISCORDANT)


def _area_limits(a: Floats, b: Floats, positive: Bools, group: Ints, tail: float) -> Estimate:
    """Return the difference of two AUROCs with limits: on each side the outer of two kinds.

    The paired normal limits (DeLong's, for clusters) are symmetric, and miss on the worse model's side near 1. The
    limits of each AUROC, combined by their correlation, are not symmetric, but too short where both models rank alike.
    Together they hold (docs/concepts/statistics.md). Where the classes are separated, the combined limits rest on the
    number of groups.
    """
    one, two = (auroc_interval.estimate_auroc(score, positive, group, tail=tail) for score in (a, b))
    if one.value is None or two.value is None:
        return Estimate(value=None, note=one.note)
    value = one.value - two.value
    if one.low is None or two.low is None:
        return Estimate(value=value, method=AREAS, note=one.note)
    parts = [auroc_interval.auroc_components(score, positive) for score in (a, b)]
    own = [auroc_interval.components_variance(part, positive, group) for part in parts]
    gap = max(0.0, auroc_interval.components_variance(parts[0] - parts[1], positive, group))
    scale = 2 * math.sqrt(max(0.0, own[0] * own[1]))
    low, high = _combine(one, two, (own[0] + own[1] - gap) / scale if scale > 0 else 0.0)
    fewest = min(len(np.unique(group[positive])), len(np.unique(group[~positive])))
    reach = float(stdtrit(fewest - 1, 1 - tail)) * math.sqrt(gap)
    return Estimate(
        value=value,
        low=min(low, value - reach),
        high=max(high, value + reach),
        method=AREAS,
        note=one.note or two.note,
    )


def estimate_area_difference(
    a: Floats, b: Floats, positive: Bools, groups: ArrayLike, *, tail: float = TAIL
) -> Estimate:
    """Return the difference a - b of the AUROCs of two scores that hardly differ, with its paired limits alone.

    It is for one network in two engines, or with 8-bit weights. The limits of either AUROC that `compare_paired`
    combines do not come together where two scores rank alike: at .90 of 60 images they leave .07 on both sides of a
    difference of 0. With the noise of 8 bits the paired limits alone hold 95 to 99 times in 100, sets without limits
    left out.

    Args:
        a: [N] scores.
        b: [N] scores of the same images.
        positive: [N] whether the image is of the class; both occur.
        groups: [N] name of each image's group.
        tail: Probability outside each limit.

    Returns:
        The difference. Where every image ranks alike, or a class has fewer than 10 groups, it has no limits.
    """
    group = metrics.group_index(groups)
    gap = auroc_interval.auroc_components(a, positive) - auroc_interval.auroc_components(b, positive)
    fewest = min(len(np.unique(group[side])) for side in (positive, ~positive))
    value, variance = float(gap[positive].mean()), auroc_interval.components_variance(gap, positive, group)
    if variance <= _NO_VARIANCE:
        return Estimate(value=value, method=PAIRED_AREAS, note="" if value else RANKED_ALIKE)
    if fewest < FEWEST_GROUPS:
        return Estimate(value=value, method=PAIRED_AREAS, note=describe_too_few(fewest))
    reach = float(stdtrit(fewest - 1, 1 - tail)) * math.sqrt(variance)
    return Estimate(value=value, low=value - reach, high=value + reach, method=PAIRED_AREAS)


def _area_test(a: Floats, b: Floats, positive: Bools, images: _Images) -> TestResult:
    if _single(images.group):
        test = delong(a, b, positive)
        if test.p_value is not None:
            return test
    return swap_areas(a, b, positive, images.group, images.swaps)


def _mean_test(a: Floats, b: Floats, parts: Sequence[Bools], images: _Images, metric: str) -> TestResult:
    used = parts[0]
    if mean_form(metric).mcnemar and _single(images.group[used]):
        return mcnemar(a[used] > 0, b[used] > 0)
    share = sum((part / (part.sum() * len(parts)) for part in parts), np.zeros(len(a)))
    return swap_means(share * (a - b), images.group, images.swaps)


def _single(group: Ints) -> bool:
    """Return whether every group is one image."""
    return len(np.unique(group)) == len(group)
