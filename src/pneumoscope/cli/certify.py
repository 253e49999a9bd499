"""`pneumoscope certify`: one bundle in several engines and formats on the same images, with limits."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import escape_markup, print_note, wide_console
from pneumoscope.cli.options import AsJson, Roots, command_line, source_roots

if TYPE_CHECKING:
    from pneumoscope.certification.result import Certificate


def certify(
    bundle: Annotated[
        str, typer.Argument(help="A bundle's or a run's folder, or: builtin, opacity, covid.", metavar="BUNDLE")
    ],
    data: Annotated[Path, typer.Option(help="The manifest (Parquet).", metavar="MANIFEST")],
    out: Annotated[
        Path | None,
        typer.Option("--out", "-o", help="A new folder for certificate.json, certificate.html and images.csv."),
    ] = None,
    int8: Annotated[
        Path | None, typer.Option("--int8", help="The 8-bit bundle that was exported from this one.", metavar="BUNDLE")
    ] = None,
    browser: Annotated[Path | None, typer.Option(help="The file that a browser's run wrote.", metavar="FILE")] = None,
    split: Annotated[
        str, typer.Option(help="validation, calibration, train, or all: every part but test.")
    ] = "validation",
    images: Annotated[int, typer.Option(min=40, help="Most images.")] = 500,
    roots: Roots = None,
    seed: Annotated[int, typer.Option(min=0, help="Which images.")] = 0,
    as_json: AsJson = False,
) -> None:
    """Run a bundle in torch, ONNX Runtime, OpenVINO, 8 bits and a browser on the same images: do they agree?

    Limits: torch and OpenVINO 1e-4 in probability, a browser 1e-3; 8 bits -.005 in AUROC and 1% of decisions. The exit
    code is 3 where one exceeds its limit.
    """
    from pneumoscope.bundle.runtime import load
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.certify import JSON, PAGE
    from pneumoscope.workflows.certify import certify as certify_bundle

    result = certify_bundle(
        load(bundle),
        data,
        out,
        int8=int8,
        browser=browser,
        part=split,
        images=images,
        roots=source_roots(roots),
        seed=seed,
        command=command_line(),
        callbacks=RichCallbacks(),
    )
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        show(result)
    if out is not None:
        print_note(f"Wrote {out / PAGE} and {out / JSON}.")
    if not result.passed:
        raise typer.Exit(3)


def show(certificate: Certificate) -> None:
    """Print a certificate: the verdict and a row for each engine."""
    from rich import box
    from rich.table import Table

    from pneumoscope.certification.result import ENGINES, describe_changed
    from pneumoscope.core.labels import DISCLAIMER
    from pneumoscope.stats.comparison.paired import RANKED_ALIKE

    console = wide_console(160)
    console.print(
        f"[bold]{certificate.model}[/] ({certificate.identity[:12]}) on {certificate.part_words}: "
        f"{certificate.images} images"
    )
    colour = "green" if certificate.passed else "red"
    console.print(f"[bold {colour}]{certificate.verdict}[/]")
    for note in certificate.notes:
        console.print(f"Note: {note}", markup=False, style="yellow")
    title = f"Differences from {certificate.reference}"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("engine", "largest", "mean", "decisions changed", "AUROC difference", "ms", "limit", ""):
        table.add_column(head, overflow="fold")
    for one in certificate.engines:
        cost = certificate.costs[one.engine].milliseconds
        table.add_row(
            ENGINES[one.engine],
            f"{one.largest:.1e}",
            f"{one.mean:.1e}",
            f"{describe_changed(one)}, {escape_markup(one.flipped_share)}",
            f"0, {one.auroc_difference.note}"
            if one.auroc_difference.note.endswith(RANKED_ALIKE)
            else escape_markup(one.auroc_difference),
            "–" if cost is None else f"{cost:.1f}",
            one.limit,
            "[green]within the limit[/]" if one.holds else "[red]exceeds the limit[/]",
        )
    console.print(table)
    for name, why in certificate.not_run.items():
        console.print(f"{ENGINES[name]} did not run: {why}.", markup=False)
    console.print(DISCLAIMER, style="dim")
