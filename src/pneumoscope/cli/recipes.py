"""`pneumoscope recipes`: the systems that can be trained, as a table and one by one."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pneumoscope.cli.options import RecipeArgument

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pneumoscope.recipes.recipe import Recipe
    from pneumoscope.training.networks.summary import Layer

app = typer.Typer(help="The networks and trainings that come with the package.", no_args_is_help=True)

WIDE = 500
"""Columns that a table may take. It takes what it needs: a narrow terminal breaks its lines, but no name is cut."""


@app.command("list")
def list_recipes(json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the recipes."""
    from pneumoscope.recipes.description import name_start
    from pneumoscope.recipes.recipe import load_recipe, recipe_names

    recipes = [load_recipe(name) for name in recipe_names()]
    if json_output:
        import json

        from pneumoscope.training.networks.summary import build_unweighted, summarize

        print(json.dumps([summarize(recipe, build_unweighted(recipe)) for recipe in recipes], indent=2))
        return
    console = _console()
    table = _table("recipe", "input", "classes", "start", "epochs", "parameters")
    for column in table.columns[2:3] + table.columns[4:]:
        column.justify = "right"
    for recipe in recipes:
        count = f"{recipe.expects.parameters:,}" if recipe.expects else ""
        size, classes, epochs = recipe.input.size, len(recipe.task.classes), recipe.training.epochs
        shape = f"{size}x{size}x{recipe.input.channels}"
        table.add_row(recipe.name, shape, str(classes), name_start(recipe), str(epochs), count)
    _print_table(table)
    _print(console, "Start: ImageNet = its weights, all trained on; frozen = its weights, only the head trained.")
    _print(console, "Parameters as the source counts them: Keras counts batch-norm statistics, torch does not.")
    _print(console, "One by one, with layers and sources: pneumoscope recipes show NAME")


@app.command()
def show(
    name: RecipeArgument,
    sets: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in train.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a recipe: where it comes from, what is assumed, its layers and their parameters (builds the network)."""
    from pneumoscope.recipes.description import describe_settings
    from pneumoscope.recipes.recipe import load_recipe
    from pneumoscope.training.networks.summary import build_unweighted, layers, starting_normalisation, summarize

    recipe = load_recipe(name, sets or ())
    model = build_unweighted(recipe)
    facts = summarize(recipe, model)
    rows = layers(model, recipe.input.size, facts["counting"])
    if json_output:
        import json

        listed = [{"layer": r.name, "kind": r.kind, "shape": r.shape, "parameters": r.parameters} for r in rows]
        print(json.dumps({**facts, "layers": listed, "recipe": recipe.model_dump(mode="json")}, indent=2))
    else:
        _show(recipe, facts, rows, list(describe_settings(recipe, *starting_normalisation(recipe))))


def _show(recipe: Recipe, facts: Mapping[str, Any], rows: Sequence[Layer], settings: Sequence[tuple[str, str]]) -> None:
    """Print a recipe: settings, layers, what the source reports, what was assumed, notes."""
    from rich.text import Text

    from pneumoscope.recipes.description import list_reported_figures

    console = _console()
    console.print(Text(recipe.name, "bold"))
    _print(console, recipe.summary)
    console.print()
    for heading, text in settings:
        _print(console, f"{heading}: {text}", "  ")
    console.print()
    table = _table("layer", "kind", "output", "parameters")
    table.columns[3].justify = "right"
    for row in rows:
        shape = " x ".join(f"{side:,}" for side in row.shape)
        table.add_row(row.name, row.kind, shape, f"{row.parameters:,}" if row.parameters else "")
    _print_table(table)
    _print(
        console,
        f"{facts['parameters']:,} parameters as {facts['counting']} counts; {facts['trainable']:,} trainable; "
        f"{facts['buffers']:,} batch-norm statistics.",
    )
    if recipe.reported:
        table = _table("reported by the source", "")
        table.columns[1].max_width = 50
        for figure, value in list_reported_figures(recipe.reported):
            table.add_row(figure, value)
        console.print()
        _print_table(table)
    for heading, lines in (("Assumed", recipe.assumed), ("Notes", recipe.notes), ("Changed", recipe.changes)):
        if lines:
            console.print(Text(f"\n{heading}", "bold"))
        for line in lines:
            _print(console, f"- {line}", "  ")


def _console() -> Console:
    from rich.console import Console

    return Console(highlight=False, markup=False)


def _table(*headings: str) -> Table:
    """Return an empty table; a column without a heading may be wrapped."""
    from rich import box
    from rich.table import Table

    table = Table(box=box.SIMPLE_HEAD, show_edge=False, pad_edge=False, padding=(0, 1, 0, 0))
    for heading in headings:
        table.add_column(heading, no_wrap=heading != "")
    return table


def _print_table(table: Table) -> None:
    from rich.console import Console

    Console(highlight=False, markup=False, width=WIDE).print(table)


def _print(console: Console, text: str, indent: str = "") -> None:
    """Print a paragraph, its second and later lines indented."""
    text = " ".join(text.split())
    lines = textwrap.wrap(text, console.width, subsequent_indent=indent, break_on_hyphens=False)
    console.print("\n".join(lines), soft_wrap=True)
