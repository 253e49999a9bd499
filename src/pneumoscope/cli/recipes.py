"""`pneumoscope recipes`: the systems that can be trained, as a table and one by one."""

from __future__ import annotations

from typing import Annotated, Any

import typer

app = typer.Typer(help="The networks and trainings that come with the package.", no_args_is_help=True)


def _facts(name: str) -> dict[str, Any]:
    from pneumoscope.recipe import load_recipe

    recipe = load_recipe(name)
    return {
        "name": recipe.name,
        "network": recipe.network.name,
        "classes": list(recipe.task.classes),
        "size": recipe.input.size,
        "epochs": recipe.training.epochs,
        "parameters": recipe.expects.parameters if recipe.expects else None,
        "counting": recipe.expects.counting if recipe.expects else None,
        "summary": recipe.summary,
    }


@app.command("list")
def list_recipes(json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the recipes."""
    from pneumoscope.recipe import recipe_names

    rows = [_facts(name) for name in recipe_names()]
    if json_output:
        import json

        print(json.dumps(rows, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("recipe", "network", "classes", "size", "epochs", "parameters")
    for column in table.columns[:2]:
        column.no_wrap = True
    for row in rows:
        count = f"{row['parameters']:,}" if row["parameters"] else ""
        classes = ", ".join(row["classes"])
        table.add_row(row["name"], row["network"], classes, str(row["size"]), str(row["epochs"]), count)
    Console().print(table)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A recipe's name or a .yaml file.")],
    sets: Annotated[list[str] | None, typer.Option("--set", help="key=value, as in train.")] = None,
    json_output: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a recipe: where it comes from, what is assumed, its layers and their parameters (builds the network)."""
    import torch

    from pneumoscope.lab.zoo import build, count_parameters
    from pneumoscope.recipe import load_recipe, with_changes

    recipe = load_recipe(name, sets or ())
    counting = recipe.expects.counting if recipe.expects else "torch"
    # The shapes do not depend on the starting weights, which need not be at hand to look at a recipe.
    bare = with_changes(recipe, ["network.pretrained=null"]) if recipe.network.pretrained else recipe
    model = build(bare)
    trainable = sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
    facts: dict[str, Any] = {
        "name": recipe.name,
        "parameters": count_parameters(model, counting),
        "counting": counting,
        "trainable": trainable,
        "buffers": count_parameters(model, "keras") - count_parameters(model, "torch"),
        "recipe": recipe.model_dump(mode="json"),
    }
    if json_output:
        import json

        print(json.dumps(facts, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    console.print(f"[bold]{recipe.name}[/bold]  {recipe.summary}\n")
    if recipe.source:
        console.print(f"Source: {recipe.source.strip()}")
    for title, lines in (("Assumed", recipe.assumed), ("Notes", recipe.notes), ("Changed", recipe.changes)):
        for line in lines:
            console.print(f"{title}: {line.strip()}", soft_wrap=False)
    if recipe.reported:
        console.print(f"Reported: {recipe.reported}")
    table = Table(
        "layer", "kind", "parameters", title=f"{recipe.network.name}, input {recipe.input.size} x {recipe.input.size}"
    )
    for layer, module in model.named_modules():
        own = sum(parameter.numel() for parameter in module.parameters(recurse=False))
        if own or isinstance(module, torch.nn.Dropout | torch.nn.MaxPool2d):
            table.add_row(layer, type(module).__name__, f"{own:,}" if own else "")
    console.print(table)
    console.print(
        f"{facts['parameters']:,} parameters as {counting} counts; {trainable:,} trainable; "
        f"{facts['buffers']:,} batch-norm statistics"
    )
