"""Sample sizes against published worked examples, another implementation's tests, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit
from scipy.stats import binom

from pneumoscope.stats import kernels
from pneumoscope.stats.auroc_interval import auroc_components
from pneumoscope.stats.intervals import wilson_limits
from pneumoscope.stats.sample_size import (
    cases_for_least_auroc,
    expected_linear_predictor,
    patients_for_auroc,
    patients_for_least_share,
    patients_for_oe,
    patients_for_share,
    patients_for_slope,
)


def test_precision_of_oe_is_that_of_riley_2021() -> None:
    """Section 3.1.1: 385 patients at half, 3,461 and 294 at .1; pmvalsampsize (R) gives 20,975 at .018."""
    assert patients_for_oe(0.5) == 385
    assert patients_for_oe(0.1) == 3461
    assert patients_for_oe(0.1, 0.175) == 294
    assert patients_for_oe(0.018) == 20_975


def test_precision_of_the_auroc_is_that_of_riley_2021() -> None:
    """Pmvalsampsize (R, by the authors) gives 4,252 for an AUROC of .8 and a prevalence of .018, interval .1 wide."""
    assert patients_for_auroc(0.8, 0.018) == 4252


def test_precision_of_the_slope_is_that_of_riley_2021() -> None:
    """Pmvalsampsize gives 4,563 for logits of mean -5 and deviation 2.5, from a million draws; here by quadrature."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(100)
    assert patients_for_slope(-5 + 2.5 * nodes, weights) == pytest.approx(4563, rel=0.005)


def test_scores_that_do_not_vary_ask_for_no_finite_number() -> None:
    assert patients_for_slope(np.zeros(10)) == 10_000_000


def test_normal_logits_have_the_auroc_and_the_prevalence_that_are_asked_for() -> None:
    logits, weights = expected_linear_predictor(0.8, 0.3)
    half = len(logits) // 2
    assert weights[half:].sum() / weights.sum() == pytest.approx(0.3)
    assert (weights * expit(logits)).sum() / weights.sum() == pytest.approx(0.3, abs=1e-6)
    rng = np.random.default_rng(0)
    variance = np.average(
        (logits[:half] - np.average(logits[:half], weights=weights[:half])) ** 2, weights=weights[:half]
    )
    means = [
        np.average(part, weights=weight) for part, weight in zip(np.split(logits, 2), np.split(weights, 2), strict=True)
    ]
    draws = np.concatenate([rng.normal(mean, np.sqrt(variance), 4000) for mean in means])
    positive = np.repeat([False, True], 4000)
    assert auroc_components(draws, positive)[positive].mean() == pytest.approx(0.8, abs=0.02)


def test_a_study_of_that_size_has_a_slope_of_that_precision() -> None:
    """200 studies: the deviation of the slope is the one that was aimed at."""
    size = patients_for_slope(*expected_linear_predictor(0.8, 0.3), se=0.15)
    rng = np.random.default_rng(1)
    variance = 2 * 0.8416212**2
    slopes = []
    for _ in range(200):
        sick = rng.random(size) < 0.3
        logit = rng.normal(np.log(0.3 / 0.7) + np.where(sick, 0.5, -0.5) * variance, np.sqrt(variance))
        slopes.append(kernels.calibration_slope(expit(logit), sick, np.ones((1, size)))[0])
    assert np.mean(slopes) == pytest.approx(1, abs=0.05)
    assert np.std(slopes) == pytest.approx(0.15, rel=0.15)


def test_patients_for_an_auroc_above_a_minimum_are_those_of_proc() -> None:
    """The tests of pROC's power.roc.test: 29.29764 cases with 1.7 controls each at .7313686, and a power of .95."""
    assert cases_for_least_auroc(0.7313686, 0.5, 1.7, power=0.95) == 30
    assert cases_for_least_auroc(0.73, 0.5, 72 / 41, power=0.9897453) == 41


def test_no_number_of_patients_proves_more_than_there_is() -> None:
    assert cases_for_least_auroc(0.8, 0.8, 1) is None
    assert patients_for_least_share(0.9, 0.9) is None
    assert patients_for_least_share(0.999, 0.001) == 1


@pytest.mark.parametrize(("share", "least"), [(0.95, 0.85), (0.9, 0.8), (0.6, 0.5)])
def test_the_lower_limit_of_a_share_reaches_the_minimum_in_80_of_100_studies(share: float, least: float) -> None:
    """The authorities are SciPy's binomial distribution, summed over every outcome, and drawn studies."""
    needed = patients_for_least_share(share, least)
    assert needed is not None

    def power(n: int) -> float:
        seen = np.arange(n + 1)
        reached = np.array([wilson_limits(k / n, n, 1.959963985)[0] >= least - 1e-12 for k in seen])
        return float(binom.pmf(seen, n, share)[reached].sum())

    assert power(needed - 1) < 0.8
    assert all(power(n) >= 0.8 for n in range(needed, needed + 40))
    drawn = np.random.default_rng(0).binomial(needed, share, 20_000) / needed
    limits = {x: wilson_limits(x, needed, 1.959964)[0] for x in np.unique(drawn)}
    assert np.mean([limits[x] >= least for x in drawn]) == pytest.approx(power(needed), abs=0.01)


def test_a_share_near_its_minimum_needs_about_what_the_normal_distribution_says() -> None:
    """The number changes little where the exact sum ends."""
    below, above = patients_for_least_share(0.904, 0.9), patients_for_least_share(0.9025, 0.9)
    assert below is not None
    assert above is not None
    assert below < 100_000 < above
    assert above / below == pytest.approx((0.004 / 0.0025) ** 2, rel=0.02)


@pytest.mark.parametrize(("share", "width"), [(0.95, 0.1), (0.7, 0.1), (0.5, 0.02), (0.999, 0.05)])
def test_patients_for_a_share_give_an_interval_so_wide(share: float, width: float) -> None:
    """The authority is statsmodels' formula of Wilson's interval, written out: at n it fits, at n - 1 it does not."""

    def wide(n: int) -> float:
        z = 1.959963984540054
        return float(2 * z / (1 + z * z / n) * np.sqrt(share * (1 - share) / n + z * z / (4 * n * n)))

    needed = patients_for_share(share, width)
    assert wide(needed) <= width < wide(needed - 1)
