"""Overlap and edge distance of two masks, against hand-worked cases and scikit-learn."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import f1_score, jaccard_score

from pneumoscope.stats.segmentation import estimate_mean, measure_dice, measure_edge_distances, measure_iou


def test_overlap_is_that_of_scikit_learn() -> None:
    rng = np.random.default_rng(0)
    first, second = rng.random((2, 40, 30)) > 0.4
    assert measure_dice(first, second) == pytest.approx(f1_score(first.ravel(), second.ravel()))
    assert measure_iou(first, second) == pytest.approx(jaccard_score(first.ravel(), second.ravel()))


def test_two_empty_masks_agree_and_one_does_not() -> None:
    empty = np.zeros((4, 4), bool)
    assert measure_dice(empty, empty) == measure_iou(empty, empty) == 1
    assert measure_dice(empty, ~empty) == measure_iou(empty, ~empty) == 0
    assert measure_edge_distances(empty, empty, (4, 4)) == (0, 0)
    assert measure_edge_distances(empty, ~empty, (4, 4)) == (np.inf, np.inf)


def test_a_bar_that_moved_has_edges_that_moved_as_far() -> None:
    first, second = np.zeros((2, 50, 50), bool)
    first[:, 10] = second[:, 13] = True  # lines of one pixel: each point is three columns from the other line
    assert measure_edge_distances(first, second, (50, 50)) == (3, 3)
    assert measure_edge_distances(first, second, (100, 100)) == (6, 6)  # pixels of twice the size


def test_the_interval_counts_patients_and_not_images() -> None:
    rng = np.random.default_rng(1)
    values, names = rng.normal(0.9, 0.02, 40), np.array([f"p{index}" for index in range(40)])
    once = estimate_mean(values, names)
    assert once.value == pytest.approx(values.mean())
    assert once.low is not None and once.high is not None
    standard_error = values.std(ddof=1) / np.sqrt(40)
    assert once.high - once.low == pytest.approx(2 * 1.96 * standard_error, rel=0.15)
    tenfold = estimate_mean(np.repeat(values, 10), np.repeat(names, 10))  # the same patients, no more is known
    assert tenfold.low == pytest.approx(once.low, abs=1e-3)
    assert estimate_mean(values[:5], names[:5]).low is None
