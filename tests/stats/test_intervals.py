"""Intervals against statsmodels, published formulas and simulation."""

from __future__ import annotations

import numpy as np
import pytest

from pneumoscope.stats import auroc_interval, bootstrap, intervals, kernels, metrics


def test_wilson_agrees_with_statsmodels_where_every_group_is_one_image():
    sm = pytest.importorskip("statsmodels.stats.proportion")
    for hits, n in ((26, 26), (0, 15), (13, 40), (290, 300)):
        result = intervals.estimate_proportion(np.arange(n) < hits, np.arange(n))
        low, high = sm.proportion_confint(hits, n, method="wilson")
        assert (result.low, result.high) == (pytest.approx(low, abs=1e-12), pytest.approx(high, abs=1e-12))
    assert intervals.estimate_proportion(np.ones(26, bool), np.arange(26)).low == pytest.approx(0.8713, abs=1e-4)


def test_copies_of_an_image_do_not_narrow_the_interval():
    rng = np.random.default_rng(0)
    once = rng.uniform(size=60) < 0.7
    single = intervals.estimate_proportion(once, np.arange(60))
    copied = intervals.estimate_proportion(np.repeat(once, 5), np.repeat(np.arange(60), 5))
    assert copied.value == single.value
    # The widths differ only by Student's quantile on 59 degrees of freedom.
    assert copied.high - copied.low == pytest.approx(single.high - single.low, rel=0.04)
    assert copied.high - copied.low > single.high - single.low
    perfect = intervals.estimate_proportion(np.ones(300, bool), np.repeat(np.arange(60), 5))
    assert perfect.low == pytest.approx(intervals.estimate_proportion(np.ones(60, bool), np.arange(60)).low, abs=0.004)


def test_fewer_than_ten_groups_is_not_estimable():
    result = intervals.estimate_proportion(np.ones(90, bool), np.arange(90) % 9)
    assert (result.value, result.low, result.high) == (1.0, None, None)
    assert "9 groups" in result.note
    assert str(result) == "1.000 [interval not estimable]"
    assert intervals.estimate_proportion(np.empty(0, bool), np.empty(0, int)).value is None
    score, positive = np.linspace(0, 1, 50), np.arange(50) > 40
    assert auroc_interval.estimate_auroc(score, positive, np.arange(50)).low is None


def test_f1_interval_contains_the_f1_of_scikit_learn():
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(1)
    truth, decided = rng.uniform(size=200) < 0.4, rng.uniform(size=200) < 0.4
    either = truth | decided
    result = intervals.estimate_f1((truth & decided)[either], np.arange(either.sum()))
    assert result.value == pytest.approx(sk.f1_score(truth, decided))
    assert result.low < result.value < result.high


def delong_variance(score, positive):
    """Return the variance by the double sum of DeLong, DeLong & Clarke-Pearson 1988."""
    pos, neg = score[positive], score[~positive]
    psi = (pos[:, None] > neg) + 0.5 * (pos[:, None] == neg)
    return psi.mean(axis=1).var(ddof=1) / len(pos) + psi.mean(axis=0).var(ddof=1) / len(neg)


def test_the_auroc_variance_of_single_images_is_that_of_delong():
    rng = np.random.default_rng(2)
    positive = rng.uniform(size=150) < 0.3
    score = np.round(rng.normal(size=150) + positive, 1)
    result = auroc_interval.obuchowski_variance(score, positive, np.arange(150))
    assert result == pytest.approx(delong_variance(score, positive), rel=1e-9)


def test_the_interval_of_many_images_is_that_of_delong():
    rng = np.random.default_rng(12)
    positive = np.arange(6000) < 2000
    score = rng.normal(size=6000) + 1.5 * positive
    result = auroc_interval.estimate_auroc(score, positive, np.arange(6000))
    half = 1.959964 * delong_variance(score, positive) ** 0.5
    assert (result.high - result.low) / 2 == pytest.approx(half, rel=0.02)


def test_the_auroc_variance_of_groups_with_both_classes_agrees_with_simulation():
    # Every group has one image of each class and a shared shift: the covariance term must then make the interval
    # shorter than that of independent images. The test compares it with the spread over many draws.
    rng = np.random.default_rng(3)
    areas, variances = [], []
    group = np.repeat(np.arange(60), 2)
    positive = np.tile([True, False], 60)
    for _ in range(500):
        score = np.repeat(rng.normal(scale=2.0, size=60), 2) + rng.normal(size=120) + 1.5 * positive
        areas.append(metrics.auroc(score, positive))
        variances.append(auroc_interval.obuchowski_variance(score, positive, group))
    assert np.mean(variances) == pytest.approx(np.var(areas), rel=0.2)
    independent = np.mean([delong_variance(score, positive)])
    assert np.mean(variances) < 0.7 * independent


def test_the_interval_of_separated_classes_is_not_a_point():
    score, positive = np.arange(40.0), np.arange(40) >= 20
    result = auroc_interval.estimate_auroc(score, positive, np.arange(40))
    assert (result.value, result.high) == (1.0, 1.0)
    assert 0.8 < result.low < 0.95
    reversed_auroc = auroc_interval.estimate_auroc(-score, positive, np.arange(40))
    assert reversed_auroc.high == pytest.approx(1 - result.low)


def test_score_limits_satisfy_their_equation():
    low, high = auroc_interval.score_limits(0.9, lambda a: auroc_interval.newcombe_variance(a, 30, 50), 1.96)
    for a in (low, high):
        half = 39.0  # Newcombe 2006, method 5
        variance = a * (1 - a) * (1 + half * (1 - a) / (2 - a) + half * a / (1 + a)) / 1500
        assert abs(0.9 - a) == pytest.approx(1.96 * variance**0.5, rel=1e-6)


def test_the_coverage_of_the_interval_near_1_by_enumeration():
    # Over all numbers of failures, at each true share: plain Wilson covers it in 84 of 100 cases at worst.
    from scipy.stats import binom

    truth = np.concatenate([np.linspace(0.5, 0.99, 300), 1 - np.geomspace(0.01, 1e-4, 200)])
    for n, least in ((10, 0.91), (25, 0.92), (50, 0.925), (150, 0.925)):
        result = [intervals.estimate_proportion(np.arange(n) < hits, np.arange(n)) for hits in range(n + 1)]
        plain = [intervals.wilson_limits(hits / n, n, 1.959964) for hits in range(n + 1)]
        chance = binom.pmf(np.arange(n + 1)[:, None], n, truth)
        coverage = [
            (chance * ((np.array(low)[:, None] <= truth) & (truth <= np.array(high)[:, None]))).sum(axis=0)
            for low, high in (([e.low for e in result], [e.high for e in result]), zip(*plain, strict=True))
        ]
        assert coverage[0].min() > least
        assert coverage[1].min() < 0.86
        assert coverage[0].mean() < 0.985


def test_the_interval_of_balanced_accuracy():
    a, b = np.arange(100) < 90, np.arange(50) < 40
    result = intervals.mean_of_proportions([a, b], [np.arange(100), np.arange(50)])
    assert result.value == pytest.approx(0.85)
    # Near the middle it is close to the normal interval of a mean of two independent proportions.
    error = 0.5 * (0.9 * 0.1 / 100 + 0.8 * 0.2 / 50) ** 0.5
    assert result.high - result.low == pytest.approx(2 * 1.96 * error, rel=0.05)
    assert intervals.mean_of_proportions([a, b[:9]], [np.arange(100), np.arange(9)]).low is None


def sample_of(truth, group, seed=0, resamples=2000):
    return bootstrap.resample(truth, group, 2, np.random.default_rng(seed), resamples)


def test_the_bootstrap_of_a_mean_agrees_with_students_interval():
    from scipy import stats

    rng = np.random.default_rng(4)
    value = rng.normal(size=40)
    result = bootstrap.bootstrap(lambda w: kernels.mean(value, w), sample_of(np.zeros(40, int), np.arange(40)))
    low, high = stats.t.interval(0.95, 39, loc=value.mean(), scale=stats.sem(value))
    assert result.low == pytest.approx(low, abs=0.06 * (high - low))
    assert result.high == pytest.approx(high, abs=0.06 * (high - low))


def test_the_bootstrap_agrees_with_scipys_bca_on_a_skewed_figure():
    from scipy import stats

    value = np.random.default_rng(5).exponential(size=400)
    result = bootstrap.bootstrap(lambda w: kernels.mean(value, w), sample_of(np.zeros(400, int), np.arange(400)))
    other = stats.bootstrap((value,), np.mean, method="BCa", n_resamples=4000, rng=np.random.default_rng(6))
    width = other.confidence_interval.high - other.confidence_interval.low
    assert result.low == pytest.approx(other.confidence_interval.low, abs=0.06 * width)
    assert result.high == pytest.approx(other.confidence_interval.high, abs=0.06 * width)


def test_resamples_keep_the_size_of_classes_and_whole_groups():
    truth = np.repeat([0, 1], [30, 90])
    group = np.concatenate([np.arange(15).repeat(2), 15 + np.arange(30).repeat(3)])
    sample = sample_of(truth, group, resamples=50)
    weight = np.concatenate(list(sample.blocks()))
    np.testing.assert_allclose(weight[:, truth == 0].sum(axis=1), 30)
    np.testing.assert_allclose(weight[:, truth == 1].sum(axis=1), 90)
    for g in range(45):
        assert (np.ptp(weight[:, group == g], axis=1) == 0).all()
    # A patient with images of both classes belongs to the stratum of the rarer class.
    mixed = sample_of(np.array([0, 1] + [1] * 40), np.concatenate([[0, 0], np.arange(1, 41)]), resamples=5)
    assert mixed.stratum[0] == 0
    assert mixed.fewest == 1


def test_the_bootstrap_says_why_there_is_no_interval():
    truth = np.repeat([0, 1], 30)
    sample = sample_of(truth, np.arange(60), resamples=200)
    few = sample_of(truth, np.concatenate([np.arange(30) % 9, 9 + np.arange(30)]), resamples=200)
    positive = truth == 0
    perfect = np.where(positive, 0.9, 0.1)
    for statistic, data, note in (
        (lambda w: kernels.average_precision(perfect, positive, w), sample, "every resample gives the same value"),
        (lambda w: kernels.calibration_slope(perfect, positive, w), sample, "separated"),
        (lambda w: kernels.mean(perfect, w), few, "9 groups"),
    ):
        result = bootstrap.bootstrap(statistic, data)
        assert result.low is None
        assert result.high is None
        assert note in result.note
    # One overlapping pair: some resamples lose it and have no finite slope.
    barely = perfect + np.linspace(0, 0.05, 60)
    barely[0], barely[59] = 0.05, 0.97
    result = bootstrap.bootstrap(lambda w: kernels.calibration_slope(barely, positive, w), sample)
    assert result.value is not None
    assert "separated in some resamples" in result.note


def test_the_same_seed_gives_the_same_interval():
    value = np.random.default_rng(7).exponential(size=50)
    truth = np.repeat([0, 1], 25)
    one, two, other = (
        bootstrap.bootstrap(lambda w: kernels.mean(value, w), sample_of(truth, np.arange(50), seed))
        for seed in (1, 1, 2)
    )
    assert one == two
    assert one != other


@pytest.mark.parametrize(
    ("diseased", "others", "noted"), [(10, 190, True), (24, 120, True), (25, 500, False), (12, 12, False)]
)
def test_the_auroc_of_few_diseased_among_many_carries_a_note(diseased: int, others: int, noted: bool) -> None:
    """In cohorts of 200 with a prevalence of .05 it held .916 of the time (benchmarks/design_coverage.py)."""
    rng = np.random.default_rng(0)
    positive = np.arange(diseased + others) < diseased
    estimate = auroc_interval.estimate_auroc(rng.normal(positive * 1.5), positive, np.arange(len(positive)))
    assert ("may be too short" in estimate.note) == noted
    assert estimate.low is not None
