"""`pneumoscope compare`: many recipes on one manifest, ranked on validation, the finalists once on test."""

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

    from pneumoscope.comparison.result import Comparison


def compare(
    recipes: Annotated[
        list[str],
        typer.Argument(
            help="Names of recipes or .yaml files; all: every published one.", autocompletion=complete_recipe_or_all
        ),
    ],
    data: Annotated[Path, typer.Option(help="The manifest, in parts.", metavar="MANIFEST")],
    out: Annotated[Path, typer.Option(help="The comparison's folder; the same command goes on with it.")],
    target: Annotated[
        str | None,
        typer.Option(help="The class that is looked for; else covid-19, or the only one that the data have."),
    ] = None,
    sets: Annotated[
        list[str] | None,
        typer.Option("--set", help="Change all recipes (key=value) or some (cnn-*:key=value); may be repeated."),
    ] = None,
    grid: Annotated[
        list[str] | None,
        typer.Option(help="An experiment: optimizer.lr=1e-3,1e-4; 'augment=recipe,{}' is on and off; may be repeated."),
    ] = None,
    seeds: Annotated[int, typer.Option(min=1, help="Runs of each, from its own seed upwards.")] = 1,
    metric: Annotated[str, typer.Option(help="To rank by: auroc, accuracy, sensitivity, log_loss ...")] = "auroc",
    margin: Annotated[float, typer.Option(min=0, help="How much worse than the best the recommended may be.")] = 0.01,
    minimum_sensitivity: Annotated[
        float | None, typer.Option(min=0, max=1, help="At its default threshold, for a recommendation.")
    ] = None,
    latency_budget: Annotated[
        float | None, typer.Option(min=0, help="Milliseconds an image, for a recommendation.")
    ] = None,
    finalists: Annotated[int, typer.Option(min=1, help="Networks of each table that go to test, at least.")] = 2,
    open_test: Annotated[
        bool, typer.Option("--open-test/--no-test", help="Measure the finalists on test, once and on the record.")
    ] = False,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    allow: Allow = None,
    because: Because = None,
    roots: Roots = None,
    as_json: AsJson = False,
) -> None:
    """Train many recipes on the same images and say which network is best, and how sure that is.

    Networks are ranked on validation, never on test. With --open-test the finalists are then measured on test, once
    and on the record. A recipe that asks another question is fitted to the classes of the data, and the page shows the
    change. Binary recipes have their own table.
    """
    from pneumoscope.workflows.early_checks import check_comparison

    folders, allowed = source_roots(roots), accepted_findings(allow, because)
    values = check_comparison(
        recipes,
        data,
        out,
        target,
        sets=sets or (),
        grid=grid or (),
        seeds=seeds,
        metric=metric,
        device=device,
        roots=folders,
    )
    from pneumoscope.cli.callbacks import RichCallbacks
    from pneumoscope.workflows.compare import compare as compare_recipes

    callbacks = RichCallbacks()
    comparison = compare_recipes(
        recipes,
        data,
        out,
        target=target,
        sets=sets or (),
        grid=values,
        seeds=seeds,
        metric=metric,
        margin=margin,
        minimum_sensitivity=minimum_sensitivity,
        latency_budget=None if latency_budget is None else latency_budget / 1000,
        open_test=open_test,
        finalists=finalists,
        device=device,
        allow=allowed,
        roots=folders,
        command=command_line(),
        callbacks=callbacks,
    )
    if as_json:
        typer.echo(comparison.to_json(), nl=False)
    else:
        show(comparison, wide_console(140))
    callbacks.message(f"{out / 'comparison.html'}  {out / 'comparison.json'}  {out / 'leaderboard.csv'}")


def show(comparison: Comparison, console: Console) -> None:
    """Print the tables, what is recommended and why, and what was not run."""
    from rich import box
    from rich.table import Table

    from pneumoscope.comparison.page import describe_cost, format_difference, format_p_value
    from pneumoscope.comparison.result import name_question
    from pneumoscope.core.labels import DISCLAIMER
    from pneumoscope.reporting.formatting import name_figure

    for table in comparison.tables:
        title = f"{name_question(table)}: validation, {table.images} images"
        shown = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False)
        second = table.second_figure
        heads = ("network", name_figure(comparison.metric), name_figure(second), "minus the best", "p (Holm)")
        for head in (*heads, "model", "latency", "training"):
            shown.add_column(head, overflow="fold")
        for row in table.rows:
            cost = describe_cost(row)
            shown.add_row(
                row.name,
                escape_markup(row.figures[comparison.metric]),
                escape_markup(row.figures[second]),
                format_difference(row.versus_best),
                format_p_value(row.versus_best),
                cost["size"],
                cost["latency"],
                cost["training"],
            )
        console.print(shown)
        for sentence in table.recommendation.sentences:
            console.print(sentence, markup=False)
        for final in table.finals:
            figures = ", ".join(f"{name_figure(k)} {final.figures[k]}" for k in (comparison.metric, second))
            console.print(f"test, {final.name} ({final.images} images): {figures}", markup=False)
        console.print()
    for left_out in comparison.not_run:
        console.print(f"{left_out.name}: {left_out.status}. {left_out.reason}", markup=False)
    console.print(comparison.test_note)
    console.print(DISCLAIMER, style="dim")
