"""`pneumoscope reads`: what a site's reads come to, and its images with labels to retrain from."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import print_note

if TYPE_CHECKING:
    from pneumoscope.server.storage.database import Store

app = typer.Typer(help="Report a site's reads and answers; export them to retrain from.", no_args_is_help=True)

Home = Annotated[Path | None, typer.Option(help="The server's folder, as for serve.")]
Database = Annotated[str | None, typer.Option(help="The server's database, as for serve.", metavar="URL")]
Secret = Annotated[Path | None, typer.Option(help="The server's secret, as for serve.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command()
def report(
    model: Annotated[
        str | None, typer.Option(help="Its number, or: builtin.  [default: the one with the most answers]")
    ] = None,
    models: Annotated[Path | None, typer.Option(help="The server's folder of bundles, as for serve.")] = None,
    as_json: Json = False,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="Write a self-contained page.")] = None,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """Report agreement of model and readers, and accuracy against the reference standards that were entered.

    It tells answers about studies that you may have yet to read.
    """
    from pneumoscope.core.files import write_text
    from pneumoscope.server.inference.models import Catalogue
    from pneumoscope.server.reading.report import make_report, render_lines, render_page

    with _store(home, database, secret) as store:
        made = make_report(store, Catalogue(models), model)
    if output is not None:
        write_text(output, render_page(made))
        print_note(f"Wrote {output}.")
    typer.echo(made.model_dump_json(indent=2) if as_json else "\n".join(render_lines(made)))


@app.command()
def export(
    folder: Annotated[Path, typer.Argument(help="A new folder.", metavar="DIR")],
    as_json: Json = False,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """Write images and a manifest to retrain from. Labels: the reference standard's, else unaided reads'.

    A read that saw a model's answer is never a label. Erasing a patient on the server reaches the folder while it stays
    where it is.
    """
    from pneumoscope.core.labels import display_name
    from pneumoscope.server.reading.exports import MANIFEST, export_reads

    with _store(home, database, secret) as store:
        made = export_reads(store, folder)
    counts = {"labels": made.labels, "label_provenance": made.provenance, "left_out": made.left_out}
    if as_json:
        about = {"export": made.export, "folder": str(made.folder), "images": made.images, "studies": made.studies}
        typer.echo(json.dumps({**about, **counts, "label_conflicts": list(made.label_conflicts)}, indent=2))
        return
    typer.echo(f"Images: {made.images}, of studies: {made.studies}. Manifest: {folder / MANIFEST}")
    for label, number in made.labels.items():
        typer.echo(f"  {display_name(label)}: {number}")
    for where, number in made.provenance.items():
        typer.echo(f"  label from {where}: {number}")
    for why, number in made.left_out.items():
        typer.echo(f"Left out: {number} ({why})")
    for words in made.label_conflicts:
        print_note(f"The same picture, two labels: {words}", error=True)


@app.command()
def exports(
    forget: Annotated[
        str | None, typer.Option(help="Strike this export from the ledger: its copy is no more.", metavar="EXPORT")
    ] = None,
    as_json: Json = False,
    home: Home = None,
    database: Database = None,
    secret: Secret = None,
) -> None:
    """List the exports, and try again to remove from them what was erased on the server. Exit code 1 where it waits."""
    from datetime import UTC, datetime

    from pneumoscope.server.storage.export_ledger import clear, list_exports, withdraw

    with _store(home, database, secret) as store:
        if forget is not None:
            withdraw(store, forget)
        clear(store)
        with store.read() as session:
            found = list_exports(session)
    rows = [
        {
            "export": row.id,
            "folder": str(row.folder),
            "made": datetime.fromtimestamp(row.made, UTC).isoformat(timespec="seconds"),
            "studies": row.studies,
            "there": row.folder.is_dir(),
            "erased_but_not_reached": row.waiting,
        }
        for row in found
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
    if any(row.waiting for row in found):
        raise typer.Exit(1)


@contextmanager
def _store(home: Path | None, database: str | None, secret: Path | None) -> Iterator[Store]:
    from pneumoscope.core.errors import UsageError
    from pneumoscope.server.settings import Settings, default_home
    from pneumoscope.server.storage.database import open_store

    settings = Settings(home=home or default_home(), database=database, secret=secret)
    if not settings.files.is_dir():
        raise UsageError(f"--home {settings.home}", "is not a server's folder.", "Name the one that serve uses.")
    store = open_store(settings)
    try:
        yield store
    finally:
        store.close()
