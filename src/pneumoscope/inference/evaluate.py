"""Evaluate a bundle on a part of a manifest, without torch.

The evaluation measures the answers of `predict`: the same graph, the same calibrated probabilities, the thresholds
frozen in the card. It counts the images that the model refuses and gives the figures with and without them, since a
model that refuses the hard images looks better than it is. The default part is validation. Each opening of test images
is recorded.
"""

from __future__ import annotations

import datetime
import time
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from pneumoscope.bundle.card import Card
from pneumoscope.core.arguments import argument
from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import ManifestError, UnknownClassError, UsageError
from pneumoscope.core.labels import PARTS
from pneumoscope.data.finding_cases import manifest_targets, select_cases
from pneumoscope.data.imported_images import check_imported
from pneumoscope.data.manifest import read_manifest
from pneumoscope.data.opened_images import read_opened_images
from pneumoscope.inference.evaluation import AnyEvaluation, Evaluation, Failure, FindingsEvaluation, group_sentence
from pneumoscope.inference.measurement import measure_answers
from pneumoscope.inference.warnings import describe_train_part, list_warnings
from pneumoscope.stats.design import Design, design_sentence
from pneumoscope.stats.finding_averages import average_findings
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.kernels import Bools
from pneumoscope.stats.metrics import group_index

if TYPE_CHECKING:
    from pneumoscope.bundle.prediction import Prediction
    from pneumoscope.bundle.runtime import Model
    from pneumoscope.data.ledger import KnownOpening
    from pneumoscope.data.manifest import Manifest
    from pneumoscope.data.opened_images import OpenedImages

ALL = "all"
"""Instead of a part: every row of the manifest, for data that was never split, such as another site's."""

Progress = Callable[[int, int], None]
"""Called with the images done and the images in all."""


RecordOpening = Callable[["OpenedImages", str], "Sequence[KnownOpening]"]
"""Called with the test images and the model's identity before the first image is measured. It records this opening and
returns the earlier openings that included any of these images, oldest first."""


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
) -> AnyEvaluation:
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
        ManifestError: The part has no rows, states no finding of a multi-label model both present and absent, an image
            is not the one that was imported, or none could be read.
        UsageError: Training images without ``allow_train``, test images without ``record``.
    """
    design = design or manifest.design
    chosen, ignored = select_rows(manifest, part, model.card, ignore_other=ignore_other, allow_train=allow_train)
    if model.card.multilabel:
        _check_measurable(chosen, part, model.card, ignored)
    own, copies = own_division(model.card, manifest), count_training_copies(model, chosen)
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
    facts: dict[str, Any] = dict(
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
        failures=failures,
        ignored=ignored,
        earlier_openings=None if earlier is None else len(earlier),
        opened_by=tuple(f"{opening}: {opening.command}".removesuffix(": ") for opening in earlier or ()),
        training_copies=copies,
        stamps=list_warnings(
            model,
            chosen,
            len(failures),
            ignored,
            earlier or (),
            own_division=own,
            copies=copies,
        ),
        seconds=round(seconds, 3),
        images_per_second=round(len(predictions) / max(seconds, 1e-9), 1),
    )
    if model.card.multilabel:
        return FindingsEvaluation(
            **facts, **_measure_findings(model.card, read, answers, seed, resamples, design, recalibrate=recalibrate)
        )
    measured = measure_answers(model.card, read, answers, seed, resamples, design, recalibrate=recalibrate)
    return Evaluation(**facts, **dict(measured))


def _measure_findings(
    card: Card,
    read: Manifest,
    answers: Sequence[Prediction],
    seed: int,
    resamples: int,
    design: Design | None,
    *,
    recalibrate: bool,
) -> dict[str, Any]:
    """Return the figures of a multi-label model, by the names of `FindingsEvaluation`."""
    names = card.label_names
    targets = manifest_targets(read, names)
    refused = np.array([answer.refused for answer in answers], dtype=np.bool_)
    measured, unmeasured = {}, {}
    for place, name in enumerate(names):
        sides = [state for state, value in (("present", 1), ("absent", 0)) if not (targets[:, place] == value).any()]
        if sides:
            unmeasured[name] = f"none of these images states it {' or '.join(sides)}"
            continue
        cases, stated = select_cases(read, name, targets[:, place])
        views = [answer.about(name, place) for answer, is_stated in zip(answers, stated, strict=True) if is_stated]
        measured[name] = measure_answers(
            card.view(name), cases, views, seed, resamples, design, recalibrate=recalibrate
        )
    groups = read.table["group"].to_numpy(dtype=str)
    return {
        "images": len(read),
        "groups": len(np.unique(groups)),
        "findings": measured,
        "not_measured": unmeasured,
        "averages": average_findings(
            np.array([answer.probabilities for answer in answers], dtype=np.float64),
            targets,
            [point.threshold for point in card.finding_points],
            groups,
            np.random.default_rng(seed),
            resamples,
        ),
        "refused": int(refused.sum()),
        "refused_share": estimate_proportion(refused, group_index(groups), what="set of images"),
    }


def rows_of(manifest: Manifest, part: str, card: Card) -> Manifest:
    """Return the rows of a part whose labels a model knows: those that `evaluate` predicts, in their order."""
    chosen = manifest if part == ALL else manifest.part(part)
    return chosen.where(_is_known(chosen, card))


def _is_known(rows: Manifest, card: Card) -> Bools:
    """Return [N] whether a row's label is in one of the model's classes, or it states one of its findings."""
    if card.multilabel:
        return np.asarray(~np.isnan(manifest_targets(rows, card.label_names)).all(1))
    members = {member for label in card.labels for member in label.members}
    return rows.table["label"].isin(members).to_numpy(dtype=np.bool_)


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
            f"{training} of its {len(chosen)} images are {describe_train_part(own=own_division(card, manifest))}.",
            f"Choose one of {', '.join(PARTS[1:])}, or add `allow_train=True` to have them stamped.",
        )
    unknown_rows = ~_is_known(chosen, card)
    ignored = {str(name): int(n) for name, n in chosen.table["label"][unknown_rows].value_counts().items()}
    # A multi-label model measures what is stated of each image, and the images that state nothing are counted.
    if ignored and not ignore_other and not card.multilabel:
        known_labels = {member for label in card.labels for member in label.members}
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


def _check_measurable(chosen: Manifest, part: str, card: Card, ignored: Mapping[str, int]) -> None:
    """Check that a finding is stated both present and absent, before any test image is opened.

    Raises:
        ManifestError: None is.
    """
    targets = manifest_targets(chosen, card.label_names)
    sides = [((column == 1).sum(), (column == 0).sum()) for column in targets.T]
    if any(present and absent for present, absent in sides):
        return
    listed = ", ".join(
        f"{name} ({present} present, {absent} absent)"
        for name, (present, absent) in zip(card.label_names, sides, strict=True)
    )
    left_out = ", ".join(f"{label} ({format_count(number, 'image')})" for label, number in ignored.items())
    raise ManifestError(
        f"{part} of the manifest",
        f"states no finding of this model both present and absent, so that nothing can be measured: {listed}."
        + (f" Left out, since they state none of these: {left_out}." if left_out else ""),
        "Name images of which some have a finding of this model and others do not.",
    )


def _open_test(
    chosen: Manifest, model: Model, part: str, record: RecordOpening | None
) -> Sequence[KnownOpening] | None:
    """Record that test images are opened, before they are; return the earlier openings, None without test images."""
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
        if prediction.error is None:
            check_imported(source, image, found=prediction.sha256, imported=sha256)
        predictions.append(prediction)
        if progress is not None:
            progress(len(predictions), len(chosen))
    return predictions


def own_division(card: Card, manifest: Manifest) -> bool:
    """Return whether a manifest's parts are those that the model was trained with.

    A training uses the rows whose labels are in its classes, so that only these are compared.
    """
    return rows_of(manifest, ALL, card).split_hash() == card.split_hash


def count_training_copies(model: Model, chosen: Manifest) -> int | None:
    """Return how many rows have the SHA-256 of a training image; None without the manifest of the model's run."""
    path = model.folder.resolve().parent / "manifest.parquet"
    if not path.is_file():
        return None
    try:
        trained = read_manifest(path)
    except ManifestError:
        return None  # another file of this name, beside a bundle alone
    if not own_division(model.card, trained):
        return None
    return int(chosen.table["sha256"].isin(trained.part("train").table["sha256"]).sum())
