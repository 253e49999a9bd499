"""Recalibration at another site: it mends a wrong prevalence, and no patient has a part in the fit of its own score."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.special import expit

from pneumoscope.stats import metrics
from pneumoscope.stats.calibration import fit_scaling
from pneumoscope.stats.crossfit import deal_folds
from pneumoscope.stats.recalibration import FOLDS, crossfit_scaling


def _site(patients: int, seed: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return a model's probabilities, twice too certain and .8 too high in logits, the truth and the patients."""
    rng = np.random.default_rng(seed)
    logit = rng.normal(-1, 1.5, patients)
    truth = np.where(rng.random(patients) < expit(logit), 0, 1)
    shown = expit(2 * logit + 0.8)
    return np.stack([shown, 1 - shown], axis=1), truth, np.arange(patients)


def test_recalibration_mends_slope_and_shift() -> None:
    p, truth, group = _site(1500, 1)
    fitted = crossfit_scaling(p, truth, group, np.random.default_rng(0))
    assert fitted is not None
    assert metrics.calibration_slope(p[:, 0], truth == 0) == pytest.approx(0.5, abs=0.07)
    assert metrics.calibration_slope(fitted[:, 0], truth == 0) == pytest.approx(1, abs=0.1)
    assert abs(metrics.calibration_intercept(fitted[:, 0], truth == 0)) < 0.05
    assert fitted.sum(axis=1) == pytest.approx(1)


def test_a_patient_has_no_part_in_its_own_fit() -> None:
    p, truth, group = _site(60, 2)
    fitted = crossfit_scaling(p, truth, group, np.random.default_rng(5))
    fold = deal_folds(truth == 0, group, FOLDS, np.random.default_rng(5))
    here = fold == 3
    alone = fit_scaling(np.log(p[~here]), truth[~here]).apply(np.log(p[here]))
    assert fitted is not None
    assert fitted[here] == pytest.approx(alone)


def test_too_few_patients_give_none() -> None:
    p, truth, group = _site(30, 3)
    assert crossfit_scaling(p, truth, np.where(truth == 0, group % 3, group), np.random.default_rng(0)) is None


def test_probabilities_of_zero_are_no_obstacle() -> None:
    p, truth, group = _site(200, 4)
    p[:20] = [0, 1]
    fitted = crossfit_scaling(p, truth, group, np.random.default_rng(0))
    assert fitted is not None
    assert np.isfinite(fitted).all()
