"""A recipe in words: where training starts, its settings, and the figures that its source reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pneumoscope.core.labels import display_name
from pneumoscope.recipes.pretrained import Pretrained
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.recipes.settings import Augment, Loss, Optimizer, Schedule


def name_start(recipe: Recipe) -> str:
    """Return where training starts: ``scratch``, ``ImageNet``, or ``frozen`` (only the head is trained)."""
    if recipe.network.pretrained is None:
        return "scratch"
    return "frozen" if recipe.network.frozen else "ImageNet"


def describe_settings(recipe: Recipe, mean: Sequence[float], std: Sequence[float]) -> Iterator[tuple[str, str]]:
    """Yield the recipe's settings as (heading, sentence).

    Args:
        recipe: The recipe.
        mean: What is subtracted from each channel, whose values are 0 to 1.
        std: What each channel is then divided by.
    """
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
    means, stds = ("/".join(f"{value:g}" for value in values) for values in (mean, std))
    grey = "grey" if recipe.input.channels == 1 else "grey in each of 3 channels"
    yield "Input", f"{recipe.input.size} x {recipe.input.size}, {grey}, 0 to 1; minus {means}, divided by {stds}"
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


def list_reported_figures(reported: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the reported figures as (name, value); figures within figures carry both names, lists stand in columns.

    Args:
        reported: ``Recipe.reported``.
        prefix: What stands before each name.
    """
    for key, value in reported.items():
        name = f"{prefix}{key.replace('_', ' ')}"
        if isinstance(value, Mapping):
            yield from list_reported_figures(value, f"{name}: ")
        elif isinstance(value, list) and value and all(isinstance(row, list) for row in value):
            for number, row in enumerate(value):
                yield name if number == 0 else "", _columns(row)
        elif isinstance(value, list):
            yield name, _columns(value)
        else:
            yield name, str(value)


def _settings(part: Loss | Optimizer | Schedule | Augment) -> str:
    """Return what is not as by default in a section of a recipe."""
    given = {key: value for key, value in part.model_dump(exclude_defaults=True).items() if key not in ("kind", "lr")}
    words = ", ".join(f"{key.replace('_', ' ')} {value}" for key, value in given.items())
    return f"({words})" if words else ""


def _columns(values: list[Any]) -> str:
    return "".join(f"{value!s:<12}" for value in values).rstrip()
