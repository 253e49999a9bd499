"""Accuracy, precision, F1 where the numbers of the classes are fixed: scikit-learn's values, the spread of draws."""

from __future__ import annotations

import numpy as np
import pytest

from pneumoscope.stats import intervals, stratified


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
