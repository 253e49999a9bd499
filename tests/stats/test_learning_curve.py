"""Learning curves: a known curve is found again, extrapolation is refused, and chance widens what is expected."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import curve_fit

from pneumoscope.core.errors import UsageError
from pneumoscope.stats.bootstrap import resample
from pneumoscope.stats.comparison.paired import Scores
from pneumoscope.stats.learning_curve import figure_under, fit_power_law, forecast, measure_repeats

SIZES = (40.0, 100.0, 200.0, 400.0)


def test_a_known_curve_is_found_again() -> None:
    n = np.array(SIZES)
    [curve] = fit_power_law(SIZES, (0.95 - 0.05 * (n / 400) ** -0.6)[None], rising=True, best=1.0)
    assert [curve.at(size) for size in SIZES] == pytest.approx(0.95 - 0.05 * (n / 400) ** -0.6, abs=1e-4)
    assert curve.at(800) == pytest.approx(0.95 - 0.05 * 2**-0.6, abs=1e-3)


def test_a_noisy_curve_is_that_of_scipys_least_squares() -> None:
    n = np.array([30.0, 60, 120, 240, 480])
    y = 0.9 - 0.08 * (n / 480) ** -0.5 + np.array([0.004, -0.006, 0.003, 0.002, -0.001])
    expected, _ = curve_fit(lambda x, a, b, c: a - b * (x / 480) ** -c, n, y, p0=(0.9, 0.1, 0.5))
    [curve] = fit_power_law(n, y[None], rising=True, best=1.0)
    fitted = np.array([curve.at(size) for size in n])
    assert fitted == pytest.approx(expected[0] - expected[1] * (n / 480) ** -expected[2], abs=5e-4)


def test_a_loss_falls_and_stays_above_its_best_value() -> None:
    n = np.array(SIZES)
    [curve] = fit_power_law(SIZES, (0.02 + 0.3 * (n / 400) ** -0.9)[None], rising=False, best=0.0)
    assert curve.at(800) == pytest.approx(0.02 + 0.3 * 2**-0.9, abs=2e-3)
    [steep] = fit_power_law(SIZES, np.array([[0.9, 0.4, 0.1, 0.0]]), rising=False, best=0.0)
    assert 0 <= steep.at(800) <= steep.at(400)


def test_figures_that_fall_with_more_data_give_a_flat_curve_and_no_promise() -> None:
    [curve] = fit_power_law(SIZES, np.array([[0.9, 0.88, 0.86, 0.85]]), rising=True, best=1.0)
    assert curve.at(800) == pytest.approx(curve.at(400))


def test_no_curve_passes_the_best_value() -> None:
    [curve] = fit_power_law(SIZES, np.array([[0.7, 0.8, 0.9, 0.99]]), rising=True, best=1.0)
    assert curve.asymptote <= 1
    assert curve.at(800) <= 1


def test_further_than_twice_is_refused() -> None:
    [curve] = fit_power_law(SIZES, np.array([[0.7, 0.8, 0.85, 0.87]]), rising=True, best=1.0)
    with pytest.raises(UsageError, match="at most 2"):
        curve.at(801)


def test_three_sizes_give_no_curve() -> None:
    with pytest.raises(ValueError, match="4 different sizes"):
        fit_power_law(SIZES[:3], np.array([[0.7, 0.8, 0.85]]), rising=True, best=1.0)


def networks(seed: int, truth: np.ndarray, spread: float) -> list[list[Scores]]:
    """Return three repeats of networks of four sizes that get better, and differ by their training."""
    rng = np.random.default_rng(seed)
    picture = np.random.default_rng(1).normal(0, 1, len(truth))
    sizes = []
    for gain in (0.6, 1.0, 1.3, 1.5):
        repeats = []
        for _ in range(3):
            score = 1 / (1 + np.exp(-(picture + (gain + rng.normal(0, spread)) * (truth == 0))))
            repeats.append(Scores(np.column_stack([score, 1 - score]), 0.5))
        sizes.append(repeats)
    return sizes


def test_the_mean_of_the_repeats_is_that_of_scikit_learn_and_their_spread_widens_the_interval() -> None:
    roc_auc_score = pytest.importorskip("sklearn.metrics").roc_auc_score
    truth = np.repeat([0, 1], [60, 60])
    sample = resample(truth, np.arange(120), 2, np.random.default_rng(0), 400)
    gains = []
    for spread in (0.0, 0.5):
        scores = networks(3, truth, spread)
        statistics = [[figure_under(one, truth, "auroc") for one in repeats] for repeats in scores]
        means, draws = measure_repeats(statistics, sample, np.random.default_rng(0))
        by_hand = [np.mean([roc_auc_score(truth == 0, one.probabilities[:, 0]) for one in many]) for many in scores]
        assert means == pytest.approx(by_hand)
        _, (twice,) = forecast(SIZES, means, draws, [2.0], "auroc", sample)
        assert twice.patients == 800
        gains.append(twice.figure.high - twice.figure.low)
    assert gains[1] > gains[0]
