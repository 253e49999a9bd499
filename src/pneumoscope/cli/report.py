"""`pneumoscope report`: the report of a run or a bundle as one page, made (again) without torch."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.measuring import Examples, IgnoreOther, Roots, Split, Workers
from pneumoscope.cli.screen import tell

if TYPE_CHECKING:
    from pneumoscope.bundle.prediction import Prediction
    from pneumoscope.data.checks.findings import CheckReport
    from pneumoscope.data.manifest import Manifest
    from pneumoscope.reporting.record import Record


def report(
    run: Annotated[str, typer.Argument(help="A run's or a bundle's folder, or: builtin.", metavar="RUN")],
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="The page.  [default: report.html in the run, else here]")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(help="Measure on this manifest, else the run's figures stand.", metavar="MANIFEST"),
    ] = None,
    split: Split = "validation",
    examples: Examples = None,
    gate: Annotated[bool, typer.Option("--gate", help="Ask the data gate about MANIFEST: all its images.")] = False,
    root: Roots = None,
    ignore_other: IgnoreOther = False,
    workers: Workers = None,
) -> None:
    """Write the report of a run: question, data, training, results, calibration, limits, checklists; one file.

    Without --data nothing is measured and no image is read. A bundle alone, such as the built-in one, then shows what
    its card and its evidence say.
    """
    from pneumoscope.bundle.runtime import load
    from pneumoscope.cli.measuring import examples_of, measure
    from pneumoscope.cli.options import read_manifest_at
    from pneumoscope.core.errors import UsageError
    from pneumoscope.core.files import write_text
    from pneumoscope.reporting.pages.run_report import REPORT, run_page
    from pneumoscope.reporting.record import read_record, run_folder

    if data is None and (gate or split != "validation"):
        raise UsageError("--gate" if gate else f"--split {split}", "needs the images.", "Name them with --data.")
    folder = run_folder(run)
    record = read_record(run)
    shown = []
    if data is not None:
        from pneumoscope.data.describe import describe

        manifest, model = read_manifest_at(data, root), load(run)
        asked = _ask(manifest, record) if gate else record.gate
        measured = measure(model, manifest, data, split, ignore_other=ignore_other, workers=workers)
        if examples is not None:
            shown = examples_of(model, measured.rows, measured.predictions, examples, workers)
        # Read again: if test images were opened, that is evidence now.
        record = replace(read_record(run), data=describe(manifest), gate=asked, evaluation=measured.evaluation)
    elif examples is not None:
        if folder is None or record.evaluation is None:
            raise UsageError(
                f"--examples {examples}", f"{run} has no predictions.", "Name the images' manifest with --data."
            )
        rows = read_manifest_at(folder / "manifest.parquet", root).part("validation")
        shown = examples_of(load(run), rows, _predictions(folder, record, rows), examples, workers)
    page = output if output is not None else (folder or Path()) / REPORT
    write_text(page, run_page(replace(record, examples=bool(shown)), shown))
    tell(f"Wrote {page}." + (" It shows patients' radiographs." if shown and not shown[0].synthetic else ""))


def _ask(manifest: Manifest, record: Record) -> CheckReport:
    from pneumoscope.cli.data_screen import progress_bars
    from pneumoscope.data.checks.runner import check

    recipe = record.recipe
    labels = sorted(set(manifest.table["label"]))
    classes = None if recipe is None else {label: str(recipe.task.class_of(label)) for label in labels}
    with progress_bars() as progress:
        return check(manifest, classes, progress=progress)


def _predictions(folder: Path, record: Record, rows: Manifest) -> list[Prediction]:
    """Return the predictions that a run kept, in the order of ``rows``.

    Raises:
        RunError: They are of another bundle or of other images.
    """
    import pyarrow.parquet as pq

    from pneumoscope.bundle.prediction import Prediction
    from pneumoscope.core.errors import RunError

    path = folder / "predictions.parquet"
    table = pq.read_table(path).to_pylist()
    labels = record.card.label_names
    same = [row["sha256"] for row in table] == rows.table["sha256"].tolist()
    if not same or any(row["model"] != record.identity[:12] for row in table):
        raise RunError(str(path), "is not of this bundle and its validation images.", "Measure again, with --data.")
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
