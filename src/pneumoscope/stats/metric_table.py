"""Every metric that Pneumoscope reports, each declared once: add a function here and every list and page knows it.

A metric is a function from images to an `Estimate` (figure, interval, method, note). Its declaration gives the key in
JSON, the name on a page, the direction, the kind of interval and, where two models are compared by it, how. The order
of the declarations is the order of figures in JSON and on pages. Formulas are in `kernels.py` and `metrics.py`,
intervals in `intervals.py`, `stratified.py`, `loss_intervals.py` and `bootstrap.py`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from pneumoscope.core.errors import UsageError
from pneumoscope.core.registry import suggestion
from pneumoscope.stats import auroc_interval, intervals, kernels, metrics, stratified
from pneumoscope.stats.bootstrap import Statistic, bootstrap
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.loss_intervals import MOST_NATS, mean_of_losses
from pneumoscope.stats.metric_registry import (
    AllClasses,
    AtThreshold,
    Metric,
    MetricRegistry,
    OneClass,
    PairedArea,
    PairedMean,
)

CLASS_METRICS: MetricRegistry[OneClass] = MetricRegistry("of one class against the rest")
OVERALL_METRICS: MetricRegistry[AllClasses] = MetricRegistry("of all classes together")
THRESHOLD_METRICS: MetricRegistry[AtThreshold] = MetricRegistry("at a frozen threshold")

WILSON = "Wilson, cluster design effect"
BOOTSTRAP = "group bootstrap (BCa), within classes or, of a cohort, over all groups"
LOSSES = "standard error in proportion to the mean, over groups"


def all_images(truth: Ints) -> list[Bools]:
    """Return the one set that holds every image."""
    return [np.ones(len(truth), dtype=np.bool_)]


def decided_rightly(probability: Floats, threshold: float, truth: Ints) -> Floats:
    """Return 1 for each image [N] whose largest probability is of its class, else 0."""
    return np.asarray(probability.argmax(axis=1) == truth, dtype=np.float64)


def called_rightly(probability: Floats, threshold: float, truth: Ints) -> Floats:
    """Return 1 for each image [N] that the threshold puts on the right side, else 0."""
    return np.asarray((probability[:, 0] >= threshold) == (truth == 0), dtype=np.float64)


# One class against the rest.


@CLASS_METRICS.metric(
    "precision", title="Precision", better="higher", interval="score interval of the ratio", by_design=True
)
def class_precision(images: OneClass) -> Estimate:
    """Of the images decided to be of the class, the share that is."""
    return stratified.estimate_precision(images.decided, images.positive, images.group, images.design)


@CLASS_METRICS.metric("recall", title="Recall", better="higher", interval=WILSON)
def class_recall(images: OneClass) -> Estimate:
    """Of the images of the class, the share that is decided to be."""
    return intervals.estimate_proportion(images.decided[images.positive], images.group[images.positive])


@CLASS_METRICS.metric("specificity", title="Specificity", better="higher", interval=WILSON)
def class_specificity(images: OneClass) -> Estimate:
    """Of the images of other classes, the share that is not decided to be of this one."""
    others = ~images.positive
    return intervals.estimate_proportion(~images.decided[others], images.group[others], what="class of the others")


@CLASS_METRICS.metric(
    "f1",
    title="F1",
    phrase="F1",
    better="higher",
    interval="limits of recall and false alarms, combined",
    by_design=True,
)
def class_f1(images: OneClass) -> Estimate:
    """2 TP / (2 TP + FP + FN)."""
    return stratified.estimate_f1(images.decided, images.positive, images.group, images.design)


@CLASS_METRICS.metric(
    "auroc",
    title="AUROC",
    phrase="AUROC",
    better="higher",
    interval="score interval, clustered variance",
    paired=PairedArea(),
)
def class_auroc(images: OneClass) -> Estimate:
    """The probability that an image of the class scores above one of another; ties count half."""
    return auroc_interval.estimate_auroc(images.score, images.positive, images.group)


@CLASS_METRICS.metric("auprc", title="AUPRC", phrase="AUPRC", better="higher", interval=BOOTSTRAP, by_design=True)
def class_auprc(images: OneClass) -> Estimate:
    """The area under the precision-recall curve, as a step function."""
    return resampled(images, lambda weight: kernels.average_precision(images.score, images.positive, weight))


@CLASS_METRICS.metric(
    "brier", title="Brier score", phrase="Brier score", better="lower", interval=LOSSES, by_design=True
)
def class_brier(images: OneClass) -> Estimate:
    """The mean of (p - y)^2, in 0..1."""
    squared = (images.score - images.positive) ** 2
    return mean_of_losses(squared, (~images.positive).astype(np.intp), images.group, 2, most=1.0, design=images.design)


@CLASS_METRICS.metric(
    "calibration_slope", title="Calibration slope", better="near 1", interval=BOOTSTRAP, by_design=True
)
def class_calibration_slope(images: OneClass) -> Estimate:
    """The slope of logistic recalibration; under 1 the model is over-confident."""
    return resampled(images, lambda weight: kernels.calibration_slope(images.score, images.positive, weight))


@CLASS_METRICS.metric(
    "calibration_intercept", title="Calibration intercept", better="near 0", interval=BOOTSTRAP, by_design=True
)
def class_calibration_intercept(images: OneClass) -> Estimate:
    """The shift in logits that makes the mean probability right; above 0 the probabilities are too low."""
    return resampled(images, lambda weight: kernels.calibration_intercept(images.score, images.positive, weight))


@CLASS_METRICS.metric(
    "observed_to_expected", title="Observed to expected cases", better="near 1", interval=BOOTSTRAP, by_design=True
)
def class_observed_to_expected(images: OneClass) -> Estimate:
    """The images of the class over the sum of their probabilities; above 1 the probabilities are too low."""
    return resampled(images, lambda weight: kernels.observed_to_expected(images.score, images.positive, weight))


@CLASS_METRICS.metric(
    "calibration_error", title="Calibration error (debiased)", better="lower", interval=BOOTSTRAP, by_design=True
)
def class_calibration_error(images: OneClass) -> Estimate:
    """The root mean square of the calibration error over bins, without its noise."""
    edges = metrics.bin_edges(images.score)

    def statistic(weight: Floats) -> Floats:
        return kernels.squared_calibration_error(images.score, images.positive, images.group, edges, weight)

    return resampled(images, statistic, bound=lambda squared: math.sqrt(max(squared, 0.0)))


# All classes together.


@OVERALL_METRICS.metric(
    "accuracy",
    title="Accuracy",
    better="higher",
    interval="limits of each class, combined; of a cohort Wilson",
    paired=PairedMean(decided_rightly, all_images, "share", mcnemar=True),
    by_design=True,
)
def accuracy(images: AllClasses) -> Estimate:
    """The share of right decisions."""
    return stratified.estimate_accuracy(images.correct, images.members, images.group, images.design)


@OVERALL_METRICS.metric(
    "balanced_accuracy",
    title="Balanced accuracy",
    better="higher",
    interval="limits of each recall, combined",
    paired=PairedMean(decided_rightly, lambda truth: [truth == k for k in np.unique(truth)], "share"),
)
def balanced_accuracy(images: AllClasses) -> Estimate:
    """The mean recall over the classes that occur."""
    return intervals.mean_of_proportions(
        [images.correct[m] for m in images.members], [images.group[m] for m in images.members]
    )


# The primary class at a frozen threshold.


@THRESHOLD_METRICS.metric(
    "sensitivity",
    title="Sensitivity",
    phrase="sensitivity at its frozen threshold",
    better="higher",
    interval=WILSON,
    paired=PairedMean(called_rightly, lambda truth: [truth == 0], "share", mcnemar=True),
)
def sensitivity(images: AtThreshold) -> Estimate:
    """Of the images of the primary class, the share that reaches the threshold."""
    return intervals.estimate_proportion(images.called[images.positive], images.group[images.positive])


@THRESHOLD_METRICS.metric(
    "specificity",
    title="Specificity",
    phrase="specificity at its frozen threshold",
    better="higher",
    interval=WILSON,
    paired=PairedMean(called_rightly, lambda truth: [truth != 0], "share", mcnemar=True),
)
def specificity(images: AtThreshold) -> Estimate:
    """Of the images of other classes, the share that stays under the threshold."""
    others = ~images.positive
    return intervals.estimate_proportion(~images.called[others], images.group[others], what="class of the others")


# Losses of all classes together.


@OVERALL_METRICS.metric(
    "log_loss",
    title="Log-loss (nats)",
    phrase="log-loss",
    better="lower",
    interval=LOSSES,
    paired=PairedMean(lambda p, threshold, truth: metrics.nats(p, truth), all_images, "loss"),
    by_design=True,
)
def log_loss(images: AllClasses) -> Estimate:
    """The mean of -log p(truth), in nats."""
    loss = metrics.nats(images.probability, images.truth)
    return mean_of_losses(
        loss, images.truth, images.group, images.probability.shape[1], most=MOST_NATS, design=images.design
    )


@OVERALL_METRICS.metric(
    "brier",
    title="Brier score",
    phrase="Brier score",
    better="lower",
    interval=LOSSES,
    paired=PairedMean(lambda p, threshold, truth: metrics.squared_errors(p, truth), all_images, "loss"),
    by_design=True,
)
def brier(images: AllClasses) -> Estimate:
    """The mean of the squared errors summed over classes, in 0..2."""
    squared = metrics.squared_errors(images.probability, images.truth)
    return mean_of_losses(
        squared, images.truth, images.group, images.probability.shape[1], most=2.0, design=images.design
    )


def resampled(images: OneClass, statistic: Statistic, bound: Callable[[float], float] = float) -> Estimate:
    """Return a figure with the interval of the group bootstrap; without resamples the figure alone, and why.

    Args:
        images: The images.
        statistic: The figure under weights.
        bound: Applied to the figure and both limits at the end, such as a square root.
    """
    if not images.positive.any() or images.positive.all():
        return Estimate(value=None, note="needs images both of this class and of others")
    if images.sample is not None and np.ptp(images.score) > 0:
        return bootstrap(statistic, images.sample, bound=bound)
    value = float(statistic(np.ones((1, len(images.score))))[0])
    if not math.isfinite(value):
        return Estimate(value=None, note="no finite value on these images")
    constant = images.sample is not None
    left_out = "interval left out: no resamples were asked for"
    note = "interval not estimable: all scores are equal" if constant else left_out
    return Estimate(value=bound(value), note=note)


_ALL: tuple[Metric[OneClass] | Metric[AllClasses] | Metric[AtThreshold], ...] = (
    *CLASS_METRICS,
    *OVERALL_METRICS,
    *THRESHOLD_METRICS,
)

TITLES: Mapping[str, str] = MappingProxyType({metric.name: metric.title for metric in _ALL})
"""Name -> name on a page."""

COMPARED: Mapping[str, Metric[OneClass] | Metric[AllClasses] | Metric[AtThreshold]] = MappingProxyType(
    {metric.name: metric for metric in sorted(_ALL, key=lambda one: one.smaller_is_better) if metric.paired is not None}
)
"""Name -> metric, of those by which two models are compared; those that are better when smaller come last."""


def compared_metric(name: str) -> Metric[OneClass] | Metric[AllClasses] | Metric[AtThreshold]:
    """Return a metric by which two models are compared.

    Raises:
        UsageError: There is none of that name; the message suggests the nearest and lists all.
    """
    if name not in COMPARED:
        raise UsageError(
            name,
            f"no such metric for a comparison.{suggestion(name, COMPARED)}",
            f"There are: {', '.join(COMPARED)}.",
        )
    return COMPARED[name]
