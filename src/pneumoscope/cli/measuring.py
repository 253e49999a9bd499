"""Measuring a bundle at the command line: what `evaluate` and `report` share, openings of test images included."""

from __future__ import annotations

import shlex
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.screen import tell

if TYPE_CHECKING:
    from pneumoscope.bundle.prediction import Prediction
    from pneumoscope.bundle.runtime import Model
    from pneumoscope.data.manifest import Manifest
    from pneumoscope.inference.evaluate import Evaluation, Progress
    from pneumoscope.reporting.examples import Example

Split = Annotated[str, typer.Option(help="validation, test (written down in the ledger), calibration, train or all.")]
Roots = Annotated[
    list[str] | None, typer.Option("--root", help="Where a source lies now; may be repeated.", metavar="SOURCE=DIR")
]
IgnoreOther = Annotated[
    bool, typer.Option("--ignore-other", help="Leave out, counted, labels that the model does not know.")
]
Examples = Annotated[
    int | None, typer.Option(min=1, help="Show so many images of each kind. They are patients' radiographs.")
]
Workers = Annotated[int | None, typer.Option(min=1, help="Images at once.  [default: the cores]")]


@dataclass(frozen=True)
class Measured:
    """An evaluation with the predictions it rests on: those of ``rows``, in their order."""

    evaluation: Evaluation
    rows: Manifest
    predictions: list[Prediction]


def measure(
    model: Model,
    manifest: Manifest,
    data: Path,
    split: str,
    *,
    ignore_other: bool,
    allow_train: bool = False,
    workers: int | None,
    seed: int = 0,
    resamples: int = 2000,
) -> Measured:
    """Measure a bundle on a part; test images are written down in the ledger first, and in the evidence afterwards.

    Args:
        model: The loaded bundle.
        manifest: As read from ``data``.
        data: The manifest's file; the ledger lies beside it.
        split: The part, or "all".
        ignore_other: Leave out labels that the model does not know.
        allow_train: Training images may be measured.
        workers: Images at once.
        seed: Of the bootstrap.
        resamples: Of the bootstrap.
    """
    from pneumoscope.bundle import evidence
    from pneumoscope.data.ledger import ledger_path, record_opening
    from pneumoscope.inference.evaluate import evaluate, rows_of
    from pneumoscope.inference.opening import build_opening
    from pneumoscope.reporting.pages.run_report import renew

    command, opened = shlex.join(["pneumoscope", *sys.argv[1:]]), 0

    def record(hashes: Sequence[str], identity: str) -> int:
        nonlocal opened
        opened = len(hashes)
        earlier = record_opening(data, hashes, identity, command)
        tell(f"Opening {opened} test images; written to {ledger_path(data)}; earlier openings: {earlier}.")
        return earlier

    kept: list[Prediction] = []
    with _progress() as progress:
        evaluation = evaluate(
            model,
            manifest,
            split,
            ignore_other=ignore_other,
            allow_train=allow_train,
            record=record,
            workers=workers,
            seed=seed,
            resamples=resamples,
            progress=progress,
            keep=kept.append,
        )
    if opened:
        fact = build_opening(evaluation, model.card, opened, command)
        tell(f"The opening is evidence about this model: {evidence.append(model.folder, fact)}")
        renew(model.folder)
    return Measured(evaluation, rows_of(manifest, split, model.card), kept)


def examples_of(
    model: Model, rows: Manifest, predictions: Sequence[Prediction], number: int, workers: int | None
) -> list[Example]:
    """Return examples of predicted images with their pictures.

    Args:
        model: The loaded bundle.
        rows: The images.
        predictions: Of these images, in their order.
        number: Of each kind, at most.
        workers: Images at once.
    """
    from pneumoscope.inference.predict import page_items
    from pneumoscope.reporting.examples import choose, with_pictures

    classes = {member: label.name for label in model.card.labels for member in label.members}
    truths = [classes[label] for label in rows.table["label"]]
    files = [str(path) for path in rows.paths()]
    return with_pictures(
        choose(predictions, truths, number),
        truths,
        lambda places: page_items(model, [files[place] for place in places], workers),
        synthetic=bool(rows.table["source"].str.startswith("synthetic").all()),
    )


@contextmanager
def _progress() -> Iterator[Progress]:
    """Yield a function that advances a bar on stderr; without a terminal there is no bar."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    console = Console(stderr=True)
    columns = (TextColumn("Measuring"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
