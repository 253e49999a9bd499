"""`pneumoscope reads`: what a site's reads come to, and its images with labels to retrain from."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import print_note
from pneumoscope.cli.options import AsJson, Database, Home, Secret

if TYPE_CHECKING:
    from pneumoscope.server import Settings

app = typer.Typer(help="Report a site's reads and answers; export them to retrain from.", no_args_is_help=True)


@app.command()
def report(
    model: Annotated[
        str | None, typer.Option(help="Its number, or: builtin.  [default: the one with the most answers]")
    ] = None,
    models: Annotated[Path | None, typer.Option(help="The server's folder of bundles, as for serve.")] = None,
    finding: Annotated[
        str | None, typer.Option(help="Of a multi-label model: the finding to report.  [default: its first]")
    ] = None,
    as_json: AsJson = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a self-contained page.")] = None,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """Report agreement of model and readers, and accuracy against the reference standards that were entered.

    It tells answers about studies that you may have yet to read.
    """
    from pneumoscope.core.files import write_text
    from pneumoscope.server import report_reads
    from pneumoscope.server.reading.report import render_lines, render_page

    figures = report_reads(_settings(home, database, secret, models), model, finding=finding)
    if output is not None:
        write_text(output, render_page(figures))
        print_note(f"Wrote {output}.")
    typer.echo(figures.model_dump_json(indent=2) if as_json else "\n".join(render_lines(figures)))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.", metavar="DIR")],
    as_json: AsJson = False,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """Write images and a manifest to retrain from. Labels: the reference standard's, else unaided reads'.

    A read that saw a model's answer is never a label. Erasing a patient on the server reaches the folder while it stays
    where it is.
    """
    from pneumoscope.bundle.prediction import split_decision
    from pneumoscope.core.labels import display_name
    from pneumoscope.server import export_site
    from pneumoscope.server.reading.exports import MANIFEST

    result = export_site(_settings(home, database, secret), folder)
    counts = {"labels": result.labels, "label_provenance": result.provenance, "left_out": result.left_out}
    if as_json:
        about = {
            "export": result.export,
            "folder": str(result.folder),
            "images": result.images,
            "studies": result.studies,
        }
        typer.echo(json.dumps({**about, **counts, "label_conflicts": list(result.label_conflicts)}, indent=2))
        return
    typer.echo(f"Images: {result.images}, of studies: {result.studies}. Manifest: {folder / MANIFEST}")
    for label, number in result.labels.items():
        typer.echo(f"  {', '.join(map(display_name, split_decision(label)))}: {number}")
    for where, number in result.provenance.items():
        typer.echo(f"  label from {where}: {number}")
    for why, number in result.left_out.items():
        typer.echo(f"Left out: {number} ({why})")
    for words in result.label_conflicts:
        print_note(f"The same picture, two labels: {words}", error=True)


@app.command()
def exports(
    forget: Annotated[
        str | None, typer.Option(help="Strike this export from the ledger: its copy is no more.", metavar="EXPORT")
    ] = None,
    as_json: AsJson = False,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """List the exports, and try again to remove from them what was erased on the server. Exit code 1 where it waits."""
    from datetime import UTC, datetime

    from pneumoscope.server import list_site_exports

    records = list_site_exports(_settings(home, database, secret), forget=forget)
    rows = [
        {
            "export": row.id,
            "folder": str(row.folder),
            "made": datetime.fromtimestamp(row.made, UTC).isoformat(timespec="seconds"),
            "studies": row.studies,
            "there": row.folder.is_dir(),
            "erased_but_not_reached": row.waiting,
        }
        for row in records
    ]
    if as_json:
        typer.echo(json.dumps(rows, indent=2))
    for row in rows if not as_json else ():
        waiting = row["erased_but_not_reached"]
        waits = f"; erased studies still to be removed: {waiting}" if waiting else ""
        waits += "" if row["there"] else "; the folder is not there"
        typer.echo(f"{row['export']}  {row['made']}  studies: {row['studies']}  {row['folder']}{waits}")
    if not rows and not as_json:
        typer.echo("No exports.")
    if any(row.waiting for row in records):
        raise typer.Exit(1)


def _settings(home: Path | None, database: str | None, secret: Path | None, models: Path | None = None) -> Settings:
    from pneumoscope.server import Settings, default_home

    return Settings(home=home or default_home(), database=database, secret=secret, models=models)
