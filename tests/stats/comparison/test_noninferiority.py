"""Non-inferiority: DeLong's limit by its textbook formula, verdicts by their rule, margins as they are written."""

from __future__ import annotations

import math

import numpy as np
import pytest

from pneumoscope.core.errors import UsageError
from pneumoscope.stats.comparison.noninferiority import compare_margins, describe_claim, judge, parse_margins
from pneumoscope.stats.comparison.paired import Scores
from pneumoscope.stats.estimates import Estimate


def answers(seed: int, noise: float, truth: np.ndarray) -> Scores:
    """Return answers of a model to the same latent pictures, with noise of its own."""
    shared = np.random.default_rng(9).normal(1.4 * (truth == 0), 1)
    score = 1 / (1 + np.exp(-(shared + np.random.default_rng(seed).normal(0, noise, len(truth)))))
    return Scores(np.column_stack([score, 1 - score]), 0.5)


@pytest.fixture(scope="module")
def truth() -> np.ndarray:
    return np.repeat([0, 1], [90, 110])


def delong_by_hand(a: np.ndarray, b: np.ndarray, positive: np.ndarray) -> tuple[float, float]:
    """Return difference and standard error by DeLong, DeLong and Clarke-Pearson 1988, from all pairs of images."""
    placements = []
    for score in (a, b):
        wins = (score[positive][:, None] > score[~positive][None]) + 0.5 * (
            score[positive][:, None] == score[~positive][None]
        )
        placements.append((wins.mean(axis=1), wins.mean(axis=0)))
    (a10, a01), (b10, b01) = placements
    s10, s01 = np.cov(a10, b10), np.cov(a01, b01)
    contrast = np.array([1, -1])
    variance = contrast @ (s10 / len(a10) + s01 / len(a01)) @ contrast
    return a10.mean() - b10.mean(), math.sqrt(variance)


def compare(new: Scores, reference: Scores, truth: np.ndarray, margins: dict[str, float], groups=None):
    groups = np.arange(len(truth)) if groups is None else groups
    found = compare_margins(new, reference, truth, groups, margins, rng=np.random.default_rng(0), resamples=200)
    return {one.figure: one for one in found}


def test_the_limit_of_the_auroc_is_delongs_or_lower(truth) -> None:
    new, reference = answers(1, 0.4, truth), answers(2, 0.3, truth)
    auroc = compare(new, reference, truth, {"auroc": 0.05})["auroc"]
    value, error = delong_by_hand(new.probabilities[:, 0], reference.probabilities[:, 0], truth == 0)
    assert auroc.difference.value == pytest.approx(value)
    assert auroc.delong_lower == pytest.approx(value - 1.959964 * error, abs=1e-6)
    assert auroc.difference.low <= auroc.delong_lower


def test_images_of_one_patient_that_say_the_same_make_no_larger_study(truth) -> None:
    new, reference = answers(1, 0.4, truth), answers(2, 0.3, truth)
    alone = compare(new, reference, truth, {})["auroc"]
    twice = [Scores(np.repeat(one.probabilities, 2, axis=0), 0.5) for one in (new, reference)]
    clustered = compare(*twice, np.repeat(truth, 2), {}, np.repeat(np.arange(len(truth)), 2))["auroc"]
    assert clustered.delong_lower == pytest.approx(alone.delong_lower, abs=1e-3)


@pytest.mark.parametrize(
    ("low", "high", "margin", "verdict"),
    [
        (-0.019, 0.01, 0.02, "non-inferior"),
        (-0.02, 0.01, 0.02, "not shown"),
        (-0.09, -0.021, 0.02, "inferior"),
        (-0.09, -0.01, 0.02, "not shown"),
        (-0.019, -0.01, 0.02, "non-inferior"),
        (-0.01, 0.01, None, "no margin"),
        (None, None, 0.02, "not estimable"),
    ],
)
def test_a_verdict_follows_from_the_limits_alone(low, high, margin, verdict) -> None:
    assert judge(Estimate(value=-0.005, low=low, high=high), margin) == verdict


def test_only_stated_margins_get_a_verdict(truth) -> None:
    found = compare(answers(1, 0.4, truth), answers(2, 0.3, truth), truth, {"sensitivity": 0.3})
    assert {name: one.verdict for name, one in found.items()} == {
        "auroc": "no margin", "sensitivity": "non-inferior", "specificity": "no margin", "accuracy": "no margin",
    }  # fmt: skip


def test_margins_are_read_as_they_are_written() -> None:
    assert parse_margins(["0.02", "sensitivity=.05"]) == {"auroc": 0.02, "sensitivity": 0.05}


@pytest.mark.parametrize("texts", [["0"], ["1.5"], ["two"], ["recal=0.1"], ["0.02", "auroc=0.03"]])
def test_margins_that_say_nothing_are_refused(texts) -> None:
    with pytest.raises(UsageError):
        parse_margins(texts)


def test_a_claim_changes_with_models_and_margins_and_not_with_their_order() -> None:
    one = describe_claim("a", "b", {"sensitivity": 0.05, "auroc": 0.02})
    assert one == describe_claim("a", "b", {"auroc": 0.02, "sensitivity": 0.05})
    assert one != describe_claim("a", "b", {"auroc": 0.03, "sensitivity": 0.05})
    assert one != describe_claim("b", "a", {"auroc": 0.02, "sensitivity": 0.05})
