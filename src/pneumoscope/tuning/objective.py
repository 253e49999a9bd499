"""The objectives of a search: figures that it maximises or minimises, each with its interval.

The figure is of predictions of images that the network was not trained on: the pooled out-of-fold predictions of a
grouped cross-validation, or those of the validation part. Pooling asks one threshold of the networks of all folds, so
that it is a little hard on them. It is so for every setting alike, and groups stay together in the interval.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from pneumoscope.stats import kernels
from pneumoscope.stats.bootstrap import Resampling, bootstrap, resample
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.finding_averages import mean_area, mean_log_loss, resample_findings
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.metric_registry import AllClasses, Metric, OneClass, PairedMean
from pneumoscope.stats.metric_table import CLASS_METRICS, OVERALL_METRICS
from pneumoscope.stats.thresholds import at_threshold
from pneumoscope.tuning.objective_names import AT, AUPRC, check_objective

RESAMPLES = 1000
HULL = "hull of Wilson at the threshold and of the group bootstrap, which chooses a threshold in each resample"


@dataclass(frozen=True)
class HeldOutPredictions:
    """Predictions of images that took no part in the training.

    Args:
        probability: [N, C].
        targets: [N] class of each image; of several findings an image [N, C] 1 present, 0 absent, NaN unknown.
        group: [N].
    """

    probability: Floats
    targets: Ints | Floats
    group: Ints

    @property
    def multilabel(self) -> bool:
        """Whether they are of several findings an image."""
        return self.targets.ndim == 2

    @property
    def truth(self) -> Ints:
        """The class of each image [N]."""
        return np.asarray(self.targets, dtype=np.intp)

    @property
    def stated(self) -> Floats:
        """What is stated of each finding [N, C]: 1 present, 0 absent, NaN unknown."""
        return np.asarray(self.targets, dtype=np.float64)

    @property
    def score(self) -> Floats:
        """The primary class's probability [N]."""
        return np.asarray(self.probability[:, 0])

    @property
    def positive(self) -> Bools:
        """Whether each image is of the primary class [N]."""
        return np.asarray(self.truth == 0)


@dataclass(frozen=True)
class Objective:
    """A figure to search by.

    Args:
        name: As the option ``--objective`` takes it.
        words: Its name on a page.
        goal: Whether more is better.
        epoch_metric: The figure of an epoch that stands for it while a trial runs.
        under: The figure of predictions under weights [B, N] -> [B], for bootstraps.
        interval: The figure with its interval; without one, by a bootstrap of groups.
    """

    name: str
    words: str
    goal: Literal["maximize", "minimize"]
    epoch_metric: str
    under: Callable[[HeldOutPredictions, Floats], Floats]
    interval: Callable[[HeldOutPredictions], Estimate] | None = None

    def value(self, of: HeldOutPredictions) -> float:
        """Return the figure alone; NaN where it is not defined."""
        return float(self.under(of, np.ones((1, len(of.targets))))[0])

    def estimate(self, of: HeldOutPredictions) -> Estimate:
        """Return the figure with its 95% interval."""
        return (
            self.interval(of) if self.interval is not None else bootstrap(partial(self.under, of), resample_groups(of))
        )


def resample_groups(of: HeldOutPredictions) -> Resampling:
    """Return resamples of the groups, the same for every figure of the same images."""
    rng = np.random.default_rng(0)
    if of.multilabel:
        return resample_findings(of.stated, of.group, rng, RESAMPLES)
    return resample(of.truth, of.group, of.probability.shape[1], rng, RESAMPLES)


def sensitivity_at_specificity(score: Floats, positive: Bools, least: float, weight: Floats) -> Floats:
    """Return the largest sensitivity at a specificity of at least ``least``, under weights [B, N] -> [B].

    Called positive is score >= threshold, for one threshold among the scores (or above them all: sensitivity 0).
    """
    order = np.argsort(-score, kind="stable")
    ends = np.append(np.flatnonzero(np.diff(score[order])), len(score) - 1)  # images that tie are called together
    pos = np.cumsum((weight * positive)[:, order], axis=1)
    neg = np.cumsum((weight * ~positive)[:, order], axis=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        false = neg[:, ends] / neg[:, -1:]
        true = pos[:, ends] / pos[:, -1:]
    best = np.where(false <= 1 - least + 1e-9, true, 0.0).max(axis=1)
    return np.asarray(np.where((pos[:, -1] > 0) & (neg[:, -1] > 0), best, np.nan), dtype=np.float64)


def _oriented(of: HeldOutPredictions, swapped: bool) -> tuple[Floats, Bools]:
    """Return score and positives; swapped, those of the other side: specificity is its sensitivity."""
    return (-of.score, ~of.positive) if swapped else (of.score, of.positive)


def _at(least: float, swapped: bool, of: HeldOutPredictions, weight: Floats) -> Floats:
    return sensitivity_at_specificity(*_oriented(of, swapped), least, weight)


def _at_interval(least: float, swapped: bool, of: HeldOutPredictions) -> Estimate:
    """Return the hull of two intervals: Wilson's takes the threshold as given, the bootstrap is too short near 1."""
    score, positive = _oriented(of, swapped)
    both = bootstrap(partial(_at, least, swapped, of), resample_groups(of))
    allowed = [t for t in np.unique(score) if np.mean(score[~positive] >= t) <= 1 - least + 1e-9]
    wilson, _ = at_threshold(score, positive, of.group, min(allowed, default=float("inf")))
    if both.value is None or wilson.low is None or wilson.high is None:
        return Estimate(value=both.value, method=wilson.method, note=both.note or wilson.note)
    low = min(wilson.low, wilson.low if both.low is None else both.low)
    high = max(wilson.high, wilson.high if both.high is None else both.high)
    return Estimate(value=both.value, low=low, high=high, method=HULL)


def _area(of: HeldOutPredictions, weight: Floats) -> Floats:
    return kernels.auroc(of.score, of.positive, weight)


def _precision_recall(of: HeldOutPredictions, weight: Floats) -> Floats:
    return kernels.average_precision(of.score, of.positive, weight)


def _mean(paired: PairedMean, of: HeldOutPredictions, weight: Floats) -> Floats:
    """Return a metric that is a mean over images, or a mean of such means, under weights [B, N] -> [B]."""
    values = paired.values(of.probability, np.nan, of.truth)  # no threshold: such metrics are no objectives
    means = [kernels.mean(values[part], weight[:, part]) for part in paired.parts(of.truth)]
    return np.asarray(np.mean(means, axis=0), dtype=np.float64)


def _all_classes(metric: Metric[AllClasses], of: HeldOutPredictions) -> Estimate:
    return metric(AllClasses(of.probability, of.truth, of.group, None))


def _one_class(metric: Metric[OneClass], resampled: bool, of: HeldOutPredictions) -> Estimate:
    images = AllClasses(of.probability, of.truth, of.group, resample_groups(of) if resampled else None)
    return metric(images.one_class(0))


EPOCH_METRICS = {
    "accuracy": "validation_accuracy",
    "auprc": "validation_auroc",
    "auroc": "validation_auroc",
    "balanced_accuracy": "validation_balanced_accuracy",
}
"""Metric -> the figure of an epoch that stands for it while a trial runs; the loss stands for all others."""


def _from_metric(name: str) -> Objective:
    """Return the objective of a metric of the table: its wording, direction and interval are the table's."""
    one = next((metric for metric in CLASS_METRICS if metric.name == name), None)
    every = next((metric for metric in OVERALL_METRICS if metric.name == name), None)
    if every is not None and isinstance(every.paired, PairedMean):
        mean, figure = partial(_mean, every.paired), partial(_all_classes, every)
        return _objective(name, every.phrase, every.smaller_is_better, mean, figure)
    assert one is not None  # the names come from the table
    under = _precision_recall if name == AUPRC else _area
    words = f"{one.phrase} of the primary class"
    return _objective(name, words, one.smaller_is_better, under, partial(_one_class, one, name == AUPRC))


def _objective(
    name: str,
    words: str,
    smaller_is_better: bool,
    under: Callable[[HeldOutPredictions, Floats], Floats],
    interval: Callable[[HeldOutPredictions], Estimate],
) -> Objective:
    return Objective(
        name=name.replace("_", "-"),
        words=words,
        goal="minimize" if smaller_is_better else "maximize",
        epoch_metric=EPOCH_METRICS.get(name, "validation_loss"),
        under=under,
        interval=interval,
    )


def _over_findings(
    figure: Callable[[Floats, Floats], Callable[[Floats], Floats]], of: HeldOutPredictions, weight: Floats
) -> Floats:
    return figure(of.probability, of.stated)(weight)


_OF_FINDINGS = {
    "auroc": Objective(
        "auroc", "mean AUROC of the findings", "maximize", "validation_auroc", partial(_over_findings, mean_area)
    ),
    "log-loss": Objective(
        "log-loss",
        "mean log-loss over all pairs of image and finding",
        "minimize",
        "validation_loss",
        partial(_over_findings, mean_log_loss),
    ),
}


def find_objective(name: str, *, multilabel: bool = False) -> Objective:
    """Return an objective by its name; ``sensitivity-at-specificity-90`` takes any two digits.

    Args:
        name: As the option takes it.
        multilabel: Whether the recipe answers about several findings an image.

    Raises:
        UsageError: There is none of that name, or none of several findings.
    """
    check_objective(name, multilabel=multilabel)
    if multilabel:
        return _OF_FINDINGS[name]
    if (match := AT.fullmatch(name)) is None:
        return _from_metric(name.replace("-", "_"))
    wanted, given = match[1].split("-at-")
    side = (int(match[2]) / 100, wanted == "specificity")
    words = f"{wanted} at a {given} of at least .{match[2]}"
    return Objective(name, words, "maximize", "validation_auroc", partial(_at, *side), partial(_at_interval, *side))
