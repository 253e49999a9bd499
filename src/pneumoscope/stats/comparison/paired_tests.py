"""Tests of two models on the same images: closed ones where every image is its own group, label swaps elsewhere.

Images of one patient are not independent. McNemar's and DeLong's tests assume that they are, so that they serve only
where every group is one image. Elsewhere the two models' outputs are swapped for whole groups at a time: if the models
are equally good, it makes no difference which output has which name.
"""

from __future__ import annotations

import math
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import chdtrc, ndtr

from pneumoscope.stats.auroc_interval import auroc_components, components_variance
from pneumoscope.stats.kernels import Bools, Floats, Ints

_FEW_DISCORDANT = 25
_CELLS = 2_000_000  # ranks in memory at a time
_SAME = 1e-12  # differences nearer to each other than this are ties


class TestResult(NamedTuple):
    """A two-sided p-value (None where the data do not allow the test), and the name of the test."""

    p_value: float | None
    name: str


def mcnemar(a_right: ArrayLike, b_right: ArrayLike) -> TestResult:
    """Test whether two models are right on the same share of images, every group being one image.

    Only images count where exactly one model is right. With under 25 of them the test is the exact binomial one, else
    chi-squared without continuity correction (Fagerland, Lydersen & Laake, BMC Med Res Methodol 2013).

    Args:
        a_right: [N] whether the first model was right.
        b_right: [N] whether the second was, on the same images.
    """
    a, b = np.asarray(a_right, dtype=np.bool_), np.asarray(b_right, dtype=np.bool_)
    wins, losses = int((a & ~b).sum()), int((b & ~a).sum())
    if wins + losses == 0:
        return TestResult(1.0, "McNemar, exact (the models are right on the same images)")
    if wins + losses < _FEW_DISCORDANT:
        from scipy.stats import binomtest  # here: scipy.stats takes longer to import than the whole server

        return TestResult(float(binomtest(wins, wins + losses).pvalue), "McNemar, exact")
    return TestResult(float(chdtrc(1, (wins - losses) ** 2 / (wins + losses))), "McNemar, chi-squared")


def delong(a: ArrayLike, b: ArrayLike, positive: ArrayLike) -> TestResult:
    """Test whether two scores have the same AUROC, every group being one image (DeLong et al., Biometrics 1988).

    Args:
        a: [N] score of the first model.
        b: [N] score of the second on the same images; the scales need not be the same.
        positive: [N] whether the image is of the class; at least two of each kind.

    Returns:
        The p-value; None where the difference has no variance, as when both models separate the classes.
    """
    y = np.asarray(positive, dtype=np.bool_)
    x = auroc_components(np.asarray(a, dtype=np.float64), y) - auroc_components(np.asarray(b, dtype=np.float64), y)
    variance = components_variance(x, y, np.arange(len(x)))
    if variance <= _SAME**2:
        return TestResult(None, "DeLong")
    return TestResult(float(2 * ndtr(-abs(x[y].mean()) / math.sqrt(variance))), "DeLong")


def draw_swaps(groups: int, swaps: int, rng: np.random.Generator) -> Bools:
    """Return random swaps [B, G]: whether the two models change places in each group."""
    return np.asarray(rng.integers(0, 2, size=(swaps, groups), dtype=np.uint8), dtype=np.bool_)


def swap_means(gap: Floats, group: Ints, swaps: Bools) -> TestResult:
    """Test a sum of per-image differences by swapping the models in whole groups.

    Args:
        gap: [N] what each image adds to the difference a - b.
        group: [N] in 0..G-1.
        swaps: [B, G].
    """
    per_group = np.bincount(group, weights=gap, minlength=swaps.shape[1])
    swaps, name = _all_or_drawn(np.abs(per_group) > _SAME, swaps)
    total = per_group.sum()
    return _test(total - 2 * (swaps @ per_group), float(total), name)


def swap_areas(a: Floats, b: Floats, positive: Bools, group: Ints, swaps: Bools) -> TestResult:
    """Test the difference of two AUROCs by swapping the models' ranks in whole groups (Bandos et al., Stat Med 2005).

    Ranks are swapped and not scores, because the scales of two models need not be the same.

    Args:
        a: [N] score of the first model.
        b: [N] score of the second.
        positive: [N].
        group: [N] in 0..G-1.
        swaps: [B, G].
    """
    return swap_mean_areas(a[:, None], b[:, None], positive[:, None].astype(np.float64), group, swaps)


def swap_mean_areas(a: Floats, b: Floats, stated: Floats, group: Ints, swaps: Bools) -> TestResult:
    """Test the difference of two mean AUROCs over findings, as `swap_areas` does; a group swaps all of its findings.

    Args:
        a: [N, C] score of each finding by the first model.
        b: [N, C] of the second.
        stated: [N, C] 1 present, 0 absent, NaN unknown; each finding is both somewhere.
        group: [N] in 0..G-1.
        swaps: [B, G].
    """
    from scipy.stats import rankdata

    ranks = []
    differs = np.zeros(swaps.shape[1], dtype=np.bool_)
    for one, two, truth in zip(a.T, b.T, stated.T, strict=True):
        known = np.isfinite(truth)
        # Midranks come in halves; doubled they are whole numbers, which can be counted instead of sorted.
        rank_a = np.asarray(2 * rankdata(one[known]), dtype=np.intp)
        rank_b = np.asarray(2 * rankdata(two[known]), dtype=np.intp)
        differs[group[known][rank_a != rank_b]] = True
        ranks.append((rank_a, rank_b, truth[known] == 1, group[known]))
    swaps, name = _all_or_drawn(differs, swaps)
    found = [_swapped_differences(*of_finding, swaps) for of_finding in ranks]
    observed = float(np.mean([first for first, _ in found]))
    return _test(np.mean([values for _, values in found], axis=0), observed, name)


def _swapped_differences(
    rank_a: Ints, rank_b: Ints, positive: Bools, group: Ints, swaps: Bools
) -> tuple[float, Floats]:
    """Return the difference of two AUROCs by whole-number scores, and that under each swap [B]."""
    rows = max(1, _CELLS // len(group))
    values = []
    for start in range(0, len(swaps), rows):
        swapped = swaps[start : start + rows][:, group]
        values.append(
            _ranked_areas(np.where(swapped, rank_b, rank_a), positive)
            - _ranked_areas(np.where(swapped, rank_a, rank_b), positive)
        )
    observed = _ranked_areas(rank_a[None], positive) - _ranked_areas(rank_b[None], positive)
    return float(observed[0]), np.concatenate(values)


def _ranked_areas(rank: Ints, positive: Bools) -> Floats:
    """Return the AUROC of each row of whole-number scores [B, N], in 0..2N."""
    size = 2 * rank.shape[1] + 1
    place = rank + np.arange(len(rank))[:, None] * size

    def count(chosen: Bools) -> Floats:
        flat = np.bincount(place[:, chosen].ravel(), minlength=len(rank) * size)
        return np.asarray(flat.reshape(len(rank), size), dtype=np.float64)

    pos, neg = count(positive), count(~positive)
    below = np.cumsum(neg, axis=1) - neg / 2
    areas: Floats = np.einsum("bn,bn->b", pos, below) / (positive.sum() * (~positive).sum())
    return areas


def _all_or_drawn(matters: Bools, swaps: Bools) -> tuple[Bools, str]:
    """Return every possible swap [2^k, G] of the k groups that matter, if these are no more than the drawn ones."""
    places = np.flatnonzero(matters)
    if 2 ** len(places) > len(swaps):
        return swaps, f"label swap by group, {len(swaps)} drawn"
    every = np.zeros((2 ** len(places), len(matters)), dtype=np.bool_)
    every[:, places] = np.array(list(product((False, True), repeat=len(places))), dtype=np.bool_).reshape(
        len(every), -1
    )
    return every, f"label swap by group, all {len(every)}"


def _test(values: Floats, observed: float, name: str) -> TestResult:
    """Return the share of swaps with a difference at least as large; drawn swaps count the observed one too."""
    extreme = int((np.abs(values) >= abs(observed) - _SAME).sum())
    if name.endswith("drawn"):
        return TestResult((1 + extreme) / (1 + len(values)), name)
    return TestResult(extreme / len(values), name)
