"""Predictive values, likelihood ratios, prevalence, net benefit and refusal, against R, other libraries and by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pneumoscope.stats import decision, predictive_values, prevalence, selective
from pneumoscope.stats.bootstrap import resample
from pneumoscope.stats.ratios import Share, ratio_limits


def table(hits, positives, false, negatives):
    """Return called [N], positive [N] and groups [N] with one image in each group."""
    positive = np.arange(positives + negatives) < positives
    called = np.concatenate([np.arange(positives) < hits, np.arange(negatives) < false])
    return called, positive, np.arange(len(positive))


def test_predictive_values_agree_with_r():
    # The references are of the R package CIfinder 2.0.0 on the breast cancer data of Mercaldo et al. 2007 at 7%,
    # methods "gart and nam" (a score interval with a correction for skewness that this interval lacks) and "zhou"
    # (Mercaldo's logit interval).
    result = predictive_values.predictive_values(*table(31, 34, 12, 44), 0.07)
    assert result.ppv.value == pytest.approx(0.2010444, abs=1e-7)
    assert (result.ppv.low, result.ppv.high) == (
        pytest.approx(0.1391548, abs=0.002),
        pytest.approx(0.3049051, abs=0.008),
    )
    assert (result.ppv.low, result.ppv.high) == (
        pytest.approx(0.1331384, abs=0.008),
        pytest.approx(0.2919216, abs=0.012),
    )
    assert result.npv.value == pytest.approx(0.9909508, abs=1e-7)
    assert (result.npv.low, result.npv.high) == (
        pytest.approx(0.9772641, abs=0.002),
        pytest.approx(0.9975727, abs=0.001),
    )
    assert "optimistic" in result.ppv.note


def test_predictive_values_without_a_false_positive():
    # The interval of Gart and Nam is .5262 to 1.
    result = predictive_values.predictive_values(*table(31, 34, 0, 44), 0.07)
    assert (result.ppv.value, result.ppv.high) == (1.0, 1.0)
    assert result.ppv.low == pytest.approx(0.5261573, abs=0.08)
    no_calls = predictive_values.predictive_values(*table(0, 34, 0, 44), 0.07)
    assert no_calls.ppv.value is None
    assert "no image" in no_calls.ppv.note
    assert no_calls.npv.value == pytest.approx(0.93)


def test_copies_of_images_do_not_narrow_predictive_values():
    called, positive, groups = table(31, 34, 12, 44)
    once = predictive_values.predictive_values(called, positive, groups, 0.05)
    thrice = predictive_values.predictive_values(called.repeat(3), positive.repeat(3), groups.repeat(3), 0.05)
    assert thrice.ppv.value == pytest.approx(once.ppv.value)
    assert thrice.ppv.high - thrice.ppv.low > 0.95 * (once.ppv.high - once.ppv.low)
    few = predictive_values.predictive_values(*table(5, 9, 3, 40), 0.05)
    assert few.ppv.value is not None
    assert few.ppv.low is None
    assert "9 groups" in few.ppv.note
    with pytest.raises(ValueError, match="prevalence"):
        predictive_values.predictive_values(called, positive, groups, 1.0)


def test_probabilities_at_another_prior_agree_with_scikit_learn():
    sk = pytest.importorskip("sklearn.discriminant_analysis")
    rng = np.random.default_rng(0)
    truth = np.repeat([0, 1, 2], [50, 100, 50])
    x = rng.normal(size=(200, 4)) + np.eye(3, 4)[truth]
    old, new = np.array([0.25, 0.5, 0.25]), np.array([0.05, 0.15, 0.8])
    p = sk.LinearDiscriminantAnalysis(priors=old).fit(x, truth).predict_proba(x)
    expected = sk.LinearDiscriminantAnalysis(priors=new).fit(x, truth).predict_proba(x)
    np.testing.assert_allclose(prevalence.at_prior(p, old, new), expected, atol=1e-9)
    np.testing.assert_allclose(prevalence.primary_prior(old, 0.1), [0.1, 0.6, 0.3])
    with pytest.raises(ValueError, match="sum to 1"):
        prevalence.at_prior(p, [0.5, 0.5, 0.0], new)
    with pytest.raises(ValueError, match="do not fit"):
        prevalence.at_prior(p, [0.5, 0.5], [0.5, 0.5])


def test_a_likelihood_ratio_agrees_with_statsmodels():
    sm = pytest.importorskip("statsmodels.stats.proportion")
    for hits, false in ((31, 12), (3, 40), (20, 1)):
        result = prevalence.likelihood_ratio(*table(hits, 34, false, 44))
        low, high = sm.confint_proportions_2indep(hits, 34, false, 44, compare="ratio", method="score")
        assert result.value == pytest.approx(hits / 34 / (false / 44))
        assert (result.low, result.high) == (pytest.approx(low, rel=1e-6), pytest.approx(high, rel=1e-6))


def test_limits_of_a_ratio_with_a_share_of_0_or_1_satisfy_their_equation():
    # At a limit the score equals the quantile. A brute-force search gives the likeliest shares.
    for x, m, y, n in ((31, 34, 0, 44), (10, 10, 9, 10), (0, 34, 5, 40), (10, 10, 10, 10)):
        limits = ratio_limits(Share(x / m, m), Share(y / n, n), 1.959964)
        for r in limits:
            if not 0 < r < np.inf:
                assert (x == 0) if r == 0 else (y == 0)
                continue
            q = np.linspace(0, min(1, 1 / r), 200_001)[1:-1]
            likely = q[
                np.argmax(x * np.log(r * q) + (m - x) * np.log1p(-r * q) + y * np.log(q) + (n - y) * np.log1p(-q))
            ]
            p = r * likely
            variance = (p * (1 - p) / m + r**2 * likely * (1 - likely) / n) * (m + n) / (m + n - 1)
            assert abs(x / m - r * y / n) == pytest.approx(1.959964 * variance**0.5, rel=2e-3)


def test_likelihood_bands_rise_and_have_enough_images_of_each_class():
    rng = np.random.default_rng(1)
    positive = np.arange(600) < 200
    score = 1 / (1 + np.exp(-(rng.normal(size=600) + 2.5 * positive - 1.2)))
    bands = prevalence.likelihood_bands(score, positive, np.arange(600), [0, 0.1, 0.3, 0.7, 0.9, 1.0])
    assert (bands[0].low, bands[-1].high) == (0.0, 1.0)
    assert sum(b.positives for b in bands) == 200
    assert sum(b.negatives for b in bands) == 400
    assert all(min(b.positives, b.negatives) >= 3 for b in bands)
    ratios = [b.ratio.value for b in bands]
    assert ratios == sorted(ratios)
    for b in bands:
        inside = (score >= b.low) & (score < b.high)
        assert b.ratio.value == pytest.approx(inside[positive].mean() / inside[~positive].mean())
        assert b.ratio.low < b.ratio.value < b.ratio.high
    assert prevalence.ratio_of(bands, 1.0) == bands[-1].ratio
    assert prevalence.ratio_of(bands, 0.0) == bands[0].ratio
    assert len(bands) >= 3
    # With a model of few errors, every band still has a few images of each class.
    good = 1 / (1 + np.exp(-(rng.normal(size=600) + 4.5 * positive - 2)))
    own = prevalence.likelihood_bands(good, positive, np.arange(600))
    assert len(own) >= 2
    assert all(min(b.positives, b.negatives) >= 3 for b in own)
    assert own[0].ratio.high < 0.2
    assert own[-1].ratio.low > 5
    # By Fagan's nomogram 10% before and a ratio of 9 give even odds after.
    assert prevalence.post_test(9.0, 0.1) == pytest.approx(0.5)
    assert prevalence.likelihood_bands(score, positive, np.where(positive, 0, np.arange(600)), [0, 0.5, 1.0]) == ()


def test_bands_of_a_calibrated_model_agree_with_probabilities_at_another_prior():
    rng = np.random.default_rng(2)
    positive = rng.uniform(size=40_000) < 0.4
    x = rng.normal(size=40_000) + 1.5 * positive
    p = 1 / (1 + np.exp(-(1.5 * x - 1.125 + np.log(0.4 / 0.6))))
    edges = np.linspace(0, 1, 21)
    bands = prevalence.likelihood_bands(p, positive, np.arange(40_000), list(edges))
    moved = prevalence.at_prior(np.column_stack([p, 1 - p]), [0.4, 0.6], [0.05, 0.95])[:, 0]
    for band in bands[1:-1]:
        inside = (p >= band.low) & (p < band.high)
        assert prevalence.post_test(band.ratio.value, 0.05) == pytest.approx(moved[inside].mean(), rel=0.15)


def test_net_benefit_by_hand():
    # Of 100: 20 sick. Called: 18 of the sick, 16 of the others. At t = .2 a needless action costs a quarter of a miss.
    result = decision.net_benefit(*table(18, 20, 16, 80), 0.2, 0.2)
    assert result.model.value == pytest.approx(18 / 100 - 16 / 100 * 0.25)
    assert result.treat_all == pytest.approx(0.2 - 0.8 * 0.25)
    assert result.model.low < result.model.value < result.model.high
    # The same test where 5 of 100 are sick: .05 x .9 - .95 x .2 x .25.
    assert decision.net_benefit(*table(18, 20, 16, 80), 0.05, 0.2).model.value == pytest.approx(0.045 - 0.0475)


def test_a_decision_curve_agrees_with_scikit_learn_and_with_treating_all_or_none():
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(3)
    positive = rng.uniform(size=500) < 0.3
    p = np.clip(0.3 + 0.4 * (positive - 0.3) + 0.2 * rng.normal(size=500), 0.0, 1.0)
    curve = decision.decision_curve(p, positive, np.arange(500))
    assert curve.prevalence == pytest.approx(positive.mean())
    assert not curve.stated
    for point in curve.points:
        _, false, _, hit = sk.confusion_matrix(positive, p >= point.threshold, labels=[False, True]).ravel()
        t = point.threshold
        assert point.model.value == pytest.approx(hit / 500 - false / 500 * t / (1 - t))
    everyone = decision.decision_curve(np.ones(500), positive, np.arange(500))
    assert all(point.model.value == pytest.approx(point.treat_all) for point in everyone.points)
    no_one = decision.decision_curve(np.zeros(500), positive, np.arange(500))
    assert all(point.model.value == 0 for point in no_one.points)


def test_the_area_under_risk_and_coverage_follows_the_published_formula():
    rng = np.random.default_rng(4)
    trust, wrong = rng.permutation(200).astype(float), rng.uniform(size=200) < 0.2
    ordered = wrong[np.argsort(-trust)]
    by_hand = np.mean(np.cumsum(ordered) / np.arange(1, 201))  # Geifman, Uziel & El-Yaniv 2019, eq. 4
    assert selective.aurc(trust, wrong, np.ones((1, 200)))[0] == pytest.approx(by_hand)
    # A weight of 3 equals three copies. Images of equal trust are answered together, so their order does not matter.
    weight = rng.integers(0, 4, size=(1, 200)).astype(float)
    copies = weight[0].astype(int)
    copied = selective.aurc(trust.repeat(copies), wrong.repeat(copies), np.ones((1, copies.sum())))
    assert selective.aurc(trust, wrong, weight)[0] == pytest.approx(copied[0])
    assert selective.aurc(np.zeros(200), wrong, np.ones((1, 200)))[0] == pytest.approx(wrong.mean())


def test_a_good_order_has_a_falling_curve_and_the_best_order_refuses_the_errors():
    rng = np.random.default_rng(5)
    wrong = np.arange(300) < 30
    trust = rng.normal(size=300) - 2 * wrong
    truth = np.arange(300) % 2
    sample = resample(truth, np.arange(300), 2, rng, 300)
    result = selective.risk_coverage("confidence", trust, wrong, np.arange(300), [sample])
    risks = [point.risk.value for point in result.points]
    assert risks[0] == pytest.approx(0.1)
    assert risks == sorted(risks, reverse=True)
    assert [point.images for point in result.points] == [300, 294, 285, 270, 240, 210, 180, 150]
    assert result.best_area < result.area.value
    assert 0 < result.area.low < result.area.value < result.area.high < 0.1
    # Errors last: risk 0 for the first 270, then k / (270 + k).
    assert result.best_area == pytest.approx(sum(k / (270 + k) for k in range(1, 31)) / 300)


def test_a_small_band_is_joined_to_the_more_similar_neighbour():
    def bands_of(*counts: tuple[int, int]) -> list[tuple[float, float, int, int]]:
        """Return bands of thirds of the score from the numbers of positive and negative images in each third."""
        score = np.concatenate([np.full(sum(pair), (place + 0.5) / 3) for place, pair in enumerate(counts)])
        positive = np.concatenate([np.arange(sum(pair)) < pair[0] for pair in counts])
        result = prevalence.likelihood_bands(score, positive, np.arange(len(score)), [0, 1 / 3, 2 / 3, 1])
        return [(b.low, b.high, b.positives, b.negatives) for b in result]

    # The middle band has eight images of the class and one other, like the top band. With the bottom band it would
    # halve the evidence of the top.
    assert bands_of((3, 90), (8, 1), (50, 3)) == [(0, 1 / 3, 3, 90), (1 / 3, 1, 58, 4)]
    assert bands_of((3, 50), (1, 8), (90, 3)) == [(0, 2 / 3, 4, 58), (2 / 3, 1, 90, 3)]
