"""Learn the linear answers of a gatekeeper from the features of its examples.

Which examples are drawn matters more than the regression: each source of frontal chests gives the same number, so that
the largest archive does not decide alone what a chest looks like, and chests that are turned or inverted are made from
upright ones.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pneumoscope.bundle.gatekeeper import ANSWERS
from pneumoscope.training.gatekeeper.data import Examples

PER_SOURCE = 400
"""Most upright frontal chests that are drawn from one source."""
PER_SOURCE_CHANGED = 150
"""Most chests of one source that are turned, inverted and mirrored."""
_PENALTY = 0.003  # scikit-learn's C on standardised features: strong, since there are more features than examples

Pixels = NDArray[np.uint8]

CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "inverted": lambda squares: 255 - squares,
    "turned-left": lambda squares: np.rot90(squares, 1, (1, 2)),
    "upside-down": lambda squares: np.rot90(squares, 2, (1, 2)),
    "turned-right": lambda squares: np.rot90(squares, 3, (1, 2)),
    "mirrored": lambda squares: squares[:, :, ::-1],
}
"""Change -> what makes it of squares [N, S, S] uint8."""


@dataclass(frozen=True)
class Features:
    """Features of examples, and of those of them that were changed.

    Args:
        upright: [N, D] float32 of the N examples.
        changed: Change -> [M, D] of the examples in ``rows``.
        rows: [M] rows of the examples that were changed.
    """

    upright: NDArray[np.float32]
    changed: dict[str, NDArray[np.float32]]
    rows: NDArray[np.intp]


@dataclass(frozen=True)
class LinearAnswers:
    """Linear functions of features: logits of the answers, of "mirrored" and of "child".

    Args:
        weights: [K + 2, D].
        biases: [K + 2].
    """

    weights: NDArray[np.float64]
    biases: NDArray[np.float64]

    def probabilities(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return [N, K], sum 1."""
        logits = self._logits(features)[:, :-2]
        powers = np.exp(logits - logits.max(1, keepdims=True))
        shares: NDArray[np.float64] = powers / powers.sum(1, keepdims=True)
        return shares

    def mirrored(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return [N] probabilities that a frontal chest is mirrored."""
        return _sigmoid(self._logits(features)[:, -2])

    def child(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return [N] probabilities that a frontal chest is a child's."""
        return _sigmoid(self._logits(features)[:, -1])

    def tensors(self) -> tuple[Tensor, Tensor]:
        """Return weights and biases as the graph takes them."""
        return torch.from_numpy(self.weights), torch.from_numpy(self.biases)

    def _logits(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        logits: NDArray[np.float64] = features @ self.weights.T + self.biases
        return logits


def _sigmoid(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    chances: NDArray[np.float64] = 1 / (1 + np.exp(-logits))
    return chances


def draw_by_source(examples: Examples, most: int, seed: int = 0) -> NDArray[np.intp]:
    """Return rows of frontal chests, at most ``most`` of each source."""
    generator = np.random.default_rng(seed)
    frontal = examples.kinds == "frontal"
    rows = [
        generator.permutation(np.flatnonzero(frontal & (examples.sources == source)))[:most]
        for source in sorted(set(examples.sources[frontal]))
    ]
    return np.sort(np.concatenate(rows))


def fit_answers(examples: Examples, features: Features, learnt: NDArray[np.bool_], seed: int = 0) -> LinearAnswers:
    """Learn the answers.

    Args:
        examples: The N examples.
        features: Of them.
        learnt: [N] bool: which of them may be learnt from.
        seed: Decides which frontal chests are drawn.
    """
    rows = np.flatnonzero(learnt)
    frontal = rows[draw_by_source(examples.where(rows), PER_SOURCE, seed)]
    refused = rows[examples.kinds[rows] != "frontal"]
    changed = np.flatnonzero(learnt[features.rows])
    names = list(ANSWERS)
    inputs = [features.upright[frontal], features.upright[refused]]
    kinds = np.array([names.index(kind) for kind in examples.kinds[refused]], np.intp)
    truth = [np.full(len(frontal), names.index("frontal"), np.intp), kinds]
    for name in names:
        if name in features.changed:
            inputs.append(features.changed[name][changed])
            truth.append(np.full(len(changed), names.index(name), np.intp))
    weights, biases = _regress(np.concatenate(inputs), np.concatenate(truth), len(names))
    upright = features.upright[features.rows[changed]]
    pairs = np.concatenate([upright, features.changed["mirrored"][changed]])
    mirrored = _regress(pairs, np.repeat([0, 1], len(changed)), 2)
    aged = rows[(examples.kinds[rows] == "frontal") & (examples.age_groups[rows] != "")]
    child = _regress(features.upright[aged], (examples.age_groups[aged] == "child").astype(int), 2)
    # Of two classes the second one's logit less that of the first is the logit of the second.
    extra = [(weight[1] - weight[0], bias[1] - bias[0]) for weight, bias in (mirrored, child)]
    return LinearAnswers(
        np.concatenate([weights, [weight for weight, _ in extra]]),
        np.concatenate([biases, [bias for _, bias in extra]]),
    )


def _regress(
    features: NDArray[np.float32], truth: NDArray[np.intp], classes: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return weights [C, D] and biases [C] of a logistic regression; a class without examples is never the answer."""
    from sklearn.linear_model import LogisticRegression

    present = np.unique(truth)
    weights = np.zeros((classes, features.shape[1]))
    biases = np.full(classes, -50.0)
    if len(present) == 1:
        biases[present[0]] = 50.0
        return weights, biases
    mean, spread = features.mean(0, dtype=np.float64), features.std(0, dtype=np.float64)
    spread[spread < 1e-6] = 1.0
    model = LogisticRegression(C=_PENALTY, max_iter=150)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # it stops before it has converged, which regularises as well
        model.fit(((features - mean) / spread).astype(np.float32), truth)
    coefficients, intercepts = model.coef_.astype(np.float64), model.intercept_.astype(np.float64)
    if len(present) == 2:  # scikit-learn keeps one row of two
        coefficients, intercepts = np.stack([-coefficients[0], coefficients[0]]) / 2, np.array([-1, 1]) * intercepts / 2
    weights[present] = coefficients / spread
    biases[present] = intercepts - weights[present] @ mean
    return weights, biases
