"""Each metric against scikit-learn, statsmodels or a case worked out by hand."""

from __future__ import annotations

import numpy as np
import pytest

from pneumoscope.stats import kernels, metrics

sk = pytest.importorskip("sklearn.metrics")


@pytest.fixture(scope="module")
def study():
    """300 images of 3 classes with probabilities rounded so that many tie."""
    rng = np.random.default_rng(7)
    truth = rng.choice(3, size=300, p=[0.2, 0.5, 0.3])
    logits = rng.normal(size=(300, 3)) + 1.5 * np.eye(3)[truth]
    probability = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    probability = np.round(probability, 2) + 1e-3
    return probability / probability.sum(axis=1, keepdims=True), truth


def test_counts_agree_with_scikit_learn(study):
    p, truth = study
    decided = p.argmax(axis=1)
    confusion = metrics.confusion_matrix(truth, decided, 3)
    np.testing.assert_array_equal(confusion, sk.confusion_matrix(truth, decided))
    expected = sk.precision_recall_fscore_support(truth, decided)
    np.testing.assert_allclose(metrics.precision(confusion), expected[0])
    np.testing.assert_allclose(metrics.recall(confusion), expected[1])
    np.testing.assert_allclose(metrics.f1_score(confusion), expected[2])
    for k in range(3):
        assert metrics.specificity(confusion)[k] == pytest.approx(sk.recall_score(truth != k, decided != k))
    assert metrics.accuracy(truth, decided) == pytest.approx(sk.accuracy_score(truth, decided))
    assert metrics.balanced_accuracy(truth, decided, 3) == pytest.approx(sk.balanced_accuracy_score(truth, decided))


def test_scores_agree_with_scikit_learn(study):
    p, truth = study
    assert metrics.log_loss(p, truth) == pytest.approx(sk.log_loss(truth, p))
    assert metrics.brier_multiclass(p, truth) == pytest.approx(sk.brier_score_loss(truth, p, scale_by_half=False))
    for k in range(3):
        score, positive = metrics.class_scores(p, truth, k)
        assert metrics.auroc(score, positive) == pytest.approx(sk.roc_auc_score(positive, score))
        assert metrics.average_precision(score, positive) == pytest.approx(sk.average_precision_score(positive, score))
        assert metrics.brier(score, positive) == pytest.approx(sk.brier_score_loss(positive, score))


def test_weighted_kernels_agree_with_repeated_images(study):
    p, truth = study
    weight = np.random.default_rng(1).integers(0, 4, size=(5, len(p))).astype(float)
    score, positive = metrics.class_scores(p, truth, 1)
    for row, auc, ap, slope, shift in zip(
        weight,
        kernels.auroc(score, positive, weight),
        kernels.average_precision(score, positive, weight),
        kernels.calibration_slope(score, positive, weight),
        kernels.calibration_intercept(score, positive, weight),
        strict=True,
    ):
        repeat = np.repeat(np.arange(len(p)), row.astype(int))
        assert auc == pytest.approx(sk.roc_auc_score(positive[repeat], score[repeat]))
        assert ap == pytest.approx(sk.average_precision_score(positive[repeat], score[repeat]))
        assert slope == pytest.approx(metrics.calibration_slope(score[repeat], positive[repeat]), abs=1e-6)
        assert shift == pytest.approx(metrics.calibration_intercept(score[repeat], positive[repeat]), abs=1e-6)


def test_observed_to_expected_counts_repeated_images(study):
    p, truth = study
    weight = np.random.default_rng(1).integers(0, 4, size=(5, len(p))).astype(float)
    score, positive = metrics.class_scores(p, truth, 1)
    for row, ratio in zip(weight, kernels.observed_to_expected(score, positive, weight), strict=True):
        repeat = np.repeat(np.arange(len(p)), row.astype(int))
        assert ratio == pytest.approx(positive[repeat].sum() / score[repeat].sum())
    assert not np.isfinite(kernels.observed_to_expected(np.zeros(2), np.array([True, False]), np.ones((1, 2))))


def test_calibration_line_agrees_with_statsmodels(study):
    sm = pytest.importorskip("statsmodels.api")
    p, truth = study
    for k in range(3):
        score, positive = metrics.class_scores(p, truth, k)
        x = np.log(score / (1 - score))
        both = sm.GLM(positive.astype(float), sm.add_constant(x), family=sm.families.Binomial()).fit()
        large = sm.GLM(positive.astype(float), np.ones_like(x), family=sm.families.Binomial(), offset=x).fit()
        assert metrics.calibration_slope(score, positive) == pytest.approx(both.params[1], abs=1e-6)
        assert metrics.calibration_intercept(score, positive) == pytest.approx(large.params[0], abs=1e-6)


def test_separated_classes_have_no_finite_slope():
    score, positive = np.array([0.1, 0.2, 0.3, 0.8, 0.9]), np.array([False, False, False, True, True])
    assert metrics.calibration_slope(score, positive) == np.inf
    assert metrics.calibration_slope(1 - score, positive) == -np.inf
    # Classes that meet in only one tied value have no finite slope either (quasi-separation).
    assert metrics.calibration_slope([0.1, 0.5, 0.5, 0.9], [False, False, True, True]) == np.inf
    assert metrics.calibration_intercept([0.2, 0.4], [True, True]) == np.inf


def test_an_undefined_metric_is_nan_and_not_zero():
    assert np.isnan(metrics.auroc([0.1, 0.9], [True, True]))
    assert np.isnan(metrics.average_precision([0.1, 0.9], [False, False]))
    confusion = metrics.confusion_matrix([0, 0, 1], [0, 0, 0], 3)
    assert np.isnan(metrics.recall(confusion)[2])
    assert np.isnan(metrics.precision(confusion)[1])
    assert metrics.recall(confusion)[1] == 0.0
    with pytest.raises(ValueError, match="NaN"):
        metrics.auroc([0.1, float("nan")], [True, False])


def test_the_log_loss_of_a_certain_error_is_finite():
    assert metrics.log_loss([[1.0, 0.0]], [1]) == pytest.approx(-np.log(1e-7))


def test_the_calibration_error_by_hand():
    # One bin (all scores tie at .5): residuals +.5 +.5 +.5 -.5; products of different images: 6 of -.25 (3 pairs, each
    # twice), 6 of +.25, so the mean product is 0 where the plain square of the mean is .0625.
    assert metrics.calibration_error([0.5] * 4, [True, True, True, False]) == 0.0
    # All four positive: every product is .25.
    assert metrics.calibration_error([0.5] * 4, [True] * 4) == pytest.approx(0.5)
    # Two groups of two: only products across groups count: (+.5 +.5)(+.5 -.5) = 0.
    assert metrics.calibration_error([0.5] * 4, [True, True, True, False], ["a", "a", "b", "b"]) == 0.0


@pytest.mark.parametrize("images", [20, 57, 151, 300])
@pytest.mark.parametrize("decimals", [1, 2, 8])
def test_both_classes_of_a_binary_model_have_the_same_calibration_error(images: int, decimals: int):
    random = np.random.default_rng(images)
    p = random.beta(0.5, 0.5, images).round(decimals)
    p[: images // 5] = 1.0  # scores without a value between 0 and 1 are tied
    y = random.random(images) < p**2
    p, mirrored = p.round(8), (1 - p).round(8)
    assert metrics.calibration_error(p, y) == pytest.approx(metrics.calibration_error(mirrored, ~y), abs=1e-9)


def test_the_calibration_error_is_unbiased_and_the_plain_one_is_not():
    rng = np.random.default_rng(3)
    squares, plain = [], []
    for _ in range(400):
        p = rng.uniform(0.05, 0.95, size=150)
        y = rng.uniform(size=150) < p
        edges = metrics.bin_edges(p)
        squares.append(kernels.squared_calibration_error(p, y, np.arange(150), edges, np.ones((1, 150)))[0])
        bins = np.searchsorted(edges, p, side="right")
        plain.append(sum((y - p)[bins == b].mean() ** 2 * (bins == b).mean() for b in np.unique(bins)))
    error = np.std(squares) / np.sqrt(len(squares))
    assert abs(np.mean(squares)) < 3 * error
    assert np.mean(plain) > 20 * error


def test_bins_keep_ties_together():
    edges = metrics.bin_edges([0.1] * 50 + [0.2] * 3 + [0.9] * 47, bins=10)
    np.testing.assert_allclose(edges, [0.2, 0.9])
    assert len(metrics.bin_edges(np.linspace(0, 1, 150))) == 14
