"""Averages over findings against scikit-learn, where all is stated, and what unknown findings change."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import average_precision_score, f1_score, hamming_loss, roc_auc_score

from pneumoscope.stats.finding_averages import ONE_MEASURED, TITLES, average_findings


def draw(n: int = 300) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(0)
    truth = (rng.random((n, 3)) < (0.5, 0.3, 0.1)).astype(float)
    probability = np.clip(0.3 * truth + 0.7 * rng.random((n, 3)), 0, 1)
    return probability, truth, np.array([f"patient-{i // 2}" for i in range(n)])


def test_averages_are_those_of_scikit_learn() -> None:
    p, t, groups = draw()
    called = p >= 0.5
    found = average_findings(p, t, [0.5] * 3, groups, np.random.default_rng(1), 200)
    expected = {
        "macro/auroc": roc_auc_score(t, p),
        "weighted/auroc": roc_auc_score(t, p, average="weighted"),
        "micro/auroc": roc_auc_score(t, p, average="micro"),
        "macro/auprc": average_precision_score(t, p),
        "macro/f1": f1_score(t, called, average="macro"),
        "micro/f1": f1_score(t, called, average="micro"),
        "hamming-loss": hamming_loss(t, called),
        "exact-match": np.mean((t == called).all(1)),
    }
    assert set(found) == set(expected) == set(TITLES)
    for name, value in expected.items():
        estimate = found[name]
        assert estimate.value == pytest.approx(value), name
        assert estimate.low is not None
        assert estimate.high is not None
        assert estimate.low < value < estimate.high


def test_an_unknown_finding_counts_nowhere() -> None:
    p, t, groups = draw()
    t[np.random.default_rng(2).random(t.shape) < 0.4] = np.nan
    changed = np.where(np.isnan(t), 1 - p, p)
    rng = np.random.default_rng
    assert average_findings(p, t, [0.5] * 3, groups, rng(1), 0) == average_findings(
        changed, t, [0.5] * 3, groups, rng(1), 0
    )


def test_a_rare_answer_takes_the_interval_and_a_lacking_one_the_figure() -> None:
    p, t, groups = draw()
    t[:, 2] = 0
    t[:6, 2] = 1  # three patients
    found = average_findings(p, t, [0.5] * 3, groups, np.random.default_rng(1), 200)["macro/auroc"]
    assert found.value is not None
    assert found.low is None
    t[:, :] = 0
    nothing = average_findings(p, t, [0.5] * 3, groups, np.random.default_rng(1), 200)
    assert all(estimate.value is None for estimate in nothing.values())


def test_a_finding_that_is_never_present_or_never_absent_is_in_no_average() -> None:
    p, t, groups = draw()
    never, always = np.zeros((len(p), 1)), np.ones((len(p), 1))
    wider = np.hstack([p, never, always]), np.hstack([t, never, always])
    rng = np.random.default_rng
    expected = average_findings(p, t, [0.5] * 3, groups, rng(1), 200)
    assert average_findings(*wider, [0.5] * 5, groups, rng(1), 200) == expected


def test_one_measured_finding_has_no_figure_over_pairs() -> None:
    p, t, groups = draw()
    t[:, 1], t[:, 2] = 0, 1
    found = average_findings(p, t, [0.5] * 3, groups, np.random.default_rng(1), 200)
    own = average_findings(p[:, :1], t[:, :1], [0.5], groups, np.random.default_rng(1), 200)
    assert found == own
    assert found["macro/auroc"].value == pytest.approx(roc_auc_score(t[:, 0], p[:, 0]))
    assert found["hamming-loss"].value == pytest.approx(np.mean((p[:, 0] >= 0.5) != t[:, 0]))
    assert {name for name, estimate in found.items() if estimate.value is None} == {"micro/auroc", "micro/f1"}
    assert found["micro/f1"].note == ONE_MEASURED
