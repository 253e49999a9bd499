"""`pneumoscope audit`: what a bundle's answers rest on, in tests with intervals and one verdict."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import escape_markup, print_note, wide_console
from pneumoscope.cli.options import (
    Address,
    AsJson,
    EngineName,
    Examples,
    Finding,
    Roots,
    Workers,
    command_line,
    source_roots,
)

if TYPE_CHECKING:
    from pneumoscope.auditing.result import Audit

COLOURS = {"pass": "green", "caution": "yellow", "fail": "red", "not identifiable": "dim"}


def audit(
    bundle: Annotated[
        str, typer.Argument(help="A bundle's or a run's folder, or: builtin, opacity, covid.", metavar="BUNDLE")
    ],
    data: Annotated[Path, typer.Option(help="The manifest (Parquet).", metavar="MANIFEST")],
    out: Annotated[
        Path | None, typer.Option("--out", "-o", help="Folder for audit.json, audit.html and answers.")
    ] = None,
    split: Annotated[
        str, typer.Option(help="validation, calibration, train, or all; never the part test.")
    ] = "validation",
    images: Annotated[int, typer.Option(min=40, help="Most images.")] = 400,
    roots: Roots = None,
    seed: Annotated[int, typer.Option(min=0, help="Which images, donors and pixels.")] = 0,
    workers: Workers = None,
    examples: Examples = None,
    retrain: Annotated[
        bool, typer.Option("--retrain", help="Leave out each site in turn, to predict a site not seen; needs torch.")
    ] = False,
    origins: Annotated[
        Path | None, typer.Option(help="CSV (file, origin): where images of a compiled archive came from.")
    ] = None,
    external: Annotated[Path | None, typer.Option(help="Manifest of a site that the bundle has not seen.")] = None,
    finding: Finding = None,
    engine: EngineName = "local",
    address: Address = None,
    as_json: AsJson = False,
) -> None:
    """Find out what a bundle's answers rest on: the lungs, or the border, a marker, the source.

    Each test has an effect with a 95% interval, a margin that the program states, and a verdict: pass, caution, fail or
    not identifiable. The exit code is 3 where the verdict over all is fail. The same command goes on with an audit
    that was stopped, where it has --out.
    """
    from pneumoscope.bundle.runtime import load
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.audit import JSON, PAGE
    from pneumoscope.workflows.audit import audit as audit_bundle

    result = audit_bundle(
        load(bundle),
        data,
        out,
        part=split,
        images=images,
        roots=source_roots(roots),
        seed=seed,
        workers=workers,
        examples=examples,
        retrain=retrain,
        origins=origins,
        external=external,
        finding=finding,
        engine=engine,
        address=address,
        command=command_line(),
        callbacks=RichCallbacks(),
    )
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        show(result)
    if out is not None:
        print_note(f"Wrote {out / PAGE} and {out / JSON}.")
    if result.verdict == "fail":
        raise typer.Exit(3)


def show(audit: Audit) -> None:
    """Print an audit: the verdict, the sentence about a new site, and every test."""
    from rich import box
    from rich.table import Table

    from pneumoscope.core.labels import DISCLAIMER

    console = wide_console(120)
    console.print(f"[bold]{audit.model}[/] ({audit.identity[:12]}) on {audit.part}: {audit.images} images")
    console.print(f"[bold {COLOURS[audit.verdict]}]{audit.verdict}[/]: ", end="")
    console.print(audit.reason, markup=False)
    if audit.prediction is not None:
        console.print(audit.prediction.sentence, markup=False)
    for note in audit.notes:
        console.print(f"Note: {note}", markup=False, style="yellow")
    table = Table(title="Tests", title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("test", "effect", "", "verdict"):
        table.add_column(head, overflow="fold")
    for test in audit.tests:
        table.add_row(
            test.title, test.effect_name, escape_markup(test.effect), f"[{COLOURS[test.verdict]}]{test.verdict}[/]"
        )
    console.print(table)
    console.print(audit.group_sentence)
    console.print(DISCLAIMER, style="dim")
