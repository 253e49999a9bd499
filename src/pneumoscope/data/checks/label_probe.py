"""How well something other than the lungs predicts the label: grouped cross-validation against permutation.

The model is simple: each clue becomes a few categories, one column each, and a ridge regression, in which each label
weighs the same, points to the label. For a single clue that is the table of the commonest label of such images. It
needs no scikit-learn, so that the checks run where models are only used. Groups are never on two sides. Chance comes
from giving the clues of each group to another one. A p-value over several clues compares with the largest of all clues
in each permutation (Westfall and Young 1993), so that many clues do not add up to a false alarm.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

Ints: TypeAlias = NDArray[np.intp]

FOLDS = 5
PERMUTATIONS = 199
MOST = 50_000
"""Images that a probe looks at: of more, as many of each label, drawn by whole groups. Its interval is narrow then."""

_RIDGE = 1.0  # as if each category had occurred once more without any label
_DRAW_SEED = 1
_ROWS_OF_A_FEATURE = 12  # categories of a number: more values are cut at quantiles


@dataclass(frozen=True)
class Guess:
    """How well one clue, or all together, predict the label.

    Args:
        hits: [N] whether a model that never saw the image's group guessed the label rightly.
        balanced: Mean over labels of the share of hits, 0..1; ``chance`` if the clue predicts nothing.
        p: Share of the permutations that did as well, over all clues; at least 1 / (PERMUTATIONS + 1).
    """

    hits: NDArray[np.bool_]
    balanced: float
    p: float


def cut_into_categories(values: NDArray[np.float64]) -> Ints:
    """Cut a number [N] into at most 9 categories at its octiles; few values stay as they are, missing is one more."""
    missing = np.isnan(values)
    present = values[~missing]
    distinct = np.unique(present)
    if len(distinct) > _ROWS_OF_A_FEATURE:
        cuts = np.unique(np.quantile(present, np.linspace(0, 1, 9)[1:-1]))
    else:
        cuts = distinct[1:]
    return np.where(missing, len(cuts) + 1, np.searchsorted(cuts, values, side="right")).astype(np.intp)


def guess_labels(
    clues: Mapping[str, Ints],
    label: Ints,
    group: Ints,
    rng: np.random.Generator,
    aside: Collection[str] = (),
    permutations: int = PERMUTATIONS,
) -> dict[str, Guess]:
    """Guess the label from each clue and, under the name ``all``, from all together.

    Args:
        clues: Name -> [N] category of each image.
        label: [N] in 0..K-1; each label has two groups or more.
        group: [N].
        rng: For folds and permutations.
        aside: Clues that are measured alone and do not enter ``all``.
        permutations: Permutations.
    """
    label, group = _dense(label), _dense(group)
    dense = {name: _dense(values) for name, values in clues.items()}
    fold = make_folds(label, group, rng)
    # Sorted by fold and label, so that a sum over either is a slice.
    order = np.lexsort((label, fold))
    table = _Table(label[order], fold[order], frozenset(aside))
    observed = table.hits({name: values[order] for name, values in dense.items()})
    scores = {name: table.balanced(hits) for name, hits in observed.items()}
    reached = dict.fromkeys(observed, 0)
    for _ in range(permutations):
        dealt = permute_groups(group, rng)[order]
        chance = table.hits({name: values[dealt] for name, values in dense.items()})
        largest = max(table.balanced(hits) for hits in chance.values())
        for name, score in scores.items():
            reached[name] += largest >= score
    back = np.argsort(order)
    return {
        name: Guess(hits[back], scores[name], (1 + reached[name]) / (1 + permutations))
        for name, hits in observed.items()
    }


def draw_images(label: Ints, group: Ints, rows: NDArray[np.bool_], most: int = MOST) -> NDArray[np.bool_]:
    """Return [N] which images a probe looks at: all of ``rows``, or about ``most`` of them.

    Of each label the images of randomly drawn groups are taken, up to an equal share of ``most``: the labels weigh the
    same in what is reported. A label with fewer images keeps all.

    Args:
        label: [N] in 0..K-1.
        group: [N] in 0..G-1.
        rows: [N] images to choose from.
        most: Number of images.
    """
    if int(rows.sum()) <= most:
        return rows
    rank = np.random.default_rng(_DRAW_SEED).permutation(int(group.max()) + 1)[group]
    present = np.unique(label[rows])
    chosen = np.zeros_like(rows)
    for one in present:
        places = np.flatnonzero(rows & (label == one))
        ranks = rank[places]
        quota = max(1, most // len(present))
        if len(places) > quota:  # whole groups, of which the last one is the one that fills the share
            places = places[ranks <= np.partition(ranks, quota - 1)[quota - 1]]
        chosen[places] = True
    return chosen


def _dense(values: Ints) -> Ints:
    return np.unique(values, return_inverse=True)[1].reshape(-1)


def make_folds(label: Ints, group: Ints, rng: np.random.Generator) -> Ints:
    """Return [N] the fold of each image: whole groups, the groups of each label spread evenly."""
    first = np.unique(group, return_index=True)[1]
    order = rng.permutation(len(first))
    order = order[np.argsort(label[first][order], kind="stable")]
    of_group = np.empty(len(first), dtype=np.intp)
    of_group[order] = np.arange(len(first)) % FOLDS
    return of_group[group]


def permute_groups(group: Ints, rng: np.random.Generator) -> Ints:
    """Return [N] the image whose clues each image gets: of another group, in turn if that has fewer images."""
    order = np.argsort(group, kind="stable")
    sizes = np.bincount(group)
    start = np.cumsum(sizes) - sizes
    giver = rng.permutation(len(sizes))[group[order]]
    within = np.arange(len(group)) - start[group[order]]
    dealt = np.empty(len(group), dtype=np.intp)
    dealt[order] = order[start[giver] + within % sizes[giver]]
    return dealt


class _Table:
    """Labels [N] and folds [N], sorted by fold and then label; guesses the label from clues in the same order."""

    def __init__(self, label: Ints, fold: Ints, aside: frozenset[str]) -> None:
        self.label, self.fold, self.aside = label, fold, aside
        self.classes = int(label.max()) + 1
        cells = np.bincount(fold * self.classes + label, minlength=FOLDS * self.classes)
        self.counts = cells.reshape(FOLDS, self.classes)
        self.ends = np.cumsum(cells)
        self.starts = self.ends - cells
        others = self.counts.sum(axis=0) - self.counts
        self.weight = len(label) / self.classes / np.maximum(others, 1)  # [FOLDS, K]: each label weighs the same

    def balanced(self, hits: NDArray[np.bool_]) -> float:
        """Return the mean over labels of the share of hits."""
        return float((np.bincount(self.label, weights=hits) / self.counts.sum(axis=0)).mean())

    def hits(self, clues: Mapping[str, Ints]) -> dict[str, NDArray[np.bool_]]:
        """Return for each clue, and for ``all``, [N] whether the other folds point to the label."""
        hits_by_clue = {name: self._guess(values) == self.label for name, values in clues.items()}
        together = [values for name, values in clues.items() if name not in self.aside]
        hits_by_clue["all"] = self._guess_from_all(together) == self.label
        return hits_by_clue

    def _guess(self, values: Ints) -> Ints:
        """Return [N] the commonest label of the category in the other folds, each label weighing the same."""
        size = int(values.max()) + 1
        cells = (self.fold * self.classes + self.label) * size + values
        counts = np.bincount(cells, minlength=FOLDS * self.classes * size).reshape(FOLDS, self.classes, size)
        best = _best((counts.sum(axis=0) - counts) * self.weight[:, :, None], axis=1)
        guess: Ints = best[self.fold, values]
        return guess

    def _guess_from_all(self, values: list[Ints]) -> Ints:
        """Return [N] the label that the ridge regression of the other folds points to."""
        design = np.concatenate([np.eye(int(v.max()) + 1, dtype=np.float32)[v] for v in values], axis=1)
        width = design.shape[1]
        grams = np.zeros((FOLDS, self.classes, width, width), dtype=np.float32)
        sums = np.zeros((FOLDS, self.classes, width))
        for cell, (start, end) in enumerate(zip(self.starts, self.ends, strict=True)):
            rows, place = design[start:end], divmod(cell, self.classes)
            grams[place], sums[place] = rows.T @ rows, rows.sum(axis=0)
        grams, sums = grams.sum(axis=0) - grams, sums.sum(axis=0) - sums
        guess = np.full(len(self.label), -1, dtype=np.intp)
        ends = self.ends[self.classes - 1 :: self.classes]
        starts = self.starts[:: self.classes]
        for number, (start, end) in enumerate(zip(starts, ends, strict=True)):
            weight = self.weight[number]
            gram = np.einsum("k,kij->ij", weight, grams[number]) + _RIDGE * np.eye(width)
            # Centred on chance: a category that never occurred points nowhere.
            target = weight[:, None] * sums[number]
            target = (target - target.mean(axis=0)).T
            guess[start:end] = _best(design[start:end] @ np.linalg.solve(gram, target).astype(np.float32), axis=1)
        return guess


def _best(scores: NDArray[np.floating], axis: int) -> Ints:
    """Return the place of the largest score along an axis; -1 where all are equal, which is no guess."""
    low, high = scores.min(axis=axis), scores.max(axis=axis)
    return np.where(high - low <= 1e-6 * np.abs(high), -1, np.argmax(scores, axis=axis))
