"""The figure that recipes are compared by, checked before anything heavy is imported: torch or SciPy."""

from __future__ import annotations

from collections.abc import Iterable

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.stats.metric_names import MEAN_AREA


def choose_metric(metric: str, recipes: Iterable[Recipe]) -> str:
    """Return the figure by which recipes are compared, by its name in a record.

    Args:
        metric: As the option takes it.
        recipes: All of them.

    Raises:
        UsageError: Some recipes give one answer an image and others one a finding, or a metric that findings lack.
    """
    kinds = {recipe.task.multilabel: recipe.name for recipe in recipes}
    if len(kinds) > 1:
        raise UsageError(
            f"{kinds[True]} and {kinds[False]}",
            "cannot be compared: one answers about each finding by itself, the other gives one answer an image.",
            "Compare multi-label recipes with each other.",
        )
    if True not in kinds:
        return metric
    if metric not in ("auroc", MEAN_AREA):
        raise UsageError(
            argument("metric", metric),
            "is of one answer an image; recipes of several findings are compared by their mean AUROC.",
            f"Say {argument('metric', 'auroc')}, or leave it out.",
        )
    return MEAN_AREA


def refuse_sensitivity(least: float | None, recipes: Iterable[Recipe]) -> None:
    """Refuse a least sensitivity for recipes of several findings, each of which has a threshold of its own.

    Raises:
        UsageError: Both are given.
    """
    if least is not None and any(recipe.task.multilabel for recipe in recipes):
        raise UsageError(
            argument("minimum_sensitivity", least),
            "is of one answer an image; each of several findings has a threshold of its own.",
            "Leave it out.",
        )
