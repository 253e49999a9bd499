"""Probabilities where the disease is rarer or commoner, and the weight of a score as evidence.

There are two ways, which agree where the model is calibrated. The first moves the model's probabilities: only the class
prior changes, not the look of the images of a class (label shift). The second trusts the score less: it asks how much
more often a score in a band came from the disease than from other images (the likelihood ratio), and multiplies the
odds. Evidence beyond the outermost bands is capped at theirs, since nothing was measured there.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike

from pneumoscope.stats.estimates import Estimate, LikelihoodBand, with_limits
from pneumoscope.stats.intervals import FEWEST_GROUPS, describe_too_few, effective_size, group_sums, quantile_for
from pneumoscope.stats.kernels import Bools, Floats
from pneumoscope.stats.metrics import bin_edges, group_index
from pneumoscope.stats.ratios import METHOD, Share, ratio_limits

_FEWEST_OF_EITHER = 3
"""With fewer groups of either class a band is merged with its neighbour: a ratio with 0 below has no value."""

_BANDS = 300
"""Bands at the start; few of them remain where a model is good."""


def at_prior(probability: ArrayLike, prior: ArrayLike, new_prior: ArrayLike) -> Floats:
    """Return probabilities under another class prior: p'_k proportional to p_k * new_k / prior_k (Saerens 2002).

    Args:
        probability: [N, C], rows sum to 1.
        prior: [C] shares of the classes in the images of the calibration, each > 0.
        new_prior: [C] shares where the model is used, each >= 0; both sum to 1.
    """
    p, old, new = (np.asarray(values, dtype=np.float64) for values in (probability, prior, new_prior))
    if old.shape != (p.shape[-1],) or new.shape != old.shape:
        raise ValueError(f"priors {old.shape} and {new.shape} do not fit {p.shape[-1]} classes")
    if (old <= 0).any() or (new < 0).any() or abs(old.sum() - 1) > 1e-6 or abs(new.sum() - 1) > 1e-6:
        raise ValueError("each prior must sum to 1, that of the calibration part with every class above 0")
    moved = p * (new / old)
    total = moved.sum(axis=-1, keepdims=True)
    # A model that is certain of a class that cannot occur there says nothing, so that the new prior remains.
    return np.asarray(np.where(total > 0, moved / np.where(total > 0, total, 1.0), new), dtype=np.float64)


def primary_prior(prior: Sequence[float], prevalence: float) -> Floats:
    """Return the prior [C] with the first class at ``prevalence`` and the others in their old proportions."""
    old = np.asarray(prior, dtype=np.float64)
    rest = old[1:] / old[1:].sum()
    return np.concatenate([[prevalence], (1 - prevalence) * rest])


def likelihood_ratio(in_band: Bools, positive: Bools, groups: ArrayLike) -> Estimate:
    """Return P(score in band | class) / P(score in band | others), with its interval.

    Args:
        in_band: [N] whether the score is in the band.
        positive: [N] whether the image is of the class.
        groups: [N].
    """
    group = group_index(groups)
    sides = [group_sums(in_band[side], group[side]) for side in (positive, ~positive)]
    if not all(hits.sum() for hits, _ in sides):
        return Estimate(value=None, note="needs images of the class and of others in the band")
    top, bottom = (Share(float(hits.sum() / counts.sum()), effective_size(hits, counts)) for hits, counts in sides)
    value, fewest = top.value / bottom.value, min(len(counts) for _, counts in sides)
    if fewest < FEWEST_GROUPS:
        return Estimate(value=value, method=METHOD, note=describe_too_few(fewest))
    quantile = quantile_for((top.size, sides[0][1]), (bottom.size, sides[1][1]))
    return with_limits(value, *ratio_limits(top, bottom, quantile), METHOD)


def likelihood_bands(
    score: ArrayLike, positive: ArrayLike, groups: ArrayLike, edges: Sequence[float] | None = None
) -> tuple[LikelihoodBand, ...]:
    """Return likelihood ratios by score band.

    Neighbours are merged until each band holds some groups of the class and of the others, and the ratio rises from
    band to band: however extreme a score, its evidence is at most that of the outermost band. The result is empty where
    fewer than two bands remain.

    Args:
        score: [N] probability of the class.
        positive: [N] whether the image is of the class.
        groups: [N].
        edges: Edges of the bands, rising, from 0 to 1; None starts with 300 bands of about equal numbers of images.
    """
    s, y = np.asarray(score, dtype=np.float64), np.asarray(positive, dtype=np.bool_)
    group = group_index(groups)
    cuts = [0.0, *(float(edge) for edge in bin_edges(s, _BANDS) if 0 < edge < 1), 1.0] if edges is None else list(edges)

    def inside(low: float, high: float) -> Bools:
        return np.asarray((s >= low) & ((s <= high) if high >= 1.0 else (s < high)), dtype=np.bool_)

    def poor(mask: Bools) -> bool:
        return min(len(np.unique(group[mask & y])), len(np.unique(group[mask & ~y]))) < _FEWEST_OF_EITHER

    def odds(mask: Bools) -> float:
        return float((mask & y).sum()) / max(1.0, float((mask & ~y).sum()))

    # The outermost bands come first: they hold the strongest evidence, and a good model leaves little between them.
    while len(cuts) > 2 and poor(inside(cuts[0], cuts[1])):
        del cuts[1]
    while len(cuts) > 2 and poor(inside(cuts[-2], cuts[-1])):
        del cuts[-2]
    place = 1
    while place < len(cuts) - 2:
        if not poor(inside(cuts[place], cuts[place + 1])):
            place += 1
        elif place < len(cuts) - 3:
            del cuts[place + 1]
        else:  # the last inner band joins the neighbour whose evidence is more like its own
            below, own, above = (odds(inside(*pair)) for pair in pairwise(cuts[place - 1 : place + 3]))
            del cuts[place if own * own < below * above else place + 1]
            break
    place = 0
    while place < len(cuts) - 2:
        if odds(inside(cuts[place], cuts[place + 1])) >= odds(inside(cuts[place + 1], cuts[place + 2])):
            del cuts[place + 1]  # merged with its neighbour; the band before may now be out of order
            place = max(0, place - 1)
        else:
            place += 1
    if len(cuts) < 3:
        return ()
    bands = []
    for low, high in pairwise(cuts):
        mask = inside(low, high)
        ratio = likelihood_ratio(mask, y, group)
        bands.append(
            LikelihoodBand(
                low=low, high=high, ratio=ratio, positives=int((mask & y).sum()), negatives=int((mask & ~y).sum())
            )
        )
    return tuple(bands)


def ratio_of(bands: Sequence[LikelihoodBand], score: float) -> Estimate | None:
    """Return the likelihood ratio of the band that a score is in; the outermost bands hold all scores beyond them."""
    for band in bands:
        if score < band.high or band is bands[-1]:
            return band.ratio
    return None


def post_test(ratio: float, prevalence: float) -> float:
    """Return the probability after a result: odds after = odds before * likelihood ratio."""
    odds = ratio * prevalence / (1 - prevalence)
    return odds / (1 + odds)
