"""Is a new model not worse than another by more than a margin? Two models on the same images, the margin stated first.

The new model is non-inferior in a figure if the one-sided 97.5% lower limit of (new - reference) is above minus the
margin: the lower end of the two-sided 95% interval (ICH E9, 1998; Piaggio et al., JAMA 2012;308:2594). Where several
figures have margins, each is a claim of its own, and "non-inferior in all" needs no adjustment.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal, TypeAlias

import numpy as np
from numpy.typing import ArrayLike
from pydantic import Field
from scipy.special import ndtri

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.registry import suggestion
from pneumoscope.stats.auroc_interval import auroc_components, components_variance
from pneumoscope.stats.comparison.paired import Scores, compare_paired
from pneumoscope.stats.design import Design
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.intervals import TAIL
from pneumoscope.stats.metrics import group_index

FIGURES = ("auroc", "sensitivity", "specificity", "accuracy")
"""Figures that are compared; larger is better in all. Sensitivity and specificity are at each model's own threshold of
the same operating point, frozen on its calibration part."""

Verdict: TypeAlias = Literal["non-inferior", "inferior", "not shown", "no margin", "not estimable"]


class MarginResult(Frozen):
    """One figure of the new model less that of the reference, against its margin."""

    figure: str
    difference: Estimate = Field(description="new - reference, 95%; its lower limit is the one-sided 97.5% limit")
    margin: float | None = Field(description="how much worse the new model may be; None: none was stated")
    verdict: Verdict
    delong_lower: float | None = Field(
        default=None,
        description="AUROC: the same limit by the normal distribution alone (DeLong, Obuchowski)",
    )


class NonInferiority(Frozen):
    """A new model against a reference on the same images."""

    reference: str = Field(description="name and version")
    reference_identity: str
    operating_point: str = Field(description="whose frozen thresholds give sensitivity and specificity")
    images: int
    groups: int
    results: tuple[MarginResult, ...]
    claim: str = Field(description="the models and margins as ledger and evidence hold them")
    stated: str = Field(description="when the margins were stated, as far as the ledger knows, in a sentence")
    before: bool | None = Field(
        description="whether no earlier opening of these test images lacks the claim; None where no test image is here"
    )


def parse_margins(texts: Sequence[str]) -> dict[str, float]:
    """Return figure -> margin of ``0.02`` (of the AUROC) and ``sensitivity=0.05``.

    Raises:
        UsageError: An unknown figure, one given twice, or a margin that is not over 0 and under 1.
    """
    margins: dict[str, float] = {}
    for text in texts:
        name, equals, number = text.partition("=")
        figure, value = (name, number) if equals else ("auroc", name)
        given = argument("non_inferiority_margin", text)
        if figure not in FIGURES:
            listed = ", ".join(FIGURES)
            raise UsageError(given, f"there is no such figure.{suggestion(figure, FIGURES)}", f"There are: {listed}.")
        if figure in margins:
            raise UsageError(given, f"{figure} has a margin already.", "State each margin once.")
        try:
            margins[figure] = float(value)
        except ValueError:
            raise UsageError(given, "must be a number, or FIGURE=NUMBER.", "Say 0.02 or sensitivity=0.05.") from None
        if not 0 < margins[figure] < 1:
            raise UsageError(given, "must be over 0 and under 1.", "Say 0.02 or sensitivity=0.05.")
    return margins


def describe_claim(identity: str, reference: str, margins: Mapping[str, float]) -> str:
    """Return a claim in one line that two openings share only if models and margins are the same."""
    listed = ", ".join(f"{figure} {margins[figure]:g}" for figure in FIGURES if figure in margins)
    return f"{identity} not worse than {reference} by more than {listed}"


def judge(difference: Estimate, margin: float | None) -> Verdict:
    """Return what an interval of new - reference says about a margin."""
    if difference.value is None or difference.low is None or difference.high is None:
        return "not estimable"
    if margin is None:
        return "no margin"
    if difference.low > -margin:
        return "non-inferior"
    return "inferior" if difference.high < -margin else "not shown"


def compare_margins(
    new: Scores,
    reference: Scores,
    truth: ArrayLike,
    groups: ArrayLike,
    margins: Mapping[str, float],
    *,
    rng: np.random.Generator,
    resamples: int = 2000,
    design: Design | None = None,
) -> tuple[MarginResult, ...]:
    """Compare a new model with a reference by every figure; those with a margin get a verdict.

    The limits of the AUROC's difference are on each side the outer of Obuchowski's paired ones and those of either
    AUROC combined (`paired`): the normal ones alone miss too often near 1. They are given beside, to check.

    Args:
        new: The new model's answers.
        reference: The other's, to the same images in the same order.
        truth: [N] class of each image; 0 is the primary one.
        groups: [N] name of each image's group.
        margins: Figure -> margin.
        rng: Source of the randomness.
        resamples: Of the tests.
        design: Of the study.
    """
    results = []
    for figure in FIGURES:
        pair = compare_paired(new, reference, truth, groups, figure, rng=rng, resamples=resamples, design=design)
        lower = None
        if figure == "auroc" and pair.difference.low is not None and pair.difference.value is not None:
            error = delong_error(new, reference, np.asarray(truth) == 0, group_index(groups))
            lower = pair.difference.value - float(ndtri(1 - TAIL)) * error
        results.append(
            MarginResult(
                figure=figure,
                difference=pair.difference,
                margin=margins.get(figure),
                verdict=judge(pair.difference, margins.get(figure)),
                delong_lower=lower,
            )
        )
    return tuple(results)


def delong_error(
    new: Scores, reference: Scores, positive: np.ndarray[tuple[int], np.dtype[np.bool_]], group: ArrayLike
) -> float:
    """Return the standard error of the difference of two AUROCs: DeLong's, of whole groups (Obuchowski 1997)."""
    one, two = (auroc_components(np.asarray(s.probabilities[:, 0], np.float64), positive) for s in (new, reference))
    return math.sqrt(max(0.0, components_variance(one - two, positive, np.asarray(group))))
