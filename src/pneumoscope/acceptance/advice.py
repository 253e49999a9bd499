"""How many patients the aims of an acceptance need: before, by what is expected; after, by what was measured."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.special import logit

from pneumoscope.acceptance.result import SampleSize
from pneumoscope.bundle.card import Card
from pneumoscope.bundle.evidence import PlanFact
from pneumoscope.stats.kernels import Floats
from pneumoscope.stats.sample_size import (
    COLLINS,
    OBUCHOWSKI,
    RILEY,
    WILSON_BINOMIAL,
    cases_for_least_auroc,
    expected_linear_predictor,
    patients_for_auroc,
    patients_for_least_share,
    patients_for_oe,
    patients_for_slope,
)

_NEAREST_ONE = 1e-6
_LOWEST, _HIGHEST = 0.55, 0.99
"""An AUROC outside is taken as the nearer end: formulas for normal scores have no use there."""
FALLBACK_AUROC = 0.80


@dataclass(frozen=True)
class Expectation:
    """What a sample size rests on.

    Attributes:
        source: Where the values come from, in words.
        auroc: Of the model.
        sensitivity: At its threshold.
        specificity: At its threshold; None: not known.
        score: [N] probabilities of the answered images; None: not known, and taken as normal logits.
    """

    source: str
    auroc: float
    sensitivity: float
    specificity: float | None
    score: Floats | None


def expect_from_card(card: Card, plan: PlanFact) -> Expectation:
    """Return what the card lets expect: its last measured part, else an AUROC of .80.

    Args:
        card: Of the model.
        plan: Of the acceptance.
    """
    point = card.default_operating_point
    for part in reversed(card.metrics):
        auroc = part.metrics.get(f"{card.primary}/auroc")
        specificity = part.metrics.get(f"{point}/specificity")
        if auroc is not None and auroc.value is not None:
            return Expectation(
                f"the card's figures on its part {part.part}",
                auroc.value,
                plan.target_sensitivity,
                None if specificity is None else specificity.value,
                None,
            )
    words = f"an AUROC of {FALLBACK_AUROC:.2f}, since the card has none"
    return Expectation(words, FALLBACK_AUROC, plan.target_sensitivity, None, None)


def advise(plan: PlanFact, expected: Expectation, patients_with: int, patients_without: int) -> tuple[SampleSize, ...]:
    """Return how many patients each aim needs.

    Args:
        plan: With the minima and the sampling.
        expected: What the numbers rest on.
        patients_with: Patients with the disease.
        patients_without: Patients without it.
    """
    minima, total = plan.minima, patients_with + patients_without
    prevalence, ratio = patients_with / total, patients_without / patients_with
    area = min(max(expected.auroc, _LOWEST), _HIGHEST)
    rests_on = f"AUROC {expected.auroc:.3f}, {expected.source}"

    def entry(
        aim: str, needed: int | None, of: Literal["all", "with", "without"], rests: str, source: str
    ) -> SampleSize:
        have = {"all": total, "with": patients_with, "without": patients_without}[of]
        return SampleSize(aim=aim, rests_on=rests, needed=needed, of=of, have=have, source=source)

    least = plan.least_patients
    rule = f"the rule of this program, after {COLLINS}"
    sizes = [
        entry("a go at all, with disease", least, "with", "nothing is assumed", rule),
        entry("a go at all, without disease", least, "without", "nothing is assumed", rule),
        entry(
            f"a lower limit of the sensitivity of {minima.sensitivity:g}, reached 80 times in 100",
            patients_for_least_share(expected.sensitivity, minima.sensitivity),
            "with",
            f"a sensitivity of {expected.sensitivity:.3f}",
            WILSON_BINOMIAL,
        ),
    ]
    if expected.specificity is not None:
        sizes.append(
            entry(
                f"a lower limit of the specificity of {minima.specificity:g}, reached 80 times in 100",
                patients_for_least_share(expected.specificity, minima.specificity),
                "without",
                f"a specificity of {expected.specificity:.3f}",
                WILSON_BINOMIAL,
            )
        )
    sizes.append(
        entry(
            f"a lower limit of the AUROC of {minima.auroc:g}, reached 80 times in 100",
            cases_for_least_auroc(min(expected.auroc, _HIGHEST), minima.auroc, ratio),
            "with",
            f"{rests_on}; {ratio:.2f} patients without for each one with",
            OBUCHOWSKI,
        )
    )
    share = f"a share of disease of {prevalence:.2f}"
    sizes.append(
        entry("an interval of the AUROC .1 wide", patients_for_auroc(area, prevalence), "all", rests_on, RILEY)
    )
    if expected.score is None:
        needed = patients_for_slope(*expected_linear_predictor(area, prevalence))
        rests = f"{rests_on}; normal logits; {share}"
    else:
        clipped = np.clip(expected.score, _NEAREST_ONE, 1 - _NEAREST_ONE)
        needed = patients_for_slope(logit(clipped))
        rests = f"the {len(clipped)} scores here"
    sizes.append(entry("an interval of the calibration slope .2 wide", needed, "all", rests, RILEY))
    if plan.sampling == "consecutive":
        sizes.append(
            entry("an interval of observed to expected .2 wide", patients_for_oe(prevalence), "all", share, RILEY)
        )
    return tuple(sizes)
