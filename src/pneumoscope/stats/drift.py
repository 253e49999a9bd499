"""Has something changed since a baseline? Tests of one week against it, whose false-alarm rate is stated.

Each test is exact for independent patients, whatever the distribution, and takes the baseline for the sample that it
is: a baseline of 200 patients is itself uncertain. So the probability of a false alarm in a week, over baselines and
weeks, is at most the level. The level comes from a wanted number of false alarms in a year, divided by the weeks of a
year and by the measures that are looked at (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

WEEKS_OF_A_YEAR = 52


def level_of_a_test(false_alarms_per_year: float, measures: int) -> float:
    """Return the level of each measure's test in a week.

    Args:
        false_alarms_per_year: Expected weeks with a false alarm in a year, at most, over all measures together.
        measures: Number of measures.
    """
    return false_alarms_per_year / WEEKS_OF_A_YEAR / measures


def compare_shares(hits: int, total: int, hits_before: int, total_before: int) -> float:
    """Return the p-value of equal shares in two samples (Fisher's exact test, two-sided).

    Args:
        hits: Of the week.
        total: Of the week, above 0.
        hits_before: Of the baseline.
        total_before: Of the baseline, above 0.
    """
    from scipy.stats import fisher_exact  # here: scipy.stats takes longer to import than the whole server

    table = [[hits, total - hits], [hits_before, total_before - hits_before]]
    return float(fisher_exact(table).pvalue)


def compare_samples(values: ArrayLike, before: ArrayLike) -> float:
    """Return the p-value of equal distributions in two samples (Kolmogorov & Smirnov's test, exact, two-sided).

    Equal values make the test cautious, never the other way.

    Args:
        values: [N] of the week.
        before: [M] of the baseline.
    """
    from scipy.stats import ks_2samp

    return float(ks_2samp(values, before, method="exact").pvalue)


def compare_bands(values: ArrayLike, edges: Sequence[float], counts: Sequence[int]) -> float:
    """Return the p-value of equal distributions where the baseline is known as counts in bands.

    Both samples are moved to the middle of their bands. The largest distance of the distribution functions is then
    taken at the edges alone, so that Kolmogorov & Smirnov's test is cautious.

    Args:
        values: [N] of the week.
        edges: [B + 1] of the bands, rising.
        counts: [B] of the baseline.
    """
    inner = np.asarray(edges[1:-1], dtype=np.float64)
    week = np.searchsorted(inner, np.asarray(values, dtype=np.float64), side="right")
    return compare_samples(week, np.repeat(np.arange(len(counts)), np.asarray(counts, dtype=np.intp)))
