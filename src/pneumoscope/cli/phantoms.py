"""`pneumoscope phantoms`: a folder of labelled synthetic chest radiographs, to try things on without a patient."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.cli.formatting import print_json
from pneumoscope.cli.options import AsJson
from pneumoscope.core.counts import format_count


class FileFormat(StrEnum):
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
    file_format: Annotated[
        FileFormat, typer.Option("--format", help="The manifest lists PNG where both are written.")
    ] = (FileFormat.PNG),
    shortcut: Annotated[
        float,
        typer.Option(help="Share 0..1 of patients whose hospital follows from the label: a trap for the data checks."),
    ] = 0.0,
    force: Annotated[bool, typer.Option("--force", help="Write into a folder that is not empty.")] = False,
    as_json: AsJson = False,
) -> None:
    """Draw labelled synthetic chest radiographs, with lung masks and a manifest.

    They show no patient and say SYNTHETIC in their pixels, files and manifest. A model that does well on them has
    proved nothing about patients.
    """
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.inspection import draw_phantoms

    names = [label.strip() for label in labels.split(",") if label.strip()]
    table = draw_phantoms(
        directory,
        per_class=per_class,
        labels=names,
        seed=seed,
        size=size,
        formats=("png", "dicom") if file_format is FileFormat.BOTH else (file_format.value,),
        shortcut=shortcut,
        overwrite=force,
        callbacks=RichCallbacks(),
    ).table
    counts = {
        label: {"images": len(rows), "patients": int(rows.patient_id.nunique())}
        for label, rows in table.groupby("label")
    }
    path = directory / "manifest.parquet"
    if as_json:
        print_json({"manifest": str(path), "images": len(table), "labels": counts, "seed": seed})
        return
    for label in names:
        images, patients = (format_count(counts[label][f"{one}s"], one) for one in ("image", "patient"))
        typer.echo(f"{label:20} {images:>12} of {patients}")
    typer.echo(f"{len(table)} synthetic images, masks, and {path}")
