"""What the `data` commands say in common: progress, counts, conflicts, JSON."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from pneumoscope.core.errors import UsageError

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]
DropConflicts = Annotated[
    bool, typer.Option("--drop-conflicts", help="Leave out every image whose picture carries another label elsewhere.")
]


def check_output(path: Path) -> None:
    """Refuse an output that is not named as a manifest."""
    if path.suffix != ".parquet":
        raise UsageError(str(path), "must end with .parquet.")


def print_json(value: Any) -> None:
    """Print plain values as JSON."""
    import json

    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_conflicts(conflicts: tuple[str, ...]) -> None:
    """Print the first pictures that carry two labels."""
    if conflicts:
        typer.echo(f"The same picture under different labels: {len(conflicts)}")
        for line in conflicts[:20]:
            typer.echo(f"  {line}")
        if len(conflicts) > 20:
            typer.echo(f"  and {len(conflicts) - 20} more (--json lists every one)")


def groups_said(groups: dict[str, int]) -> str:
    """Return the numbers of groups by kind in words."""
    return ", ".join(f"{number:,} by {kind}" for kind, number in groups.items())


@contextmanager
def progress_bars() -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Yield what opens a bar on stderr; without a terminal there is none."""
    if not sys.stderr.isatty():
        yield lambda what, total: lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:

        def start(what: str, total: int) -> Callable[[int], None]:
            task = bar.add_task(what.capitalize(), total=total)
            return lambda done: bar.update(task, completed=done)

        yield start
