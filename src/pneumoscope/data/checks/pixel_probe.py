"""Guess the label of an image from short vectors, by discriminants that never saw the image's group.

The discriminant is Fisher's, with the covariance of all images shrunk towards the identity, so that neither many
numbers nor few images break it. That covariance does not depend on the labels: one factorisation for each fold serves
the observed labels and all permutations of them. Beside it the single number that differs most between the labels
guesses alone: a letter fills one cell of hundreds, which a discriminant of all of them dilutes. A p-value over several
vectors compares with the largest figure in each permutation (Westfall and Young 1993).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np
from numpy.typing import NDArray

from pneumoscope.data.checks.label_probe import FOLDS, PERMUTATIONS, Guess, Ints, make_folds, permute_groups

_SHRINKAGE = 0.1


def alone(name: str) -> str:
    """Return the name of the guess from one number of a vector."""
    return f"one cell of {name}"


def guess_from_vectors(
    vectors: Mapping[str, NDArray[np.float32]],
    label: Ints,
    group: Ints,
    rng: np.random.Generator,
    single: Collection[str] = (),
    aside: Collection[str] = (),
    permutations: int = PERMUTATIONS,
) -> dict[str, Guess]:
    """Guess the label from each vector.

    Args:
        vectors: Name -> [N, D] numbers of each image.
        label: [N] in 0..K-1; each label has two groups or more.
        group: [N] in 0..G-1.
        rng: For folds and permutations.
        single: Vectors whose best single number guesses, too, under the name that `alone` gives.
        aside: Vectors whose figures do not enter the largest of a permutation; each has a p-value of its own.
        permutations: Permutations.
    """
    fold = make_folds(label, group, rng)
    dealt = [label] + [label[permute_groups(group, rng)] for _ in range(permutations)]
    labels = np.stack(dealt)  # [1 + permutations, N]
    hits: dict[str, NDArray[np.bool_]] = {}
    for name, values in vectors.items():
        together, one = _hits(values, labels, fold)
        hits |= {name: together, alone(name): one} if name in single else {name: together}
    balanced = {name: _balanced(each, labels) for name, each in hits.items()}
    counted = [shares[1:] for name, shares in balanced.items() if name not in aside]
    largest = np.max(counted, axis=0) if counted else np.zeros(permutations)
    guesses = {}
    for name, shares in balanced.items():
        null = shares[1:] if name in aside else largest
        reached = int((null >= shares[0]).sum())
        guesses[name] = Guess(hits[name][0], float(shares[0]), (1 + reached) / (1 + permutations))
    return guesses


def _hits(values: NDArray[np.float32], labels: Ints, fold: Ints) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return [P, N] whether the other folds guess each labelling rightly: from all numbers, and from the best one."""
    count, classes = len(labels), int(labels.max()) + 1
    hits, single_hits = np.zeros(labels.shape, dtype=np.bool_), np.zeros(labels.shape, dtype=np.bool_)
    one_hot = (labels[:, :, None] == np.arange(classes)).astype(np.float32)  # [P, N, K]
    for number in range(FOLDS):
        test, train = np.flatnonzero(fold == number), np.flatnonzero(fold != number)
        if not len(test):
            continue
        centre, spread = values[train].mean(axis=0), values[train].std(axis=0)
        varying = spread > 1e-6
        scaled = (values[:, varying] - centre[varying]) / spread[varying]
        inner, outer = scaled[train], scaled[test]
        size = inner.shape[1]
        if not size:
            continue
        shrinkage = _SHRINKAGE + size / len(train)
        covariance = inner.T @ inner / len(train) + shrinkage * np.eye(size, dtype=np.float32)
        members = one_hot[:, train]
        weights = members / np.maximum(members.sum(axis=1, keepdims=True), 1)  # of the class means
        flat = weights.transpose(1, 0, 2).reshape(len(train), -1)  # [train, P K]
        means = inner.T @ flat
        directions = np.linalg.solve(covariance, means).astype(np.float32)
        scores = (outer @ directions - (means * directions).sum(axis=0) / 2).reshape(len(test), count, classes)
        hits[:, test] = labels[:, test] == scores.argmax(axis=2).T
        by_class = means.reshape(size, count, classes)
        best = by_class.var(axis=2).argmax(axis=0)  # [P]
        centres = by_class[best, np.arange(count)]  # [P, K]
        distance = np.abs(outer[:, best, None] - centres)  # [test, P, K]
        single_hits[:, test] = labels[:, test] == distance.argmin(axis=2).T
    return hits, single_hits


def _balanced(hits: NDArray[np.bool_], labels: Ints) -> NDArray[np.float64]:
    """Return [P] the mean over labels of the share of hits."""
    shares = []
    for place in range(int(labels.max()) + 1):
        members = labels == place
        shares.append((hits & members).sum(axis=1) / np.maximum(members.sum(axis=1), 1))
    mean: NDArray[np.float64] = np.mean(shares, axis=0)
    return mean
