"""`pneumoscope lungs`: outline lungs and heart, train the graph that does it, and measure it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import print_json, print_note, wide_console
from pneumoscope.cli.options import Allow, AsJson, Because, Depth, Roots, accepted_findings, source_roots

if TYPE_CHECKING:
    from pneumoscope.bundle.lungs import LungFigures

app = typer.Typer(help="Outline lungs and heart; train and measure the graph that does it.", no_args_is_help=True)

Data = Annotated[Path, typer.Option(help="The manifest (Parquet), with lung or heart masks.", metavar="MANIFEST")]
Folder = Annotated[
    Path | None, typer.Option("--model", help="Folder of a lungs graph.  [default: that of the package]")
]


@app.command()
def outline(
    paths: Annotated[list[Path], typer.Argument(help="Radiographs and folders.", metavar="PATH...")],
    out: Annotated[Path | None, typer.Option(help="Folder for pictures and masks.")] = None,
    model: Folder = None,
    depth: Depth = None,
    as_json: AsJson = False,
) -> None:
    """Outline lungs and heart of radiographs; print areas and the cardiothoracic ratio.

    A file that cannot be read is named; the exit code is then 1.
    """
    from pneumoscope.bundle.lungs import BUILTIN_LUNGS, load_lungs
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.outlines import outline_lungs

    chosen = load_lungs(model or BUILTIN_LUNGS)
    rows = outline_lungs(list(paths), out, model=chosen, depth=depth, callbacks=RichCallbacks())
    if as_json:
        print_json(
            [
                {
                    "path": row.path,
                    "areas": row.areas,
                    "cardiothoracic_ratio": row.cardiothoracic_ratio,
                    "sha256": row.sha256,
                    "picture": None if row.picture is None else str(row.picture),
                    "error": row.error,
                    "doubt": row.doubt,
                }
                for row in rows
            ]
        )
    else:
        from rich.table import Table
        from rich.text import Text

        table = Table("file", *chosen.card.structures, "cardiothoracic ratio", box=None)
        for row in rows:
            shares = [f"{row.areas[name]:.0%}" if row.areas else "" for name in chosen.card.structures]
            ratio = "" if row.cardiothoracic_ratio is None else f"{row.cardiothoracic_ratio:.2f}"
            table.add_row(Text(row.path), *shares, ratio)
        wide_console(140).print(table)
        print_note("Areas are shares of the picture. The ratio holds for PA views; AP magnifies the heart.")
        for row in rows:
            if row.doubt:
                print_note(f"{row.path}: no ratio, {row.doubt}.")
    for row in rows:
        if row.error is not None:
            print_note(row.error, error=True)
    if any(row.error is not None for row in rows):
        raise typer.Exit(1)


@app.command()
def train(
    data: Data,
    out: Annotated[Path, typer.Option(help="Folder for the graph, its card and the checkpoints.")],
    roots: Roots = None,
    epochs: Annotated[int, typer.Option(min=1, help="Passes over the images.")] = 30,
    across: Annotated[
        bool, typer.Option("--across", help="Train on each set alone too, and measure it on the others.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Decides the start and the order.")] = 0,
    allow: Allow = None,
    because: Because = None,
) -> None:
    """Train the graph on the masks of a manifest and measure it on the images of its part test.

    The same call goes on after a stop. The data checks of files and of leaks come first.
    """
    folders, allowed = source_roots(roots), accepted_findings(allow, because)
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.lungs import train_lungs

    model = train_lungs(
        data, out, roots=folders, epochs=epochs, across=across, seed=seed, allow=allowed, callbacks=RichCallbacks()
    )
    _show(model.card.measured)
    print_note(f"The graph is in {out}.")


@app.command()
def measure(data: Data, model: Folder = None, roots: Roots = None, as_json: AsJson = False) -> None:
    """Measure how far a graph's outlines agree with the masks of a manifest, set by set."""
    folders = source_roots(roots)
    from pneumoscope.bundle.lungs import BUILTIN_LUNGS, load_lungs
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.lungs import measure_lungs

    records = measure_lungs(data, load_lungs(model or BUILTIN_LUNGS), roots=folders, callbacks=RichCallbacks())
    if as_json:
        print_json([record.model_dump(mode="json") for record in records])
    else:
        _show(records)


def _show(records: Sequence[LungFigures]) -> None:
    """Print the figures; distances as per cent of the picture's side."""
    from rich.table import Table
    from rich.text import Text

    table = Table("trained on", "measured on", "structure", "images", "Dice", "IoU", "edge, % of the side", box=None)
    for record in records:
        edge = record.figures.get("edge-mean")
        distance = ""
        if edge is not None and edge.value is not None:
            distance = f"{100 * edge.value:.2f}"
            if edge.low is not None and edge.high is not None:
                distance += f" [{100 * edge.low:.2f}, {100 * edge.high:.2f}]"
        table.add_row(
            record.trained_on,
            record.measured_on,
            record.structure,
            str(record.images),
            # A figure without limits says so in square brackets, which Rich would read as markup.
            Text(str(record.figures["dice"])),
            Text(str(record.figures["iou"])),
            Text(distance),
        )
    wide_console(140).print(table)
