"""`pneumoscope models`: which bundles there are, what one says about itself, and whether it is what it says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pneumoscope.cli.formatting import print_json, print_note, size_text, wide_console
from pneumoscope.cli.options import AsJson

if TYPE_CHECKING:
    from pneumoscope.bundle.listing import BundleEntry

app = typer.Typer(help="List, show and verify bundles.", no_args_is_help=True)

BundleArgument = Annotated[str, typer.Argument(metavar="[BUNDLE]", help="A bundle's folder.")]


@app.command("list")
def list_models(
    folders: Annotated[list[Path] | None, typer.Argument(metavar="[FOLDER]...", help="Where to look too.")] = None,
    as_json: AsJson = False,
) -> None:
    """List the built-in model and the bundles in folders (runs, by default)."""
    from pneumoscope.bundle.listing import list_bundles

    bundles, broken = list_bundles(folders or ["runs"])
    for problem in broken:
        print_note(str(problem), error=True)
    if as_json:
        print_json([_facts(bundle) for bundle in bundles])
    elif bundles:
        _print_table(bundles)
    elif not broken:
        print_note("No bundles: none is built in, and none was found. Train one, or name the folder that holds some.")
    if broken:
        raise typer.Exit(1)


@app.command()
def show(bundle: BundleArgument = "builtin", as_json: AsJson = False) -> None:
    """Show a bundle's card: what it is for, how it was measured, and what it has never seen."""
    from pneumoscope.bundle.listing import describe_bundle

    about = describe_bundle(bundle)
    if as_json:
        evidence = {str(path): fact.model_dump(mode="json") | {"signed": fact.signed} for path, fact in about.evidence}
        card = about.card.model_dump(mode="json")
        print_json({"identity": about.identity, "folder": str(about.folder), "card": card, "evidence": evidence})
        return
    from rich.console import Console
    from rich.markdown import Markdown

    from pneumoscope.bundle.evidence import acceptances, audits, openings
    from pneumoscope.reporting.model_card import render_model_card

    console = Console()
    facts = about.evidence
    text = render_model_card(about.card, about.identity, openings(facts), audits(facts), acceptances(facts))
    if console.is_terminal:
        console.print(Markdown(text))
    else:
        typer.echo(text)


@app.command()
def verify(bundle: BundleArgument = "builtin", as_json: AsJson = False) -> None:
    """Check a bundle: hashes, schema, graph, recipe and evidence. Exit code 1 if something is not as it says."""
    from pneumoscope.bundle.runtime import load
    from pneumoscope.bundle.verify import verify as verify_bundle

    model = load(bundle)
    facts = verify_bundle(model)
    if as_json:
        print_json({"folder": str(model.folder), "identity": model.identity, "holds": facts})
        return
    for fact in facts:
        typer.echo(f"ok  {fact}")
    typer.echo(f"{model.card.name} {model.card.version} is what it says: {model.identity}")


def _facts(bundle: BundleEntry) -> dict[str, Any]:
    """Return what the JSON of the list says of a bundle."""
    from pneumoscope.bundle.evidence import list_stamps

    card = bundle.card
    return {
        "model": bundle.name,
        "name": card.name,
        "version": card.version,
        "identity": bundle.identity,
        "labels": card.label_names,
        "bytes": card.model_bytes,
        "stamps": list_stamps(bundle.folder, card, bundle.identity),
        "synthetic": card.synthetic,
        "audit": _verdict_of(bundle),
        "acceptance": _acceptance_of(bundle),
    }


def _verdict_of(bundle: BundleEntry) -> str:
    """Return the verdict of a bundle's newest audit, in a word or two."""
    from pneumoscope.bundle.evidence import latest_audit
    from pneumoscope.core.errors import BundleError

    try:
        audit = latest_audit(bundle.folder, bundle.identity)
    except BundleError:
        return "unreadable"
    return "not audited" if audit is None else audit.verdict


def _acceptance_of(bundle: BundleEntry) -> str:
    """Return the verdict of a bundle's newest acceptance at a site, in a word or two."""
    from pneumoscope.bundle.evidence import latest_acceptance
    from pneumoscope.core.errors import BundleError

    try:
        acceptance = latest_acceptance(bundle.folder, bundle.identity)
    except BundleError:
        return "unreadable"
    return "not accepted at a site" if acceptance is None else acceptance.verdict


def _print_table(bundles: Sequence[BundleEntry]) -> None:
    from rich import box
    from rich.table import Table

    from pneumoscope.core.labels import display_name, is_none_label

    table = Table(box=box.SIMPLE, show_edge=False, pad_edge=False)
    for heading in ("model", "name", "identity", "looks for", "size"):
        table.add_column(heading, overflow="fold")
    for bundle in bundles:
        card = bundle.card
        labels = ", ".join(display_name(label) for label in card.label_names if not is_none_label(label))
        name = f"{card.name} {card.version}" + (" (drawn images)" if card.synthetic else "")
        if (verdict := _verdict_of(bundle)) != "not audited":
            name += f" (audit: {verdict})"
        if (verdict := _acceptance_of(bundle)) in ("go", "no-go"):
            name += f" (site acceptance: {verdict})"
        table.add_row(bundle.name, name, bundle.identity[:12], labels, size_text(card.model_bytes))
    wide_console(160).print(table)
