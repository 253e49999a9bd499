"""Objectives, against scikit-learn and by hand; false negatives at equal precision, by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")
pytestmark = pytest.mark.torch

from sklearn import metrics as sk  # noqa: E402

from pneumoscope.core.errors import UsageError  # noqa: E402
from pneumoscope.tuning.nested_cv import compare_predictions, missed_share  # noqa: E402
from pneumoscope.tuning.objective import HeldOutPredictions, find_objective, sensitivity_at_specificity  # noqa: E402


def draw_predictions(n: int = 120, signal: float = 1.2, seed: int = 0) -> HeldOutPredictions:
    """Two images a group, scores rounded so that some tie."""
    rng = np.random.default_rng(seed)
    truth = np.repeat(rng.integers(0, 2, n // 2), 2)
    score = np.round(1 / (1 + np.exp(-(signal * (truth == 0) + rng.normal(size=n)))), 2)
    return HeldOutPredictions(
        np.column_stack([score, 1 - score]), truth.astype(np.intp), np.repeat(np.arange(n // 2), 2)
    )


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("auroc", lambda m: sk.roc_auc_score(m.positive, m.score)),
        ("auprc", lambda m: sk.average_precision_score(m.positive, m.score)),
        ("accuracy", lambda m: sk.accuracy_score(m.truth, m.probability.argmax(1))),
        ("balanced-accuracy", lambda m: sk.balanced_accuracy_score(m.truth, m.probability.argmax(1))),
        ("log-loss", lambda m: sk.log_loss(m.truth, m.probability)),
        ("brier", lambda m: 2 * sk.brier_score_loss(m.positive, m.score)),
    ],
)
def test_objectives_agree_with_scikit_learn(name, expected) -> None:  # type: ignore[no-untyped-def]
    measured, objective = draw_predictions(), find_objective(name)
    estimate = objective.estimate(measured)
    assert objective.value(measured) == pytest.approx(expected(measured))
    assert estimate.value == pytest.approx(expected(measured))
    assert estimate.low is not None
    assert estimate.high is not None
    assert estimate.low < estimate.value < estimate.high


def test_sensitivity_at_specificity_agrees_with_the_roc_curve() -> None:
    measured = draw_predictions()
    false, true, _ = sk.roc_curve(measured.positive, measured.score, drop_intermediate=False)
    for percent in (50, 80, 90, 99):
        expected = true[false <= 1 - percent / 100 + 1e-9].max()
        assert find_objective(f"sensitivity-at-specificity-{percent}").value(measured) == pytest.approx(expected)
        expected = (1 - false)[true >= percent / 100 - 1e-9].max()
        assert find_objective(f"specificity-at-sensitivity-{percent}").value(measured) == pytest.approx(expected)


def test_sensitivity_at_specificity_by_hand_with_ties_and_weights() -> None:
    score = np.array([0.9, 0.8, 0.8, 0.6, 0.5, 0.1])
    positive = np.array([True, True, False, True, False, False])
    one = np.ones((1, 6))
    # Above .8 one positive of three; .8 lets in one negative of three: specificity 2/3.
    assert sensitivity_at_specificity(score, positive, 0.9, one)[0] == pytest.approx(1 / 3)
    assert sensitivity_at_specificity(score, positive, 0.66, one)[0] == pytest.approx(1.0)
    weight = np.array([[1, 1, 0, 1, 1, 1.0]])  # the tied negative does not count
    assert sensitivity_at_specificity(score, positive, 0.9, weight)[0] == pytest.approx(1.0)


def test_an_interval_is_wider_than_wilsons_and_never_a_point_at_one() -> None:
    measured = draw_predictions(signal=9)
    estimate = find_objective("sensitivity-at-specificity-90").estimate(measured)
    assert estimate.value == 1.0
    assert estimate.low is not None
    assert 0.8 < estimate.low < 0.97


def test_missed_at_precision_by_hand() -> None:
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5])
    positive = np.array([True, True, False, True, False])
    one = np.ones((1, 5))
    assert missed_share(score, positive, 1.0, one)[0] == pytest.approx(1 / 3)  # .9 and .8 only
    assert missed_share(score, positive, 0.75, one)[0] == pytest.approx(0.0)  # down to .6: three of four
    assert missed_share(-score, positive, 0.75, one)[0] == 1.0  # nothing has that precision


def test_a_comparison_is_paired_and_counts_missed_images() -> None:
    weak, strong = draw_predictions(signal=0.8), draw_predictions(signal=2.5)
    found = compare_predictions(weak, strong, find_objective("auroc"), "how", "caution")
    assert found.difference.value == pytest.approx(
        sk.roc_auc_score(strong.positive, strong.score) - sk.roc_auc_score(weak.positive, weak.score)
    )
    assert found.difference.low is not None
    assert found.difference.low > 0
    row = next(row for row in found.at_precision if row.precision == 0.8)
    precision, recall, _ = sk.precision_recall_curve(strong.positive, strong.score)
    best = recall[:-1][precision[:-1] >= 0.8].max()
    assert row.after == round((1 - best) * strong.positive.sum())
    same = compare_predictions(weak, weak, find_objective("auroc"), "how", "caution")
    assert same.difference.value == 0


def test_a_comparison_of_different_images_is_an_error() -> None:
    with pytest.raises(ValueError, match="same images"):
        compare_predictions(draw_predictions(seed=1), draw_predictions(seed=2), find_objective("auroc"), "", "")


@pytest.mark.parametrize("name", ["aurok", "sensitivity-at-specificity-9", "sensitivity-at-specificity-00"])
def test_an_unknown_objective_suggests_the_nearest(name: str) -> None:
    with pytest.raises(UsageError, match="Did you mean"):
        find_objective(name)


def draw_findings(signal: float, seed: int) -> HeldOutPredictions:
    """Two images a group and three findings, one in ten of the answers unknown."""
    rng = np.random.default_rng(5)
    truth = np.where(rng.random((160, 3)) < 0.1, np.nan, (rng.random((160, 3)) < 0.4).astype(float))
    noise = np.random.default_rng(seed).normal(size=truth.shape)
    score = 1 / (1 + np.exp(-(signal * (np.nan_to_num(truth) - 0.5) + noise)))
    return HeldOutPredictions(score, truth, np.repeat(np.arange(80), 2))


def test_objectives_of_findings_agree_with_scikit_learn_over_what_is_stated() -> None:
    of = draw_findings(2.0, 1)
    known = np.isfinite(of.stated)
    areas = [sk.roc_auc_score(of.stated[k, i], of.probability[k, i]) for i, k in enumerate(known.T)]
    area, loss = (find_objective(name, multilabel=True) for name in ("auroc", "log-loss"))
    assert area.value(of) == pytest.approx(np.mean(areas))
    assert loss.value(of) == pytest.approx(sk.log_loss(of.stated[known], of.probability[known]))
    assert (area.goal, loss.goal) == ("maximize", "minimize")
    estimate = area.estimate(of)
    assert estimate.low is not None and estimate.low < np.mean(areas) < (estimate.high or 0)
    with pytest.raises(UsageError, match="Objectives: auroc, log-loss"):
        find_objective("balanced-accuracy", multilabel=True)


def test_settings_for_findings_are_compared_without_a_precision() -> None:
    before, after = draw_findings(1.0, 1), draw_findings(3.0, 2)
    objective = find_objective("auroc", multilabel=True)
    result = compare_predictions(before, after, objective, "how", "caution")
    assert result.at_precision == ()
    assert result.difference.value == pytest.approx(objective.value(after) - objective.value(before))
    assert result.difference.low is not None and result.difference.low > 0
    assert set(result.before) == {"auroc", "log-loss"}
