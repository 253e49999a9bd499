"""The probe against scikit-learn, tables computed with pandas, and data without any association."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pneumoscope.data.checks.label_probe import (
    FOLDS,
    _Table,
    cut_into_categories,
    guess_labels,
    make_folds,
    permute_groups,
)

Ints = np.ndarray[tuple[int], np.dtype[np.intp]]


def _cohort(seed: int, size: int = 300) -> tuple[Ints, Ints]:
    """Return labels 0 to 2, one for each group, and the numbers of groups of one to a few images."""
    random = np.random.default_rng(seed)
    group = random.integers(0, size // 2, size)
    label = random.integers(0, 3, size // 2)[group]
    return label, np.unique(group, return_inverse=True)[1]


def test_numbers_are_cut_at_octiles_and_missing_is_a_category() -> None:
    values = np.concatenate([np.arange(80.0), [np.nan, np.nan]])
    codes = cut_into_categories(values)
    assert np.bincount(codes).tolist() == [10] * 8 + [2]
    assert cut_into_categories(np.array([256.0, 512.0, 256.0])).tolist() == [0, 1, 0]


def test_a_clue_predicts_the_label_only_where_it_depends_on_it() -> None:
    label, group = _cohort(0)
    results = guess_labels(
        {"the label": label, "noise": np.arange(len(label)) % 4}, label, group, np.random.default_rng(0)
    )
    assert results["the label"].balanced == 1.0
    assert results["the label"].p == 1 / 200
    assert results["noise"].p > 0.05
    assert results["all"].balanced == 1.0


def test_a_group_is_never_on_both_sides() -> None:
    """Use the group's number as clue: it predicts the label only if a group is in two folds."""
    label, group = _cohort(1)
    results = guess_labels({"group": group}, label, group, np.random.default_rng(0), permutations=19)
    assert results["group"].balanced == 0.0  # an unseen category gives no guess
    fold = make_folds(label, group, np.random.default_rng(0))
    assert pd.Series(fold).groupby(group).nunique().max() == 1


def test_folds_share_out_the_groups_of_each_label() -> None:
    label, group = _cohort(2)
    fold = make_folds(label, group, np.random.default_rng(0))
    table = pd.DataFrame({"label": label, "group": group, "fold": fold}).drop_duplicates("group")
    counts = pd.crosstab(table.label, table.fold)
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1


def test_a_single_clue_is_the_table_of_commonest_labels() -> None:
    label, group = _cohort(3)
    random = np.random.default_rng(3)
    clue = np.where(random.random(len(label)) < 0.5, label, random.integers(0, 3, len(label)))
    result = guess_labels({"clue": clue}, label, group, np.random.default_rng(7), permutations=1)["clue"]
    fold = make_folds(label, group, np.random.default_rng(7))
    table = pd.DataFrame({"label": label, "clue": clue, "fold": fold})
    hits = np.zeros(len(table), dtype=bool)
    for number in range(FOLDS):
        training, validation = table[table.fold != number], table[table.fold == number]
        weight = training.label.map(1 / training.label.value_counts())
        best = weight.groupby([training.clue, training.label]).sum().unstack(fill_value=0).idxmax(axis=1)
        hits[validation.index] = validation.clue.map(best) == validation.label
    assert result.hits.tolist() == hits.tolist()


def test_all_clues_together_are_the_weighted_ridge_of_scikit_learn() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    label, group = _cohort(4)
    random = np.random.default_rng(4)
    clues = [np.where(random.random(len(label)) < 0.4, label, random.integers(0, 3, len(label))) for _ in range(3)]
    fold = make_folds(label, group, random)
    order = np.lexsort((label, fold))
    label, fold, clues = label[order], fold[order], [clue[order] for clue in clues]
    guess = _Table(label, fold, frozenset())._guess_from_all(clues)
    design = np.concatenate([np.eye(3)[clue] for clue in clues], axis=1)
    for number in range(FOLDS):
        training, validation = fold != number, fold == number
        counts = np.bincount(label[training])
        ridge = linear_model.Ridge(alpha=1.0, fit_intercept=False, solver="cholesky")
        ridge.fit(
            design[training], np.eye(3)[label[training]] - 1 / 3, sample_weight=len(label) / 3 / counts[label[training]]
        )
        assert np.argmax(ridge.predict(design[validation]), axis=1).tolist() == guess[validation].tolist()


def test_a_permutation_gives_each_group_the_clues_of_another_group() -> None:
    _, group = _cohort(5)
    permuted = permute_groups(group, np.random.default_rng(0))
    donors = pd.Series(group[permuted]).groupby(group)
    assert (donors.nunique() == 1).all()
    assert sorted(donors.first()) == sorted(set(group))


def test_independent_clues_are_rarely_significant() -> None:
    """Where clue and label are independent, although both are constant in a group, p is under .1 in 1 of 10 cases."""
    significant = 0
    for seed in range(40):
        label, group = _cohort(seed, 120)
        random = np.random.default_rng(seed)
        clues = {name: random.integers(0, 4, 60)[group] for name in ("one", "two")}
        significant += guess_labels(clues, label, group, random, permutations=39)["all"].p <= 0.1
    assert significant <= 10  # a correct probe exceeds this in 1 of 200 such tests
