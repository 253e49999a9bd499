"""Two models of several findings: the difference is scikit-learn's, the test is every swap of whole patients."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

from pneumoscope.stats.comparison.paired_findings import FindingScores, compare_all_findings
from pneumoscope.stats.comparison.paired_tests import draw_swaps, swap_areas, swap_mean_areas


def make_images(
    groups: int, seed: int, better: float = 0.0
) -> tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, FindingScores]]:
    """Return what images of patients state of three findings [N, 3], their groups [N], and two models' scores.

    Args:
        groups: Patients, with 1 to 3 images each.
        seed: Of the randomness.
        better: How much more of the truth the second model sees.
    """
    rng = np.random.default_rng(seed)
    group = np.repeat(np.arange(groups), rng.integers(1, 4, groups))
    ill = rng.random((groups, 3))[group] < 0.4
    truth = np.where(rng.random(ill.shape) < 0.1, np.nan, ill.astype(np.float64))
    patient = rng.normal(size=(groups, 3))[group]
    scores = {
        name: FindingScores(1 / (1 + np.exp(-(sees * ill + patient + rng.normal(size=ill.shape)))), np.full(3, 0.5))
        for name, sees in (("first", 1.0), ("second", 1.0 + better))
    }
    return truth, group, ill, scores


def mean_area(p: np.ndarray, truth: np.ndarray) -> float:
    """Return the mean of scikit-learn's AUROC over the findings, each on the images that state it."""
    known = np.isfinite(truth)
    return float(np.mean([roc_auc_score(truth[known[:, k], k], p[known[:, k], k]) for k in range(truth.shape[1])]))


def test_the_difference_is_that_of_scikit_learns_areas_and_the_better_model_is_found() -> None:
    truth, group, _, scores = make_images(150, 0, better=1.5)
    pair = compare_all_findings(scores, "first", truth, group, rng=np.random.default_rng(0), resamples=500)["second"]
    expected = mean_area(scores["second"].probabilities, truth) - mean_area(scores["first"].probabilities, truth)
    difference = pair.difference
    assert difference.value == pytest.approx(expected, abs=1e-12)
    assert difference.low is not None and difference.high is not None and pair.lower is not None
    assert 0 < difference.low < pair.lower < difference.value < difference.high
    assert pair.p_value is not None and pair.p_value < 0.01
    assert pair.test.startswith("label swap by group")


def test_every_swap_of_whole_patients_counts_once() -> None:
    truth, group, _, scores = make_images(7, 3)
    truth[np.isnan(truth)] = 0
    truth[0], truth[-1] = 1, 0
    a, b = (scores[name].probabilities for name in ("first", "second"))
    result = swap_mean_areas(a, b, truth, group, draw_swaps(7, 2000, np.random.default_rng(0)))
    assert result.name == "label swap by group, all 128"
    ranks = [rankdata(p, axis=0) for p in (a, b)]

    def difference(swapped: np.ndarray) -> float:
        one = np.where(swapped[:, None], ranks[1], ranks[0])
        return mean_area(one, truth) - mean_area(ranks[0] + ranks[1] - one, truth)

    every = [difference(np.array(swap)[group]) for swap in product((False, True), repeat=7)]
    observed = difference(np.zeros(len(group), bool))
    assert result.p_value == pytest.approx(np.mean(np.abs(every) >= abs(observed) - 1e-12))


def test_one_finding_is_tested_as_a_binary_model() -> None:
    _, group, ill, scores = make_images(40, 1)
    a, b = (scores[name].probabilities[:, 0] for name in ("first", "second"))
    swaps = draw_swaps(40, 300, np.random.default_rng(0))
    one = swap_mean_areas(a[:, None], b[:, None], ill[:, :1].astype(float), group, swaps)
    assert one == swap_areas(a, b, ill[:, 0], group, swaps)


def test_a_false_alarm_is_as_rare_as_stated() -> None:
    small = 0
    for seed in range(40):
        truth, group, _, scores = make_images(45, 100 + seed)
        pair = compare_all_findings(scores, "first", truth, group, rng=np.random.default_rng(seed), resamples=200)
        p = pair["second"].p_value
        small += p is not None and p < 0.05
    assert small <= 6  # of 40 at a level of .05: more has a chance of 1 in 90


def test_too_few_patients_give_a_difference_without_limits() -> None:
    truth, group, _, scores = make_images(12, 2)
    pair = compare_all_findings(scores, "first", truth, group, rng=np.random.default_rng(0), resamples=50)["second"]
    assert pair.difference.value is not None and pair.difference.low is None and pair.p_value is None
    assert "groups" in pair.note
    nothing = compare_all_findings(scores, "first", np.zeros_like(truth), group, rng=np.random.default_rng(0))
    assert nothing["second"].difference.value is None
