"""A recipe and a manifest fitted to each other: classes, findings, and the images that take part."""

from __future__ import annotations

from pneumoscope.data.label_rows import LabelRows
from pneumoscope.recipes.classes import FittedClasses, StatedCounts, fit_classes, fit_findings
from pneumoscope.recipes.recipe import Recipe


def fit_recipe(recipe: Recipe, rows: LabelRows) -> FittedClasses:
    """Fit a recipe to the labels, or the findings, that the data have.

    Args:
        recipe: The recipe.
        rows: Of the manifest; with parts, a finding must be stated present and absent in each that a training needs.

    Raises:
        RecipeError: A class or finding is missing, and no change of ``task.classes`` says that this is meant.
    """
    if recipe.task.multilabel:
        return fit_findings(recipe, count_stated(recipe.task.classes, rows), rows.counts)
    return fit_classes(recipe, rows.counts)


def count_stated(findings: tuple[str, ...], rows: LabelRows) -> dict[str, StatedCounts]:
    """Return how often each finding is stated present and absent, over all and where that is least.

    Args:
        findings: The labels.
        rows: Of the manifest.
    """
    targets = rows.targets(findings)
    places = [targets[chosen] for chosen in rows.places().values()]
    return {
        name: StatedCounts(
            present=int((targets[:, k] == 1).sum()),
            absent=int((targets[:, k] == 0).sum()),
            fewest_present=min(int((place[:, k] == 1).sum()) for place in places),
            fewest_absent=min(int((place[:, k] == 0).sum()) for place in places),
        )
        for k, name in enumerate(findings)
    }
