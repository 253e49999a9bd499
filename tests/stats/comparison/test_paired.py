"""Comparisons: values against scikit-learn, adjustment against statsmodels, limits and p-values by simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit, softmax
from scipy.stats import kstest, norm, t

from pneumoscope.core.errors import UsageError
from pneumoscope.stats.comparison import paired_tests
from pneumoscope.stats.comparison.paired import (
    METRICS,
    RANKED_ALIKE,
    Paired,
    Scores,
    compare_all_paired,
    compare_paired,
    estimate_area_difference,
    holm,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def study(n=300, seed=0, patients=120):
    """Return three models on the same images, the labels and the groups; images of a patient have one label."""
    r = rng(seed)
    group = r.integers(0, patients, size=n)
    truth = r.choice(3, size=patients, p=[0.35, 0.4, 0.25])[group]
    common = r.normal(size=(n, 3))
    models = {
        name: Scores(softmax(common + noise * r.normal(size=(n, 3)) + skill * np.eye(3)[truth], axis=1), threshold)
        for name, skill, noise, threshold in (
            ("good", 2.5, 0.6, 0.3),
            ("fair", 2.2, 0.6, 0.35),
            ("poor", 1.0, 1.0, 0.25),
        )
    }
    return models, truth, group


@pytest.mark.parametrize("metric", METRICS)
def test_differences_agree_with_scikit_learn(metric):
    sk = pytest.importorskip("sklearn.metrics")
    models, truth, group = study()

    def figure(model):
        p = model.probabilities
        called = p[:, 0] >= model.threshold
        return {
            "auroc": lambda: sk.roc_auc_score(truth == 0, p[:, 0]),
            "balanced_accuracy": lambda: sk.balanced_accuracy_score(truth, p.argmax(axis=1)),
            "accuracy": lambda: sk.accuracy_score(truth, p.argmax(axis=1)),
            "sensitivity": lambda: sk.recall_score(truth == 0, called),
            "specificity": lambda: sk.recall_score(truth != 0, ~called),
            "log_loss": lambda: sk.log_loss(truth, p),
            "brier": lambda: ((p - np.eye(3)[truth]) ** 2).sum(axis=1).mean(),
        }[metric]()

    result = compare_paired(models["poor"], models["good"], truth, group, metric, rng=rng(), resamples=200)
    assert result.difference.value == pytest.approx(figure(models["poor"]) - figure(models["good"]))
    assert result.difference.low < result.lower < result.difference.value < result.upper < result.difference.high
    assert result.test == "label swap by group, 200 drawn"
    swapped = compare_paired(models["good"], models["poor"], truth, group, metric, rng=rng(), resamples=200)
    assert swapped.difference.low == pytest.approx(-result.difference.high)
    assert swapped.p_value == result.p_value
    assert Paired.model_validate_json(result.model_dump_json()) == result


def test_delong_and_mcnemar_are_used_only_with_one_image_in_each_group():
    models, truth, group = study()
    names = {}
    for metric in METRICS:
        one = compare_paired(models["poor"], models["good"], truth, np.arange(300), metric, rng=rng(), resamples=200)
        names[metric] = one.test.split(",")[0]
    assert names["auroc"] == "DeLong"
    assert {names[m] for m in ("accuracy", "sensitivity", "specificity")} == {"McNemar"}
    assert {names[m] for m in ("balanced_accuracy", "log_loss", "brier")} == {"label swap by group"}
    group[:] = np.arange(300)
    group[1] = 0
    again = compare_paired(models["poor"], models["good"], truth, group, "accuracy", rng=rng(), resamples=200)
    assert again.test.startswith("label swap")


def test_holm_agrees_with_statsmodels():
    multipletests = pytest.importorskip("statsmodels.stats.multitest").multipletests
    for seed in range(5):
        p = rng(seed).uniform(size=8) ** 3
        np.testing.assert_allclose(holm(list(p)), multipletests(p, method="holm")[1])
    assert holm([0.01, None, 0.04, 0.03]) == pytest.approx([0.03, None, 0.06, 0.06])
    assert holm([None]) == [None]
    assert holm([]) == []


def test_comparisons_of_a_family_share_their_draws_and_are_adjusted():
    models, truth, group = study()
    result = compare_all_paired(models, "good", truth, group, "log_loss", rng=rng(1), resamples=300)
    assert list(result) == ["fair", "poor"]
    assert [pair.adjusted for pair in result.values()] == holm([pair.p_value for pair in result.values()])
    alone = compare_paired(models["fair"], models["good"], truth, group, "log_loss", rng=rng(1), resamples=300)
    assert alone == result["fair"].model_copy(update={"adjusted": None})
    assert compare_all_paired(models, "good", truth, group, "log_loss", rng=rng(1), resamples=300) == result


def test_fewer_than_ten_groups_in_a_needed_class_is_not_estimable():
    models, truth, group = study()
    group = np.where(truth == 0, group % 9, group + 1000)
    for metric in METRICS:
        result = compare_paired(models["poor"], models["good"], truth, group, metric, rng=rng(), resamples=100)
        if metric in ("accuracy", "specificity"):
            assert result.lower is not None
            continue
        assert result.difference.value is not None
        assert (result.difference.low, result.lower, result.upper, result.p_value) == (None,) * 4
        assert "9 groups" in result.note
    none = truth != 0
    others = {name: Scores(model.probabilities[none], model.threshold) for name, model in models.items()}
    for metric in ("auroc", "sensitivity"):
        result = compare_paired(others["poor"], others["good"], truth[none], group[none], metric, rng=rng())
        assert result.difference.value is None
        assert result.note


def test_limits_without_discordant_images_are_not_a_point():
    truth = np.repeat([0, 1], 50)
    p = np.where(truth == 0, 0.9, 0.1)
    model = Scores(np.column_stack([p, 1 - p]), 0.5)
    result = compare_paired(model, model, truth, np.arange(100), "sensitivity", rng=rng())
    assert result.difference.value == 0.0
    # The share of images where one model alone is right is 0 of 50, with Wilson's upper limit z^2 / (50 + z^2).
    assert result.difference.high == pytest.approx(1.959964**2 / (50 + 1.959964**2), rel=1e-5)
    assert result.lower == pytest.approx(-(1.644854**2) / (50 + 1.644854**2), rel=1e-5)
    assert result.difference.low == -result.difference.high
    assert result.p_value == 1.0
    # Both models separate the classes: the limits depend on the number of groups.
    area = compare_paired(model, model, truth, np.arange(100), "auroc", rng=rng())
    assert area.lower < -0.02
    assert "separated" in area.note
    # Equal resamples give no limits.
    loss = compare_paired(model, model, truth, np.arange(100), "log_loss", rng=rng(), resamples=50)
    assert loss.lower is None
    assert "same value" in loss.note


def test_limits_of_many_images_agree_with_the_normal_approximation():
    r = rng(2)
    n = 4000
    truth = np.zeros(n, int)
    right = np.column_stack([r.uniform(size=n) < 0.80, r.uniform(size=n) < 0.77])
    a, b = (Scores(np.column_stack([right[:, k], ~right[:, k]]).astype(float), 0.5) for k in (0, 1))
    result = compare_paired(a, b, truth, np.arange(n), "accuracy", rng=r, resamples=10)
    gap = right[:, 0].astype(float) - right[:, 1]
    error = gap.std() / np.sqrt(n)
    assert result.difference.low == pytest.approx(gap.mean() - 1.96 * error, abs=0.02 * error)
    assert result.upper == pytest.approx(gap.mean() + 1.645 * error, abs=0.02 * error)


def draw_clustered(r, groups=40, gaps=(1.5, 1.5), within=0.5):
    """Draw two models and 1 to 5 images a patient; half the difficulty is the patient's, a part is common to both."""
    positive = np.arange(groups) < groups // 2
    group = np.repeat(np.arange(groups), r.integers(1, 6, size=groups))

    def field():
        return np.sqrt(within) * r.normal(size=groups)[group] + np.sqrt(1 - within) * r.normal(size=len(group))

    common = field()
    models = []
    for gap in gaps:
        latent = gap * positive[group] + np.sqrt(0.5) * common + np.sqrt(0.5) * field()
        p = expit(gap * latent - gap**2 / 2)
        models.append(Scores(np.column_stack([p, 1 - p]), 0.5))
    return *models, np.where(positive[group], 0, 1), group


def test_p_values_of_equal_models_are_uniform_with_clustered_images():
    r = rng(3)
    result = {"auroc": [], "log_loss": [], "accuracy": []}
    naive = []
    for _ in range(300):
        a, b, truth, group = draw_clustered(r)
        for metric, values in result.items():
            values.append(compare_paired(a, b, truth, group, metric, rng=r, resamples=99).p_value)
        naive.append(paired_tests.delong(a.probabilities[:, 0], b.probabilities[:, 0], truth == 0).p_value)
    for metric in ("auroc", "log_loss"):
        # p is one of 1/100 ... 100/100: the test spreads it evenly over its step and compares it with the uniform.
        smooth = np.array(result[metric]) - r.uniform(0, 0.01, size=300)
        assert kstest(smooth, "uniform").pvalue > 0.01, metric
    for metric, values in result.items():
        assert 0.02 < np.mean(np.array(values) <= 0.05) < 0.085, metric
    # DeLong's test assumes independent images and rejects far too often, so it is not used here.
    assert np.mean(np.array(naive) <= 0.05) > 0.1


def test_one_sided_limits_cover_the_difference_in_about_95_of_100_draws():
    r = rng(4)
    (big_a, big_b, big_truth, _) = draw_clustered(r, groups=40_000, gaps=(1.5, 1.2))
    coverage = {"auroc": [], "accuracy": [], "sensitivity": [], "brier": []}
    true = {
        metric: compare_paired(
            big_a, big_b, big_truth, np.arange(len(big_truth)), metric, rng=r, resamples=1
        ).difference.value
        for metric in coverage
    }
    for _ in range(200):
        a, b, truth, group = draw_clustered(r, groups=60, gaps=(1.5, 1.2))
        for metric, holds in coverage.items():
            result = compare_paired(a, b, truth, group, metric, rng=r, resamples=200)
            holds.append((result.lower <= true[metric], true[metric] <= result.upper))
    for metric, holds in coverage.items():
        for share in np.mean(holds, axis=0):
            assert 0.90 < share <= 1.0, metric  # .95 with a Monte Carlo error of .015


def test_invalid_comparisons_are_refused():
    models, truth, group = study()
    good = models["good"]
    with pytest.raises(UsageError, match="Did you mean 'log_loss'"):
        compare_paired(good, good, truth, group, "logloss", rng=rng())
    with pytest.raises(UsageError, match="Did you mean 'good'"):
        compare_all_paired(models, "god", truth, group, "auroc", rng=rng())
    short = Scores(good.probabilities[:-1], 0.5)
    with pytest.raises(ValueError, match="same 300 images"):
        compare_paired(good, short, truth, group, "auroc", rng=rng())
    broken = good.probabilities.copy()
    broken[3] = np.nan
    with pytest.raises(ValueError, match="not a finite number"):
        compare_paired(good, Scores(broken, 0.5), truth, group, "auroc", rng=rng())
    with pytest.raises(ValueError, match="truth must name"):
        compare_paired(good, good, truth + 1, group, "auroc", rng=rng())
    with pytest.raises(ValueError, match="at least 1"):
        compare_paired(good, good, truth, group, "auroc", rng=rng(), resamples=0)


def engines(r, images, noise, separation=1.8):
    """Return the scores of one network in two engines, the second with noise of its own, and which are positive."""
    positive = np.arange(images) < images // 2
    score = separation * positive + r.normal(size=images)
    return score + noise * r.normal(size=images), score, positive


def test_the_difference_between_two_engines_has_delongs_limits():
    a, b, positive = engines(rng(1), 120, 0.3)
    found = estimate_area_difference(a, b, positive, np.arange(120))
    wins = [(score[positive][:, None] > score[~positive][None]).astype(float) for score in (a, b)]
    rows, columns = (np.stack([each.mean(axis=axis) for each in wins]) for axis in (1, 0))
    contrast = np.array([1, -1])
    error = np.sqrt(contrast @ (np.cov(rows) / 60 + np.cov(columns) / 60) @ contrast)
    assert found.value == pytest.approx(wins[0].mean() - wins[1].mean())
    assert (found.high - found.low) / 2 == pytest.approx(t.ppf(0.975, 59) * error)
    twice = estimate_area_difference(*(np.repeat(x, 2) for x in (a, b, positive)), np.repeat(np.arange(120), 2))
    assert (twice.low, twice.high) == pytest.approx((found.low, found.high), abs=1e-3)


def test_engines_that_rank_alike_have_no_interval_and_few_groups_neither():
    _, score, positive = engines(rng(2), 60, 0)
    alike = estimate_area_difference(score + 1e-6, score, positive, np.arange(60))
    assert (alike.value, alike.low, alike.high, alike.note) == (0, None, None, RANKED_ALIKE)
    a, b, positive = engines(rng(2), 12, 1)
    assert estimate_area_difference(a, b, positive, np.arange(12)).low is None


@pytest.mark.parametrize("noise", [0.05, 0.3])
def test_the_limits_between_engines_hold(noise):
    true = norm.cdf(1.8 / np.sqrt(2 * (1 + noise**2))) - norm.cdf(1.8 / np.sqrt(2))
    r, held = rng(3), 0
    for _ in range(400):
        found = estimate_area_difference(*engines(r, 250, noise), np.arange(250))
        held += found.low is not None and found.low <= true <= found.high
    assert held / 400 > 0.93
