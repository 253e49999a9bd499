"""What a finished run shows: its bundle's figures on validation, as the clinic measures them, and its curves."""

from __future__ import annotations

import csv
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from pneumoscope.data.manifest import Manifest
from pneumoscope.evaluate import Evaluation, evaluate
from pneumoscope.files import write_text
from pneumoscope.infer import Prediction, columns, load
from pneumoscope.report.curves import curves_figure
from pneumoscope.report.record import read_record
from pneumoscope.report.run import REPORT, run_page
from pneumoscope.tables import write_table


def write_summary(folder: Path, bundle: Path, manifest: Manifest, epoch: int, console: Console) -> Evaluation:
    """Measure a run's bundle on its validation part and write what a reader wants to see into the run's folder.

    That is ``predictions.parquet``, ``evaluation.json``, ``report.html`` and ``curves.png``.

    Args:
        folder: The run's.
        bundle: Its bundle.
        manifest: The rows and parts that the run used.
        epoch: The kept one.
        console: Where progress goes.

    Returns:
        The figures.
    """
    model = load(bundle)
    kept: list[Prediction] = []
    with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
        task = progress.add_task("measuring on validation", total=None)
        evaluation = evaluate(
            model,
            manifest,
            "validation",
            progress=lambda done, total: progress.update(task, completed=done, total=total),
            keep=kept.append,
        )
    rows = (prediction.row(model.labels) for prediction in kept)
    facts = {"model": model.identity, "part": "validation", "data": evaluation.data}
    write_table(rows, folder / "predictions.parquet", columns(model.labels), facts)
    write_text(folder / "evaluation.json", evaluation.to_json())
    with (folder / "metrics.csv").open(newline="") as file:
        curves_figure(list(csv.DictReader(file)), folder / "curves.png", kept=epoch, title=model.card.name)
    write_text(folder / REPORT, run_page(read_record(folder)))
    return evaluation
