"""The metrics of a classifier on plain arrays, without intervals; tests check them against scikit-learn.

``metric_table.py`` declares the metrics that are reported, with their intervals. Conventions: ``probability`` [N, C],
rows sum to 1; ``truth`` and ``decided`` [N] integers in 0..C-1; ``score`` [N] of one class against the rest,
``positive`` [N] whether the image is of that class. A figure that is not defined (no image of the class) is NaN, never
0.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from pneumoscope.stats import kernels
from pneumoscope.stats.kernels import Bools, Floats, Ints


def _floats(values: ArrayLike) -> Floats:
    array = np.asarray(values, dtype=np.float64)
    if np.isnan(array).any():
        raise ValueError("a probability or score is NaN")
    return array


def _bools(values: ArrayLike) -> Bools:
    return np.asarray(values, dtype=np.bool_)


def _ones(n: int) -> Floats:
    return np.ones((1, n))


def class_scores(probability: ArrayLike, truth: ArrayLike, index: int) -> tuple[Floats, Bools]:
    """Return score [N] and positive [N] of class ``index`` against the rest."""
    return _floats(probability)[:, index], np.asarray(truth) == index


def confusion_matrix(truth: ArrayLike, decided: ArrayLike, classes: int) -> NDArray[np.int64]:
    """Return counts [C, C]: row = truth, column = decision."""
    t, d = np.asarray(truth, dtype=np.intp), np.asarray(decided, dtype=np.intp)
    return np.bincount(t * classes + d, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def _ratio(top: NDArray[np.int64], bottom: NDArray[np.int64]) -> Floats:
    result: Floats = np.divide(top, bottom, out=np.full(top.shape, np.nan), where=bottom > 0)
    return result


def recall(confusion: NDArray[np.int64]) -> Floats:
    """Return the recall (sensitivity) of each class [C]: the share of its images that is decided to be of it."""
    return _ratio(np.diag(confusion), confusion.sum(axis=1))


def precision(confusion: NDArray[np.int64]) -> Floats:
    """Return the precision (positive predictive value at this data's prevalence) of each class [C]."""
    return _ratio(np.diag(confusion), confusion.sum(axis=0))


def specificity(confusion: NDArray[np.int64]) -> Floats:
    """Return the specificity of each class [C]: the share of other images that is not decided to be of it."""
    others = confusion.sum() - confusion.sum(axis=1)
    false = confusion.sum(axis=0) - np.diag(confusion)
    return _ratio(others - false, others)


def f1_score(confusion: NDArray[np.int64]) -> Floats:
    """Return F1 of each class [C]: 2 TP / (2 TP + FP + FN)."""
    hit = np.diag(confusion)
    return _ratio(2 * hit, confusion.sum(axis=0) + confusion.sum(axis=1))


def accuracy(truth: ArrayLike, decided: ArrayLike) -> float:
    """Return the share of images decided rightly."""
    correct = np.asarray(truth) == np.asarray(decided)
    return float(correct.mean()) if correct.size else float("nan")


def balanced_accuracy(truth: ArrayLike, decided: ArrayLike, classes: int) -> float:
    """Return the mean recall over the classes that occur in ``truth``."""
    t, d = np.asarray(truth, dtype=np.intp), np.asarray(decided, dtype=np.intp)
    return float(kernels.balanced_accuracy(t, t == d, classes, _ones(len(t)))[0])


def nats(probability: ArrayLike, truth: ArrayLike) -> Floats:
    """Return -log p(truth) of each image [N], in nats; p stays at least 1e-7."""
    p = _floats(probability)
    own = p[np.arange(len(p)), np.asarray(truth, dtype=np.intp)]
    return np.asarray(-np.log(np.clip(own, kernels.SMALLEST, 1.0)), dtype=np.float64)


def log_loss(probability: ArrayLike, truth: ArrayLike) -> float:
    """Return the mean -log p(truth), in nats (cross-entropy)."""
    loss = nats(probability, truth)
    return float(loss.mean()) if loss.size else float("nan")


def squared_errors(probability: ArrayLike, truth: ArrayLike) -> Floats:
    """Return the sum over classes of (p - y)^2 of each image [N], in 0..2."""
    p = _floats(probability)
    y = np.eye(p.shape[1])[np.asarray(truth, dtype=np.intp)]
    return np.asarray(((p - y) ** 2).sum(axis=1), dtype=np.float64)


def brier_multiclass(probability: ArrayLike, truth: ArrayLike) -> float:
    """Return Brier's own score, the mean of the squared errors summed over classes, in 0..2 (Brier 1950).

    With two classes it is twice the binary score.
    """
    errors = squared_errors(probability, truth)
    return float(errors.mean()) if errors.size else float("nan")


def brier(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the mean of (p - y)^2 of one class against the rest, in 0..1."""
    p, y = _floats(score), _bools(positive)
    return float(((p - y) ** 2).mean()) if p.size else float("nan")


def auroc(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the ROC curve; ties count half (midranks)."""
    s = _floats(score)
    return float(kernels.auroc(s, _bools(positive), _ones(len(s)))[0])


def average_precision(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the area under the precision-recall curve, without interpolation (AUPRC)."""
    s = _floats(score)
    return float(kernels.average_precision(s, _bools(positive), _ones(len(s)))[0])


def calibration_slope(score: ArrayLike, positive: ArrayLike) -> float:
    """Return the slope of logistic recalibration: 1 perfect, under 1 over-confident.

    Separated classes have no finite slope: the result is then infinite.
    """
    s = _floats(score)
    return float(kernels.calibration_slope(s, _bools(positive), _ones(len(s)))[0])


def calibration_intercept(score: ArrayLike, positive: ArrayLike) -> float:
    """Return calibration in the large: the shift in logits that makes the mean probability right; 0 is perfect."""
    s = _floats(score)
    return float(kernels.calibration_intercept(s, _bools(positive), _ones(len(s)))[0])


def bin_edges(score: ArrayLike, bins: int = 15) -> Floats:
    """Return the inner edges of at most ``bins`` bins with about equal numbers of images; tied scores stay together.

    The bins of 1 - p are those of p: else the two classes of a binary model would have two calibration errors.
    """
    s = np.sort(_floats(score))
    if not s.size:
        return np.empty(0)
    cuts = np.rint(np.arange(1, bins) * len(s) / bins).astype(np.intp)
    # A cut through tied scores goes to the nearer end of them, and nowhere from their middle.
    tied = s[np.minimum(cuts, len(s) - 1)]
    start, end = np.searchsorted(s, tied, side="left"), np.searchsorted(s, tied, side="right")
    down, up = cuts - start, end - cuts
    cuts = np.where(down < up, start, end)[(down == 0) | (down != up)]
    return np.unique(s[cuts[(cuts > 0) & (cuts < len(s))]])


def calibration_error(
    score: ArrayLike, positive: ArrayLike, groups: ArrayLike | None = None, *, bins: int = 15
) -> float:
    """Return the debiased expected calibration error: root mean square over equal-mass bins, without its noise.

    A plain ECE of a perfectly calibrated model is above 0, and the more so the fewer the images. The square of this one
    is unbiased. A square under 0 (no visible miscalibration) is reported as 0.

    Args:
        score: [N] probabilities of one class.
        positive: [N] whether the image is of that class.
        groups: [N] the group of each image; without it every image is its own.
        bins: At most this many.
    """
    s = _floats(score)
    if not s.size:
        return float("nan")
    group = group_index(np.arange(len(s)) if groups is None else groups)
    squared = kernels.squared_calibration_error(s, _bools(positive), group, bin_edges(s, bins), _ones(len(s)))[0]
    return float(np.sqrt(max(squared, 0.0))) if np.isfinite(squared) else float("nan")


def group_index(groups: ArrayLike) -> Ints:
    """Return each image's group as a number 0..G-1 [N]."""
    return np.asarray(np.unique(np.asarray(groups), return_inverse=True)[1], dtype=np.intp).reshape(-1)
