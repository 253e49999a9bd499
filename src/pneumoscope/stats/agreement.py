"""Agreement of two readers of the same studies: a table, the share of agreement, and kappa, which removes chance.

Two readers have Cohen's kappa (Educ Psychol Meas 1960), several pairs together have Conger's (Psychol Bull 1980):
observed and chance agreement are means over the pairs, each with its own readers' habits. Intervals cluster by patient:
Wilson's for the share, a bootstrap of groups for kappa. They account for other patients, not for other readers.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.bootstrap import bootstrap, resample
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import FEWEST_GROUPS, describe_too_few, estimate_proportion
from pneumoscope.stats.kernels import Floats, Ints
from pneumoscope.stats.metrics import confusion_matrix, group_index

NO_PAIRS = "no study that both judged"
METHOD = "group bootstrap, BCa"
ALWAYS_AGREES = "not defined: both gave one label only, so that chance alone would always agree"


class Agreement(Frozen):
    """How far two readers agree."""

    labels: tuple[str, ...]
    table: tuple[tuple[int, ...], ...] = Field(description="row = label of the first reader, column = of the second")
    pairs: int = Field(description="studies that both judged")
    groups: int = Field(description="patients of these studies")
    observed: Estimate = Field(description="share of the studies on which they agree")
    kappa: Estimate


def kappa(first: Ints, second: Ints, classes: int, weight: Floats, pair: Ints | None = None) -> Floats:
    """Return kappa under weightings [B]; NaN where chance alone would always agree.

    Args:
        first: [N] class that the first reader gave, 0..classes-1.
        second: [N] class that the second reader gave.
        classes: Number of classes.
        weight: [B, N].
        pair: [N] number of the two readers of each row, 0..P-1; None where all rows have the same two.
    """
    pair_number = np.zeros(len(first), dtype=np.intp) if pair is None else pair
    pairs = int(pair_number.max(initial=0)) + 1
    total = weight.sum(axis=1)
    observed = weight @ (first == second).astype(np.float64) / total
    chance = np.zeros(len(weight))
    for number in range(pairs):
        in_pair = pair_number == number
        pair_weight = weight[:, in_pair]
        pair_total = pair_weight.sum(axis=1)
        shares = [pair_weight @ np.eye(classes)[reader[in_pair]] for reader in (first, second)]
        by_pair = np.divide(
            (shares[0] * shares[1]).sum(axis=1), pair_total, out=np.zeros(len(pair_total)), where=pair_total > 0
        )
        chance += by_pair / total
    remaining = 1 - chance
    return np.asarray(
        np.divide(observed - chance, remaining, out=np.full(len(remaining), np.nan), where=remaining > 1e-12),
        dtype=np.float64,
    )


def estimate_agreement(
    first: Sequence[str],
    second: Sequence[str],
    groups: ArrayLike,
    labels: Sequence[str],
    *,
    rng: np.random.Generator,
    pairs: Sequence[str] | None = None,
    resamples: int = 2000,
) -> Agreement:
    """Compare two readers.

    Args:
        first: [N] labels of the first reader.
        second: [N] labels of the second reader.
        groups: [N] patient of each study.
        labels: All labels that may occur, in the order of the table.
        rng: Source of the bootstrap's randomness.
        pairs: [N] names of the two readers, where there are more than two.
        resamples: Bootstrap resamples.
    """
    place = {label: number for number, label in enumerate(labels)}
    a, b = (np.array([place[label] for label in reader], dtype=np.intp) for reader in (first, second))
    group = group_index(groups)
    table = confusion_matrix(a, b, len(labels))
    return Agreement(
        labels=tuple(labels),
        table=tuple(tuple(int(n) for n in row) for row in table),
        pairs=len(a),
        groups=len(np.unique(group)),
        observed=estimate_proportion(a == b, group, what="comparison")
        if len(a)
        else Estimate(value=None, note=NO_PAIRS),
        kappa=_kappa_estimate(a, b, group, len(labels), None if pairs is None else group_index(pairs), rng, resamples),
    )


def _kappa_estimate(
    a: Ints, b: Ints, group: Ints, classes: int, pair: Ints | None, rng: np.random.Generator, resamples: int
) -> Estimate:
    if not len(a):
        return Estimate(value=None, note=NO_PAIRS)
    if np.isnan(kappa(a, b, classes, np.ones((1, len(a))), pair)[0]):
        return Estimate(value=None, note=ALWAYS_AGREES)
    # One stratum, since the number of studies that either reader gives a label is not fixed in advance.
    sample = resample(np.zeros(len(a), dtype=np.intp), group, 1, rng, resamples)
    estimate = bootstrap(lambda weight: kappa(a, b, classes, weight, pair), sample)
    note = describe_too_few(sample.fewest, "comparison") if sample.fewest < FEWEST_GROUPS else estimate.note
    return estimate.model_copy(update={"method": METHOD, "note": note})
