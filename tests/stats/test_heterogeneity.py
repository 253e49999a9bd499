"""Random effects over sites against R's metafor on the BCG trials, statsmodels, and brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.special import expit, logit

from pneumoscope.stats.heterogeneity import (
    compare_sites,
    log_observed_to_expected,
    logit_auroc,
    pool,
    slope_effect,
)

# Colditz et al. 1994, as in R's metafor (dat.bcg): cases and others with the vaccine, cases and others without.
BCG = np.array(
    [
        [4, 119, 11, 128], [6, 300, 29, 274], [3, 228, 11, 209], [62, 13536, 248, 12619], [33, 5036, 47, 5761],
        [180, 1361, 372, 1079], [8, 2537, 10, 619], [505, 87886, 499, 87892], [29, 7470, 45, 7232],
        [17, 1699, 65, 1600], [186, 50448, 141, 27197], [5, 2493, 3, 2338], [27, 16886, 29, 17825],
    ],
    dtype=float,
)  # fmt: skip


@pytest.fixture(scope="module")
def trials() -> tuple[np.ndarray, np.ndarray]:
    """Return the logarithms of the risk ratios and their variances."""
    a, b, c, d = BCG.T
    return np.log(a / (a + b) / (c / (c + d))), 1 / a - 1 / (a + b) + 1 / c - 1 / (c + d)


def test_the_mean_and_its_interval_are_those_of_metafor(trials) -> None:
    # rma(measure="RR", ..., data=dat.bcg, method="REML", test="knha"), as metafor's manual prints it.
    found = pool(*trials, at_least_one=False)
    assert found.tau2 == pytest.approx(0.3132, abs=5e-5)
    assert found.i_squared == pytest.approx(0.9222, abs=5e-5)
    assert found.q == pytest.approx(152.2330, abs=5e-5)
    assert (found.mean, found.error) == pytest.approx((-0.7145, 0.1808), abs=5e-5)
    assert found.interval == pytest.approx((-1.1084, -0.3206), abs=5e-5)
    assert sum(found.weights) == pytest.approx(1)


def test_the_prediction_interval_is_that_of_higgins(trials) -> None:
    found = pool(*trials)
    # Student's quantile of 11 degrees of freedom is 2.2010.
    reach = 2.2010 * math.sqrt(found.tau2 + found.error**2)
    assert found.prediction == pytest.approx((found.mean - reach, found.mean + reach), abs=1e-3)
    assert pool(*(column[:2] for column in trials)).prediction is None


def test_tau_maximises_the_likelihood_of_all_contrasts() -> None:
    # REML by its definition: the likelihood of contrasts that do not depend on the mean, on a fine grid.
    rng = np.random.default_rng(4)
    y, v = rng.normal(0, 1, 6), rng.uniform(0.05, 0.6, 6)
    contrasts = np.linalg.svd(np.ones((1, 6)))[2][1:]

    def log_likelihood(tau2: float) -> float:
        covariance = contrasts @ np.diag(v + tau2) @ contrasts.T
        z = contrasts @ y
        return -np.linalg.slogdet(covariance)[1] / 2 - z @ np.linalg.solve(covariance, z) / 2

    grid = np.linspace(0, 5, 20001)
    best = grid[np.argmax([log_likelihood(t) for t in grid])]
    assert pool(y, v).tau2 == pytest.approx(best, abs=3e-4)


def test_sites_that_agree_by_chance_do_not_shorten_the_interval() -> None:
    y, v = np.array([0.5, 0.51, 0.49]), np.array([0.1, 0.1, 0.1])
    narrow, wide = pool(y, v, at_least_one=False), pool(y, v)
    assert wide.tau2 == 0
    assert wide.error == pytest.approx(math.sqrt(0.1 / 3))
    assert narrow.error < wide.error / 5


def test_an_auroc_has_the_variance_of_delong_on_the_logit_scale() -> None:
    rng = np.random.default_rng(1)
    positive = np.arange(80) < 30
    score = rng.normal(positive * 1.0, 1)
    value, variance = logit_auroc(score, positive, np.arange(80))
    wins = (score[positive][:, None] > score[~positive][None]).astype(float)
    area = wins.mean()
    plain = wins.mean(axis=1).var(ddof=1) / 30 + wins.mean(axis=0).var(ddof=1) / 50
    assert value == pytest.approx(logit(area))
    assert variance == pytest.approx(plain / (area * (1 - area)) ** 2, rel=1e-6)


def test_a_slope_has_the_clustered_error_of_statsmodels() -> None:
    api = pytest.importorskip("statsmodels.api")
    rng = np.random.default_rng(2)
    group = np.repeat(np.arange(60), 3)
    x = rng.normal(0, 1.5, 180) + np.repeat(rng.normal(0, 1, 60), 3)
    positive = rng.random(180) < expit(0.4 + 0.7 * x)
    fit = api.Logit(positive.astype(float), api.add_constant(x)).fit(
        disp=0, cov_type="cluster", cov_kwds={"groups": group, "use_correction": False}
    )
    slope, variance = slope_effect(expit(x), positive, group)
    assert slope == pytest.approx(fit.params[1], rel=1e-6)
    assert variance == pytest.approx(fit.bse[1] ** 2 * 60 / 59, rel=1e-5)


def test_observed_over_expected_has_the_spread_of_resampled_patients() -> None:
    rng = np.random.default_rng(3)
    probability = rng.beta(1, 3, 400)
    positive = rng.random(400) < probability
    value, variance = log_observed_to_expected(probability, positive, np.arange(400))
    assert value == pytest.approx(math.log(positive.sum() / probability.sum()))
    draws = rng.integers(0, 400, (4000, 400))
    spread = np.log(positive[draws].sum(axis=1) / probability[draws].sum(axis=1)).std()
    assert math.sqrt(variance) == pytest.approx(spread, rel=0.05)


@pytest.fixture(scope="module")
def sites() -> tuple[np.ndarray, ...]:
    """Return probabilities, truth, groups and names of six sites that differ, and two that cannot be pooled."""
    rng = np.random.default_rng(7)
    rows = []
    for number in range(6):
        shift = rng.normal(1.5, 0.6)
        positive = rng.random(120) < 0.4
        rows.append((expit(rng.normal(positive * shift - 0.5, 1)), positive, [f"site {number}"] * 120))
    rows.append((rng.random(40), np.ones(40, bool), ["only sick"] * 40))
    rows.append((rng.random(30), np.arange(30) < 4, ["few sick"] * 30))
    probability, positive, names = (np.concatenate(column) for column in zip(*rows, strict=True))
    return probability, positive, np.arange(len(positive)), names


def test_every_site_is_listed_and_those_without_a_figure_say_why(sites) -> None:
    auroc, slope, ratio = compare_sites(*sites)
    assert [each.figure for each in (auroc, slope, ratio)] == ["auroc", "calibration_slope", "observed_to_expected"]
    assert auroc.sites["only sick"].note == "all its images are of the class"
    assert auroc.sites["few sick"].note.startswith("interval not estimable: 4 groups")
    pooled = [site for site in auroc.sites.values() if site.weight is not None]
    assert len(pooled) == 6
    assert sum(site.weight for site in pooled) == pytest.approx(1)


def test_a_new_site_may_lie_further_out_than_the_mean(sites) -> None:
    for figure in compare_sites(*sites):
        assert figure.prediction.low < figure.mean.low < figure.mean.value < figure.mean.high < figure.prediction.high
    auroc = compare_sites(*sites)[0]
    assert auroc.prediction.high < 1


def test_one_site_or_one_that_can_be_pooled_gives_no_mean(sites) -> None:
    probability, positive, group, names = sites
    here = names == "site 0"
    assert compare_sites(probability[here], positive[here], group[here], names[here]) == ()
    two = here | (names == "only sick")
    auroc = compare_sites(probability[two], positive[two], group[two], names[two])[0]
    assert auroc.mean.value is None
    assert "1 of 2 sites" in auroc.mean.note
