"""Evaluate a bundle on a part of a manifest, without torch.

The evaluation measures the answers of `predict`: the same graph, the same calibrated probabilities, the thresholds
frozen in the card. It counts the images that the model refuses and gives the figures with and without them, since a
model that refuses the hard images looks better than it is. The default part is validation. Each opening of test images
is recorded.
"""

from __future__ import annotations

import datetime
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from pydantic import Field

from pneumoscope import __version__
from pneumoscope.bundle.card import Card
from pneumoscope.core.arguments import argument
from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import ManifestError, UnknownClassError, UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER, PARTS
from pneumoscope.data.opened_images import read_opened_images
from pneumoscope.inference.subgroups import SubgroupFigures, measure_subgroups
from pneumoscope.inference.warnings import list_warnings
from pneumoscope.stats.design import Design, design_sentence
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.figures import Figures, evaluate_predictions
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.kernels import Bools
from pneumoscope.stats.metrics import group_index
from pneumoscope.stats.plain_language import above_threshold
from pneumoscope.stats.recalibration import crossfit_scaling

if TYPE_CHECKING:
    from pneumoscope.bundle.prediction import Prediction
    from pneumoscope.bundle.runtime import Model
    from pneumoscope.data.manifest import Manifest
    from pneumoscope.data.opened_images import OpenedImages

__all__ = ["Evaluation", "evaluate", "evaluate_predictions", "group_sentence"]

ALL = "all"
"""Instead of a part: every row of the manifest, for data that was never split, such as another site's."""

REFUSED = "no answer"
"""Instead of a decision: the model refused."""

Progress = Callable[[int, int], None]
"""Called with the images done and the images in all."""


class Failure(Frozen):
    """An image that could not be read or run; no figure includes it."""

    image: str
    error: str


RecordOpening = Callable[["OpenedImages", str], int]
"""Called with the test images and the model's identity before the first image is measured. It records this opening and
returns the number of earlier openings that included any of these images."""


class SourceFigures(Frozen):
    """The figures of the images of one source: they show how a model differs between archives."""

    images: int
    groups: int
    class_images: dict[str, int]
    refused: int
    metrics: dict[str, Estimate]


class Measurement(Frozen):
    """The figures of an evaluation."""

    figures: Figures = Field(description="of all readable images, refused ones included")
    answered: Figures | None = Field(description="of the images that were not refused; None where none was refused")
    recalibrated: Figures | None = Field(
        default=None,
        description="of all readable images, with temperature and class bias fitted to these images, each patient's to "
        "the other patients; None where nobody asked, or with fewer than 10 groups on either side",
    )
    refused: int
    refused_share: Estimate
    refused_for: dict[str, int] = Field(
        default_factory=dict, description="first reason of a refusal, as a word -> images"
    )
    decisions: dict[str, dict[str, int]] = Field(
        description=f"true class -> what the screen would have said ({REFUSED!r}: refused) -> images"
    )
    by_source: dict[str, SourceFigures]
    by_subgroup: tuple[SubgroupFigures, ...] = Field(
        default=(), description="by age, sex, view, portable exposure and source, where some images are not of it"
    )
    meaning: dict[str, str] = Field(
        default_factory=dict, description="operating point -> what its threshold did on these images, in words"
    )


class Evaluation(Measurement):
    """The figures of one model on one part of one manifest, with all facts that a reader needs beside them."""

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
    stamps: tuple[str, ...] = Field(description="warnings that a reader must see beside the figures")
    seconds: float
    images_per_second: float

    def __repr__(self) -> str:
        accuracy = self.figures.overall["accuracy"]
        return f"<Evaluation of {self.model} on {self.part}: {self.figures.images:,} images, accuracy {accuracy}>"

    def to_json(self) -> str:
        """Return the evaluation as JSON.

        Returns:
            Indented JSON with a line end, as in ``evaluation.json``.
        """
        return self.model_dump_json(indent=2) + "\n"


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


def evaluate(
    model: Model,
    manifest: Manifest,
    part: str = "validation",
    *,
    ignore_other: bool = False,
    allow_train: bool = False,
    design: Design | None = None,
    recalibrate: bool = False,
    record: RecordOpening | None = None,
    workers: int | None = None,
    seed: int = 0,
    resamples: int = 2000,
    progress: Progress | None = None,
    keep: Callable[[Prediction], None] | None = None,
) -> Evaluation:
    """Measure a bundle on a part of a manifest.

    Args:
        model: The loaded bundle.
        manifest: The images and their labels.
        part: One of the parts, or "all" for every row.
        ignore_other: Leave out, and count, images whose label is in none of the model's classes, else an error.
        allow_train: Allow training images; the evaluation is then stamped.
        design: Of the study; None: as the manifest states.
        recalibrate: Give the figures of recalibrated probabilities too; the thresholds stay frozen.
        record: Records openings of test images; needed where the part has any.
        workers: Images read and run at a time.
        seed: Seed of the bootstrap.
        resamples: Resamples of the bootstrap.
        progress: Called after each image.
        keep: Called with each prediction, in the order of the rows.

    Raises:
        UnknownClassError: A label is in none of the model's classes.
        ManifestError: The part has no rows, an image is not the one that was imported, or none could be read.
        UsageError: Training images without ``allow_train``, test images without ``record``.
    """
    design = design or manifest.design
    chosen, ignored = select_rows(manifest, part, model.card, ignore_other=ignore_other, allow_train=allow_train)
    earlier = _open_test(chosen, model, part, record)
    started = time.perf_counter()
    predictions = predict_rows(model, chosen, workers, progress)
    seconds = time.perf_counter() - started
    if keep is not None:
        for prediction in predictions:
            keep(prediction)
    readable = np.array([p.error is None for p in predictions], dtype=np.bool_)
    failures = tuple(
        Failure(image=f"{source}/{image}", error=p.error)
        for p, source, image in zip(predictions, chosen.table["source"], chosen.table["image"], strict=True)
        if p.error is not None
    )
    if not readable.any():
        raise ManifestError(
            f"{part} of the manifest", f"none of its {len(chosen)} images could be read.", failures[0].error
        )
    read, answers = chosen.where(readable), [p for p in predictions if p.error is None]
    return Evaluation(
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        model=f"{model.card.name} {model.card.version}",
        identity=model.identity,
        part=part,
        data=read.rows_hash(),
        split=manifest.split_hash(),
        group_kind=read.group_kind,
        group_sentence=group_sentence(read.group_kind),
        seed=seed,
        resamples=resamples,
        design=design,
        design_sentence=design_sentence(design),
        **dict(_measure(model.card, read, answers, seed, resamples, design, recalibrate=recalibrate)),
        failures=failures,
        ignored=ignored,
        earlier_openings=earlier,
        stamps=list_warnings(
            model,
            chosen,
            len(failures),
            ignored,
            earlier or 0,
            other_division=_other_division(model, manifest),
        ),
        seconds=round(seconds, 3),
        images_per_second=round(len(predictions) / max(seconds, 1e-9), 1),
    )


def rows_of(manifest: Manifest, part: str, card: Card) -> Manifest:
    """Return the rows of a part whose labels a model knows: those that `evaluate` predicts, in their order."""
    chosen = manifest if part == ALL else manifest.part(part)
    known_labels = {member for label in card.labels for member in label.members}
    return chosen.where(chosen.table["label"].isin(known_labels))


def select_rows(
    manifest: Manifest, part: str, card: Card, *, ignore_other: bool, allow_train: bool
) -> tuple[Manifest, dict[str, int]]:
    """Return the rows to measure, and the numbers of images that are left out by label.

    Args:
        manifest: All rows.
        part: A part, or "all" for every row.
        card: Of the model.
        ignore_other: Leave out, and count, images whose label is in none of the model's classes.
        allow_train: Allow training images.

    Raises:
        UsageError: Training images without ``allow_train``.
        UnknownClassError: A label is in none of the model's classes.
        ManifestError: No row is left.
    """
    chosen = manifest if part == ALL else manifest.part(part)
    training = int((chosen.table["split"] == "train").sum())
    if training and not allow_train:
        raise UsageError(
            argument("part", part),
            f"{training} of its {len(chosen)} images are training images: figures on them say nothing about new ones.",
            f"Choose one of {', '.join(PARTS[1:])}, or add `allow_train=True` to have them stamped.",
        )
    known_labels = {member for label in card.labels for member in label.members}
    unknown_rows = ~chosen.table["label"].isin(known_labels)
    ignored = {str(name): int(n) for name, n in chosen.table["label"][unknown_rows].value_counts().items()}
    if ignored and not ignore_other:
        listed = ", ".join(f"{name} ({n} images)" for name, n in ignored.items())
        raise UnknownClassError(
            f"{part} of the manifest",
            f"has labels that this model has no class for: {listed}; it knows {', '.join(sorted(known_labels))}.",
            "Add `ignore_other=True` to leave them out, counted.",
        )
    chosen = chosen.where(~unknown_rows)
    if not len(chosen):
        raise ManifestError(f"{part} of the manifest", "has no image of this model's classes.", "Name another part.")
    return chosen, ignored


def _open_test(chosen: Manifest, model: Model, part: str, record: RecordOpening | None) -> int | None:
    """Record that test images are opened, before they are; return the number of earlier openings."""
    test = chosen.table["split"] == "test"
    if not test.any():
        return None
    if record is None:
        raise UsageError(
            argument("part", part),
            f"holds {format_count(int(test.sum()), 'image')} of the test part, and no ledger was given that records "
            "this opening.",
            "Use `pneumoscope.evaluate`, which records it.",
        )
    return record(read_opened_images(chosen.where(test)), model.identity)


def predict_rows(
    model: Model,
    chosen: Manifest,
    workers: int | None,
    progress: Progress | None,
) -> list[Prediction]:
    """Return the predictions in the order of the rows, each of exactly the bytes that were imported.

    Images that the gatekeeper refuses keep their refusal, and have probabilities too.

    Args:
        model: The loaded bundle.
        chosen: The rows.
        workers: Images at a time.
        progress: Called after each image.

    Raises:
        ManifestError: An image is not the one that was imported.
    """
    predictions: list[Prediction] = []
    rows = zip(chosen.table["source"], chosen.table["image"], chosen.table["sha256"], strict=True)
    # Figures are of all images, refused ones included: a model that refuses the hard ones looks better than it is.
    stream = model.stream(chosen.paths(), workers=workers, depth=chosen.depths(), score_refused=True)
    for prediction, (source, image, sha256) in zip(stream, rows, strict=True):
        if prediction.error is None and prediction.sha256 != sha256:
            raise ManifestError(
                f"{source}/{image}",
                f"is not the file that was imported: its SHA-256 is {(prediction.sha256 or '')[:12]}…, the manifest "
                f"has {sha256[:12]}….",
                f"Import the data again, or name its folder with {argument('roots', {source: 'DIR'})}.",
            )
        predictions.append(prediction)
        if progress is not None:
            progress(len(predictions), len(chosen))
    return predictions


def _measure(
    card: Card,
    read: Manifest,
    answers: Sequence[Prediction],
    seed: int,
    resamples: int,
    design: Design | None,
    *,
    recalibrate: bool,
) -> Measurement:
    index = {member: k for k, label in enumerate(card.labels) for member in label.members}
    names = card.label_names
    probabilities = np.array([a.probabilities for a in answers], dtype=np.float64)
    truth = read.table["label"].map(index).to_numpy(dtype=np.intp)
    groups, sources = read.table["group"].to_numpy(dtype=str), read.table["source"].to_numpy(dtype=str)
    refused = np.array([a.refused for a in answers], dtype=np.bool_)
    thresholds: dict[str, float] = {point.name: point.threshold for point in card.operating_points}

    ood = np.array([a.ood for a in answers], dtype=np.float64)

    def figures(mask: Bools, resamples: int, *, with_promises: bool = False) -> Figures:
        return evaluate_predictions(
            probabilities[mask], truth[mask], groups[mask], names,
            thresholds=thresholds, rng=np.random.default_rng(seed), resamples=resamples, design=design,
            promises=card.promises if with_promises else None, ood=ood[mask] if with_promises else None,
        )  # fmt: skip

    def of_source(name: str) -> SourceFigures:
        here = sources == name
        source_figures = figures(here, 0)
        point = next(p for p in source_figures.operating if p.name == card.default_operating_point)
        return SourceFigures(
            images=source_figures.images,
            groups=source_figures.groups,
            class_images=source_figures.class_images,
            refused=int(refused[here].sum()),
            metrics={
                "accuracy": source_figures.overall["accuracy"],
                f"{card.primary}/auroc": source_figures.by_class[card.primary]["auroc"],
                f"{point.name}/sensitivity": point.sensitivity,
                f"{point.name}/specificity": point.specificity,
            },
        )

    recalibrated = None
    if recalibrate:
        rng = np.random.default_rng([seed, 1])
        fitted = crossfit_scaling(probabilities, truth.astype(np.intp), group_index(groups), rng)
        if fitted is not None:
            recalibrated = evaluate_predictions(
                fitted, truth, groups, names, rng=np.random.default_rng(seed), resamples=resamples, design=design
            )
    answer_counts = Counter((names[k], a.decision or REFUSED) for k, a in zip(truth, answers, strict=True))
    all_figures = figures(np.ones(len(truth), dtype=np.bool_), resamples, with_promises=True)
    return Measurement(
        figures=all_figures,
        meaning={
            point.name: above_threshold(
                "these data",
                sorted(set(sources)),
                card.primary,
                (int((truth == 0).sum()), int((truth != 0).sum())),
                point.sensitivity,
                point.specificity,
                ending="",
            )
            for point in all_figures.operating
        },
        recalibrated=recalibrated,
        answered=figures(~refused, resamples) if refused.any() else None,
        refused=int(refused.sum()),
        refused_share=estimate_proportion(refused, group_index(groups), what="set of images"),
        refused_for=dict(Counter(answer.codes[0] for answer in answers if answer.refused)),
        decisions={name: {to: answer_counts[name, to] for to in (*names, REFUSED)} for name in names},
        by_subgroup=measure_subgroups(
            read.table, probabilities[:, 0], truth == 0, group_index(groups), card.operating_point.threshold
        ),
        by_source={name: of_source(name) for name in sorted(set(sources))},
    )


def _other_division(model: Model, manifest: Manifest) -> bool:
    """Return whether the parts are not those that the model was trained with, though a source is the same.

    A training uses the rows whose labels are in its classes, so that only these are compared.
    """
    card = model.card
    shared = {item.source for item in card.licences} & set(manifest.table["source"])
    return bool(shared) and rows_of(manifest, ALL, card).split_hash() != card.split_hash
