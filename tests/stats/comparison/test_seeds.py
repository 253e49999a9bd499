"""Recipes over seeds: the two variances by an independent bootstrap and by simulation; the minimum of five seeds."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import ttest_ind

from pneumoscope.stats.comparison.paired import METRICS, Scores, compare_paired, holm
from pneumoscope.stats.comparison.seeds import compare_across_seeds, compare_all_across_seeds


def recipe(r, truth, group, seeds, skill, common, between):
    """Return networks of one recipe: their skill varies between seeds; the difficulty of images is common."""
    networks = []
    for gap in skill + between * r.normal(size=seeds):
        latent = gap * (truth == 0) + common + 0.6 * r.normal(size=len(truth))
        p = expit(gap * latent - gap**2 / 2)
        networks.append(Scores(np.column_stack([p, 1 - p]), 0.5))
    return networks


def study(r, groups=60, seeds=(5, 6), skill=(1.6, 1.6), between=0.15):
    group = np.repeat(np.arange(groups), r.integers(1, 4, size=groups))
    truth = np.where(np.arange(groups) < groups // 2, 0, 1)[group]
    common = 0.6 * r.normal(size=groups)[group] + 0.5 * r.normal(size=len(group))
    return *(recipe(r, truth, group, n, s, common, between) for n, s in zip(seeds, skill, strict=True)), truth, group


@pytest.mark.parametrize("metric", METRICS)
def test_the_difference_is_the_difference_of_the_means_over_seeds(metric):
    r = np.random.default_rng(0)
    a, b, truth, group = study(r, skill=(1.6, 1.2))
    result = compare_across_seeds(a, b, truth, group, metric)
    pairs = [compare_paired(x, y, truth, group, metric, rng=r, resamples=1).difference.value for x in a for y in b]
    assert result.difference.value == pytest.approx(np.mean(pairs))
    assert result.difference.low < result.lower < result.difference.value < result.upper < result.difference.high
    swapped = compare_across_seeds(b, a, truth, group, metric)
    assert (swapped.p_value, swapped.lower) == (pytest.approx(result.p_value), pytest.approx(-result.upper))
    assert (result.p_value < 0.05) == (result.difference.low > 0 or result.difference.high < 0)


def test_with_many_images_only_the_variance_of_seeds_remains():
    r = np.random.default_rng(1)
    a, b, truth, group = study(r, groups=20_000, skill=(1.6, 1.3), between=0.4)
    accuracy = [[((s.probabilities[:, 0] >= 0.5) == (truth == 0)).mean() for s in many] for many in (a, b)]
    result = compare_across_seeds(a, b, truth, group, "accuracy")
    welch = ttest_ind(*accuracy, equal_var=False)
    assert result.p_value == pytest.approx(welch.pvalue, rel=0.1)
    assert result.difference.low == pytest.approx(welch.confidence_interval(0.95).low, rel=0.1)


def test_with_equal_seeds_only_the_variance_of_groups_remains():
    r = np.random.default_rng(2)
    a, b, truth, group = study(r, groups=200, seeds=(1, 1), skill=(1.6, 1.3))
    for metric in ("auroc", "log_loss", "balanced_accuracy"):
        result = compare_across_seeds(a * 5, b * 5, truth, group, metric)
        one = compare_paired(a[0], b[0], truth, group, metric, rng=r, resamples=1500)
        assert result.difference.value == pytest.approx(one.difference.value)
        width = result.upper - result.lower
        assert width == pytest.approx(one.upper - one.lower, rel=0.15), metric


def test_equal_recipes_rarely_differ_although_their_networks_do():
    r = np.random.default_rng(3)
    recipes_differ, networks_differ = [], []
    for _ in range(200):
        a, b, truth, group = study(r, between=0.5)
        recipes_differ.append(compare_across_seeds(a, b, truth, group, "brier").p_value < 0.05)
        networks_differ.append(compare_paired(a[0], b[0], truth, group, "brier", rng=r, resamples=99).p_value < 0.05)
    assert np.mean(recipes_differ) < 0.09  # .05 with a Monte Carlo error of .015
    assert np.mean(networks_differ) > 0.15  # true of the networks but not of the recipes


def test_fewer_than_five_seeds_have_no_limits():
    r = np.random.default_rng(4)
    a, b, truth, group = study(r, seeds=(4, 6))
    result = compare_across_seeds(a, b, truth, group, "auroc")
    assert result.difference.value is not None
    assert (result.difference.low, result.lower, result.upper, result.p_value) == (None,) * 4
    assert result.note == "recipes are compared from 5 seeds on; here 4 and 6: networks, not recipes"
    few = np.where(truth == 0, group % 3, group)
    assert "3 groups" in compare_across_seeds(b, b, truth, few, "auroc").note
    assert compare_across_seeds(b, b, np.ones_like(truth), group, "sensitivity").difference.value is None
    perfect = np.where(truth == 0, 1.0, 0.0)
    same = [Scores(np.column_stack([perfect, 1 - perfect]), 0.5)] * 5
    assert "no variance" in compare_across_seeds(same, same, truth, group, "accuracy").note
    with pytest.raises(ValueError, match="without any seed"):
        compare_across_seeds([], b, truth, group, "auroc")


def test_p_values_of_a_family_of_recipes_are_adjusted():
    r = np.random.default_rng(5)
    a, b, truth, group = study(r, skill=(1.6, 1.2))
    result = compare_all_across_seeds({"a": a, "b": b, "c": a[::-1]}, "a", truth, group, "auroc")
    assert list(result) == ["b", "c"]
    assert [pair.adjusted for pair in result.values()] == holm([pair.p_value for pair in result.values()])
    assert result["c"].p_value == pytest.approx(1.0)
