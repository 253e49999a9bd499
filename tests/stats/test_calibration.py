"""Temperature, thresholds, bands and halves against known truths and other libraries."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import softmax

from pneumoscope.stats import calibration, thresholds


def test_scaling_recovers_a_known_temperature_and_bias():
    rng = np.random.default_rng(0)
    true_logits = rng.normal(scale=2.0, size=(20_000, 3))
    p = softmax(true_logits, axis=1)
    truth = (rng.uniform(size=(len(p), 1)) > p.cumsum(axis=1)).sum(axis=1)
    shift = np.array([0.7, -0.2, -0.5])
    stated = (true_logits - shift) * 2.5  # over-confident and with shifted classes
    fitted = calibration.fit_scaling(stated, truth)
    assert fitted.temperature == pytest.approx(2.5, rel=0.03)
    np.testing.assert_allclose(fitted.bias, shift, atol=0.06)
    np.testing.assert_allclose(fitted.apply(stated), p, atol=0.03)


def test_scaling_of_many_images_agrees_with_scikit_learn():
    sk = pytest.importorskip("sklearn.linear_model")
    rng = np.random.default_rng(1)
    x = rng.normal(size=50_000)
    y = (rng.uniform(size=x.size) < 1 / (1 + np.exp(-(0.4 + 0.5 * x)))).astype(int)
    fitted = calibration.fit_scaling(np.column_stack([np.zeros_like(x), x]), y)
    other = sk.LogisticRegression(C=np.inf).fit(x[:, None], y)
    assert 1 / fitted.temperature == pytest.approx(other.coef_[0, 0], abs=1e-3)
    assert fitted.bias[1] - fitted.bias[0] == pytest.approx(other.intercept_[0], abs=1e-3)


def test_separated_logits_keep_probabilities_below_1():
    # The likelihood alone would move the temperature to its minimum of .05 and every probability to 1.
    logits = np.array([[1.0, -1.0]] * 20 + [[-1.0, 1.0]] * 20)
    truth = np.array([0] * 20 + [1] * 20)
    fitted = calibration.fit_scaling(logits, truth)
    assert 0.2 < fitted.temperature < 1.0
    assert fitted.apply(logits)[0, 0] < 0.9999
    with pytest.raises(ValueError, match="finite"):
        calibration.fit_scaling([[np.nan, 1.0]], [0])


def test_the_threshold_is_the_largest_that_reaches_the_target():
    score = np.array([0.9, 0.8, 0.7, 0.6, 0.5] * 4 + [0.95, 0.1])
    positive = np.array([True] * 20 + [False, False])
    for target in (0.5, 0.8, 0.95, 0.98, 1.0):
        t = thresholds.threshold_for_sensitivity(score, positive, target)
        assert (score[positive] >= t).mean() >= target
        larger = np.unique(score[score > t])
        assert all((score[positive] >= other).mean() < target for other in larger)
    # 19 of 20 is .95 exactly; a rounding error must not require the twentieth.
    distinct = np.arange(20) / 20 + 0.01
    assert thresholds.threshold_for_sensitivity(distinct, np.ones(20, bool), 0.95) == distinct[1]


def test_the_youden_threshold_agrees_with_scikit_learn_and_prefers_sensitivity():
    sk = pytest.importorskip("sklearn.metrics")
    rng = np.random.default_rng(2)
    positive = rng.uniform(size=400) < 0.3
    score = np.round(rng.normal(size=400) + 1.2 * positive, 1)
    t = thresholds.youden_threshold(score, positive)
    fpr, tpr, _ = sk.roc_curve(positive, score)
    assert (score[positive] >= t).mean() - (score[~positive] >= t).mean() == pytest.approx((tpr - fpr).max())
    # The index is the same at .4 and at .6: the lower threshold is chosen.
    assert thresholds.youden_threshold([0.1, 0.4, 0.5, 0.6], [False, True, False, True]) == 0.4


def test_operating_points_say_that_these_images_chose_them():
    rng = np.random.default_rng(3)
    positive = np.arange(200) < 80
    score = 1 / (1 + np.exp(-(rng.normal(size=200) + 2 * positive - 1)))
    points = {p.name: p for p in thresholds.operating_points(score, positive, np.arange(200))}
    assert list(points) == ["youden", "sensitivity-95", "sensitivity-98"]
    point = points["sensitivity-95"]
    assert point.sensitivity.value == (score[positive] >= point.threshold).mean() >= 0.95
    assert point.specificity.value == (score[~positive] < point.threshold).mean()
    assert "chosen on these same images" in point.sensitivity.note
    few = thresholds.operating_points(score, positive, np.where(positive, np.arange(200) % 9, np.arange(200)))
    assert few[0].sensitivity.low is None
    assert "9 groups" in few[0].sensitivity.note


def test_bands_are_ordered_cover_all_scores_and_count_every_image_once():
    rng = np.random.default_rng(4)
    score = rng.beta(0.5, 0.8, size=600)
    positive = rng.uniform(size=600) < score
    bands = calibration.score_bands(score, positive, np.arange(600))
    assert bands[0]["low"] == 0.0
    assert bands[-1]["high"] == 1.0
    assert sum(b["n"] for b in bands) == 600
    assert len(bands) >= 4
    rates = [b["rate"] for b in bands]
    assert rates == sorted(rates)
    for band in bands:
        inside = (score >= band["low"]) & (score < band["high"])
        assert band["rate"] == pytest.approx(positive[inside].mean())
        assert band["rate_low"] <= band["rate"] <= band["rate_high"]
        assert 0.01 < band["rate_high"] - band["rate_low"] < 0.3
        assert band["n"] >= 30


def test_ties_few_images_or_few_groups_give_fewer_bands():
    assert calibration.score_bands([0.2] * 20, [True] * 20, np.arange(20)) == ()
    assert calibration.score_bands(np.linspace(0, 1, 400), np.arange(400) > 200, np.arange(400) % 9) == ()
    one = calibration.score_bands([0.5] * 100, [True, False] * 50, np.arange(100))
    assert [(b["low"], b["high"], b["rate"]) for b in one] == [(0.0, 1.0, 0.5)]


def test_halves_are_disjoint_by_group_and_do_not_depend_on_order():
    groups = np.array([f"patient-{i // 3}" for i in range(3000)])
    mask = calibration.select_first_half(groups)
    assert not set(groups[mask]) & set(groups[~mask])
    assert 0.45 < mask.mean() < 0.55
    order = np.random.default_rng(5).permutation(3000)
    np.testing.assert_array_equal(calibration.select_first_half(groups[order]), mask[order])
