"""`pneumoscope learning-curve`: a recipe's figures by the number of training patients, and what more would bring."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import escape_markup, wide_console
from pneumoscope.cli.options import (
    Allow,
    AsJson,
    Because,
    RecipeArgument,
    Roots,
    accepted_findings,
    command_line,
    source_roots,
)
from pneumoscope.core.errors import UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from pneumoscope.comparison.learning_curve import LearningCurve


def learning_curve(
    recipe: RecipeArgument,
    data: Annotated[Path, typer.Option(help="The manifest, in parts; its test part is not touched.")],
    out: Annotated[Path, typer.Option(help="The folder; the same command goes on with it.")],
    sizes: Annotated[str, typer.Option(help="Shares of the training patients; a curve needs four.")] = "0.1,0.25,0.5,1",
    repeats: Annotated[int, typer.Option(min=1, help="Trainings of each size, with other subsets and seeds.")] = 1,
    times: Annotated[str, typer.Option(help="Times the patients that the curve is asked about; 2 at most.")] = "2",
    sets: Annotated[list[str] | None, typer.Option("--set", help="Change the recipe: optimizer.lr=1e-4")] = None,
    metric: Annotated[str, typer.Option(help="auroc, accuracy, log_loss ...")] = "auroc",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other subsets.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    allow: Allow = None,
    because: Because = None,
    roots: Roots = None,
    as_json: AsJson = False,
) -> None:
    """Train a recipe on growing shares of the training patients and say what more of them would bring.

    Validation and calibration parts are the same for all sizes. A command that was stopped goes on where it was.
    """
    from pneumoscope.workflows.early_checks import (
        check_device,
        check_metric,
        check_new_folder,
        check_recipe,
        check_roots,
    )

    shares, asked = _numbers("sizes", sizes), _numbers("times", times)
    folders, allowed = source_roots(roots), accepted_findings(allow, because)
    check_metric(metric)
    check_device(device)
    check_new_folder(out)
    from pneumoscope.data.label_rows import read_label_rows
    from pneumoscope.recipes.recipe import load_recipe

    chosen, rows = load_recipe(recipe, sets or ()), read_label_rows(data)
    check_roots(folders, rows)
    check_recipe(chosen, rows)
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.learning_curve import learning_curve as measure_learning_curve

    callbacks = RichCallbacks()
    result = measure_learning_curve(
        chosen,
        data,
        out,
        sizes=shares,
        repeats=repeats,
        times=asked,
        metric=metric,
        seed=seed,
        device=device,
        allow=allowed,
        roots=folders,
        command=command_line(),
        callbacks=callbacks,
    )
    if as_json:
        typer.echo(result.to_json(), nl=False)
    else:
        show(result, wide_console(120))
    callbacks.message(f"{out / 'learning-curve.html'}  {out / 'learning-curve.json'}")


def _numbers(option: str, text: str) -> list[float]:
    try:
        return [float(piece) for piece in text.split(",")]
    except ValueError:
        raise UsageError(f"--{option} {text}", "must be numbers with commas between.", "For example 0.5,1.") from None


def show(result: LearningCurve, console: Console) -> None:
    """Print the figures by size, what the curve expects, and its caution."""
    from rich import box
    from rich.table import Table

    from pneumoscope.core.labels import DISCLAIMER
    from pneumoscope.reporting.formatting import name_figure

    title = f"{result.recipe}: validation, {result.images} images in {result.groups} groups"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    for head in ("share", "training patients", "images", name_figure(result.metric), "each training"):
        table.add_column(head)
    for point in result.points:
        each = ", ".join(f"{value:.3f}" for value in point.repeats)
        cells = (f"{point.share:g}", str(point.patients), str(point.images), escape_markup(point.figure), each)
        table.add_row(*cells)
    console.print(table)
    for sentence in result.sentences():
        console.print(sentence, markup=False)
    console.print(DISCLAIMER, style="dim")
