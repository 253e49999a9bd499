"""Two models of several findings on the same images: the difference of their mean AUROC, by patients.

The mean is over the findings that the images state both present and absent. Its interval is a bootstrap of groups over
all findings together, since those of one patient are not independent, and the test swaps the models in whole groups.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from pneumoscope.stats.bootstrap import Resampling, bootstrap
from pneumoscope.stats.comparison.paired import ONE_SIDED, Paired, adjust
from pneumoscope.stats.comparison.paired_tests import draw_swaps, swap_mean_areas
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.finding_averages import UNMEASURED, mean_area, measured_findings, resample_findings
from pneumoscope.stats.intervals import FEWEST_GROUPS, TAIL, describe_too_few
from pneumoscope.stats.kernels import Floats
from pneumoscope.stats.metric_names import MEAN_AREA
from pneumoscope.stats.metrics import group_index


@dataclass(frozen=True, slots=True)
class FindingScores:
    """The answers of one model of several findings.

    Args:
        probabilities: [N, C] of each finding by itself.
        thresholds: [C] from which on a finding is called.
    """

    probabilities: Floats
    thresholds: Floats


def compare_all_findings(
    scores: Mapping[str, FindingScores],
    reference: str,
    stated: ArrayLike,
    groups: ArrayLike,
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
) -> dict[str, Paired]:
    """Compare every other model with ``reference`` by the mean AUROC; p-values are adjusted over this family (Holm).

    All comparisons share the same resamples and swaps.

    Args:
        scores: Model -> answers, on the same images and findings in the same order.
        reference: One of the models.
        stated: [N, C] 1 present, 0 absent, NaN unknown.
        groups: [N] name of each image's group.
        rng: Source of the randomness of resamples and swaps.
        resamples: How many of each.

    Returns:
        For each model but the reference, in the order of ``scores``: model - reference.

    Raises:
        ValueError: A model's answers are not of these images and findings.
    """
    truth, group = np.asarray(stated, np.float64), group_index(groups)
    if any(np.shape(one.probabilities) != truth.shape for one in scores.values()):
        raise ValueError(f"probabilities must all be {list(truth.shape)}, images and findings")
    others = [name for name in scores if name != reference]
    measured = measured_findings(truth)
    if not measured:
        nothing = Paired(metric=MEAN_AREA, difference=Estimate(value=None, note=UNMEASURED), note=UNMEASURED)
        return dict.fromkeys(others, nothing)
    sample = resample_findings(truth, group, rng, resamples)
    swaps = draw_swaps(int(group.max()) + 1, resamples, rng)
    chosen = {name: np.asarray(one.probabilities, np.float64)[:, measured] for name, one in scores.items()}
    kept = truth[:, measured]
    pairs = {}
    for name in others:
        pair = _compare(chosen[name], chosen[reference], kept, sample)
        if pair.difference.low is not None:
            test = swap_mean_areas(chosen[name], chosen[reference], kept, group, swaps)
            pair = pair.model_copy(update={"p_value": test.p_value, "test": test.name})
        pairs[name] = pair
    return adjust(pairs)


def _compare(a: Floats, b: Floats, stated: Floats, sample: Resampling) -> Paired:
    """Return the difference a - b of the mean AUROC with its limits, not tested."""
    one, two = mean_area(a, stated), mean_area(b, stated)

    def difference(weight: Floats) -> Floats:
        return one(weight) - two(weight)

    if sample.fewest < FEWEST_GROUPS:
        note = describe_too_few(sample.fewest)
        value = float(difference(np.ones((1, len(stated))))[0])
        return Paired(metric=MEAN_AREA, difference=Estimate(value=value, note=note), note=note)
    both, single = (bootstrap(difference, sample, tail=tail) for tail in (TAIL, ONE_SIDED))
    return Paired(metric=MEAN_AREA, difference=both, lower=single.low, upper=single.high, note=both.note)
