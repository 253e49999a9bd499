"""What a finished run shows: its bundle's figures on validation, as the clinic measures them, and its curves."""

from __future__ import annotations

import csv
from pathlib import Path

from pneumoscope.bundle.prediction import Prediction, columns
from pneumoscope.bundle.runtime import load
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import write_text
from pneumoscope.core.tables import write_table
from pneumoscope.data.manifest import Manifest
from pneumoscope.inference.evaluate import Evaluation, evaluate
from pneumoscope.reporting.charts.training_curves import write_training_curves
from pneumoscope.reporting.pages.run_report import REPORT, run_page
from pneumoscope.reporting.record import read_record


def write_summary(
    folder: Path, bundle: Path, manifest: Manifest, epoch: int, callbacks: Callbacks = SILENT
) -> Evaluation:
    """Measure a run's bundle on its validation part and write what a reader wants to see into the run's folder.

    That is ``predictions.parquet``, ``evaluation.json``, ``report.html`` and ``curves.png``.

    Args:
        folder: The run's.
        bundle: Its bundle.
        manifest: The rows and parts that the run used.
        epoch: The kept one.
        callbacks: Receive the progress.

    Returns:
        The figures.
    """
    model = load(bundle)
    kept: list[Prediction] = []
    with callbacks.counting(task := "measuring on validation", len(manifest.part("validation"))):
        evaluation = evaluate(
            model,
            manifest,
            "validation",
            progress=lambda done, total: callbacks.progress(task, done, total),
            keep=kept.append,
        )
    rows = (prediction.row(model.labels) for prediction in kept)
    facts = {"model": model.identity, "part": "validation", "data": evaluation.data}
    write_table(rows, folder / "predictions.parquet", columns(model.labels), facts)
    write_text(folder / "evaluation.json", evaluation.to_json())
    with (folder / "metrics.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    write_training_curves(epochs, folder / "curves.png", kept_epoch=epoch, title=model.card.name)
    write_text(folder / REPORT, run_page(read_record(folder)))
    return evaluation
