"""Each metric is declared once, and every list derives from the declarations."""

from __future__ import annotations

import numpy as np
import pytest

from pneumoscope.core.errors import UsageError
from pneumoscope.reporting.formatting import name_figure
from pneumoscope.stats.comparison.paired import METRICS
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.figures import evaluate_predictions
from pneumoscope.stats.metric_table import (
    CLASS_METRICS,
    OVERALL_METRICS,
    THRESHOLD_METRICS,
    TITLES,
    compared_metric,
)

ALL = (*CLASS_METRICS, *OVERALL_METRICS, *THRESHOLD_METRICS)


@pytest.mark.parametrize("metric", ALL, ids=lambda one: f"{one.name}")
def test_a_metric_declares_its_wording_direction_and_interval(metric):
    assert metric.title and metric.phrase and metric.interval
    assert metric.better in ("higher", "lower", "near 0", "near 1")
    assert metric.function.__doc__, "the docstring must give the formula in words"
    assert name_figure(metric.name) == metric.title


def test_two_metrics_of_one_name_have_one_title():
    assert {name: {m.title for m in ALL if m.name == name} for name in TITLES} == {k: {v} for k, v in TITLES.items()}


def test_compared_metrics_keep_their_order_and_losses_are_better_when_smaller():
    assert METRICS == (
        "auroc",
        "accuracy",
        "balanced_accuracy",
        "sensitivity",
        "specificity",
        "log_loss",
        "brier",
    )
    assert [name for name in METRICS if compared_metric(name).smaller_is_better] == ["log_loss", "brier"]
    with pytest.raises(UsageError, match="Did you mean 'auroc'"):
        compared_metric("aurok")


def test_a_name_is_declared_once():
    with pytest.raises(ValueError, match="declared twice"):
        CLASS_METRICS.metric("auroc", title="AUROC", better="higher", interval="none")(lambda images: Estimate(value=0))


def test_a_new_metric_is_one_function(monkeypatch):
    """Check that a declared function appears among the figures without any other change."""
    monkeypatch.setattr(OVERALL_METRICS, "_metrics", dict(OVERALL_METRICS._metrics))

    @OVERALL_METRICS.metric("images_right", title="Images right", better="higher", interval="none")
    def images_right(images):
        """Return the number of right decisions."""
        return Estimate(value=float(images.correct.sum()))

    p = np.array([[0.9, 0.1], [0.2, 0.8], [0.7, 0.3]])
    figures = evaluate_predictions(p, [0, 1, 1], ["a", "b", "c"], ("x", "y"), rng=np.random.default_rng(0), resamples=0)
    assert figures.overall["images_right"].value == 2
    assert figures.flat()["images_right"].value == 2
