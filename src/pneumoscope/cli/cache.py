"""`pneumoscope cache`: what the package keeps outside the folders that a user names, and clearing it."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from pneumoscope.cli.formatting import print_json, size_text
from pneumoscope.cli.options import AsJson

app = typer.Typer(help="Show and clear what is kept in the cache folder.", invoke_without_command=True)


@app.callback()
def show(context: typer.Context, as_json: AsJson = False) -> None:
    """Show what is kept outside the folders that you name: caches, which can be cleared, and records, which stay."""
    if context.invoked_subcommand is not None:
        return
    from pneumoscope.core.cache import list_cache

    entries = list_cache()
    if as_json:
        print_json([{**asdict(entry), "folder": str(entry.folder)} for entry in entries])
        return
    for clearable, heading in (
        (True, "Caches: they save time (PNEUMOSCOPE_CACHE moves them)"),
        (False, "Records: they are never cleared here (PNEUMOSCOPE_HOME moves them)"),
    ):
        typer.echo(heading)
        for entry in entries:
            if entry.clearable == clearable:
                files = f"{entry.files:,} file{'' if entry.files == 1 else 's'}"
                typer.echo(f"  {entry.name:9} {size_text(entry.bytes):>9}  {files:>12}  {entry.contents}")
                typer.echo(f"  {'':9} {entry.folder}")
    typer.echo("Clear the caches, or some of them: pneumoscope cache clear [NAME]...")


@app.command()
def clear(
    names: Annotated[list[str] | None, typer.Argument(help="images, features, checks.  [default: all three]")] = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Delete without asking.")] = False,
) -> None:
    """Delete caches. The next training or data check takes longer; nothing else changes."""
    from pneumoscope.core.cache import check_cache_names, clear_cache, list_cache

    names = check_cache_names(names or ())
    entries = [entry for entry in list_cache() if entry.name in names]
    total = sum(entry.bytes for entry in entries)
    if not any(entry.files for entry in entries):
        typer.echo("There is nothing to clear.")
        return
    listed = ", ".join(f"{entry.name} {size_text(entry.bytes)}" for entry in entries)
    if not yes and not typer.confirm(f"Delete {size_text(total)} ({listed})?"):
        typer.echo("Nothing was deleted.")
        raise typer.Exit(1)
    typer.echo(f"Freed {size_text(clear_cache(names))}.")
