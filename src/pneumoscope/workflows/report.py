"""The report of a run or of a bundle as one page, without torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from pneumoscope.bundle.prediction import Prediction
from pneumoscope.bundle.runtime import Model, ModelInput, model_of
from pneumoscope.core.arguments import argument, check_arguments
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import RunError, UsageError
from pneumoscope.core.files import write_text
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.data.checks.runner import check
from pneumoscope.data.describe import describe
from pneumoscope.data.manifest import Manifest
from pneumoscope.reporting.examples import Example
from pneumoscope.reporting.pages.run_report import REPORT, render_run_page
from pneumoscope.reporting.record import Record, find_run_folder, read_record
from pneumoscope.workflows.evaluate import examples_of, measure
from pneumoscope.workflows.progress import task_starter


@check_arguments
def report(
    model: ModelInput,
    output: str | Path | None = None,
    *,
    data: str | Path | None = None,
    part: str = "validation",
    examples: int | None = None,
    check_data: bool = False,
    roots: Mapping[str, str | Path] | None = None,
    ignore_other: bool = False,
    recalibrate: bool = False,
    workers: int | None = None,
    command: str = "pneumoscope.report",
    callbacks: Callbacks = SILENT,
) -> Path:
    """Write the report of a run: question, data, training, results, calibration, limits, checklists; one file.

    Without ``data`` nothing is measured and no image is read. A bundle without a run, such as the built-in one, shows
    what its card and its evidence say.

    Args:
        model: A loaded model, the folder of a run or of a bundle, or "builtin", "opacity" or "covid" of the package.
        output: The page; None: ``report.html`` in the run's folder, else in the current folder.
        data: File of a manifest to measure on; None keeps the run's own figures.
        part: Of ``data``: "validation", "test" (written to the ledger), "calibration" or "all".
        examples: Images of each kind that the page shows. They are patients' radiographs, so None shows none.
        check_data: Run the data checks on all images of ``data``, for the page.
        roots: Source -> folder, where a source has moved since the manifest was written.
        ignore_other: Leave out, and count, images whose label is none of the model's classes.
        recalibrate: Give the figures of recalibrated probabilities too, as `evaluate` does; needs ``data``.
        workers: Images at a time; None: the cores that this process may use.
        command: How the report was asked for, for the ledger.
        callbacks: Receive the progress, each opening, and a line where the page shows patients' radiographs.

    Returns:
        The page.

    Raises:
        UsageError: ``check_data``, ``recalibrate``, another ``part`` or ``examples`` without images.
        RunError: The predictions of the run are not those of its bundle.
        BundleError: The bundle or its evidence is incomplete or altered.
        ManifestError, LabelError: See `pneumoscope.evaluate`.

    Example:
        >>> ps.report("runs/flagship")
    """
    if data is None and (check_data or recalibrate or part != "validation"):
        flag = "`check_data=True`" if check_data else "`recalibrate=True`"
        cause = flag if check_data or recalibrate else argument("part", part)
        raise UsageError(cause, "needs the images.", "Name their manifest with `data`.")
    place = model.folder if isinstance(model, Model) else model
    folder = find_run_folder(place)
    record = read_record(place)
    chosen_examples: list[Example] = []
    if data is not None:
        manifest, loaded = Manifest.read(data, roots), model_of(model)
        checks = _checks_of(manifest, record, callbacks) if check_data else record.checks
        measurement = measure(
            loaded,
            manifest,
            Path(data),
            part,
            ignore_other=ignore_other,
            recalibrate=recalibrate,
            workers=workers,
            command=command,
            callbacks=callbacks,
        )
        if examples is not None:
            chosen_examples = examples_of(loaded, measurement.rows, measurement.predictions, examples, workers)
        # The record is read again, since an opening of test images has added evidence.
        record = replace(read_record(place), data=describe(manifest), checks=checks, evaluation=measurement.evaluation)
    elif examples is not None:
        if folder is None or record.evaluation is None:
            raise UsageError(
                argument("examples", examples), f"{place} has no predictions.", "Name the images' manifest with `data`."
            )
        rows = Manifest.read(folder / "manifest.parquet", roots).part("validation")
        chosen_examples = examples_of(model_of(model), rows, _predictions(folder, record, rows), examples, workers)
    page = Path(output) if output is not None else (folder or Path()) / REPORT
    write_text(page, render_run_page(replace(record, examples=bool(chosen_examples)), chosen_examples))
    patients = " It shows patients' radiographs." if chosen_examples and not chosen_examples[0].synthetic else ""
    callbacks.message(f"Wrote {page}.{patients}")
    return page


def _checks_of(manifest: Manifest, record: Record, callbacks: Callbacks) -> CheckReport:
    recipe = record.recipe
    labels = sorted(set(manifest.table["label"]))
    classes = None if recipe is None else {label: str(recipe.task.class_of(label)) for label in labels}
    with task_starter(callbacks) as progress:
        return check(manifest, classes, progress=progress)


def _predictions(folder: Path, record: Record, rows: Manifest) -> list[Prediction]:
    """Return the predictions in a run's folder, in the order of ``rows``.

    Raises:
        RunError: They are of another bundle or of other images.
    """
    import pyarrow.parquet as pq

    path = folder / "predictions.parquet"
    table = pq.read_table(path).to_pylist()
    labels = record.card.label_names
    same = [row["sha256"] for row in table] == rows.table["sha256"].tolist()
    if not same or any(row["model"] != record.identity[:12] for row in table):
        raise RunError(str(path), "is not of this bundle and its validation images.", "Measure again, with `data`.")
    return [
        Prediction(
            path=row["path"],
            probabilities=tuple(row[f"p_{label}"] for label in labels) if row["error"] is None else (),
            decision=row["decision"],
            refused=row["refused"],
            reason=row["reason"],
            ood=row["ood"],
            model=row["model"],
            sha256=row["sha256"],
            seconds=row["seconds"],
            error=row["error"],
        )
        for row in table
    ]
