"""Checks of a command's options that need no torch, so that a wrong one is refused before torch is imported."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import RunError, UsageError
from pneumoscope.core.registry import suggestion


def check_metric(metric: str) -> None:
    """Check that networks can be ranked by a metric.

    Raises:
        UsageError: There is no such metric.
    """
    from pneumoscope.stats.comparison.paired import METRICS

    if metric not in METRICS:
        raise UsageError(
            argument("metric", metric),
            f"is no metric.{suggestion(metric, METRICS)}",
            f"There are: {', '.join(METRICS)}.",
        )


def check_comparison(
    recipes: Sequence[str],
    data: Path,
    target: str,
    *,
    sets: Sequence[str],
    grid: Mapping[str, Sequence[str]],
    seeds: int,
    metric: str,
    roots: Mapping[str, str],
) -> None:
    """Check the options of a comparison: metric, recipes, target, changes and grid.

    Raises:
        UsageError: An unknown metric, recipe or target, or a change that applies to no recipe.
        RecipeError: A recipe does not know a key, or refuses a value.
        ManifestError: The file is no manifest.
    """
    check_metric(metric)
    from pneumoscope.comparison.entries import choose_recipes
    from pneumoscope.data.manifest import Manifest

    choose_recipes(recipes, Manifest.read(data, roots), target, sets=sets, grid=grid, seeds=seeds)


def check_search_folder(folder: Path, *, resume: bool) -> None:
    """Check that a search can be begun in a folder, or gone on with.

    Raises:
        RunError: The folder holds a search that is not to be resumed, or something else than a search.
    """
    present = (folder / "study.db").is_file()
    if present and not resume:
        raise RunError(
            str(folder), "already holds a search.", "Go on with it (`resume=True`), or choose another `out`."
        )
    if not present and folder.is_dir() and any(folder.iterdir()):
        raise RunError(str(folder), "is not empty and holds no search.", "Choose another `out`.")


def check_search(
    folder: Path, *, storage: str | None, objective: str | None, nested: int | None, repeats: int | None, resume: bool
) -> None:
    """Check the options of a search: its folder, its objective, and those that exclude each other.

    Raises:
        UsageError: An unknown objective, or ``nested`` and ``repeats`` together.
        RunError: The folder holds something else, or a search that is not to be resumed.
    """
    if nested and repeats:
        raise UsageError("`nested` and `repeats`", "answer the same question.", "Choose one.")
    if objective is not None:
        from pneumoscope.tuning.objective import find_objective

        find_objective(objective)
    if storage is None:
        check_search_folder(folder, resume=resume)
