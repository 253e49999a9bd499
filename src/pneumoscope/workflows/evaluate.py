"""A bundle measured on a part of a manifest, with the ledger that an opening of test images needs.

`pneumoscope.inference.evaluate` measures. Here the opening is written to the ledger before the first test image is
measured, and to the bundle's evidence afterwards; then pages are written. No step needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pneumoscope.bundle import evidence
from pneumoscope.bundle.prediction import Prediction
from pneumoscope.bundle.runtime import Model, ModelInput, model_of
from pneumoscope.core.arguments import argument, as_tuple, check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import check_new_file, write_text
from pneumoscope.data.ledger import KnownOpening, ledger_path, new_number, record_opening
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.opened_images import OpenedImages
from pneumoscope.inference.evaluate import evaluate as evaluate_part
from pneumoscope.inference.evaluate import rows_of
from pneumoscope.inference.evaluation import AnyEvaluation, Evaluation, FindingsEvaluation
from pneumoscope.inference.opening import build_opening, known_openings, unnamed_openings
from pneumoscope.inference.predict import page_items
from pneumoscope.reporting.examples import Example, add_pictures, choose_examples
from pneumoscope.reporting.pages.evaluation_page import render_evaluation_page
from pneumoscope.reporting.pages.run_report import rewrite_reports
from pneumoscope.stats.comparison.noninferiority import describe_claim, parse_margins
from pneumoscope.stats.design import LEAST_RESAMPLES, Design, check_design
from pneumoscope.workflows.findings import cases_of
from pneumoscope.workflows.reference import (
    NO_LEDGER,
    check_reference,
    compare_with_reference,
    describe_statement,
)


@check_arguments
def evaluate(
    model: ModelInput,
    data: Manifest | str | Path,
    part: str = "validation",
    *,
    roots: Mapping[str, str | Path] | None = None,
    ignore_other: bool = False,
    allow_train: bool = False,
    design: str | None = None,
    recalibrate: bool = False,
    reference: ModelInput | None = None,
    non_inferiority_margin: Sequence[str] = (),
    resamples: int = 2000,
    seed: int = 0,
    workers: int | None = None,
    output: str | Path | None = None,
    html: str | Path | None = None,
    examples: int | None = None,
    command: str = "pneumoscope.evaluate",
    callbacks: Callbacks = SILENT,
) -> Evaluation | FindingsEvaluation:
    """Measure a bundle on a part of a manifest, every figure with its 95% interval.

    Test images are written to the ledger beside the manifest before the first one is measured, and to the bundle's
    evidence afterwards. An image that cannot be read is named in ``failures`` and is in no figure.

    Args:
        model: A loaded model, the folder of a bundle or of a run, or "builtin", "opacity" or "covid" of the package.
        data: The manifest's file. A `Manifest` in memory does too, unless ``part`` holds test images.
        part: "validation", "test", "calibration", "train", or "all" for every row.
        roots: Source -> folder, where a source has moved since the manifest was written.
        ignore_other: Leave out, and count, images whose label is none of the model's classes; else they are an error.
        allow_train: Measure training images; the evaluation is then stamped.
        design: "case-control" (somebody chose how many images of each class there are) or "cohort" (patients came by
            chance, each with a class of chance); None: as the manifest states, else the wider of both intervals.
        recalibrate: Give the figures of recalibrated probabilities too, each patient's from the other patients. The
            model and its thresholds stay as they are.
        reference: Another model of the same classes that this one is compared with, on the same images.
        non_inferiority_margin: How much worse than the reference the model may be: "0.02" of the AUROC, or
            "sensitivity=0.05", "specificity=..." or "accuracy=...". It is written to ledger and evidence before the
            first test image is measured.
        resamples: Of the bootstrap, 200 or more.
        seed: Of the bootstrap.
        workers: Images read and run at a time; None: the cores that this process may use.
        output: File that the evaluation is written to as JSON.
        html: File that a self-contained page is written to.
        examples: Images of each kind that the page shows. They are patients' radiographs, so None shows none.
        command: How the evaluation was asked for, for the ledger.
        callbacks: Receive the progress and each opening.

    Returns:
        The evaluation: figures with intervals, decisions, figures by source, warnings. That of a multi-label model has
        all this for each finding, and averages over them.

    Raises:
        UsageError: Fewer than 200 resamples or one worker, training images without ``allow_train``, test images of a
            manifest in memory, an unknown design, ``examples`` without ``html``, a margin without a reference, or a
            reference of other classes.
        BundleError: The bundle is incomplete or altered.
        ManifestError: The part has no rows, an image is not the one that was imported, or no image could be read.
        LabelError: A label is none of the model's classes.

    Example:
        >>> evaluation = ps.evaluate("runs/flagship", "manifest.parquet")
        >>> evaluation.figures.overall["accuracy"]
    """
    check_least(1, workers=workers, examples=examples)
    check_least(0, seed=seed)
    for path in (output, html):
        if path is not None:
            check_new_file(Path(path))
    if examples is not None and html is None:
        raise UsageError(argument("examples", examples), "needs a page to show them on.", "Add `html='PAGE'`.")
    if resamples < LEAST_RESAMPLES:
        raise UsageError(argument("resamples", resamples), f"is below {LEAST_RESAMPLES}.", "The default is 2000.")
    stated, margins = check_design(design), parse_margins(as_tuple(non_inferiority_margin))
    if margins and reference is None:
        raise UsageError("`non_inferiority_margin`", "needs a model to compare with.", "Add `reference='BUNDLE'`.")
    model = model_of(model)
    if model.card.multilabel:
        _refuse_findings(examples, reference)
    other = None if reference is None else model_of(reference)
    opening = OpeningRecord((model,) if other is None else (model, other))
    manifest = cases_of(data if isinstance(data, Manifest) else Manifest.read(data, roots), model)
    path = None if isinstance(data, Manifest) else Path(data)
    claim = ""
    statement: tuple[bool | None, str] = (None, NO_LEDGER)
    if other is not None:
        check_reference(model, other)
        claim = describe_claim(model.identity, other.identity, margins) if margins else ""
        statement = describe_statement(model, other, manifest, path, part, claim)

    def measure_one(one: Model, *, recalibrate: bool) -> MeasuredPart:
        return measure(
            one,
            manifest,
            path,
            part,
            ignore_other=ignore_other,
            allow_train=allow_train,
            design=stated,
            recalibrate=recalibrate,
            resamples=resamples,
            seed=seed,
            workers=workers,
            command=command,
            claim=claim,
            opening=opening,
            callbacks=callbacks,
        )

    measurement = measure_one(model, recalibrate=recalibrate)
    evaluation = measurement.evaluation
    if other is not None:
        compared = compare_with_reference(
            model,
            other,
            measurement.rows,
            measurement.predictions,
            measure_one(other, recalibrate=False).predictions,
            margins,
            claim=claim,
            statement=statement,
            design=stated,
            seed=seed,
            resamples=resamples,
        )
        evaluation = evaluation.model_copy(update={"non_inferiority": compared})
    if output is not None:
        write_text(Path(output), evaluation.to_json())
    if html is not None:
        chosen_examples = (
            [] if examples is None else examples_of(model, measurement.rows, measurement.predictions, examples, workers)
        )
        openings = evidence.openings(evidence.read(model.folder, model.identity))
        write_text(
            Path(html), render_evaluation_page(evaluation, model.card, openings=openings, examples=chosen_examples)
        )
    return evaluation


def _refuse_findings(examples: int | None, reference: ModelInput | None) -> None:
    """Refuse what needs one answer about an image."""
    why = "needs one answer about an image, and this model answers about each finding by itself."
    if examples is not None:
        raise UsageError(
            argument("examples", examples),
            why,
            "Leave it out; the page of `pneumoscope.predict` shows images with all findings.",
        )
    if reference is not None:
        raise UsageError("`reference`", why, "Compare `ps.load(BUNDLE).about(FINDING)` of both models.")


@dataclass(frozen=True, slots=True)
class MeasuredPart:
    """An evaluation with the predictions that it rests on.

    Args:
        evaluation: The figures.
        rows: The images that were measured.
        predictions: Of these rows, in their order.
    """

    evaluation: AnyEvaluation
    rows: Manifest
    predictions: Sequence[Prediction]


class OpeningRecord:
    """One opening of test images, which stands in the ledger once, however many models it measures.

    Args:
        models: The models; their evidence says what was opened before, beside the ledgers.
    """

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = tuple(models)
        self.number = new_number()
        self.images = OpenedImages()
        self.earlier: Sequence[KnownOpening] | None = None

    def record(
        self, path: Path, images: OpenedImages, command: str, claim: str, callbacks: Callbacks
    ) -> Sequence[KnownOpening]:
        """Write the opening to the ledger, unless it is there already, and return the earlier ones.

        Args:
            path: The manifest's file.
            images: The test images.
            command: How the evaluation was asked for.
            claim: What is to be shown.
            callbacks: Told of the opening.
        """
        if self.earlier is not None:
            return self.earlier
        facts = [fact for one in self.models for fact in evidence.openings(evidence.read(one.folder, one.identity))]
        # An opening that measured two models is in the evidence of both.
        known = known_openings({fact.opening or fact.time: fact for fact in facts}.values())
        by, *others = (one.identity for one in self.models)
        self.images = images
        self.earlier = record_opening(
            path, images, by, command, known=known, number=self.number, claim=claim, reference="".join(others)
        )
        callbacks.message(
            f"Opening {len(images)} test images; written to {ledger_path(path)}; earlier openings: {len(self.earlier)}."
        )
        if unnamed := unnamed_openings(facts):
            callbacks.message(
                f"Openings in this model's evidence that do not name their images, and are not counted here: {unnamed}."
            )
        return self.earlier


def measure(
    model: Model,
    manifest: Manifest,
    path: Path | None,
    part: str,
    *,
    ignore_other: bool,
    allow_train: bool = False,
    design: Design | None = None,
    recalibrate: bool = False,
    resamples: int = 2000,
    seed: int = 0,
    workers: int | None,
    command: str,
    claim: str = "",
    opening: OpeningRecord | None = None,
    callbacks: Callbacks = SILENT,
) -> MeasuredPart:
    """Measure a bundle on a part; an opening of test images goes to the ledger first and to the evidence afterwards.

    Args:
        model: The loaded bundle.
        manifest: The images and their labels.
        path: The manifest's file, beside which the ledger lies; None where it is only in memory.
        part: The part, or "all".
        ignore_other: Leave out labels that are none of the model's classes.
        allow_train: Measure training images.
        design: Of the study; None: as the manifest states.
        recalibrate: Give the figures of recalibrated probabilities too.
        resamples: Of the bootstrap.
        seed: Of the bootstrap.
        workers: Images at a time.
        command: How the evaluation was asked for.
        claim: What is to be shown, with its margins, for ledger and evidence.
        opening: Of the test images, where several models are measured on them; None: one of this model alone.
        callbacks: Receive the progress and each opening.

    Raises:
        UsageError, ManifestError, LabelError: See `evaluate`.
    """
    opening = opening or OpeningRecord((model,))

    def record(images: OpenedImages, identity: str) -> Sequence[KnownOpening]:
        if path is None:
            raise UsageError(
                f"the part {part!r}",
                "holds test images, and their ledger lies beside the manifest's file.",
                "Give the path of the manifest instead of the table.",
            )
        return opening.record(path, images, command, claim, callbacks)

    predictions: list[Prediction] = []
    task = "measuring"
    with callbacks.counting(task):
        evaluation = evaluate_part(
            model,
            manifest,
            part,
            ignore_other=ignore_other,
            allow_train=allow_train,
            design=design,
            recalibrate=recalibrate,
            record=record,
            workers=workers,
            seed=seed,
            resamples=resamples,
            progress=lambda done, total: callbacks.progress(task, done, total),
            keep=predictions.append,
        )
    if len(opening.images):
        fact = build_opening(evaluation, model.card, opening.images, command, opening.number, claim)
        callbacks.message(f"The opening is evidence about this model: {evidence.append(model.folder, fact)}")
        rewrite_reports(model.folder)
    return MeasuredPart(evaluation, rows_of(manifest, part, model.card), predictions)


def examples_of(
    model: Model, rows: Manifest, predictions: Sequence[Prediction], number: int, workers: int | None = None
) -> list[Example]:
    """Return examples of each kind with their pictures.

    Args:
        model: The loaded bundle.
        rows: The images.
        predictions: Of these images, in their order.
        number: Examples of each kind, at most.
        workers: Images at a time.
    """
    classes = {member: label.name for label in model.card.labels for member in label.members}
    truths = [classes[label] for label in rows.table["label"]]
    files = [str(path) for path in rows.paths()]
    return add_pictures(
        choose_examples(predictions, truths, number),
        truths,
        lambda places: page_items(model, [files[place] for place in places], workers),
        synthetic=bool(rows.table["source"].str.startswith("synthetic").all()),
    )
