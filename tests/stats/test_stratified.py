"""Accuracy, precision, F1 and mean losses with fixed class sizes, against scikit-learn and the spread of draws."""

from __future__ import annotations

import numpy as np
import pytest

from pneumoscope.stats import intervals, stratified
from pneumoscope.stats.loss_intervals import mean_of_losses


def study(rng, n=(30, 90)):
    positive = np.arange(sum(n)) < n[0]
    return rng.uniform(size=sum(n)) < np.where(positive, 0.9, 0.15), positive


def test_values_agree_with_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    decided, positive = study(np.random.default_rng(0))
    group = np.arange(120)
    members = [positive, ~positive]
    for result, expected in (
        (stratified.estimate_accuracy(decided == positive, members, group), sk.accuracy_score(positive, decided)),
        (stratified.estimate_precision(decided, positive, group), sk.precision_score(positive, decided)),
        (stratified.estimate_f1(decided, positive, group), sk.f1_score(positive, decided)),
    ):
        assert result.value == pytest.approx(expected)
        assert result.low < result.value < result.high


def test_intervals_are_as_long_as_the_spread_of_figures_with_fixed_classes():
    rng = np.random.default_rng(1)
    group, members = np.arange(1200), [np.arange(1200) < 300, np.arange(1200) >= 300]
    values, widths = [], []
    for _ in range(300):
        decided, positive = study(rng, (300, 900))
        result = (
            stratified.estimate_accuracy(decided == positive, members, group),
            stratified.estimate_precision(decided, positive, group),
            stratified.estimate_f1(decided, positive, group),
        )
        values.append([e.value for e in result])
        widths.append([e.high - e.low for e in result])
    np.testing.assert_allclose(np.mean(widths, axis=0), 2 * 1.96 * np.std(values, axis=0), rtol=0.12)


def test_the_interval_without_errors_is_not_a_point():
    positive, group = np.arange(60) < 20, np.arange(60)
    perfect = np.ones(60, dtype=bool)
    for result in (
        stratified.estimate_accuracy(perfect, [positive, ~positive], group),
        stratified.estimate_precision(positive, positive, group),
        stratified.estimate_f1(positive, positive, group),
    ):
        assert (result.value, result.high) == (1.0, 1.0)
        assert 0.8 < result.low < 0.98


def test_a_class_with_few_groups_gets_the_pooled_interval():
    positive = np.arange(60) < 5
    decided = np.arange(60) < 20
    right = decided == positive
    pooled = intervals.estimate_proportion(right, np.arange(60))
    result = stratified.estimate_accuracy(right, [positive, ~positive], np.arange(60))
    assert (result.low, result.high) == (pooled.low, pooled.high)
    assert stratified.estimate_precision(decided, positive, np.arange(60)).low is not None
    assert stratified.estimate_precision(np.zeros(60, dtype=bool), positive, np.arange(60)).value is None


def test_the_mean_loss_of_many_images_has_the_interval_of_a_stratified_mean():
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1], [3000, 1000])
    loss = rng.exponential(size=4000) * np.where(truth == 0, 1.0, 4.0)
    result = mean_of_losses(loss, truth, np.arange(4000), 2, most=100.0)
    error = sum(loss[truth == k].var(ddof=1) * (truth == k).sum() for k in (0, 1)) ** 0.5 / 4000
    assert result.value == pytest.approx(loss.mean())
    assert result.high - result.low == pytest.approx(2 * 1.96 * error, rel=0.02)
    copied = mean_of_losses(loss.repeat(3), truth.repeat(3), np.arange(4000).repeat(3), 2, most=100.0)
    assert (copied.low, copied.high) == (pytest.approx(result.low), pytest.approx(result.high))


def test_the_interval_covers_a_skewed_mean_with_10_patients_in_each_class():
    # Exponential losses: the mean of 20 has a known distribution, and an exact interval (chi-square) exists.
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1], 10)
    result = [mean_of_losses(rng.exponential(size=20) ** 1.5, truth, np.arange(20), 2, most=50.0) for _ in range(1500)]
    expected = 1.3293404  # of x^1.5, Gamma(2.5)
    coverage = np.mean([e.low <= expected <= e.high for e in result])
    assert 0.92 < coverage < 0.97


def test_a_mean_loss_without_an_interval_says_why():
    truth = np.repeat([0, 1], 20)
    few = mean_of_losses(np.ones(40), truth, np.arange(40) % 9, 2, most=5.0)
    assert (few.value, few.low) == (1.0, None)
    assert "9 groups" in few.note
    same = mean_of_losses(np.ones(40), truth, np.arange(40), 2, most=5.0)
    assert same.low is None
    assert "same loss" in same.note
    one = mean_of_losses(np.where(np.arange(40) == 0, 1.0, 0.0), truth, np.arange(40), 2, most=1.0)
    assert (one.value, one.high) == (0.025, 1.0)
    assert 0 < one.low < 0.025
