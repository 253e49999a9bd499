"""The objectives of a search: figures that it maximises or minimises, each with its interval.

The figure is of predictions of images that the network was not trained on: the pooled out-of-fold predictions of a
grouped cross-validation, or those of the validation part. Pooling asks one threshold of the networks of all folds, so
that it is a little hard on them; what is compared is treated alike, and groups stay together in the interval.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Literal

import numpy as np

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError
from pneumoscope.core.registry import suggestion
from pneumoscope.stats import auroc_interval, intervals, kernels, metrics
from pneumoscope.stats.bootstrap import Resampling, bootstrap, resample
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.thresholds import at_threshold

RESAMPLES = 1000
_AT = re.compile(r"(sensitivity-at-specificity|specificity-at-sensitivity)-(\d\d)")
HULL = "hull of Wilson at the threshold and of the group bootstrap, which chooses a threshold in each resample"


@dataclass(frozen=True)
class HeldOutPredictions:
    """Predictions of images that took no part in the training: ``probability`` [N, C], ``truth`` and ``group`` [N]."""

    probability: Floats
    truth: Ints
    group: Ints

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
        name: As the command has it.
        words: As a page has it.
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
        return float(self.under(of, np.ones((1, len(of.truth))))[0])

    def estimate(self, of: HeldOutPredictions) -> Estimate:
        """Return the figure with its 95% interval."""
        return (
            self.interval(of) if self.interval is not None else bootstrap(partial(self.under, of), resample_groups(of))
        )


def resample_groups(of: HeldOutPredictions) -> Resampling:
    """Return resamples of the groups, the same for every figure of the same images."""
    return resample(of.truth, of.group, of.probability.shape[1], np.random.default_rng(0), RESAMPLES)


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
    """Wilson's interval takes the threshold for given, the bootstrap is too short near 1: the hull of both."""
    score, positive = _oriented(of, swapped)
    both = bootstrap(partial(_at, least, swapped, of), resample_groups(of))
    allowed = [t for t in np.unique(score) if np.mean(score[~positive] >= t) <= 1 - least + 1e-9]
    wilson, _ = at_threshold(score, positive, of.group, min(allowed, default=float("inf")))
    if both.value is None or wilson.low is None or wilson.high is None:
        return Estimate(value=both.value, method=wilson.method, note=both.note or wilson.note)
    low = min(wilson.low, wilson.low if both.low is None else both.low)
    high = max(wilson.high, wilson.high if both.high is None else both.high)
    return Estimate(value=both.value, low=low, high=high, method=HULL)


def _correct(of: HeldOutPredictions) -> Bools:
    return np.asarray(of.probability.argmax(axis=1) == of.truth)


def _auroc(of: HeldOutPredictions, weight: Floats) -> Floats:
    return kernels.auroc(of.score, of.positive, weight)


def _auprc(of: HeldOutPredictions, weight: Floats) -> Floats:
    return kernels.average_precision(of.score, of.positive, weight)


def _accuracy(of: HeldOutPredictions, weight: Floats) -> Floats:
    return kernels.mean(_correct(of).astype(np.float64), weight)


def _balanced(of: HeldOutPredictions, weight: Floats) -> Floats:
    return kernels.balanced_accuracy(of.truth, _correct(of), of.probability.shape[1], weight)


def _balanced_interval(of: HeldOutPredictions) -> Estimate:
    members = [of.truth == k for k in range(of.probability.shape[1])]
    return intervals.mean_of_proportions([_correct(of)[m] for m in members], [of.group[m] for m in members])


def _log_loss(of: HeldOutPredictions, weight: Floats) -> Floats:
    return kernels.mean(metrics.nats(of.probability, of.truth), weight)


def _brier(of: HeldOutPredictions, weight: Floats) -> Floats:
    return kernels.mean(metrics.squared_errors(of.probability, of.truth), weight)


_NAMED = {
    objective.name: objective
    for objective in (
        Objective(
            "auroc",
            "AUROC of the primary class",
            "maximize",
            "validation_auroc",
            _auroc,
            lambda of: auroc_interval.auroc(of.score, of.positive, of.group),
        ),
        Objective("auprc", "AUPRC of the primary class", "maximize", "validation_auroc", _auprc),
        Objective(
            "accuracy",
            "accuracy",
            "maximize",
            "validation_accuracy",
            _accuracy,
            lambda of: intervals.proportion(_correct(of), of.group, what="set of images"),
        ),
        Objective(
            "balanced-accuracy",
            "balanced accuracy",
            "maximize",
            "validation_balanced_accuracy",
            _balanced,
            _balanced_interval,
        ),
        Objective("log-loss", "log-loss (nats)", "minimize", "validation_loss", _log_loss),
        Objective("brier", "Brier score (0 to 2)", "minimize", "validation_loss", _brier),
    )
}


def find_objective(name: str) -> Objective:
    """Return an objective by its name; ``sensitivity-at-specificity-90`` takes any two digits.

    Raises:
        UsageError: There is none of that name.
    """
    if name in _NAMED:
        return _NAMED[name]
    if (match := _AT.fullmatch(name)) is not None and (percent := int(match[2])) > 0:
        wanted, given = match[1].split("-at-")
        side = (percent / 100, wanted == "specificity")
        words = f"{wanted} at a {given} of at least .{percent:02d}"
        return Objective(name, words, "maximize", "validation_auroc", partial(_at, *side), partial(_at_interval, *side))
    known = [*_NAMED, "sensitivity-at-specificity-90", "specificity-at-sensitivity-95"]
    raise UsageError(
        argument("objective", name), f"no such objective.{suggestion(name, known)}", f"There are: {', '.join(known)}."
    )
