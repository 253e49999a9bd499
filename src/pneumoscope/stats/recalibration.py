"""Probabilities fitted to a site's images, and tried on patients that had no part in the fit.

A frozen model often ranks well at another site while its probabilities are off: the disease is rarer there, or the
pictures are harder. Temperature and class bias (`calibration.fit_scaling`) mend that. A fit to all images would be
tried on the images that it was fitted to; so each patient's probabilities come from the other patients (Stone, JRSS B
1974). The thresholds of the card don't hold for such probabilities.
"""

from __future__ import annotations

import numpy as np

from pneumoscope.stats.calibration import fit_scaling
from pneumoscope.stats.crossfit import deal_folds
from pneumoscope.stats.intervals import FEWEST_GROUPS
from pneumoscope.stats.kernels import Floats, Ints

FOLDS = 10
_LEAST = 1e-7
"""A probability of 0 has no logarithm; float32 does not tell smaller ones apart."""


def crossfit_scaling(probability: Floats, truth: Ints, group: Ints, rng: np.random.Generator) -> Floats | None:
    """Return probabilities whose temperature and class bias come from other patients.

    Args:
        probability: [N, C] of a frozen model, rows sum to 1.
        truth: [N] in 0..C-1; the first class is the primary one.
        group: [N] in 0..G-1, the independent unit.
        rng: Deals the groups to folds.

    Returns:
        [N, C], rows sum to 1; None where the primary class or the others have fewer than 10 groups.
    """
    positive = truth == 0
    if min(len(np.unique(group[positive])), len(np.unique(group[~positive]))) < FEWEST_GROUPS:
        return None
    logits = np.log(np.maximum(probability, _LEAST))
    fold = deal_folds(positive, group, FOLDS, rng)
    fitted = np.empty_like(logits)
    for number in range(FOLDS):
        here = fold == number
        if here.any():
            fitted[here] = fit_scaling(logits[~here], truth[~here]).apply(logits[here])
    return fitted


def calibration_figures(primary: str) -> tuple[str, ...]:
    """Return the figures, as `Figures.flat` names them, that a recalibration moves; ranks stay nearly as they are."""
    names = ("calibration_slope", "calibration_intercept", "observed_to_expected", "brier")
    return ("log_loss", *(f"{primary}/{name}" for name in names))
