"""The card: a bundle's description of itself, so that everybody who uses the model sees its limits.

A bundle is a folder: ``model.onnx``, ``card.json``, ``recipe.yaml``, ``weights.safetensors`` (left out of the shipped
one), ``CARD.md``, ``figures/``. Its identity is the hash of the card, which holds the hash of the graph. Later facts
(audit, parity, openings) are appended to ``evidence/*.json`` and name that identity.
After: Mitchell et al., Model Cards for Model Reporting, FAT* 2019.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pydantic import Field, ValidationError, model_validator

from pneumoscope.bundle.graph_check import check_links
from pneumoscope.core.arguments import argument, check_arguments
from pneumoscope.core.errors import BundleError, MissingBundleError, UsageError
from pneumoscope.core.files import sha256_of
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import absent_name
from pneumoscope.core.registry import suggestion
from pneumoscope.stats.design import Design
from pneumoscope.stats.estimates import Estimate, LikelihoodBand, OperatingPoint, PredictionSets, Promises

if TYPE_CHECKING:
    from pneumoscope.stats.figures import Figures

SCHEMA_VERSION = 1

OUTPUTS = ("probabilities", "logits", "heatmap", "embedding", "ood")
"""Names of the graph's outputs, in order. Its one input is ``image``: float32 [N, 1, H, W], 0 = black, 1 = white."""


class PartMetrics(Frozen):
    """The figures of one part of one data set."""

    part: str
    data: str = Field(description="hash of the manifest's rows that were used")
    images: int
    groups: int
    group_kind: str = Field(
        description="patient, near-duplicate cluster or image; only the first gives the true interval"
    )
    metrics: dict[str, Estimate]
    design: Design | None = Field(default=None, description="case-control or cohort; None where it is not stated")

    @classmethod
    def of(cls, figures: Figures, part: str, data: str, group_kind: str) -> PartMetrics:
        """Return figures as a card keeps them.

        Args:
            figures: Measured on the part's images.
            part: Its name.
            data: Hash of the manifest's rows that were used.
            group_kind: What the independent unit is: patient, near-duplicate cluster or image.
        """
        return cls(
            part=part,
            data=data,
            images=figures.images,
            groups=figures.groups,
            group_kind=group_kind,
            metrics=figures.flat(),
            design=figures.design,
        )


class LabelDefinition(Frozen):
    """One class of the model."""

    name: str
    members: tuple[str, ...] = Field(description="labels of the vocabulary that were merged into this class")
    reference_standard: str = Field(description="how the training labels were made, by source")
    images: dict[str, int] = Field(default_factory=dict, description="images by part")
    names: dict[str, str] = Field(
        default_factory=dict,
        exclude_if=lambda names: not names,
        description="language -> name on screen, of a label that the data brought; the others have theirs built in",
    )


class SourceLicence(Frozen):
    """The licence that one source of training data (or of starting weights) puts on these weights."""

    source: str
    licence: str
    images: int = 0


class Refusal(Frozen):
    """When the model gives no answer: thresholds chosen on the calibration part."""

    ood_threshold: float = Field(description="a study whose out-of-distribution score exceeds this is refused")
    ood_quantile: float = Field(description="the share of calibration images that was to be at or under the threshold")
    images: int | None = Field(
        default=None, description="calibration images that chose the threshold; None on cards of earlier versions"
    )
    kept: int | None = Field(default=None, description="of them at or under the threshold")


class Population(Frozen):
    """Whom and what the training images show, as far as the manifest says."""

    views: dict[str, int] = Field(description="view (PA, AP, AP Supine, L or unknown) -> training images")
    ages: dict[str, int] = Field(description="adult, child (under 18 years) or unknown -> training images")


class CheckNote(Frozen):
    """One finding of the data checks."""

    name: str
    severity: Literal["block", "warn", "note"]
    sentence: str
    because: str | None = Field(default=None, description="the user's reason to allow it")


LEAKS = ("duplicates-across-parts", "patients-across-parts")
"""The data checks that find images of one patient, or one picture, in two parts."""


class CheckSummary(Frozen):
    """The findings of the data checks before the training."""

    checked: str = Field(description="UTC, ISO 8601")
    data: str = Field(description="hash of the manifest's rows that were checked")
    findings: tuple[CheckNote, ...]

    @property
    def leaks(self) -> tuple[CheckNote, ...]:
        """The findings of one patient, or one picture, in two parts."""
        return tuple(finding for finding in self.findings if finding.name in LEAKS)


class FindingFacts(Frozen):
    """What a multi-label model's calibration part set for one finding, and the finding's figures."""

    name: str
    temperature: float
    bias: float = Field(description="added to the scaled logit, before the sigmoid")
    prior: float = Field(description="share of the images that have it, of those of the calibration part that state it")
    absent: dict[str, int] = Field(description="images by part in which it is stated absent")
    operating_points: tuple[OperatingPoint, ...]
    score_bands: tuple[dict[str, float], ...] = ()
    likelihood_ratios: tuple[LikelihoodBand, ...] = ()
    prediction_sets: PredictionSets | None = None
    metrics: tuple[PartMetrics, ...] = ()
    metrics_by_source: dict[str, tuple[PartMetrics, ...]] = Field(default_factory=dict)


class Card(Frozen):
    """A bundle's description of itself. ``labels`` gives the order of the graph's outputs; the first is primary.

    A multi-label model answers about each finding by itself: thresholds, bands and figures are in ``findings``, and
    `view` gives the card of one finding as that of a binary model.
    """

    schema_version: int = SCHEMA_VERSION
    name: str
    version: str
    created: str = Field(description="UTC, ISO 8601")
    software: dict[str, str] = Field(description="versions of the software that made it")
    summary: str
    intended_use: str
    limits: tuple[str, ...]
    not_looked_for: tuple[str, ...]
    labels: tuple[LabelDefinition, ...]
    kind: Literal["binary", "multiclass", "multilabel"]
    findings: tuple[FindingFacts, ...] = Field(
        default=(),
        exclude_if=lambda findings: not findings,
        description="of a multi-label model: thresholds and figures of each label, in the order of ``labels``",
    )
    input_size: int = Field(description="side of the square that the graph resizes to, in pixels")
    heatmap_size: tuple[int, int] | None = Field(description="rows, columns of the heatmap; None where there is none")
    temperature: float
    class_bias: tuple[float, ...]
    class_prior: tuple[float, ...] = Field(description="share of each class in the calibration part")
    calibrated: bool = True
    operating_points: tuple[OperatingPoint, ...]
    default_operating_point: str = "sensitivity-95"
    score_bands: tuple[dict[str, float], ...] = Field(
        default=(),
        description="low, high, observed rate, its interval and n of the primary label, on calibration",
    )
    likelihood_ratios: tuple[LikelihoodBand, ...] = Field(
        default=(), description="of the primary label by score band, on calibration; capped at the outermost bands"
    )
    prediction_sets: PredictionSets | None = None
    refusal: Refusal
    recipe_name: str
    recipe_changes: tuple[str, ...] = Field(default=(), description="--set options and re-derived parts")
    recipe_hash: str
    data_hash: str
    split_hash: str
    images_by_part: dict[str, int] = Field(
        default_factory=dict,
        exclude_if=lambda images: not images,
        description="of a multi-label model, whose images may count for several labels, or for none",
    )
    group_kind: str
    metrics: tuple[PartMetrics, ...]
    metrics_by_source: dict[str, tuple[PartMetrics, ...]] = Field(default_factory=dict)
    licences: tuple[SourceLicence, ...]
    stamps: tuple[str, ...] = Field(default=(), description="warnings that follow the model, such as 'confounded'")
    gate: CheckSummary | None = Field(default=None, description="None: trained before there were data checks")
    synthetic: bool = Field(default=False, description="trained on phantoms: for demonstration only")
    parameters: int
    companions: dict[str, str] = Field(
        default_factory=dict,
        description="role (gatekeeper, lungs) -> identity of the companion bundle that the figures were measured with; "
        "'none': this model is never screened",
    )
    borders: Literal["kept", "cut", "cut-after-training"] = Field(
        default="kept",
        description="cut: flat borders are cut off before the graph looks, and were so in its training and figures; "
        "cut-after-training: in its figures, and its training had them; kept: made before that, and it sees them",
    )
    derived_from: str | None = Field(
        default=None,
        exclude_if=lambda parent: parent is None,
        description="identity of the bundle that an export made this one of; figures and thresholds are that bundle's",
    )
    population: Population | None = Field(
        default=None, description="None: unknown, taken as frontal views of adults and children"
    )
    model_sha256: str
    model_bytes: int

    @model_validator(mode="after")
    def _consistent(self) -> Card:
        if tuple(facts.name for facts in self.findings) != (self.label_names if self.multilabel else ()):
            raise ValueError("findings must be the labels of a multi-label model, in their order, and of no other")
        return self

    @property
    def cuts_borders(self) -> bool:
        """Whether a flat border is cut off before the graph looks."""
        return self.borders != "kept"

    @property
    def leaks(self) -> tuple[CheckNote, ...]:
        """What the data checks found in two parts at once; its training was allowed all the same."""
        return () if self.gate is None else self.gate.leaks

    @property
    def multilabel(self) -> bool:
        """Whether the model answers about each label by itself."""
        return self.kind == "multilabel"

    def view(self, finding: str) -> Card:
        """Return the card of one finding of a multi-label model, as that of a binary model.

        Args:
            finding: One of its labels.

        Returns:
            A card whose classes are the finding and its absence (`core.labels.absent_name`).

        Raises:
            UsageError: The model is not multi-label, or does not know the finding.
        """
        if finding not in self.label_names or not self.multilabel:
            what = "it gives one answer about an image" if not self.multilabel else "it does not know this finding"
            raise UsageError(
                argument("finding", finding),
                f"is no finding of {self.name}: {what}."
                + (suggestion(finding, self.label_names) if self.multilabel else ""),
                f"Findings: {', '.join(self.label_names)}." if self.multilabel else "Leave this out.",
            )
        place = self.label_names.index(finding)
        facts, label = self.findings[place], self.labels[place]
        absent = LabelDefinition(
            name=absent_name(finding),
            members=(absent_name(finding),),
            reference_standard=label.reference_standard,
            images=facts.absent,
        )
        return self.model_copy(
            update={
                "kind": "binary",
                "labels": (label.model_copy(update={"members": (finding,)}), absent),
                "findings": (),
                "temperature": facts.temperature,
                "class_bias": (facts.bias / 2, -facts.bias / 2),
                "class_prior": (facts.prior, 1 - facts.prior),
                **{name: getattr(facts, name) for name in _OF_A_FINDING},
            }
        )

    @property
    def label_names(self) -> tuple[str, ...]:
        """Class names in the order of the graph's outputs."""
        return tuple(label.name for label in self.labels)

    @property
    def calibration_images(self) -> int:
        """Number of images of the calibration part; 0 where the card does not say."""
        return sum(label.images.get("calibration", 0) for label in self.labels)

    @property
    def primary(self) -> str:
        """The label whose probability has the operating points; of a multi-label model the first of its findings."""
        return self.labels[0].name

    @property
    def one_band(self) -> bool:
        """Whether one band holds every score: the calibration images are too few, or too alike in score, for more.

        Its rate is how common the label was among them, and says nothing of a score.
        """
        return len(self.score_bands) == 1

    @property
    def promises(self) -> Promises:
        """The statements that an evaluation tests."""
        return Promises(
            labels=self.label_names,
            class_prior=self.class_prior,
            score_bands=self.score_bands,
            prediction_sets=self.prediction_sets,
        )

    @property
    def asked_findings(self) -> tuple[str, ...]:
        """What an audit of the whole model must have asked about: each finding of a multi-label model, else nothing."""
        return tuple(facts.name for facts in self.findings)

    @property
    def finding_points(self) -> tuple[OperatingPoint, ...]:
        """The default operating point of each finding of a multi-label model, in the order of ``labels``."""
        return tuple(
            next(point for point in facts.operating_points if point.name == self.default_operating_point)
            for facts in self.findings
        )

    @property
    def operating_point(self) -> OperatingPoint:
        """The default operating point; a multi-label model has one for each finding, see `view`."""
        return next(point for point in self.operating_points if point.name == self.default_operating_point)

    def _repr_html_(self) -> str:
        """Return the card in short, for a notebook: what the model is for, what it was measured at, its limits."""
        from pneumoscope.core.labels import display_name
        from pneumoscope.core.notebook import html_disclaimer, html_heading, html_list, html_table, html_text

        point = self.default_operating_point
        keys = ("accuracy", f"{self.primary}/auroc", f"{point}/sensitivity", f"{point}/specificity")
        accuracies = [
            (part.part, part.images, *(part.metrics.get(key, "not measured") for key in keys)) for part in self.metrics
        ]
        head = ("part", "images", "accuracy", f"AUROC of {display_name(self.primary)}", "sensitivity", "specificity")
        verb = "Tells apart"
        if self.multilabel:
            verb = "Looks for, each by itself"
            head = ("finding", "part", "images", "AUROC", "sensitivity", "specificity")
            accuracies = [
                (
                    display_name(finding.name),
                    part.part,
                    part.images,
                    *(
                        part.metrics.get(key, "not measured")
                        for key in (f"{finding.name}/auroc", f"{point}/sensitivity", f"{point}/specificity")
                    ),
                )
                for finding in self.findings
                for part in finding.metrics
            ]
        return (
            html_heading(f"{self.name} {self.version}")
            + html_text(self.summary)
            + html_text(f"{verb}: {', '.join(display_name(name) for name in self.label_names)}.")
            + html_text(f"Intended use: {self.intended_use}")
            + html_table(head, accuracies)
            + html_list((*self.stamps, *self.limits))
            + html_disclaimer()
        )

    def to_json(self) -> str:
        """Return the card as the text of card.json, which the identity hashes.

        Returns:
            Indented JSON with a line end.
        """
        return self.model_dump_json(indent=2) + "\n"


_OF_A_FINDING = (
    "operating_points", "score_bands", "likelihood_ratios", "prediction_sets", "metrics", "metrics_by_source",
)  # fmt: skip
"""Fields that a card and the facts of one of its findings share."""


def identity(card_json: bytes) -> str:
    """Return the identity of a bundle: the SHA-256 of its card, which holds the hash of the graph."""
    return hashlib.sha256(card_json).hexdigest()


@check_arguments
def read_card(folder: str | Path) -> tuple[Card, str]:
    """Read and verify a bundle's card and the hash of its graph.

    Args:
        folder: The bundle's own folder, which holds ``card.json`` and ``model.onnx``.

    Returns:
        The card and the bundle's identity.

    Raises:
        BundleError: The graph is missing or a file is a symbolic link, the schema is another, or the graph is not the
            one the card was written for.
        MissingBundleError: The folder does not exist, is no folder, or has no card; a kind of `BundleError`.
    """
    folder = Path(folder)
    card_path, model_path = folder / "card.json", folder / "model.onnx"
    for path in (card_path, model_path):
        if not path.is_file():
            way_out = "Name a folder that holds card.json and model.onnx."
            if folder.is_dir() and path != card_path:
                raise BundleError(str(folder), f"is not a bundle: {path.name} is missing.", way_out)
            what = "it is no folder" if folder.exists() else "it is not there"
            what = "card.json is missing" if folder.is_dir() else what
            raise MissingBundleError(str(folder), f"is not a bundle: {what}.", way_out)
    check_links(folder)
    raw = card_path.read_bytes()
    try:
        card = Card.model_validate_json(raw)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise BundleError(
            str(card_path),
            f"does not follow card schema {SCHEMA_VERSION}: {where}: {first['msg']}.",
            "Export the bundle again with this version, or use the version that made it.",
        ) from error
    if card.schema_version != SCHEMA_VERSION:
        raise BundleError(
            str(card_path),
            f"has schema version {card.schema_version}; this program reads {SCHEMA_VERSION}.",
            "Export it again.",
        )
    digest = sha256_of(model_path)
    if digest != card.model_sha256:
        raise BundleError(
            str(model_path),
            f"has SHA-256 {digest[:12]}…, the card was written for {card.model_sha256[:12]}….",
            "The file was altered or exchanged: fetch or export the bundle again.",
        )
    return card, identity(raw)
