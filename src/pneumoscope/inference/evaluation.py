"""What an evaluation is: the figures of one model on one part of one manifest, with all facts beside them."""

from __future__ import annotations

from typing import TypeAlias

from pydantic import Field

from pneumoscope import __version__
from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.core.registry import suggestion
from pneumoscope.inference.measurement import Measurement
from pneumoscope.stats.comparison.noninferiority import NonInferiority
from pneumoscope.stats.design import Design
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.finding_averages import ONE_MEASURED


class Failure(Frozen):
    """An image that could not be read or run; no figure includes it."""

    image: str
    error: str


class EvaluationFacts(Frozen):
    """All facts that a reader needs beside the figures of one model on one part of one manifest."""

    schema_version: int = 1
    disclaimer: str = DISCLAIMER
    program: str = Field(default_factory=lambda: f"pneumoscope {__version__}")
    created: str = Field(description="UTC, ISO 8601")
    model: str
    identity: str = Field(description="SHA-256 of the bundle's card")
    part: str
    data: str = Field(description="hash of the images and labels that were measured")
    split: str = Field(description="hash of the division of the manifest into parts")
    group_kind: str
    group_sentence: str
    design: Design | None = Field(default=None, description="of the study; None where it is not stated")
    design_sentence: str = ""
    seed: int
    resamples: int
    failures: tuple[Failure, ...]
    ignored: dict[str, int] = Field(description="labels that the model does not know -> images left out")
    earlier_openings: int | None = Field(
        description="evaluations before this one that saw any of these test images; None where none is a test image"
    )
    opened_by: tuple[str, ...] = Field(
        default=(), description="when and by which model each of them was, oldest first, with the command where known"
    )
    training_copies: int | None = Field(
        default=None,
        description="images with the SHA-256 of a training image; None where the manifest of the model's run is not "
        "at hand",
    )
    stamps: tuple[str, ...] = Field(description="warnings that a reader must see beside the figures")
    seconds: float
    images_per_second: float

    def to_json(self) -> str:
        """Return the evaluation as JSON.

        Returns:
            Indented JSON with a line end, as in ``evaluation.json``.
        """
        return self.model_dump_json(indent=2) + "\n"


class Evaluation(Measurement, EvaluationFacts):
    """The figures of one model on one part of one manifest, with all facts that a reader needs beside them."""

    non_inferiority: NonInferiority | None = Field(default=None, description="None where no reference was given")

    @property
    def summary(self) -> str:
        """The figures that one quotes first, in a line."""
        primary = self.figures.classes[0]
        return (
            f"{self.part} ({self.figures.images} images): accuracy {self.figures.overall['accuracy']}, "
            f"AUROC of {primary} {self.figures.by_class[primary]['auroc']}."
        )

    def __repr__(self) -> str:
        accuracy = self.figures.overall["accuracy"]
        return f"<Evaluation of {self.model} on {self.part}: {self.figures.images:,} images, accuracy {accuracy}>"


class FindingsEvaluation(EvaluationFacts):
    """The figures of a multi-label model: those of each finding by itself, and averages over them.

    An image counts only with the findings that are stated of it.
    """

    images: int
    groups: int
    findings: dict[str, Measurement] = Field(
        description="finding -> its figures as those of a binary model, on the images that state it; without those "
        "that no image states both present and absent"
    )
    not_measured: dict[str, str] = Field(default_factory=dict, description="finding without figures -> why")
    averages: dict[str, Estimate] = Field(
        description="over the measured findings, by names of `stats.finding_averages`"
    )
    refused: int = Field(description="images; they are in all figures, as elsewhere")
    refused_share: Estimate

    @property
    def summary(self) -> str:
        """The figures that one quotes first, in a line."""
        return (
            f"{self.part} ({self.images} images): AUROC, mean of {len(self.findings)} findings, "
            f"{self.averages['macro/auroc']}."
        )

    @property
    def shown_averages(self) -> dict[str, Estimate]:
        """The averages without those that one measured finding does not have; no finding has none of them."""
        return {name: one for name, one in self.averages.items() if one.note != ONE_MEASURED}

    def __repr__(self) -> str:
        area = self.averages["macro/auroc"]
        return (
            f"<Evaluation of {self.model} on {self.part}: {self.images:,} images, {len(self.findings)} findings, "
            f"mean AUROC {area}>"
        )

    def of(self, finding: str) -> Evaluation:
        """Return the figures of one finding as an evaluation of a binary model.

        Args:
            finding: One of `findings`.

        Returns:
            An evaluation whose classes are the finding and its absence.

        Raises:
            UsageError: The finding was not measured.
        """
        if finding not in self.findings:
            why = self.not_measured.get(finding, "the model does not know it")
            raise UsageError(
                argument("finding", finding),
                f"was not measured: {why}.{suggestion(finding, self.findings)}",
                f"Findings: {', '.join(self.findings)}.",
            )
        facts = {name: getattr(self, name) for name in EvaluationFacts.model_fields}
        return Evaluation(**facts, **dict(self.findings[finding]))


AnyEvaluation: TypeAlias = Evaluation | FindingsEvaluation
"""What `evaluate` returns: figures of the classes, or of each finding of a multi-label model."""


def group_sentence(kind: str) -> str:
    """Return the meaning of the kind of group for the intervals, as a sentence."""
    if kind == "patient":
        return "Intervals keep the images of one patient together."
    if kind == "image":
        return "Image-level: where the patient is not known each image counts as its own; the true interval is wider."
    return (
        f"Groups are at weakest a {kind}: patients are not known for all images, so that two images of one patient may "
        "count as independent; the true interval is wider."
    )
