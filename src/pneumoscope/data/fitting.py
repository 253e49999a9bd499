"""A recipe and a manifest fitted to each other: classes, findings, and the images that take part."""

from __future__ import annotations

import numpy as np

from pneumoscope.data.label_rows import TRAIN, WHOLE, LabelRows
from pneumoscope.recipes.classes import FittedClasses, PlaceCounts, StatedCounts, fit_classes, fit_findings
from pneumoscope.recipes.recipe import Recipe


def fit_recipe(recipe: Recipe, rows: LabelRows) -> FittedClasses:
    """Fit a recipe to the labels, or the findings, that the data have.

    Args:
        recipe: The recipe.
        rows: Of the manifest; with parts, enough groups of each that a training needs must state a finding.

    Raises:
        RecipeError: A class or finding is missing, and no change of ``task.classes`` says that this is meant.
    """
    if recipe.task.multilabel:
        return fit_findings(recipe, count_stated(recipe, rows), rows.counts)
    return fit_classes(recipe, rows.counts)


def count_stated(recipe: Recipe, rows: LabelRows) -> dict[str, StatedCounts]:
    """Return how often each finding of a recipe is stated present and absent, over all and in each place.

    Args:
        recipe: Its task is multi-label.
        rows: Of the manifest.
    """
    findings, training = recipe.task.classes, recipe.training
    targets = rows.targets(findings)
    numbers: dict[str, int] = {}
    groups = np.array([numbers.setdefault(group, len(numbers)) for group in rows.groups])
    places: dict[str, list[PlaceCounts]] = {name: [] for name in findings}
    for place, chosen in rows.places().items():
        least = training.fewest_groups if place in (TRAIN, WHOLE) else training.fewest_groups_beside
        stated, group = targets[chosen], groups[chosen]
        for k, name in enumerate(findings):
            present, absent = (len(np.unique(group[stated[:, k] == state])) for state in (1, 0))
            places[name].append(PlaceCounts(place, present, absent, least))
    return {
        name: StatedCounts(int((targets[:, k] == 1).sum()), int((targets[:, k] == 0).sum()), tuple(places[name]))
        for k, name in enumerate(findings)
    }
