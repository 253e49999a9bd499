"""The probe against scikit-learn, tables worked with pandas, and data without any connection."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from pneumoscope.data.checks.label_probe import FOLDS, _folds, _permute_groups, _Table, categories, probe

Ints = np.ndarray[tuple[int], np.dtype[np.intp]]


def _cohort(seed: int, size: int = 300) -> tuple[Ints, Ints]:
    """Labels 0 to 2, one for each group, and groups of one to a few images, numbered from 0."""
    random = np.random.default_rng(seed)
    group = random.integers(0, size // 2, size)
    label = random.integers(0, 3, size // 2)[group]
    return label, np.unique(group, return_inverse=True)[1]


def test_numbers_are_cut_at_octiles_and_missing_is_a_category() -> None:
    values = np.concatenate([np.arange(80.0), [np.nan, np.nan]])
    found = categories(values)
    assert np.bincount(found).tolist() == [10] * 8 + [2]
    assert categories(np.array([256.0, 512.0, 256.0])).tolist() == [0, 1, 0]


def test_a_clue_that_is_the_label_is_found_and_one_that_is_not_is_not() -> None:
    label, group = _cohort(0)
    found = probe({"the label": label, "noise": np.arange(len(label)) % 4}, label, group, np.random.default_rng(0))
    assert found["the label"].balanced == 1.0
    assert found["the label"].p == 1 / 200
    assert found["noise"].p > 0.05
    assert found["all"].balanced == 1.0


def test_a_group_is_never_on_both_sides() -> None:
    """The group's own number tells the label perfectly where a group is in two folds, and nothing where it is not."""
    label, group = _cohort(1)
    found = probe({"group": group}, label, group, np.random.default_rng(0), permutations=19)
    assert found["group"].balanced == 0.0  # a category that was never seen is no guess
    fold = _folds(label, group, np.random.default_rng(0))
    assert pd.Series(fold).groupby(group).nunique().max() == 1


def test_folds_share_out_the_groups_of_each_label() -> None:
    label, group = _cohort(2)
    fold = _folds(label, group, np.random.default_rng(0))
    table = pd.DataFrame({"label": label, "group": group, "fold": fold}).drop_duplicates("group")
    counts = pd.crosstab(table.label, table.fold)
    assert (counts.max(axis=1) - counts.min(axis=1)).max() <= 1


def test_a_single_clue_is_the_table_of_commonest_labels() -> None:
    label, group = _cohort(3)
    random = np.random.default_rng(3)
    clue = np.where(random.random(len(label)) < 0.5, label, random.integers(0, 3, len(label)))
    found = probe({"clue": clue}, label, group, np.random.default_rng(7), permutations=1)["clue"]
    fold = _folds(label, group, np.random.default_rng(7))
    table = pd.DataFrame({"label": label, "clue": clue, "fold": fold})
    hits = np.zeros(len(table), dtype=bool)
    for number in range(FOLDS):
        seen, held = table[table.fold != number], table[table.fold == number]
        weight = seen.label.map(1 / seen.label.value_counts())
        best = weight.groupby([seen.clue, seen.label]).sum().unstack(fill_value=0).idxmax(axis=1)
        hits[held.index] = held.clue.map(best) == held.label
    assert found.hits.tolist() == hits.tolist()


def test_all_together_is_scikit_learns_weighted_ridge() -> None:
    linear_model = pytest.importorskip("sklearn.linear_model")
    label, group = _cohort(4)
    random = np.random.default_rng(4)
    clues = [np.where(random.random(len(label)) < 0.4, label, random.integers(0, 3, len(label))) for _ in range(3)]
    fold = _folds(label, group, random)
    order = np.lexsort((label, fold))
    label, fold, clues = label[order], fold[order], [clue[order] for clue in clues]
    guess = _Table(label, fold, frozenset())._guess_from_all(clues)
    design = np.concatenate([np.eye(3)[clue] for clue in clues], axis=1)
    for number in range(FOLDS):
        seen, held = fold != number, fold == number
        counts = np.bincount(label[seen])
        ridge = linear_model.Ridge(alpha=1.0, fit_intercept=False, solver="cholesky")
        ridge.fit(design[seen], np.eye(3)[label[seen]] - 1 / 3, sample_weight=len(label) / 3 / counts[label[seen]])
        assert np.argmax(ridge.predict(design[held]), axis=1).tolist() == guess[held].tolist()


def test_a_deal_gives_each_group_the_clues_of_one_other() -> None:
    _, group = _cohort(5)
    dealt = _permute_groups(group, np.random.default_rng(0))
    givers = pd.Series(group[dealt]).groupby(group)
    assert (givers.nunique() == 1).all()
    assert sorted(givers.first()) == sorted(set(group))


def test_chance_is_called_chance() -> None:
    """Where clue and label have nothing to do with each other, though both go by group, p under .1 comes 1 in 10."""
    low = 0
    for seed in range(40):
        label, group = _cohort(seed, 120)
        random = np.random.default_rng(seed)
        clues = {name: random.integers(0, 4, 60)[group] for name in ("one", "two")}
        low += probe(clues, label, group, random, permutations=39)["all"].p <= 0.1
    assert low <= 10  # 1 in 200 such tests of a right probe would see more
