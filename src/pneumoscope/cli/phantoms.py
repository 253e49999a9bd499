"""`pneumoscope phantoms`: a folder of labelled synthetic chest radiographs, to try things on without a patient."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer


class Format(StrEnum):
    """What files to write."""

    PNG = "png"
    DICOM = "dicom"
    BOTH = "both"


def phantoms(
    directory: Annotated[Path, typer.Argument(help="Folder to write into; made if absent.")],
    per_class: Annotated[int, typer.Option(help="Patients of each label; each has one to three images.")] = 10,
    labels: Annotated[str, typer.Option(help="Labels, with commas.")] = "covid-19,normal,viral-pneumonia,lung-opacity",
    seed: Annotated[int, typer.Option(help="Another seed gives other patients.")] = 0,
    size: Annotated[int, typer.Option(help="Pixels a side, 32 or more.")] = 256,
    file_format: Annotated[Format, typer.Option("--format", help="The manifest lists PNG where both are written.")] = (
        Format.PNG
    ),
    shortcut: Annotated[
        float, typer.Option(help="Share 0..1 of patients whose hospital follows from the label: a trap for audits.")
    ] = 0.0,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Draw labelled synthetic chest radiographs, with lung masks and a manifest.

    They show no patient and say SYNTHETIC in their pixels, files and manifest. A model that does well on them has
    proved nothing about patients.
    """
    from pneumoscope.data.phantoms.dataset import write_set

    names = [label.strip() for label in labels.split(",") if label.strip()]
    formats = ("png", "dicom") if file_format is Format.BOTH else (file_format.value,)
    with _progress() as tick:
        manifest = write_set(
            directory, per_class, names, seed, size, formats, shortcut=shortcut, overwrite=force, tick=tick
        )
    table = manifest.table
    counts = {
        label: {"images": len(rows), "patients": int(rows.patient_id.nunique())}
        for label, rows in table.groupby("label")
    }
    path = directory / "manifest.parquet"
    if json_output:
        import json

        print(json.dumps({"manifest": str(path), "images": len(table), "labels": counts, "seed": seed}, indent=2))
        return
    for label in names:
        typer.echo(f"{label:20} {counts[label]['images']:5} images of {counts[label]['patients']} patients")
    typer.echo(f"{len(table)} synthetic images, masks, and {path}")


@contextmanager
def _progress() -> Iterator[Callable[[int, int], None]]:
    """Yield what shows how many images are written, on stderr; nothing where that is no terminal."""
    if not sys.stderr.isatty():
        yield lambda done, total: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("Drawing"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task("draw", total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)
