"""The corrected resampled t-test against SciPy's t-test, and by simulation of folds that overlap."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy import stats

from pneumoscope.stats.comparison.resampled import compare_resampled, corrected_mean

A = np.array([0.81, 0.84, 0.79, 0.86, 0.83, 0.80, 0.85, 0.82, 0.84, 0.81])
B = np.array([0.78, 0.83, 0.80, 0.81, 0.80, 0.79, 0.83, 0.80, 0.80, 0.81])


def test_without_overlap_it_is_the_paired_t_test() -> None:
    result = compare_resampled(A, B, 0.0, "auroc")
    expected = stats.ttest_rel(A, B)
    assert result.p_value == pytest.approx(expected.pvalue, rel=1e-9)
    low, high = expected.confidence_interval()
    assert (result.difference.low, result.difference.high) == pytest.approx((low, high))
    one_sided = stats.ttest_rel(A, B, alternative="greater").confidence_interval(0.95)
    assert result.lower == pytest.approx(one_sided.low)


def test_with_five_folds_twice_the_statistic_is_that_of_bouckaert_and_frank() -> None:
    # t = mean / sqrt((1 / (k r) + n2 / n1) s^2) with k r - 1 degrees of freedom, n2 / n1 = 20 / 80.
    plain = stats.ttest_rel(A, B).statistic
    corrected = plain * math.sqrt((1 / 10) / (1 / 10 + 20 / 80))
    result = compare_resampled(A, B, 20 / 80, "auroc")
    assert result.p_value == pytest.approx(2 * stats.t.sf(corrected, 9), rel=1e-9)
    assert "9 degrees of freedom" in result.test


def test_a_mean_has_an_interval_from_five_figures_on() -> None:
    assert corrected_mean(A[:4], 0.25).low is None
    mean = corrected_mean(A, 0.25)
    assert mean.value == pytest.approx(A.mean())
    assert mean.high - mean.value == pytest.approx(stats.t.ppf(0.975, 9) * math.sqrt(0.35) * A.std(ddof=1))


def test_a_fold_without_a_figure_leaves_no_mean() -> None:
    assert corrected_mean([0.8, math.nan, 0.9], 0.25).value is None


def test_figures_that_share_most_of_their_chance_are_found_different_too_often_by_the_plain_test_only() -> None:
    # Ten figures with the correlation n2 / (n1 + n2) that the correction assumes, and no true difference.
    rng, ratio, count = np.random.default_rng(3), 0.25, 10
    correlation = ratio / (1 + ratio)
    shared = rng.normal(size=(2000, 1)) * math.sqrt(correlation)
    gaps = shared + rng.normal(size=(2000, count)) * math.sqrt(1 - correlation)
    zero = np.zeros(count)
    corrected = np.mean([compare_resampled(gap, zero, ratio, "auroc").p_value < 0.05 for gap in gaps])
    plain = np.mean([compare_resampled(gap, zero, 0.0, "auroc").p_value < 0.05 for gap in gaps])
    assert plain > 0.2
    assert 0.035 < corrected < 0.065
