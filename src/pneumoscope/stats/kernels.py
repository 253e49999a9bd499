"""Metrics under many weightings of the same images at once: the kernels of every figure and of every bootstrap.

A bootstrap resample of groups is a weight for each image, so that 2,000 resamples are one matrix [B, N] and each metric
is a few array operations on it; nothing is sorted twice and nothing is copied. ``metrics.py`` calls the same kernels
with one row of ones, so that a figure and its interval share one definition.

Shapes: ``weight`` is [B, N] float64, >= 0; results are [B]. Undefined (a class without weight) is NaN.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.intp]

SMALLEST = 1e-7
"""Probabilities stay this far from 0 and 1 before a logarithm: about the resolution of float32, which models use. A
model that is certain and wrong thus costs 16.1 nats, not infinity."""


def logit(probability: Floats) -> Floats:
    """Return log(p / (1 - p)) of probabilities kept ``SMALLEST`` away from 0 and 1."""
    p = np.clip(probability, SMALLEST, 1.0 - SMALLEST)
    return np.asarray(np.log(p) - np.log1p(-p), dtype=np.float64)


def _divide(top: Floats, bottom: Floats) -> Floats:
    """Return top / bottom, NaN where bottom is 0."""
    empty = np.full(np.broadcast(top, bottom).shape, np.nan)
    result: Floats = np.divide(top, bottom, out=empty, where=bottom > 0)
    return result


def row_sums(left: Floats, right: Floats) -> Floats:
    """Return the sum of left * right over each row [B], without the product in memory."""
    return np.asarray(np.einsum("bn,bn->b", left, right), dtype=np.float64)


def mean(value: Floats, weight: Floats) -> Floats:
    """Return the weighted mean of ``value`` [N]."""
    return _divide(weight @ value, weight.sum(axis=1))


def balanced_accuracy(truth: Ints, correct: Bools, classes: int, weight: Floats) -> Floats:
    """Return the mean recall over the classes that have weight; ``truth`` [N] in 0..classes-1, ``correct`` [N]."""
    member = np.eye(classes)[truth]  # [N, C]
    recall = _divide(weight @ (member * correct[:, None]), weight @ member)
    present = ~np.isnan(recall)
    return _divide(np.where(present, recall, 0.0).sum(axis=1), present.sum(axis=1).astype(np.float64))


def _tie_starts(sorted_score: Floats) -> Ints:
    """Return the first index of each run of equal values."""
    return np.flatnonzero(np.concatenate([[True], sorted_score[1:] != sorted_score[:-1]]))


def _run_sums(weight: Floats, order: Ints, chosen: Bools, starts: Ints) -> Floats:
    """Return the weight of the ``chosen`` images in each run of tied scores: [B, runs]."""
    inside = weight[:, order] * chosen[order]
    return inside if len(starts) == len(order) else np.add.reduceat(inside, starts, axis=1)


def auroc(score: Floats, positive: Bools, weight: Floats) -> Floats:
    """Return the area under the ROC curve: P(score of a positive > of a negative) + half P(equal) (midranks)."""
    order = np.argsort(score, kind="stable")
    starts = _tie_starts(score[order])
    pos = _run_sums(weight, order, positive, starts)
    neg = _run_sums(weight, order, ~positive, starts)
    below = np.cumsum(neg, axis=1) - neg
    return _divide(row_sums(pos, below + 0.5 * neg), pos.sum(axis=1) * neg.sum(axis=1))


def average_precision(score: Floats, positive: Bools, weight: Floats) -> Floats:
    """Return the area under the precision-recall curve as a step function: sum of (gain in recall) x precision.

    There is no interpolation between points, which would be optimistic (Davis & Goadrich, ICML 2006).
    """
    order = np.argsort(-score, kind="stable")
    starts = _tie_starts(score[order])
    pos = _run_sums(weight, order, positive, starts)
    flagged = np.cumsum(pos + _run_sums(weight, order, ~positive, starts), axis=1)
    precision = np.divide(np.cumsum(pos, axis=1), flagged, out=np.zeros_like(flagged), where=flagged > 0)
    return _divide(row_sums(pos, precision), pos.sum(axis=1))


def _separation(x: Floats, positive: Bools, weight: Floats) -> tuple[Bools, Bools]:
    """Return [B] whether a cut of ``x`` separates the classes the right way round, and the wrong way round.

    With one predictor a logistic regression has no finite slope exactly when the classes do not overlap, or touch in
    one tied value only (Albert & Anderson, Biometrika 1984).
    """
    in_pos, in_neg = (weight > 0) & positive, (weight > 0) & ~positive
    inf = np.inf
    pos_low, pos_high = np.where(in_pos, x, inf).min(axis=1), np.where(in_pos, x, -inf).max(axis=1)
    neg_low, neg_high = np.where(in_neg, x, inf).min(axis=1), np.where(in_neg, x, -inf).max(axis=1)
    return neg_high <= pos_low, pos_high <= neg_low


def calibration_slope(probability: Floats, positive: Bools, weight: Floats) -> Floats:
    """Return b of the logistic regression logit P(positive) = a + b logit(p), by Newton's method.

    1 is perfect; under 1 the model is over-confident. Separated classes have no finite slope: the result is +inf or
    -inf, never a number at which the iteration happened to stop. With one class only it is NaN.
    """
    x = logit(probability)
    right, wrong = _separation(x, positive, weight)
    defined = ((weight * positive).sum(axis=1) > 0) & ((weight * ~positive).sum(axis=1) > 0)
    if np.ptp(x) == 0:
        return np.full(len(weight), np.nan)
    slope: Floats = np.where(defined, np.where(right, np.inf, np.where(wrong, -np.inf, 0.0)), np.nan)
    rows = np.flatnonzero(slope == 0.0)
    slope[rows] = _newton(x, positive.astype(np.float64), weight[rows])
    return slope


def _newton(x: Floats, y: Floats, weight: Floats) -> Floats:
    """Return the slopes [B] of overlapping classes.

    Every resample starts at the fit to all of them together, a few steps away. The rare one for which plain steps do
    not converge (classes that hardly overlap) is fitted again with steps that may only raise the likelihood.
    """
    if not len(weight):
        return np.empty(0)
    z = (x - x.mean()) / x.std()
    start = _damped(z, y, weight.mean(axis=0))
    theta = np.tile(start, (len(weight), 1))
    active = np.arange(len(weight))
    for _ in range(8):
        step = _step(z, y, weight[active], theta[active])
        theta[active] += step
        active = active[~(np.abs(step).max(axis=1) <= 1e-7)]
        if not len(active):
            break
    # A long step can end where every mu is 0 or 1 and the next step is 0: that is no solution either.
    for row in np.union1d(active, np.flatnonzero(~(np.abs(theta).max(axis=1) < 30))):
        theta[row] = _damped(z, y, weight[row])
    return np.asarray(theta[:, 1] / x.std(), dtype=np.float64)


def _step(z: Floats, y: Floats, weight: Floats, theta: Floats) -> Floats:
    """Return Newton's step [B, 2] of intercept and slope of a logistic regression of y on z."""
    mu = expit(theta[:, :1] + theta[:, 1:] * z)
    error, curve = weight * (y - mu), weight * mu * (1.0 - mu)
    g0, g1 = error.sum(axis=1), error @ z
    h00, h01, h11 = curve.sum(axis=1), curve @ z, curve @ z**2
    det = np.maximum(h00 * h11 - h01**2, 1e-12 * h00 * h11 + 1e-300)
    return np.asarray(np.column_stack([h11 * g0 - h01 * g1, h00 * g1 - h01 * g0]) / det[:, None], dtype=np.float64)


def _damped(z: Floats, y: Floats, weight: Floats) -> Floats:
    """Return intercept and slope [2] by short Newton steps that lower the loss; infinite without convergence."""

    def loss(theta: Floats) -> float:
        eta = theta[0] + theta[1] * z
        return float(weight @ (np.logaddexp(0.0, eta) - y * eta))

    theta = np.zeros(2)
    value = loss(theta)
    for _ in range(200):
        step = np.clip(_step(z, y, weight[None], theta[None])[0], -3.0, 3.0)
        while (new := loss(theta + step)) > value + 1e-12 and np.abs(step).max() > 1e-9:
            step = step / 2
        theta, value = theta + step, new
        if np.abs(step).max() <= 1e-8:
            return np.asarray(theta, dtype=np.float64)
    return np.asarray(np.copysign(np.inf, theta), dtype=np.float64)


def observed_to_expected(probability: Floats, positive: Bools, weight: Floats) -> Floats:
    """Return the positive images over the sum of the probabilities; 1 is perfect, above 1 they are too low.

    Where the probabilities add up to 0 there is no finite value. Collins et al., BMJ 2024;384:e074820.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        ratio: Floats = (weight @ positive.astype(np.float64)) / (weight @ probability)
    return ratio


def calibration_intercept(probability: Floats, positive: Bools, weight: Floats) -> Floats:
    """Return a of logit P(positive) = a + logit(p), the slope held at 1 (calibration in the large).

    0 is perfect; above 0 the model's probabilities are too low on the whole. Where every image is positive (negative)
    there is no finite value, and the result is +inf (-inf). Van Calster et al., J Clin Epidemiol 2016.
    """
    x = logit(probability)
    total, target = weight.sum(axis=1), weight @ positive.astype(np.float64)
    a: Floats = np.where(total <= 0, np.nan, np.where(target <= 0, -np.inf, np.where(target >= total, np.inf, 0.0)))
    rows = np.flatnonzero(a == 0.0)
    # The sum of probabilities rises with a: bisection cannot fail, and Newton's step applies where it stays inside.
    # All resamples start at the fit to all of them together.
    low, high, now = np.full(len(rows), -40.0), np.full(len(rows), 40.0), np.zeros(len(rows))
    if len(rows) > 1:
        now += calibration_intercept(probability, positive, weight[rows].mean(axis=0)[None])[0]
    w = weight[rows]
    for _ in range(100):
        mu = expit(now[:, None] + x)
        excess = row_sums(w, mu) - target[rows]
        high, low = np.where(excess > 0, now, high), np.where(excess > 0, low, now)
        mu -= mu**2
        newton = now - excess / np.maximum(row_sums(w, mu), 1e-300)
        step = np.where((newton > low) & (newton < high), newton, (low + high) / 2)
        done = np.abs(step - now).max(initial=0.0) < 1e-9
        now = step
        if done:
            break
    a[rows] = now
    return a


def squared_calibration_error(
    probability: Floats, positive: Bools, group: Ints, edges: Floats, weight: Floats
) -> Floats:
    """Return the squared binned calibration error, unbiased: it may be under 0, and must be, to be unbiased.

    In each bin the mean residual r = y - p is squared without its own noise by taking products of *different* groups
    only: ((sum r)^2 - sum over groups of (sum r)^2) / ((sum n)^2 - sum over groups of n^2). Bins count by their images.
    A bin with fewer than two groups does not count. In a resample the products of a group with its own copies do not
    count either, else each resample would add the noise again.
    After Kumar, Liang & Ma, Verified Uncertainty Calibration, NeurIPS 2019, extended to clusters.

    Args:
        probability: [N].
        positive: [N].
        group: [N] in 0..G-1; ``weight`` must be the same for all images of a group.
        edges: Inner edges of the bins, rising; bin k holds edges[k-1] <= p < edges[k].
        weight: [B, N].
    """
    bin_of = np.searchsorted(edges, probability, side="right")
    bins, groups = len(edges) + 1, int(group.max()) + 1
    # One entry for each pair (group, bin) that occurs: with one image a group there are as many entries as images.
    pair, index = np.unique(group * bins + bin_of, return_inverse=True)
    residual = np.bincount(index, weights=positive - probability)
    count = np.bincount(index).astype(np.float64)
    first = np.zeros(groups, dtype=np.intp)
    first[group] = np.arange(len(group))
    w = weight[:, first[pair // bins]]  # [B, pairs]
    into = np.zeros((len(pair), bins))
    into[np.arange(len(pair)), pair % bins] = 1.0
    sum_r, sum_n = w @ (into * residual[:, None]), w @ (into * count[:, None])
    own_r, own_n = w**2 @ (into * residual[:, None] ** 2), w**2 @ (into * count[:, None] ** 2)
    pairs = sum_n**2 - own_n
    usable = pairs > 1e-9
    squared = np.divide(sum_r**2 - own_r, pairs, out=np.zeros_like(pairs), where=usable)
    share = np.where(usable, sum_n, 0.0)
    return _divide((share * squared).sum(axis=1), share.sum(axis=1))
