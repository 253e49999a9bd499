"""A small logistic regression, cross-fitted by group: no scikit-learn where models are only used."""

from __future__ import annotations

import numpy as np

from pneumoscope.stats.kernels import Bools, Floats, Ints

_STEPS = 25
_ENOUGH = 1e-8


def fit_logistic(values: Floats, target: Floats, penalty: float) -> Floats:
    """Return the weights [D + 1] of a logistic regression with an L2 penalty; the last one, the intercept, is free.

    The objective is the sum of log losses + penalty / 2 |w|^2, as scikit-learn has it with C = 1 / penalty. Newton's
    method finds its one minimum.

    Args:
        values: [N, D].
        target: [N] 0 or 1.
        penalty: More than 0.
    """
    design = np.concatenate([values, np.ones((len(values), 1))], axis=1)
    ridge = np.full(design.shape[1], penalty)
    ridge[-1] = 1e-9  # keeps the system solvable where one class is alone
    weights = np.zeros(design.shape[1])
    for _ in range(_STEPS):
        p = _sigmoid(design @ weights)
        gradient = design.T @ (p - target) + ridge * weights
        hessian = (design * np.maximum(p * (1 - p), 1e-10)[:, None]).T @ design + np.diag(ridge)
        step = np.linalg.solve(hessian, gradient)
        size = float(np.abs(step).max())
        weights = weights - step * min(1.0, 5.0 / max(size, 1e-12))  # far steps overshoot where classes are separated
        if size < _ENOUGH:
            break
    return weights


def predict_logistic(weights: Floats, values: Floats) -> Floats:
    """Return [N] the probability that the regression gives to values [N, D]."""
    return _sigmoid(values @ weights[:-1] + weights[-1])


def _sigmoid(x: Floats) -> Floats:
    result: Floats = 1 / (1 + np.exp(-np.clip(x, -40, 40)))
    return result


def standardise(values: Floats, train: Bools) -> Floats:
    """Return values [N, D] with mean 0 and spread 1 over the training rows; a constant becomes 0."""
    centre, spread = values[train].mean(axis=0), values[train].std(axis=0)
    result: Floats = np.where(spread > 1e-9, (values - centre) / np.where(spread > 1e-9, spread, 1.0), 0.0)
    return result


def reduce_dimensions(values: Floats, most: int) -> Floats:
    """Return at most so many principal components [N, d] of values [N, D], each number first brought to spread 1.

    They are found without any label, so that nothing leaks from a fold that is held out.
    """
    varying = values[:, values.std(axis=0) > 1e-9]
    if not varying.shape[1]:
        return np.zeros((len(values), 1))
    scaled = (varying - varying.mean(axis=0)) / varying.std(axis=0)
    # The eigenvectors of the covariance are the right singular vectors, and cost less where images are many.
    size, directions = np.linalg.eigh(scaled.T @ scaled)
    kept = np.argsort(size)[::-1][:most]
    kept = kept[size[kept] > 1e-9 * size.max()]
    result: Floats = scaled @ directions[:, kept]
    return result


def cross_fit(values: Floats, target: Bools, fold: Ints, penalty: float) -> Floats:
    """Return [N] the probability of the target from regressions that never saw the image's fold.

    Args:
        values: [N, D].
        target: [N].
        fold: [N]; whole groups.
        penalty: See `fit_logistic`.
    """
    scores = np.full(len(target), float(target.mean()))
    for number in np.unique(fold):
        train = fold != number
        if target[train].all() or not target[train].any():
            continue
        scaled = standardise(values, train)
        weights = fit_logistic(scaled[train], target[train].astype(np.float64), penalty)
        scores[~train] = predict_logistic(weights, scaled[~train])
    return scores
