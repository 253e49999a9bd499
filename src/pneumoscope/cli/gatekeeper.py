"""`pneumoscope gatekeeper`: say what is an upright frontal chest, train the graph that does it, and measure it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import print_json, print_note, wide_console
from pneumoscope.cli.options import AsJson, Depth

if TYPE_CHECKING:
    from pneumoscope.bundle.gatekeeper import GatekeeperRate

app = typer.Typer(
    help="Say what is an upright frontal chest radiograph; train and measure the graph that does it.",
    no_args_is_help=True,
)

Data = Annotated[Path, typer.Option(help="A table of examples (CSV): file, kind, source, group.", metavar="TABLE")]


@app.command()
def check(
    paths: Annotated[list[Path], typer.Argument(help="Pictures and folders.", metavar="PATH...")],
    depth: Depth = None,
    as_json: AsJson = False,
) -> None:
    """Say of each file whether a classifier may judge it, and why not.

    A file that cannot be read is named; the exit code is then 1.
    """
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.screening import screen_images

    rows = screen_images(list(paths), depth=depth, callbacks=RichCallbacks())
    if as_json:
        print_json(
            [
                {
                    "path": row.path,
                    "refused": bool(row.refusals),
                    "refusals": {finding.code: finding.sentence for finding in row.refusals},
                    "warnings": {finding.code: finding.sentence for finding in row.warnings},
                    "sha256": row.sha256,
                    "error": row.error,
                }
                for row in rows
            ]
        )
    else:
        from rich.table import Table
        from rich.text import Text

        table = Table("file", "may be judged", "why", box=None)
        for row in rows:
            words = row.error or "; ".join(finding.sentence for finding in row.refusals or row.warnings)
            verdict = "failed" if row.error else "no" if row.refusals else "yes, with a warning" if words else "yes"
            table.add_row(Text(row.path), verdict, Text(words))
        wide_console(160).print(table)
    for row in rows:
        if row.error is not None:
            print_note(row.error, error=True)
    if any(row.error is not None for row in rows):
        raise typer.Exit(1)


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the graph, its card and the features.")],
    weights: Annotated[Path, typer.Option(help="safetensors file of mobilenetv2_100, learnt from ImageNet.")],
    seed: Annotated[int, typer.Option(help="Decides which chests are drawn and how origins are divided.")] = 0,
) -> None:
    """Train the graph on a table of examples, and measure it at the sources and origins that it did not learn from.

    The features are kept: the same call, or one with another seed, is quick.
    """
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.gatekeeper import train_gatekeeper

    gatekeeper = train_gatekeeper(data, out, weights, seed=seed, callbacks=RichCallbacks())
    _show(gatekeeper.card.measured)
    print_note(f"The graph is in {out}.")


@app.command()
def measure(data: Data, depth: Depth = None, as_json: AsJson = False) -> None:
    """Measure how often the gatekeeper of the package refuses the pictures of a table, by source and kind."""
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.gatekeeper import measure_gatekeeper

    rates = measure_gatekeeper(data, depth=depth, callbacks=RichCallbacks())
    if as_json:
        print_json([rate.model_dump(mode="json") for rate in rates])
    else:
        _show(rates)


def _show(rates: Sequence[GatekeeperRate]) -> None:
    from rich.table import Table
    from rich.text import Text

    table = Table("question", "measured on", "images", "rate", box=None)
    for rate in rates:
        # A figure without limits says so in square brackets, which Rich would read as markup.
        table.add_row(rate.question, Text(rate.measured_on), str(rate.images), Text(str(rate.rate)))
    wide_console(140).print(table)
