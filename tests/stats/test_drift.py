"""Tests of a week against a baseline: by hand, and their false-alarm rate by simulation."""

from __future__ import annotations

from math import comb

import numpy as np
import pytest

from pneumoscope.stats.drift import compare_bands, compare_samples, compare_shares, level_of_a_test


def test_shares_are_compared_by_fishers_exact_test() -> None:
    """5 of 5 against 0 of 5: two tables of comb(10, 5) are as unlikely."""
    assert compare_shares(5, 5, 0, 5) == pytest.approx(2 / comb(10, 5))
    assert compare_shares(1, 10, 2, 20) == pytest.approx(1)


def test_samples_that_do_not_overlap_are_as_unlikely_as_can_be() -> None:
    """Of the comb(8, 4) orders of four and four, two separate them."""
    assert compare_samples([1, 2, 3, 4], [5, 6, 7, 8]) == pytest.approx(2 / comb(8, 4))


def test_bands_compare_at_their_edges_only() -> None:
    week = [0.1, 0.2, 0.3, 0.4]
    assert compare_bands(week, (0.0, 0.5, 1.0), (0, 4)) == pytest.approx(2 / comb(8, 4))
    assert compare_bands([0.1, 0.6], (0.0, 0.5, 1.0), (30, 30)) == pytest.approx(1)
    assert compare_bands([0.5], (0.0, 0.5, 1.0), (0, 9)) == pytest.approx(1)  # an edge belongs to the band above


def test_the_level_is_a_years_false_alarms_over_weeks_and_measures() -> None:
    assert level_of_a_test(1, 4) == pytest.approx(1 / 208)


def test_false_alarms_are_no_more_than_the_level_whatever_the_baseline() -> None:
    """1,000 weeks of 30 patients against baselines of 60, at a level of .05: at most .05 + three standard errors."""
    rng = np.random.default_rng(5)
    shares = samples = 0
    for _ in range(1000):
        shares += compare_shares(rng.binomial(30, 0.2), 30, rng.binomial(60, 0.2), 60) <= 0.05
        samples += compare_samples(rng.exponential(size=30), rng.exponential(size=60)) <= 0.05
    most = (0.05 + 3 * (0.05 * 0.95 / 1000) ** 0.5) * 1000
    assert 0 < shares <= most
    assert 0.02 * 1000 < samples <= most
