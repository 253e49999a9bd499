"""Agreement of two who judged the same studies: a table, the share agreed upon, and kappa, which takes out chance.

Cohen's kappa (Educ Psychol Meas 1960); where several pairs of readers are put together, Conger's (Psychol Bull 1980):
observed and chance agreement are means over the pairs, each with its own readers' habits. Intervals cluster by patient:
Wilson's for the share, a bootstrap of groups for kappa. Patients vary in them, readers do not.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field

from pneumoscope.core.frozen import Frozen
from pneumoscope.stats.bootstrap import bootstrap, resample
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import FEWEST_GROUPS, proportion, too_few
from pneumoscope.stats.kernels import Floats, Ints
from pneumoscope.stats.metrics import confusion_matrix, group_index

NOTHING = "nothing that both judged"
METHOD = "group bootstrap, BCa"
CHANCE = "not defined: chance alone would agree always, since both gave one label only"


class Agreement(Frozen):
    """How two agree."""

    labels: tuple[str, ...]
    table: tuple[tuple[int, ...], ...] = Field(description="row = what the first said, column = the second")
    pairs: int = Field(description="judgements that both made")
    groups: int = Field(description="patients they are of")
    observed: Estimate = Field(description="share on which they agree")
    kappa: Estimate


def kappa(first: Ints, second: Ints, classes: int, weight: Floats, pair: Ints | None = None) -> Floats:
    """Return kappa under weightings [B]; NaN where chance alone would agree always.

    Args:
        first: [N] class of each judgement, 0..classes-1.
        second: [N] of the other judge.
        classes: Number of classes.
        weight: [B, N].
        pair: [N] which two judges each row is of, 0..P-1; None: the same two throughout.
    """
    kind = np.zeros(len(first), dtype=np.intp) if pair is None else pair
    pairs = int(kind.max(initial=0)) + 1
    total = weight.sum(axis=1)
    observed = weight @ (first == second).astype(np.float64) / total
    chance = np.zeros(len(weight))
    for number in range(pairs):
        mine = kind == number
        held = weight[:, mine]
        own = held.sum(axis=1)
        shares = [held @ np.eye(classes)[judge[mine]] for judge in (first, second)]
        by_pair = np.divide((shares[0] * shares[1]).sum(axis=1), own, out=np.zeros(len(own)), where=own > 0)
        chance += by_pair / total
    left = 1 - chance
    return np.asarray(
        np.divide(observed - chance, left, out=np.full(len(left), np.nan), where=left > 1e-12), dtype=np.float64
    )


def agreement(
    first: Sequence[str],
    second: Sequence[str],
    groups: ArrayLike,
    labels: Sequence[str],
    *,
    rng: np.random.Generator,
    pairs: Sequence[str] | None = None,
    resamples: int = 2000,
) -> Agreement:
    """Compare two judges.

    Args:
        first: [N] labels.
        second: [N] labels of the other.
        groups: [N] patient of each judgement.
        labels: All that may occur, in the order of the table.
        rng: Where the randomness of the bootstrap comes from.
        pairs: [N] names of the two judges, where there are more than two.
        resamples: Bootstrap resamples.
    """
    place = {label: number for number, label in enumerate(labels)}
    a, b = (np.array([place[label] for label in judge], dtype=np.intp) for judge in (first, second))
    group = group_index(groups)
    table = confusion_matrix(a, b, len(labels))
    return Agreement(
        labels=tuple(labels),
        table=tuple(tuple(int(n) for n in row) for row in table),
        pairs=len(a),
        groups=len(np.unique(group)),
        observed=proportion(a == b, group, what="comparison") if len(a) else Estimate(value=None, note=NOTHING),
        kappa=_kappa_estimate(a, b, group, len(labels), None if pairs is None else group_index(pairs), rng, resamples),
    )


def _kappa_estimate(
    a: Ints, b: Ints, group: Ints, classes: int, pair: Ints | None, rng: np.random.Generator, resamples: int
) -> Estimate:
    if not len(a):
        return Estimate(value=None, note=NOTHING)
    if np.isnan(kappa(a, b, classes, np.ones((1, len(a))), pair)[0]):
        return Estimate(value=None, note=CHANCE)
    # One stratum: how many studies either judge calls what is not fixed beforehand.
    sample = resample(np.zeros(len(a), dtype=np.intp), group, 1, rng, resamples)
    made = bootstrap(lambda weight: kappa(a, b, classes, weight, pair), sample)
    note = too_few(sample.fewest, "comparison") if sample.fewest < FEWEST_GROUPS else made.note
    return made.model_copy(update={"method": METHOD, "note": note})
