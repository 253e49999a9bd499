"""What the workflows accept in place of the objects they need: names and paths."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pneumoscope.core.callbacks import Callbacks
from pneumoscope.data.checks.catalogue import CHECKS
from pneumoscope.data.checks.findings import parse_reasons
from pneumoscope.recipes.recipe import Recipe, load_recipe, with_changes
from pneumoscope.recipes.starting_weights import choose_weights
from pneumoscope.training.plan import Plan, make_plan
from pneumoscope.workflows.datasets import ManifestInput, Roots, manifest_of

RecipeInput = Recipe | str | Path
"""A recipe, the name of a shipped one, or the path of a YAML file."""


def recipe_of(recipe: RecipeInput, sets: Sequence[str] = ()) -> Recipe:
    """Return a recipe with changes such as ``optimizer.lr=1e-4``."""
    return with_changes(recipe, sets) if isinstance(recipe, Recipe) else load_recipe(recipe, sets)


def reasons_of(allow: Mapping[str, str] | None) -> dict[str, str]:
    """Return why findings of the data checks are accepted.

    Args:
        allow: Name of the check -> reason.

    Raises:
        UsageError: There is no such check, or a reason is empty.
    """
    allow = allow or {}
    return parse_reasons(list(allow), list(allow.values()), list(CHECKS))


def prepare_plan(
    recipe: RecipeInput,
    data: ManifestInput,
    *,
    sets: Sequence[str] = (),
    roots: Roots | None = None,
    callbacks: Callbacks,
) -> Plan:
    """Return the plan of a training, and report the changes and decisions that it rests on.

    Raises:
        RecipeError: The recipe contradicts itself or the data.
        RunError: A class has no image in a part that training needs.
        WeightsError: The weights that the recipe starts from are not available.
    """
    chosen = make_plan(choose_weights(recipe_of(recipe, sets)), manifest_of(data, roots))
    for line in (*chosen.recipe.changes, *chosen.notes):
        callbacks.message(f"note: {line}")
    return chosen
