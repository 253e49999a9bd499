"""Tests of two models against statsmodels, loops of the published formulas and enumeration of all swaps."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import norm, rankdata

from pneumoscope.stats.comparison import paired_tests


def table(wins, losses, both=20, neither=10):
    a = np.repeat([True, False, True, False], [wins, losses, both, neither])
    b = np.repeat([False, True, True, False], [wins, losses, both, neither])
    return a, b


@pytest.mark.parametrize(("wins", "losses"), [(0, 0), (1, 0), (7, 2), (12, 12), (5, 19), (20, 20), (10, 40)])
def test_mcnemar_agrees_with_statsmodels(wins, losses):
    theirs = pytest.importorskip("statsmodels.stats.contingency_tables").mcnemar
    few = wins + losses < 25
    expected = theirs([[20, wins], [losses, 10]], exact=few, correction=False).pvalue
    result = paired_tests.mcnemar(*table(wins, losses))
    assert result.p_value == pytest.approx(expected, rel=1e-9)
    assert result.name.startswith("McNemar, exact" if few else "McNemar, chi-squared")


def delong_by_loops(a, b, positive):
    """Return the p-value by loops of equations 4 to 6 of DeLong, DeLong & Clarke-Pearson 1988."""
    areas, v10, v01 = [], [], []
    for score in (a, b):
        pos, neg = score[positive], score[~positive]
        psi = [[1.0 if x > y else 0.5 if x == y else 0.0 for y in neg] for x in pos]
        v10.append([sum(row) / len(neg) for row in psi])
        v01.append([sum(row[j] for row in psi) / len(pos) for j in range(len(neg))])
        areas.append(sum(map(sum, psi)) / (len(pos) * len(neg)))
    covariance = np.cov(v10) / len(v10[0]) + np.cov(v01) / len(v01[0])
    variance = covariance[0, 0] + covariance[1, 1] - 2 * covariance[0, 1]
    return 2 * norm.sf(abs(areas[0] - areas[1]) / np.sqrt(variance))


def test_delong_agrees_with_the_double_sums():
    rng = np.random.default_rng(0)
    positive = rng.uniform(size=70) < 0.4
    common = rng.normal(size=70)
    a = np.round(common + rng.normal(size=70) + positive, 1)  # with ties
    b = 10 * np.round(common + 2 * rng.normal(size=70) + positive, 1)  # on another scale
    result = paired_tests.delong(a, b, positive)
    assert result.p_value == pytest.approx(delong_by_loops(a, b, positive), rel=1e-9)
    assert 0.001 < result.p_value < 0.9


def test_delong_has_no_p_value_if_both_models_separate_the_classes():
    positive = np.arange(30) < 12
    assert paired_tests.delong(positive + 0.0, 3.0 * positive, positive).p_value is None


def test_swaps_of_a_mean_agree_with_enumeration():
    rng = np.random.default_rng(1)
    group = np.repeat(np.arange(9), [1, 3, 2, 4, 1, 2, 2, 3, 1])
    gap = rng.normal(size=len(group)) + 0.3
    gap[group == 4] = 0.0  # a swap of this group has no effect
    result = paired_tests.swap_means(gap, group, paired_tests.draw_swaps(9, 300, rng))
    sums = [
        abs(sum(sign * gap[group == g].sum() for g, sign in enumerate(signs))) for signs in product((1, -1), repeat=9)
    ]
    assert result.p_value == pytest.approx(np.mean(np.array(sums) >= abs(gap.sum()) - 1e-9))
    assert result.name == "label swap by group, all 256"
    sampled = paired_tests.swap_means(gap, group, paired_tests.draw_swaps(9, 255, rng))
    assert sampled.name == "label swap by group, 255 drawn"
    assert sampled.p_value == pytest.approx(result.p_value, abs=0.1)


def test_swaps_of_single_images_agree_with_the_exact_mcnemar_test():
    a, b = table(7, 2)
    gap = a.astype(float) - b
    swaps = paired_tests.draw_swaps(len(a), 2000, np.random.default_rng(0))
    result = paired_tests.swap_means(gap, np.arange(len(a)), swaps)
    assert result.p_value == pytest.approx(paired_tests.mcnemar(a, b).p_value)
    assert result.name == "label swap by group, all 512"


def test_swaps_of_areas_agree_with_enumeration():
    roc_auc_score = pytest.importorskip("sklearn.metrics").roc_auc_score
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(8), [1, 3, 2, 4, 1, 2, 2, 3])
    positive = np.array([True, False])[group % 2]
    a = np.round(rng.normal(size=len(group)) + 1.5 * positive, 1)
    b = np.exp(np.round(rng.normal(size=len(group)) + positive, 1))
    result = paired_tests.swap_areas(a, b, positive, group, paired_tests.draw_swaps(8, 400, rng))
    ranks = rankdata(a), rankdata(b)
    observed = roc_auc_score(positive, a) - roc_auc_score(positive, b)
    values = []
    for swap in product((False, True), repeat=8):
        exchanged = np.array(swap)[group]
        one, two = (np.where(exchanged, *pair) for pair in (ranks[::-1], ranks))
        values.append(roc_auc_score(positive, one) - roc_auc_score(positive, two))
    assert result.p_value == pytest.approx(np.mean(np.abs(values) >= abs(observed) - 1e-9))
    assert result.name == "label swap by group, all 256"


def test_identical_models_are_not_different():
    rng = np.random.default_rng(3)
    score, positive, group = rng.normal(size=60), np.arange(60) < 30, np.arange(60) // 3
    swaps = paired_tests.draw_swaps(20, 100, rng)
    assert paired_tests.swap_areas(score, np.exp(score), positive, group, swaps).p_value == 1.0
    assert paired_tests.swap_means(np.zeros(60), group, swaps).p_value == 1.0
