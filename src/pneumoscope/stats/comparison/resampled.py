"""Two recipes over the folds of a repeated cross-validation: the corrected resampled t-test.

The folds share most of their training images, so that their figures are correlated, and a plain t-test over folds finds
differences that are not there. Nadeau and Bengio (Machine Learning 2003;52:239) add the ratio of test to training
images to the variance; Bouckaert and Frank (PAKDD 2004) do so for repeated folds, as does R's correctR.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import stdtr, stdtrit

from pneumoscope.stats.comparison.paired import Paired
from pneumoscope.stats.estimates import Estimate, with_limits
from pneumoscope.stats.intervals import TAIL

METHOD = "corrected resampled t (Nadeau & Bengio 2003)"
FEWEST_FIGURES = 5
"""Figures that an interval needs, as seeds are (`seeds.FEWEST_SEEDS`): the spread of three is mostly chance."""


def corrected_mean(
    figures: ArrayLike, ratio: float, *, least: float = -math.inf, most: float = math.inf, tail: float = TAIL
) -> Estimate:
    """Return the mean of the figures of all folds with its interval.

    Args:
        figures: [J] one for each fold of each repeat.
        ratio: Images that are measured over images that are learnt from, in a fold; 1 / (k - 1) with k folds.
        least: The least value that the figure can have, which no limit passes.
        most: The largest one.
        tail: Probability outside each limit.
    """
    values = np.asarray(figures, dtype=np.float64)
    if not len(values) or not np.isfinite(values).all():
        return Estimate(value=None, note="a fold has no such figure")
    mean = float(values.mean())
    if len(values) < FEWEST_FIGURES:
        return Estimate(
            value=mean,
            method=METHOD,
            note=f"interval not estimable: {len(values)} figures, fewer than {FEWEST_FIGURES}",
        )
    reach = float(stdtrit(len(values) - 1, 1 - tail)) * _error(values, ratio)
    return with_limits(mean, max(least, mean - reach), min(most, mean + reach), METHOD)


def compare_resampled(a: ArrayLike, b: ArrayLike, ratio: float, metric: str) -> Paired:
    """Compare two recipes by their figures of the same folds, a - b.

    Args:
        a: [J] of the first, one for each fold of each repeat.
        b: [J] of the second, of the same folds.
        ratio: As in `corrected_mean`.
        metric: Name of the figure.

    Returns:
        The difference with two-sided and one-sided limits, and the p-value of the corrected test with J - 1 degrees of
        freedom.
    """
    gap = np.asarray(a, dtype=np.float64) - np.asarray(b, dtype=np.float64)
    difference = corrected_mean(gap, ratio)
    if difference.value is None or difference.low is None:
        return Paired(metric=metric, difference=difference, note=difference.note)
    error, freedom = _error(gap, ratio), len(gap) - 1
    reach = float(stdtrit(freedom, 0.95)) * error
    return Paired(
        metric=metric,
        difference=difference,
        lower=difference.value - reach,
        upper=difference.value + reach,
        p_value=float(2 * stdtr(freedom, -abs(difference.value) / error)),
        test=f"{METHOD}, {freedom} degrees of freedom",
    )


def _error(values: np.ndarray[tuple[int], np.dtype[np.float64]], ratio: float) -> float:
    """Return the corrected standard error of a mean over folds."""
    return math.sqrt((1 / len(values) + ratio) * float(values.var(ddof=1)))
