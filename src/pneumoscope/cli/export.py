"""`pneumoscope export`: a bundle in another format, in a folder of its own."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pneumoscope.cli.formatting import print_json, print_note, size_text
from pneumoscope.cli.options import AsJson, Roots, source_roots


def export(
    bundles: Annotated[
        list[str],
        typer.Argument(
            help="A bundle's or a run's folder, or: builtin, opacity, covid; app: one or several.", metavar="BUNDLE..."
        ),
    ],
    to: Annotated[str, typer.Option("--to", help="The format; an unknown one lists them all.", metavar="FORMAT")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="A new folder.  [default: NAME-FORMAT]", metavar="DIR")
    ] = None,
    data: Annotated[
        Path | None, typer.Option(help="int8: the manifest (Parquet) of the radiographs it looks at.")
    ] = None,
    split: Annotated[
        str | None,
        typer.Option(help="int8: calibration, validation, train, all; never the part test.  [default: calibration]"),
    ] = None,
    images: Annotated[int | None, typer.Option(min=10, help="int8: how many of them.  [default: 500]")] = None,
    roots: Roots = None,
    seed: Annotated[int | None, typer.Option(min=0, help="int8: which of them, in which order.  [default: 0]")] = None,
    as_json: AsJson = False,
) -> None:
    """Write a bundle in another format, and compare it with the bundle where this machine can."""
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.core.labels import DISCLAIMER

    callbacks = RichCallbacks()
    with callbacks.counting("loading the libraries"):
        from pneumoscope.workflows.export import export_bundle

    result = export_bundle(
        bundles,
        to,
        out,
        data=data,
        part=split,
        images=images,
        roots=source_roots(roots),
        seed=seed,
        callbacks=callbacks,
    )
    report = result.report
    if as_json:
        print_json(
            {
                "format": result.to,
                "folder": str(result.folder),
                "files": dict(result.files),
                "largest_differences": dict(report.differences),
                "images_compared": report.images,
                "notes": list(report.notes),
            }
        )
        return
    typer.echo(f"{result.to} of {', '.join(bundles)} in {result.folder}:")
    for name, count in result.files.items():
        typer.echo(f"  {name}  {size_text(count)}")
    if report.differences:
        typer.echo(
            f"Largest difference from the bundle on {report.images} images: "
            + ", ".join(f"{name} {value:.1e}" for name, value in report.differences.items())
        )
    for note in report.notes:
        print_note(note)
    typer.echo(DISCLAIMER)
