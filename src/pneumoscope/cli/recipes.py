"""`pneumoscope recipes`: the systems that can be trained, as a table and one by one."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from pneumoscope.cli.options import RecipeArgument

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

    from pneumoscope.recipes.recipe import Augment, Loss, Optimizer, Recipe, Schedule
    from pneumoscope.training.networks.build import Classifier
    from pneumoscope.training.networks.summary import Layer

app = typer.Typer(help="The networks and trainings that come with the package.", no_args_is_help=True)

WIDE = 500
"""Columns that a table may take. It takes what it needs: a narrow terminal breaks its lines, but no name is cut."""


@app.command("list")
def list_recipes(json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the recipes."""
    from pneumoscope.recipes.recipe import load_recipe, recipe_names

    recipes = [load_recipe(name) for name in recipe_names()]
    if json_output:
        import json

        from pneumoscope.training.networks.summary import build_unweighted

        print(json.dumps([_facts(recipe, build_unweighted(recipe)) for recipe in recipes], indent=2))
        return
    console = _console()
    table = _table("recipe", "input", "classes", "start", "epochs", "parameters")
    for column in table.columns[2:3] + table.columns[4:]:
        column.justify = "right"
    for recipe in recipes:
        count = f"{recipe.expects.parameters:,}" if recipe.expects else ""
        size, classes, epochs = recipe.input.size, len(recipe.task.classes), recipe.training.epochs
        shape = f"{size}x{size}x{recipe.input.channels}"
        table.add_row(recipe.name, shape, str(classes), _start(recipe), str(epochs), count)
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
    from pneumoscope.recipes.recipe import load_recipe
    from pneumoscope.training.networks.summary import build_unweighted, layers

    recipe = load_recipe(name, sets or ())
    model = build_unweighted(recipe)
    facts = _facts(recipe, model)
    rows = layers(model, recipe.input.size, facts["counting"])
    if json_output:
        import json

        listed = [{"layer": r.name, "kind": r.kind, "shape": r.shape, "parameters": r.parameters} for r in rows]
        print(json.dumps({**facts, "layers": listed, "recipe": recipe.model_dump(mode="json")}, indent=2))
    else:
        _show(recipe, facts, rows)


def _show(recipe: Recipe, facts: Mapping[str, Any], rows: Sequence[Layer]) -> None:
    """Print a recipe: settings, layers, what the source reports, what was assumed, notes."""
    from rich.text import Text

    console = _console()
    console.print(Text(recipe.name, "bold"))
    _print(console, recipe.summary)
    console.print()
    for heading, text in _description(recipe):
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
        for figure, value in _figures(recipe.reported):
            table.add_row(figure, value)
        console.print()
        _print_table(table)
    for heading, lines in (("Assumed", recipe.assumed), ("Notes", recipe.notes), ("Changed", recipe.changes)):
        if lines:
            console.print(Text(f"\n{heading}", "bold"))
        for line in lines:
            _print(console, f"- {line}", "  ")


def _facts(recipe: Recipe, model: Classifier) -> dict[str, Any]:
    """Return what the JSON of both commands says of a recipe and its network."""
    from pneumoscope.training.networks.build import count_parameters

    counting = recipe.expects.counting if recipe.expects else "torch"
    return {
        "name": recipe.name,
        "summary": recipe.summary,
        "network": recipe.network.name,
        "classes": list(recipe.task.classes),
        "size": recipe.input.size,
        "channels": recipe.input.channels,
        "epochs": recipe.training.epochs,
        "parameters": count_parameters(model, counting),
        "counting": counting,
        "trainable": sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad),
        "buffers": count_parameters(model, "keras") - count_parameters(model, "torch"),
    }


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


def _start(recipe: Recipe) -> str:
    """Return in a word where training starts."""
    if recipe.network.pretrained is None:
        return "scratch"
    return "frozen" if recipe.network.frozen else "ImageNet"


def _description(recipe: Recipe) -> Iterator[tuple[str, str]]:
    """Yield the recipe's settings, in words."""
    from pneumoscope.core.labels import display_name
    from pneumoscope.recipes.recipe import Pretrained

    if recipe.source:
        yield "Source", recipe.source
    task, network, training = recipe.task, recipe.network, recipe.training
    classes = ", ".join(map(display_name, task.classes))
    optional = f"; {', '.join(map(display_name, task.optional))} if the data have it" if task.optional else ""
    sigmoid = f"; the sigmoid is the probability of {display_name(task.sigmoid_of)}" if task.sigmoid_of else ""
    yield "Task", f"{task.kind}: {classes}{optional}{sigmoid}"
    if task.map:
        yield "Labels", ", ".join(f"{label} counts as {name}" for label, name in task.map.items())
    if task.ignore:
        yield "Left out", ", ".join(task.ignore)
    mean, std = _normalisation(recipe)
    grey = "grey" if recipe.input.channels == 1 else "grey in each of 3 channels"
    yield "Input", f"{recipe.input.size} x {recipe.input.size}, {grey}, 0 to 1; less {mean}, divided by {std}"
    weights = network.pretrained
    start = "none" if weights is None else weights.file if isinstance(weights, Pretrained) else "ImageNet, from the hub"
    yield "Network", f"{network.name}; starting weights: {start}{'; frozen' if network.frozen else ''}"
    yield "Augmentation", _settings(recipe.augment).strip("()") or "none"
    yield "Loss", f"{recipe.loss.kind} {_settings(recipe.loss)}"
    yield "Optimizer", f"{recipe.optimizer.kind} at {recipe.optimizer.lr:g} {_settings(recipe.optimizer)}"
    yield "Schedule", f"{recipe.schedule.kind} {_settings(recipe.schedule)}"
    yield "Training", f"{training.epochs} epochs in batches of {training.batch_size}, seed {training.seed}"
    metric, least = recipe.selection.metric.replace("_", " "), recipe.selection.mode == "min"
    yield "Kept epoch", "the last" if metric == "last" else f"the one of {'least' if least else 'greatest'} {metric}"
    if recipe.split:
        shares = ", ".join(f"{part} {share:.0%}" for part, share in recipe.split.items())
        yield "Split", f"{shares} (where the manifest has none)"


def _settings(part: Loss | Optimizer | Schedule | Augment) -> str:
    """Return what is not as by default in a section of a recipe."""
    given = {key: value for key, value in part.model_dump(exclude_defaults=True).items() if key not in ("kind", "lr")}
    words = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in given.items())
    return f"({words})" if words else ""


def _normalisation(recipe: Recipe) -> tuple[str, str]:
    """Return mean and standard deviation in words: those of the weights, else the recipe's."""
    from pneumoscope.recipes.recipe import Pretrained

    weights, mean, std = recipe.network.pretrained, recipe.input.mean, recipe.input.std
    if isinstance(weights, Pretrained):
        mean, std = weights.mean, weights.std
    elif weights == "imagenet":
        import timm

        config = timm.get_pretrained_cfg(recipe.network.name)
        if config is not None:
            mean, std = config.mean, config.std
    return "/".join(f"{value:g}" for value in mean), "/".join(f"{value:g}" for value in std)


def _figures(reported: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the reported figures as (name, value); figures within figures carry both names, lists stand in columns."""
    for key, value in reported.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from _figures(value, f"{name}: ")
        elif isinstance(value, list) and value and all(isinstance(row, list) for row in value):
            for number, row in enumerate(value):
                yield name if number == 0 else "", _columns(row)
        elif isinstance(value, list):
            yield name, _columns(value)
        else:
            yield name, str(value)


def _columns(values: list[Any]) -> str:
    return "".join(f"{value!s:<12}" for value in values).rstrip()
