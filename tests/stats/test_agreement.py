"""Kappa against scikit-learn, textbooks and cases worked out by hand; the properties of its interval."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import cohen_kappa_score

from pneumoscope.stats.agreement import ALWAYS_AGREES, estimate_agreement, kappa

ONE = np.ones((1, 4))


def table(counts: list[list[int]]) -> tuple[list[str], list[str]]:
    """Return the labels of two readers that give this table of counts."""
    rows = [(f"{i}", f"{j}") for i, row in enumerate(counts) for j, n in enumerate(row) for _ in range(n)]
    return [a for a, _ in rows], [b for _, b in rows]


def test_kappa_agrees_with_the_example_of_cohen() -> None:
    # Cohen 1968, table 1, with its shares as 200 cases: observed .70, chance .41, kappa .492.
    first, second = table([[88, 14, 18], [10, 40, 10], [2, 6, 12]])
    result = estimate_agreement(first, second, range(200), ["0", "1", "2"], rng=np.random.default_rng(0), resamples=200)
    assert result.observed.value == pytest.approx(0.70)
    assert result.kappa.value == pytest.approx((0.70 - 0.41) / (1 - 0.41))
    assert result.table == ((88, 14, 18), (10, 40, 10), (2, 6, 12))


def test_weighted_kappa_agrees_with_scikit_learn() -> None:
    rng = np.random.default_rng(1)
    first, weight = rng.integers(0, 4, 300), rng.integers(0, 4, (5, 300)).astype(float)
    second = np.where(rng.random(300) < 0.6, first, rng.integers(0, 4, 300))
    expected = [cohen_kappa_score(first, second, sample_weight=row) for row in weight]
    np.testing.assert_allclose(kappa(first, second, 4, weight), expected, rtol=1e-12)


def test_each_pair_of_readers_has_its_own_chance_agreement() -> None:
    # Pair A (4 studies): + + | + + | - - | + -: observed 3/4, chance 3/4 * 2/4 + 1/4 * 2/4 = 1/2.
    # Pair B (2 studies): + + | - +: observed 1/2, chance 1/2 * 1 + 1/2 * 0 = 1/2.
    first, second = np.array([1, 1, 0, 1, 1, 0]), np.array([1, 1, 0, 0, 1, 1])
    pair = np.array([0, 0, 0, 0, 1, 1])
    observed, chance = 4 / 6, 4 / 6 * 1 / 2 + 2 / 6 * 1 / 2
    assert kappa(first, second, 2, np.ones((1, 6)), pair)[0] == pytest.approx((observed - chance) / (1 - chance))
    alone = kappa(first[:4], second[:4], 2, ONE, np.zeros(4, dtype=int))
    assert alone[0] == pytest.approx(cohen_kappa_score(first[:4], second[:4]))


def test_readers_who_use_one_label_have_no_kappa() -> None:
    result = estimate_agreement(["a"] * 20, ["a"] * 20, range(20), ["a", "b"], rng=np.random.default_rng(0))
    assert result.kappa.value is None
    assert result.kappa.note == ALWAYS_AGREES
    assert result.observed.value == 1
    assert result.observed.low == pytest.approx(20 / (20 + 1.959964**2))  # Wilson's limit at 1: n / (n + z^2)


def test_more_images_of_a_patient_do_not_narrow_the_interval() -> None:
    rng = np.random.default_rng(2)
    first = rng.integers(0, 2, 60)
    second = np.where(rng.random(60) < 0.8, first, 1 - first)
    labels = ["0", "1"]

    def width(copies: int, *, own: bool) -> float:
        a, b = ([str(v) for v in np.repeat(reader, copies)] for reader in (first, second))
        groups = np.arange(60 * copies) if own else np.repeat(np.arange(60), copies)
        result = estimate_agreement(a, b, groups, labels, rng=np.random.default_rng(3)).kappa
        assert result.low is not None
        assert result.high is not None
        return result.high - result.low

    single = width(1, own=True)
    assert width(4, own=False) == pytest.approx(single, rel=0.03)  # the same 60 patients, each four times
    assert width(4, own=True) == pytest.approx(single / 2, rel=0.15)  # counted as 240 patients


def test_few_patients_have_no_interval_and_no_patients_have_no_kappa() -> None:
    first, second = table([[4, 1], [1, 3]])
    few = estimate_agreement(first, second, range(9), ["0", "1"], rng=np.random.default_rng(0)).kappa
    assert few.value == pytest.approx(cohen_kappa_score(first, second))
    assert few.low is None
    assert "9 groups" in few.note
    empty = estimate_agreement([], [], [], ["0", "1"], rng=np.random.default_rng(0))
    assert (empty.pairs, empty.observed.value, empty.kappa.value) == (0, None, None)


def test_the_interval_is_near_the_large_sample_interval() -> None:
    # Fleiss, Cohen & Everitt 1969 for many patients; statsmodels has their formula.
    from statsmodels.stats.inter_rater import cohens_kappa

    counts = [[120, 30], [20, 130]]
    first, second = table(counts)
    result = estimate_agreement(first, second, range(300), ["0", "1"], rng=np.random.default_rng(0)).kappa
    known = cohens_kappa(counts)
    assert result.value == pytest.approx(known.kappa)
    assert (result.low, result.high) == pytest.approx((known.kappa_low, known.kappa_upp), abs=0.012)
