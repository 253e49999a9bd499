"""An acceptance: what a department asked for, what its own cases show, and one of three words.

These records are stored as ``acceptance.json``. The plan is written down before any image is scored.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from pneumoscope import __version__
from pneumoscope.bundle.evidence import AcceptanceMinima, AcceptanceVerdict, PlanFact
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.core.notebook import html_disclaimer, html_heading, html_table, html_text
from pneumoscope.stats.curve_points import CurvePoints
from pneumoscope.stats.estimates import Estimate

Sampling: TypeAlias = Literal["consecutive", "enriched"]
"""consecutive: every patient who came; enriched: somebody chose how many have the disease."""


class AcceptanceCriterion(Frozen):
    """One minimum and what these cases show."""

    name: str = Field(description="sensitivity, specificity or auroc")
    title: str
    figure: Estimate = Field(description="of all images; a refused image counts against the model")
    answered: Estimate = Field(description="of the images that the model answered")
    minimum: float
    holds: bool | None = Field(description="whether the lower limit reaches the minimum; None: no interval")
    surely_fails: bool = Field(description="whether even the upper limit is under the minimum")


class EarlierPlan(Frozen):
    """An earlier acceptance of the same bundle that looked at some of these images."""

    stated: str = Field(description="UTC, ISO 8601")
    minima: AcceptanceMinima
    shared_images: int
    same_minima: bool
    verdict: str = Field(description="what it came to; empty where it was never finished, or was insufficient")


class SampleSize(Frozen):
    """How many patients one aim needs."""

    aim: str
    rests_on: str = Field(description="what is expected, in words")
    needed: int | None = Field(description="patients; None: no number suffices")
    of: Literal["all", "with", "without"] = Field(description="which patients are counted")
    have: int
    source: str


class ThresholdFigures(Frozen):
    """Sensitivity and specificity of one way to decide."""

    sensitivity: Estimate = Field(description="of all images with disease; a refused one counts as missed")
    specificity: Estimate = Field(description="of all images without; a refused one counts as a false alarm")
    sensitivity_answered: Estimate
    specificity_answered: Estimate


class Acceptance(Frozen):
    """All of one acceptance."""

    schema_version: int = 1
    disclaimer: str = DISCLAIMER
    program: str = Field(default_factory=lambda: f"pneumoscope {__version__}")
    created: str = Field(description="UTC, ISO 8601")
    model: str
    plan: PlanFact = Field(description="what was asked for, with the time before the first image was scored")
    earlier: tuple[EarlierPlan, ...]
    verdict: AcceptanceVerdict
    reason: str
    criteria: tuple[AcceptanceCriterion, ...]
    classes: tuple[str, ...]
    images: int
    class_images: dict[str, int]
    images_with: int
    images_without: int
    patients_with: int = Field(description="groups with the disease")
    patients_without: int = Field(description="groups without it")
    group_kind: str
    group_sentence: str
    ignored: dict[str, int] = Field(description="labels that the model does not know -> images left out")
    threshold: float | None = Field(description="from all answered images, for use; None: too few to set one")
    fold_thresholds: tuple[float, ...]
    card_threshold: float
    refitted_figures: ThresholdFigures = Field(description="at cross-fitted thresholds")
    card_figures: ThresholdFigures = Field(description="at the card's frozen threshold")
    refused: Estimate = Field(description="share of all images")
    refused_with: Estimate = Field(description="share of the images with disease")
    refused_without: Estimate
    refused_for: dict[str, Estimate] = Field(description="first reason of a refusal, as a word -> share of all images")
    reasons: dict[str, str] = Field(description="the same word -> one such reason in words")
    ppv: Estimate | None = Field(description="at this site's own prevalence; None for enriched sampling")
    npv: Estimate | None
    calibration_slope: Estimate
    calibration_intercept: Estimate | None = Field(description="None for enriched sampling")
    observed_to_expected: Estimate | None = Field(description="None for enriched sampling")
    plots: CurvePoints
    advice_before: tuple[SampleSize, ...] = Field(description="by what was known before any image was scored")
    advice_after: tuple[SampleSize, ...] = Field(description="by what was measured")
    notes: tuple[str, ...]
    seconds: float

    def __repr__(self) -> str:
        return f"<Acceptance of {self.model}: {self.verdict}. {self.reason}>"

    def _repr_html_(self) -> str:
        """Return the verdict and its criteria, for a notebook."""
        rows = [(one.title, one.figure, f"at least {one.minimum:g}", _in_words(one)) for one in self.criteria]
        return "".join(
            [
                html_heading(f"Site acceptance of {self.model}: {self.verdict}"),
                html_text(self.reason),
                html_table(("figure", "value", "lower limit", "holds"), rows),
                html_disclaimer(),
            ]
        )

    def to_json(self) -> str:
        """Return the acceptance as JSON.

        Returns:
            Indented JSON with a line end, as in ``acceptance.json``.
        """
        return self.model_dump_json(indent=2) + "\n"


def _in_words(criterion: AcceptanceCriterion) -> str:
    return {True: "yes", False: "no", None: "not known"}[criterion.holds]
