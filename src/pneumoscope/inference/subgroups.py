"""The figures of a model by subgroup of patients, each against the other images, with multiplicity."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from pneumoscope.core.frozen import Frozen
from pneumoscope.data.subgroups import number_comparisons, subgroups_of
from pneumoscope.stats.comparison.paired import holm_of_comparisons
from pneumoscope.stats.comparison.unpaired import compare_subsets
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.kernels import Bools, Floats, Ints
from pneumoscope.stats.thresholds import at_threshold

if TYPE_CHECKING:
    import pandas as pd


class SubgroupFigures(Frozen):
    """The figures of one subgroup, of the primary class against the rest."""

    name: str
    images: int
    groups: int
    positives: int = Field(description="images of the primary class")
    auroc: Estimate
    difference: Estimate = Field(description="AUROC less that of the other images whose value of the column is known")
    p_value: float | None = Field(
        description="of no difference, adjusted over all comparisons (Holm); None where no interval can be given"
    )
    sensitivity: Estimate = Field(description="at the default threshold of the card")
    specificity: Estimate = Field(description="at the default threshold of the card")


def measure_subgroups(
    table: pd.DataFrame, score: Floats, positive: Bools, group: Ints, threshold: float
) -> tuple[SubgroupFigures, ...]:
    """Measure each subgroup that is not all of the images.

    Args:
        table: N rows of a manifest.
        score: [N] probability of the primary class.
        positive: [N] whether an image is of that class.
        group: [N] in 0..G-1, the independent unit.
        threshold: The card's default one.

    Returns:
        In the order of `data.subgroups.subgroups_of`; p-values are adjusted over those that have one.
    """
    found, sides = [], []
    for name, inside, known in subgroups_of(table):
        here = inside & known
        if not here.any() or not (known & ~inside).any():
            continue
        auroc, _, gap, p = compare_subsets(score[known], positive[known], group[known], inside[known])
        sensitivity, specificity = at_threshold(score[here], positive[here], group[here], threshold)
        facts = (name, here, auroc, gap, None if gap.low is None else p, sensitivity, specificity)
        found.append(facts)
        sides.append((inside, known))
    adjusted = holm_of_comparisons([p for *_, p, _, _ in found], number_comparisons(sides))
    return tuple(
        SubgroupFigures(
            name=name,
            images=int(here.sum()),
            groups=len(np.unique(group[here])),
            positives=int(positive[here].sum()),
            auroc=auroc,
            difference=gap,
            p_value=p,
            sensitivity=sensitivity,
            specificity=specificity,
        )
        for (name, here, auroc, gap, _, sensitivity, specificity), p in zip(found, adjusted, strict=True)
    )
