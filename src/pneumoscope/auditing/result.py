"""An audit: tests of one model, each with an effect, an interval, a margin that was stated before, and one verdict.

These records are stored as ``audit.json``. The margins are constants of this room (``verdicts.py``), so that nobody can
choose one after the figure is known.
"""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from pneumoscope import __version__
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.core.notebook import html_disclaimer, html_heading, html_table, html_text
from pneumoscope.stats.estimates import Estimate

AuditVerdict: TypeAlias = Literal["pass", "caution", "fail", "not identifiable"]


class AuditTest(Frozen):
    """One test of an audit."""

    name: str
    title: str
    question: str
    effect_name: str = Field(description="what the effect is, in words")
    effect: Estimate
    chance: float = Field(description="value of the effect where nothing is wrong, or nothing is left")
    rule: str = Field(description="the margin and what follows from it, stated before the measurement")
    verdict: AuditVerdict
    sentence: str = Field(description="what was seen, for a reader")
    images: int
    groups: int
    p_value: float | None = Field(default=None, description="of no effect; adjusted over its family (Holm)")
    details: dict[str, Estimate] = Field(default_factory=dict, description="further figures by name")


class SitePrediction(Frozen):
    """The AUROC to expect at a site that the model has not seen."""

    low: float
    high: float
    middle: float = Field(description="median")
    level: float = Field(description="probability that the interval holds a new site's AUROC, if it is like these")
    sites: dict[str, Estimate] = Field(description="AUROC at each site that the measured model had not learnt from")
    without_both_classes: tuple[str, ...] = Field(description="sites that say nothing about the AUROC")
    spread: float = Field(description="posterior median of the standard deviation between sites, on the logit scale")
    method: str
    sentence: str


class Audit(Frozen):
    """All of one audit."""

    schema_version: int = 1
    disclaimer: str = DISCLAIMER
    program: str = Field(default_factory=lambda: f"pneumoscope {__version__}")
    created: str = Field(description="UTC, ISO 8601")
    command: str
    model: str
    identity: str = Field(description="SHA-256 of the bundle's card")
    finding: str = Field(default="", description="of a multi-label model: the one that was audited")
    classes: tuple[str, ...] = Field(description="the first one is separated from all others together")
    part: str
    data: str = Field(description="hash of the images and labels that were used")
    images: int
    groups: int
    class_images: dict[str, int]
    sources: dict[str, int]
    group_sentence: str
    seed: int
    intact: Estimate = Field(description="AUROC on the images as they are")
    verdict: AuditVerdict
    reason: str = Field(description="why, in one sentence")
    prediction: SitePrediction | None = Field(description="None where no site could be measured")
    tests: tuple[AuditTest, ...]
    notes: tuple[str, ...]
    seconds: float

    def __repr__(self) -> str:
        return f"<Audit of {self.model}: {self.verdict}. {self.reason}>"

    def _repr_html_(self) -> str:
        """Return the verdicts, for a notebook."""
        rows = [(test.title, test.effect_name, test.effect, test.verdict) for test in self.tests]
        parts = [html_heading(f"Audit of {self.model}: {self.verdict}"), html_text(self.reason)]
        if self.prediction is not None:
            parts.append(html_text(self.prediction.sentence))
        return "".join([*parts, html_table(("test", "effect", "value", "verdict"), rows), html_disclaimer()])

    def test(self, name: str) -> AuditTest | None:
        """Return the test of a name; None where it was not run.

        Args:
            name: Such as ``lungs-blacked-out``.

        Returns:
            The test, or None.
        """
        return next((test for test in self.tests if test.name == name), None)

    def to_json(self) -> str:
        """Return the audit as JSON.

        Returns:
            Indented JSON with a line end, as in ``audit.json``.
        """
        return self.model_dump_json(indent=2) + "\n"
