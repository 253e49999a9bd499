"""A threshold that is set and tried on the same patients, by cross-fitting.

The threshold that decides about a patient comes from the other patients: groups are dealt to folds, each fold is
decided at the threshold of all other folds, and the figures are those of the pooled decisions. The threshold to use
comes from all patients; these figures are the estimate of what it does (Chernozhukov et al., Econometrics J 2018, call
it cross-fitting; Stone, JRSS B 1974, cross-validation).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.thresholds import threshold_for_sensitivity


@dataclass(frozen=True)
class CrossFit:
    """Decisions of which none rests on the patient's own score.

    Attributes:
        called: [N] whether an image reaches the threshold of the other folds.
        fold: [N] in 0..K-1.
        thresholds: [K] the threshold that decided about each fold.
        final: The threshold of all images.
    """

    called: Bools
    fold: Ints
    thresholds: tuple[float, ...]
    final: float


def deal_folds(positive: Bools, group: Ints, folds: int, rng: np.random.Generator) -> Ints:
    """Return [N] the fold of each image; a group is in one fold, and each fold has its share of either class.

    Args:
        positive: [N] whether the image is of the class; a group with one such image counts as of the class.
        group: [N] in 0..G-1.
        folds: Number of folds.
        rng: Deals the groups.
    """
    groups = int(group.max()) + 1
    diseased = np.zeros(groups, dtype=np.bool_)
    np.logical_or.at(diseased, group, positive)
    fold_of = np.zeros(groups, dtype=np.intp)
    start = 0
    for side in (diseased, ~diseased):
        members = rng.permutation(np.flatnonzero(side))
        # The second class goes on where the first ended, so that folds differ by one group at most.
        fold_of[members] = (start + np.arange(len(members))) % folds
        start += len(members)
    return fold_of[group]


def step_below(score: float) -> float:
    """Return a threshold one float32 step under a score, which the score still reaches once written and read again."""
    return float(np.nextafter(np.float32(score), np.float32(-1)))


def crossfit_threshold(
    score: Floats, positive: Bools, group: Ints, target: float, folds: int, rng: np.random.Generator
) -> CrossFit:
    """Return the decisions at cross-fitted thresholds that aim at a sensitivity.

    Args:
        score: [N] probability of the class.
        positive: [N].
        group: [N] in 0..G-1.
        target: Sensitivity that each threshold reaches on the images that it comes from.
        folds: Number of folds; each needs a group of the class outside it.
        rng: Deals the groups.

    Raises:
        ValueError: All images of the class are in one fold.
    """
    fold = deal_folds(positive, group, folds, rng)
    called = np.zeros(len(score), dtype=np.bool_)
    thresholds = []
    for number in range(folds):
        inside = fold == number
        threshold = step_below(threshold_for_sensitivity(score[~inside], positive[~inside], target))
        called[inside] = score[inside] >= threshold
        thresholds.append(threshold)
    return CrossFit(called, fold, tuple(thresholds), step_below(threshold_for_sensitivity(score, positive, target)))
