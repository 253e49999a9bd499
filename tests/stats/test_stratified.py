"""Accuracy, precision, F1 and mean losses with classes of fixed numbers: scikit-learn's values, the spread of draws."""

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
    for found, expected in (
        (stratified.accuracy(decided == positive, members, group), sk.accuracy_score(positive, decided)),
        (stratified.precision(decided, positive, group), sk.precision_score(positive, decided)),
        (stratified.f1(decided, positive, group), sk.f1_score(positive, decided)),
    ):
        assert found.value == pytest.approx(expected)
        assert found.low < found.value < found.high


def test_intervals_are_as_long_as_figures_spread_with_fixed_classes():
    rng = np.random.default_rng(1)
    group, members = np.arange(1200), [np.arange(1200) < 300, np.arange(1200) >= 300]
    values, widths = [], []
    for _ in range(300):
        decided, positive = study(rng, (300, 900))
        found = (
            stratified.accuracy(decided == positive, members, group),
            stratified.precision(decided, positive, group),
            stratified.f1(decided, positive, group),
        )
        values.append([e.value for e in found])
        widths.append([e.high - e.low for e in found])
    np.testing.assert_allclose(np.mean(widths, axis=0), 2 * 1.96 * np.std(values, axis=0), rtol=0.12)


def test_without_an_error_the_interval_is_not_a_point():
    positive, group = np.arange(60) < 20, np.arange(60)
    perfect = np.ones(60, dtype=bool)
    for found in (
        stratified.accuracy(perfect, [positive, ~positive], group),
        stratified.precision(positive, positive, group),
        stratified.f1(positive, positive, group),
    ):
        assert (found.value, found.high) == (1.0, 1.0)
        assert 0.8 < found.low < 0.98


def test_where_a_class_has_few_groups_the_pooled_interval_stays():
    positive = np.arange(60) < 5
    decided = np.arange(60) < 20
    right = decided == positive
    pooled = intervals.proportion(right, np.arange(60))
    found = stratified.accuracy(right, [positive, ~positive], np.arange(60))
    assert (found.low, found.high) == (pooled.low, pooled.high)
    assert stratified.precision(decided, positive, np.arange(60)).low is not None
    assert stratified.precision(np.zeros(60, dtype=bool), positive, np.arange(60)).value is None


def test_a_mean_loss_has_the_interval_of_a_stratified_mean_where_there_are_many_images():
    rng = np.random.default_rng(2)
    truth = np.repeat([0, 1], [3000, 1000])
    loss = rng.exponential(size=4000) * np.where(truth == 0, 1.0, 4.0)
    found = mean_of_losses(loss, truth, np.arange(4000), 2, most=100.0)
    error = sum(loss[truth == k].var(ddof=1) * (truth == k).sum() for k in (0, 1)) ** 0.5 / 4000
    assert found.value == pytest.approx(loss.mean())
    assert found.high - found.low == pytest.approx(2 * 1.96 * error, rel=0.02)
    copied = mean_of_losses(loss.repeat(3), truth.repeat(3), np.arange(4000).repeat(3), 2, most=100.0)
    assert (copied.low, copied.high) == (pytest.approx(found.low), pytest.approx(found.high))


def test_with_10_patients_a_class_a_skewed_mean_is_still_held():
    # Exponential losses: the mean of 20 has a known distribution, and an exact interval (chi-square) exists.
    rng = np.random.default_rng(3)
    truth = np.repeat([0, 1], 10)
    found = [mean_of_losses(rng.exponential(size=20) ** 1.5, truth, np.arange(20), 2, most=50.0) for _ in range(1500)]
    expected = 1.3293404  # of x^1.5, Gamma(2.5)
    held = np.mean([e.low <= expected <= e.high for e in found])
    assert 0.92 < held < 0.97


def test_when_a_mean_loss_has_no_interval():
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
