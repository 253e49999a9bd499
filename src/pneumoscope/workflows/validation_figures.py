"""Measure a run's graph on validation, once: card, ``evaluation.json`` and predictions all show these figures."""

from __future__ import annotations

import csv
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.prediction import Prediction, columns
from pneumoscope.bundle.runtime import load
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import write_text
from pneumoscope.core.tables import write_table
from pneumoscope.data.manifest import Manifest
from pneumoscope.export.card_builder import with_figures
from pneumoscope.inference.evaluate import evaluate
from pneumoscope.inference.evaluation import AnyEvaluation
from pneumoscope.reporting.charts.training_curves import write_training_curves
from pneumoscope.reporting.pages.run_report import REPORT, render_run_page
from pneumoscope.reporting.record import read_record
from pneumoscope.training.loop.fit import FittedRun


@dataclass(frozen=True)
class ValidationFigures:
    """A graph's answers on the validation part.

    Args:
        evaluation: The figures.
        rows: The validation rows, those that could not be read included.
        predictions: One for each row, in their order.
    """

    evaluation: AnyEvaluation
    rows: Manifest
    predictions: tuple[Prediction, ...]


def evaluate_draft(draft: Path, card: Card, manifest: Manifest, *, callbacks: Callbacks = SILENT) -> ValidationFigures:
    """Measure a draft bundle's graph on the validation part, with ONNX Runtime as users run it.

    Args:
        draft: The draft bundle's folder, with its graph.
        card: Its card, without figures.
        manifest: The rows and parts that the run used.
        callbacks: Receive the progress.
    """
    write_text(draft / "card.json", card.to_json())  # the runtime loads no graph without a card
    model, rows = load(draft), manifest.part("validation")
    predictions: list[Prediction] = []
    task = "measuring on validation"
    with callbacks.counting(task, len(rows)):
        evaluation = evaluate(
            model,
            manifest,
            "validation",
            progress=lambda done, total: callbacks.progress(task, done, total),
            keep=predictions.append,
        )
    return ValidationFigures(evaluation, rows, tuple(predictions))


def add_figures(card: Card, fitted: FittedRun, validation: ValidationFigures) -> Card:
    """Return the card with the figures that were measured on validation."""
    readable = [prediction for prediction in validation.predictions if prediction.error is None]
    good = np.array([prediction.error is None for prediction in validation.predictions], np.bool_)
    probabilities = np.array([prediction.probabilities for prediction in readable], np.float64)
    return with_figures(card, fitted, validation.rows.where(good), probabilities, validation.evaluation)


def write_results(
    folder: Path, card: Card, identity: str, validation: ValidationFigures, *, kept_epoch: int
) -> AnyEvaluation:
    """Write the results into the run's folder: figures, predictions, report and curves.

    The files are ``predictions.parquet``, ``evaluation.json``, ``report.html`` and ``curves.png``.

    Args:
        folder: The run's, with its bundle.
        card: The bundle's.
        identity: The bundle's.
        validation: The figures.
        kept_epoch: Number of the kept epoch, from 1.

    Returns:
        The figures, under the bundle's identity.
    """
    evaluation = validation.evaluation.model_copy(update={"identity": identity})
    facts = {"model": identity, "part": "validation", "data": evaluation.data}
    named = (replace(prediction, model=identity[:12]) for prediction in validation.predictions)
    rows = (prediction.row(card.label_names) for prediction in named)
    write_table(rows, folder / "predictions.parquet", columns(card.label_names), facts)
    write_text(folder / "evaluation.json", evaluation.to_json())
    with (folder / "metrics.csv").open(newline="") as file:
        epochs = list(csv.DictReader(file))
    write_training_curves(epochs, folder / "curves.png", kept_epoch=kept_epoch, title=card.name)
    write_text(folder / REPORT, render_run_page(read_record(folder)))
    return evaluation
