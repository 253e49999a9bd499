"""`pneumoscope models`: which bundles there are, what one says about itself, and whether it is what it says."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any

import typer

from pneumoscope.cli.screen import tell

app = typer.Typer(help="List, show and verify bundles.", no_args_is_help=True)

BundleArgument = Annotated[str, typer.Argument(metavar="[BUNDLE]", help="A bundle's folder.  [default: the built-in]")]
JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_models(
    folders: Annotated[list[Path] | None, typer.Argument(metavar="[FOLDER]...", help="Where to look too.")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the built-in model and the bundles in folders (runs, by default)."""
    from pneumoscope.bundle.card import read_card
    from pneumoscope.core.errors import BundleError
    from pneumoscope.core.labels import display_name

    found: list[dict[str, Any]] = []
    broken: list[str] = []
    for name, folder in _bundles(folders or [Path("runs")]):
        try:
            card, identity = read_card(folder)
        except BundleError as error:
            broken.append(str(error))
            continue
        found.append(
            {
                "model": name,
                "name": card.name,
                "version": card.version,
                "identity": identity,
                "labels": card.label_names,
                "bytes": card.model_bytes,
                "stamps": card.stamps,
                "synthetic": card.synthetic,
            }
        )
    for problem in broken:
        tell(problem, wrong=True)
    if as_json:
        typer.echo(json.dumps(found, indent=2))
    elif found:
        from rich import box
        from rich.console import Console
        from rich.table import Table

        table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
        for heading in ("model", "name", "identity", "looks for", "size"):
            table.add_column(heading, overflow="fold")
        for row in found:
            labels = ", ".join(display_name(label) for label in row["labels"] if label != "normal")
            name = f"{row['name']} {row['version']}" + (" (drawn images)" if row["synthetic"] else "")
            table.add_row(row["model"], name, row["identity"][:12], labels, f"{row['bytes'] / 1e6:.1f} MB")
        Console(width=None if sys.stdout.isatty() else 160).print(table)
    elif not broken:
        tell("No bundles: none is built in, and none was found. Train one, or name the folder that holds some.")
    if broken:
        raise typer.Exit(1)


@app.command()
def show(bundle: BundleArgument = "builtin", as_json: JsonOption = False) -> None:
    """Show a bundle's card: what it is for, how it was measured, and what it has never seen."""
    from pneumoscope.bundle import evidence
    from pneumoscope.bundle.card import read_card
    from pneumoscope.bundle.runtime import bundle_folder

    folder = bundle_folder(bundle)
    card, identity = read_card(folder)
    facts = evidence.read(folder, identity)
    if as_json:
        known = {str(path): fact.model_dump(mode="json") for path, fact in facts}
        about = {"identity": identity, "folder": str(folder), "card": card.model_dump(mode="json"), "evidence": known}
        typer.echo(json.dumps(about, indent=2))
        return
    from rich.console import Console
    from rich.markdown import Markdown

    from pneumoscope.reporting.model_card import card_markdown

    console, text = Console(), card_markdown(card, identity, evidence.openings(facts))
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        typer.echo(text)


@app.command()
def verify(bundle: BundleArgument = "builtin", as_json: JsonOption = False) -> None:
    """Check a bundle: hashes, schema, graph, recipe and evidence. Exit code 1 if something is not as it says."""
    from pneumoscope.bundle.runtime import load
    from pneumoscope.bundle.verify import verify as check

    model = load(bundle)
    said = check(model)
    if as_json:
        typer.echo(json.dumps({"folder": str(model.folder), "identity": model.identity, "holds": said}, indent=2))
        return
    for line in said:
        typer.echo(f"ok  {line}")
    typer.echo(f"{model.card.name} {model.card.version} is what it says: {model.identity}")


def _bundles(folders: list[Path]) -> Iterator[tuple[str, Path]]:
    """Yield name and folder of the built-in bundle, if there is one, and of every bundle below the folders."""
    from pneumoscope.bundle.runtime import BUILTIN, bundle_folder
    from pneumoscope.core.errors import BundleError

    with suppress(BundleError):
        yield BUILTIN, bundle_folder(BUILTIN)
    for folder in folders:
        for card in sorted(folder.rglob("card.json")):
            yield str(card.parent), card.parent
