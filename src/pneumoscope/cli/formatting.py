"""What several commands print: lines on stderr, JSON, tables, counts of groups, label conflicts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console

SHOWN = 20
"""Label conflicts that are printed; the rest is counted."""


def print_note(text: str, *, error: bool = False) -> None:
    """Print a line to stderr, in red where it is about an error."""
    typer.secho(text, fg=typer.colors.RED if error else None, err=True)


def print_json(value: Any) -> None:
    """Print plain values as JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def wide_console(width: int) -> Console:
    """Return a console on stdout that has the terminal's width, or ``width`` where a pipe or a file has none."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() else width)


def escape_markup(estimate: object) -> str:
    """Return an estimate as text for a rich table, which would take the brackets of its interval for markup."""
    return str(estimate).replace("[", "(").replace("]", ")")


def print_conflicts(conflicts: Sequence[str]) -> None:
    """Print the first pictures that carry two labels."""
    if conflicts:
        typer.echo(f"The same picture under different labels or findings: {len(conflicts)}")
        for line in conflicts[:SHOWN]:
            typer.echo(f"  {line}")
        if len(conflicts) > SHOWN:
            typer.echo(f"  and {len(conflicts) - SHOWN} more (--json lists every one)")


def group_counts(groups: dict[str, int]) -> str:
    """Return the numbers of groups by kind, in words."""
    return ", ".join(f"{number:,} by {kind}" for kind, number in groups.items())


def size_text(count: int) -> str:
    """Return a number of bytes in kB, MB or GB (thousands, as file managers count)."""
    for unit, name in ((1e9, "GB"), (1e6, "MB")):
        if count >= unit:
            return f"{count / unit:.1f} {name}"
    return f"{count / 1e3:.0f} kB" if count >= 1000 else f"{count} B"
