"""`pneumoscope cross-validate`: recipes in repeated folds by patient, with the corrected test between them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from pneumoscope.cli.formatting import escape_markup, wide_console
from pneumoscope.cli.options import (
    Allow,
    AsJson,
    Because,
    Roots,
    accepted_findings,
    command_line,
    complete_recipe_or_all,
    source_roots,
)

if TYPE_CHECKING:
    from rich.console import Console

    from pneumoscope.comparison.cross_validation import CrossValidation


def cross_validate(
    recipes: Annotated[
        list[str],
        typer.Argument(
            help="Names of recipes or .yaml files; all: every published one.", autocompletion=complete_recipe_or_all
        ),
    ],
    data: Annotated[Path, typer.Option(help="The manifest; its test part, if any, stays closed.", metavar="MANIFEST")],
    out: Annotated[Path, typer.Option(help="The folder; the same command goes on with it.")],
    folds: Annotated[int, typer.Option(min=2, help="Folds, by whole patients.")] = 5,
    repeats: Annotated[int, typer.Option(min=1, help="Divisions into folds, each with another seed.")] = 1,
    target: Annotated[
        str | None,
        typer.Option(help="The class that is looked for; else covid-19, or the only one that the data have."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change all recipes (key=value) or some (cnn-*:key=value); may be repeated."),
    ] = None,
    metric: Annotated[str, typer.Option(help="To rank and test by: auroc, accuracy, log_loss ...")] = "auroc",
    seed: Annotated[int, typer.Option(min=0, help="Another seed, other folds.")] = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    allow: Allow = None,
    because: Because = None,
    roots: Roots = None,
    as_json: AsJson = False,
) -> None:
    """Train recipes in repeated folds by patient and test their differences (Nadeau and Bengio's corrected t-test).

    Each fold's other patients are divided into train, validation and calibration parts, so that the images held out
    choose nothing. A command that was stopped goes on where it was.
    """
    from pneumoscope.workflows.early_checks import check_device, check_metric, check_new_folder, check_roots

    folders, allowed = source_roots(roots), accepted_findings(allow, because)
    check_metric(metric)
    check_device(device)
    check_new_folder(out)
    from pneumoscope.data.label_rows import read_label_rows

    check_roots(folders, read_label_rows(data))
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.cross_validate import cross_validate as cross_validate_recipes

    callbacks = RichCallbacks()
    result = cross_validate_recipes(
        recipes,
        data,
        out,
        folds=folds,
        repeats=repeats,
        target=target,
        sets=sets or (),
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
        show(result, wide_console(140))
    callbacks.message(f"{out / 'cross-validation.html'}  {out / 'cross-validation.json'}")


def show(result: CrossValidation, console: Console) -> None:
    """Print the recipes with their means and tests, and what was not compared."""
    from rich import box
    from rich.table import Table

    from pneumoscope.comparison.page import format_difference, format_p_value
    from pneumoscope.core.labels import DISCLAIMER
    from pneumoscope.reporting.formatting import name_figure

    dealt = "once" if result.repeats == 1 else f"{result.repeats} times"
    title = f"{result.folds} folds, dealt {dealt}: {result.images} images in {result.groups} groups"
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
    second = name_figure(result.second_figure)
    for head in ("recipe", name_figure(result.metric), second, "minus the best", "p (Holm)"):
        table.add_column(head, overflow="fold")
    for one in result.recipes:
        table.add_row(
            one.name,
            escape_markup(one.figures[result.metric]),
            escape_markup(one.figures[result.second_figure]),
            format_difference(one.versus_best),
            format_p_value(one.versus_best),
        )
    console.print(table)
    for note in result.notes:
        console.print(f"{note[0].upper()}{note[1:]}.", markup=False)
    console.print("Intervals and p: corrected resampled t (Nadeau and Bengio 2003).")
    for left_out in result.not_run:
        console.print(f"{left_out.name}: {left_out.status}. {left_out.reason}", markup=False)
    console.print(DISCLAIMER, style="dim")
