"""Many readers, many cases: the published analysis of Van Dyke's study, and simulation."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from pneumoscope.stats.comparison.paired_tests import delong
from pneumoscope.stats.reader_study import VarianceComponents, compare_modes


def test_the_test_is_that_of_the_published_example() -> None:
    """Van Dyke 1993, five readers, spin echo against cine MRI, as R's MRMCaov prints it (empirical AUROC, DeLong)."""
    parts = VarianceComponents(
        mean_square_mode=0.004796171,
        mean_square_interaction=0.0005510306,
        same_mode=0.0003440748,
        no_share=0.0002390284,
        readers=5,
    )
    assert parts.denominator == pytest.approx(0.001076263, rel=1e-6)
    assert parts.mean_square_mode / parts.denominator == pytest.approx(4.456319, rel=1e-6)
    assert parts.freedom == pytest.approx(15.25967, rel=1e-6)
    assert parts.p_value == pytest.approx(0.05166569, rel=1e-5)


def _study(readers: int, cases: int, gain: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return scores [2, R, N] and truth: readers of different skill see the same cases, the second time better."""
    rng = np.random.default_rng(seed)
    truth = np.arange(cases) % 2 == 0
    case = rng.normal(0, 0.7, cases)
    skill = 1.2 + rng.normal(0, 0.2, (1, readers, 1)) + np.array([0.0, gain])[:, None, None]
    change = rng.normal(0, 0.1, (2, readers, 1))
    return (skill + change) * truth + case + rng.normal(0, 0.7, (2, readers, cases)), truth


def test_areas_are_those_of_each_reader() -> None:
    scores, truth = _study(4, 80, 0.4, 1)
    study = compare_modes(scores, truth, np.arange(80))
    areas = np.array([[roc_auc_score(truth, one) for one in mode] for mode in scores])
    assert pytest.approx(areas) == np.array([[one.first, one.second] for one in study.by_reader]).T
    assert study.first.value == pytest.approx(areas[0].mean())
    assert study.difference.value == pytest.approx(areas[1].mean() - areas[0].mean())
    assert (study.readers, study.cases, study.positives) == (4, 80, 40)


def test_readers_who_are_one_give_delongs_variance() -> None:
    """Copies of one reader add nothing: what is left is the comparison of two scores on the same cases."""
    scores, truth = _study(1, 200, 0.3, 2)
    study = compare_modes(np.repeat(scores, 3, axis=1), truth, np.arange(200))
    assert study.p_value == pytest.approx(delong(scores[0, 0], scores[1, 0], truth).p_value, rel=1e-3)


def test_false_alarms_are_as_rare_as_stated() -> None:
    """Without a gain, about 5% of studies find one: 200 studies, so 1% to 10% by chance (99.9%)."""
    p = [compare_modes(*_study(4, 60, 0.0, seed), np.arange(60)).p_value for seed in range(200)]
    assert 0.005 <= np.mean(np.array(p) < 0.05) <= 0.105


def test_one_reader_or_few_patients_have_no_interval() -> None:
    scores, truth = _study(1, 60, 0.3, 3)
    assert compare_modes(scores, truth, np.arange(60)).difference.low is None
    scores, truth = _study(3, 60, 0.3, 3)
    few = compare_modes(scores, truth, np.arange(60) % 9)
    assert few.p_value is None
    assert "10" in few.difference.note


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ValueError, match="must be"):
        compare_modes(np.zeros((2, 3, 4)), [True] * 4, np.arange(4))
