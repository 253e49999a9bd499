"""Checks of a command's options before anything heavy is imported: torch, SciPy, pandas and the data checks.

A wrong name, a class that the data lack, missing weights or a folder in use is refused within a second and a half. The
steps themselves check the same again, since Python calls them directly. Each message ends with the option to add.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pneumoscope.core.arguments import argument
from pneumoscope.core.devices import DEVICES, check_available
from pneumoscope.core.errors import MissingClassError, PneumoscopeError, UsageError
from pneumoscope.core.labels import PARTS
from pneumoscope.core.registry import check_name, suggestion
from pneumoscope.core.run_folder import check_run_folder, free_folder
from pneumoscope.data.fitting import fit_recipe
from pneumoscope.data.label_rows import LabelRows, check_learning_parts, read_label_rows
from pneumoscope.recipes.recipe import Recipe, load_recipe
from pneumoscope.recipes.starting_weights import choose_weights


def check_device(device: str) -> None:
    """Check the name of a device, and that this machine can have it; whether it works, torch says later.

    Raises:
        UsageError: There is no such device, or this machine lacks its driver or a torch that was built for it.
    """
    check_name(device, DEVICES, "device", "device")
    check_available(device)


def check_metric(metric: str) -> None:
    """Check that networks can be ranked by a metric.

    Raises:
        UsageError: There is no such metric.
    """
    from pneumoscope.stats.metric_names import compared_names

    check_name(metric, compared_names(), "metric", "metric")


def check_recipe(recipe: Recipe, rows: LabelRows) -> None:
    """Check that a recipe and a manifest fit each other, and that the weights which the recipe starts from are there.

    Raises:
        RecipeError: A class is missing or extra.
        MissingClassError: A class has no image in a part that training needs.
        WeightsError: The weights are not available.
    """
    fitted = fit_recipe(recipe, rows)
    if rows.has_parts:
        check_learning_parts(fitted.recipe.task, rows)
    elif recipe.split is None:
        raise MissingClassError(
            "the manifest", "has no parts and the recipe states none.", "Divide it with `pneumoscope.split`."
        )
    choose_weights(fitted.recipe)


def check_evaluation(bundle: str, data: Path | None, part: str) -> None:
    """Check the options of an evaluation or a report: the bundle's folder, the manifest and the part.

    Raises:
        UsageError: There is no such part.
        BundleError: There is no such bundle.
        ManifestError: The file is not there, or is no manifest.
    """
    from pneumoscope.bundle.card import read_card
    from pneumoscope.bundle.runtime import bundle_folder

    check_name(part, (*PARTS, "all"), "--split", "part")
    if not bundle_folder(bundle).is_dir():
        read_card(bundle_folder(bundle))  # raises with the words that every command uses
    if data is not None:
        read_label_rows(data)


def check_roots(roots: Mapping[str, str], rows: LabelRows) -> None:
    """Check that each source whose folder is given is one of the manifest, and that the folder is there.

    Raises:
        UsageError: The manifest has no such source, or there is no such folder.
    """
    for name, folder in roots.items():
        given = argument("roots", {name: folder})
        if name not in rows.sources:
            hint = suggestion(name, rows.sources)
            raise UsageError(given, f"is not a source of the manifest.{hint}", f"Sources: {', '.join(rows.sources)}.")
        if not Path(folder).is_dir():
            raise UsageError(given, "there is no such folder.", "Name the folder that holds the images.")


def check_bundle_name(name: str | None) -> None:
    """Check the name that a bundle is to have.

    Raises:
        UsageError: It is empty, or would not fit on one line.
    """
    if name is not None and (not name.strip() or not name.isprintable()):
        raise UsageError(argument("name", name), "is no name.", "Give a word or a few, on one line.")


def check_new_folder(folder: Path) -> None:
    """Check that a folder can be made at a path, or is there.

    Raises:
        UsageError: The path, or the nearest part of it that is there, is a file, or this user must not write into it.
    """
    present = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    if not present.is_dir():
        raise UsageError(argument("out", folder), f"{present} is a file, not a folder.", "Choose another `out`.")
    if not os.access(present, os.W_OK | os.X_OK):
        problem = f"cannot be used: this user must not write into {present}."
        raise UsageError(argument("out", folder), problem, "Choose another `out`, or change its permissions.")


def check_training(
    recipe: str,
    data: Path,
    out: Path,
    *,
    sets: Sequence[str],
    device: str,
    resume: bool,
    roots: Mapping[str, str],
    name: str | None,
) -> Recipe:
    """Check the options of a training, the cheap ones first: what the data lack is said last.

    Returns:
        The recipe with its changes.

    Raises:
        UsageError: An unknown recipe or device, or a folder in use.
        RecipeError: The recipe contradicts itself or the data.
        ManifestError: The file is not there, or is no manifest.
        MissingClassError: A class has no image in a part.
        WeightsError: The weights that the recipe starts from are not available.
    """
    check_device(device)
    check_bundle_name(name)
    check_new_folder(out)
    check_run_folder(out, resume=resume)
    chosen = load_recipe(recipe, sets)
    rows = read_label_rows(data)
    check_roots(roots, rows)
    check_recipe(chosen, rows)
    return chosen


def check_comparison(
    recipes: Sequence[str],
    data: Path,
    out: Path,
    target: str | None,
    *,
    sets: Sequence[str],
    grid: Sequence[str],
    seeds: int,
    metric: str,
    device: str,
    roots: Mapping[str, str],
) -> dict[str, tuple[str, ...]]:
    """Check the options of a comparison.

    Returns:
        The grid: setting -> values.

    Raises:
        UsageError: An unknown metric, device, recipe or target, a change that applies to no recipe, or a folder in use.
        RecipeError: A recipe does not know a key, refuses a value, or contradicts the data.
        ManifestError: The file is not there, or is no manifest.
        MissingClassError: A class has no image in a part.
    """
    check_metric(metric)
    check_device(device)
    from pneumoscope.comparison.entries import choose_recipes, parse_grid
    from pneumoscope.comparison.ranked_metric import choose_metric

    values = parse_grid(grid)
    check_new_folder(out)
    check_comparison_folder(out)
    rows = read_label_rows(data)
    check_roots(roots, rows)
    chosen = choose_recipes(recipes, rows.counts, target, has_parts=rows.has_parts, sets=sets, grid=values, seeds=seeds)
    choose_metric(metric, [entry.recipe for entry in chosen])
    for entry in chosen:
        try:
            check_learning_parts(fit_recipe(entry.recipe, rows).recipe.task, rows)
        except PneumoscopeError as error:
            raise type(error)(f"{entry.name}: {error.thing}", error.problem, error.way_out) from error
    return values


def check_comparison_folder(folder: Path) -> None:
    """Check that a comparison can be begun in a folder, or gone on with.

    Raises:
        UsageError: The folder holds something else than a comparison.
    """
    if not (folder / "runs").is_dir() and folder.is_dir() and any(folder.iterdir()):
        problem = "is not empty and holds no comparison."
        raise UsageError(argument("out", folder), problem, f"Choose another: {argument('out', free_folder(folder))}")


def check_search_folder(folder: Path, *, resume: bool) -> None:
    """Check that a search can be begun in a folder, or gone on with.

    Raises:
        UsageError: The folder holds a search that is not to be resumed, or something else than a search.
    """
    present = (folder / "study.db").is_file()
    if present and not resume:
        way_out = f"Go on with it: `resume=True`. Or choose another: {argument('out', free_folder(folder))}"
        raise UsageError(argument("out", folder), "already holds a search.", way_out)
    if not present and folder.is_dir() and any(folder.iterdir()):
        problem = "is not empty and holds no search."
        raise UsageError(argument("out", folder), problem, f"Choose another: {argument('out', free_folder(folder))}")


@dataclass(frozen=True, slots=True)
class SearchOptions:
    """The options of a search that can be checked without its data; see `pneumoscope.tune`.

    Args:
        search: Name of a shipped space or path of a YAML file; None: the recipe's own.
        storage: Address of the study's database; None: a file in the search's folder.
        sampler: Name of the sampler; None: the space's.
        objective: Name of the objective; None: the space's.
        pruner: Name of the pruner.
        folds: Number of folds; None: as the data allow.
        split: "validation" measures that part instead of folds.
        nested: Number of outer folds.
        repeats: Number of new divisions into folds.
        device: Name of the device.
        resume: Whether a search that is there is gone on with.
    """

    search: str | None
    storage: str | None
    sampler: str | None
    objective: str | None
    pruner: str
    folds: int | None
    split: str | None
    nested: int | None
    repeats: int | None
    device: str
    resume: bool


def check_search(recipe: Recipe, folder: Path, options: SearchOptions) -> None:
    """Check the options of a search, but for its data.

    Raises:
        UsageError: An unknown name, options that exclude each other, or a folder in use.
        RecipeError: The space breaks its schema, or the recipe refuses a key or value of it.
    """
    from pneumoscope.tuning.objective_names import check_objective
    from pneumoscope.tuning.options import check_part, check_pruner, check_sampler, check_storage
    from pneumoscope.tuning.search_files import load_search

    check_device(options.device)
    if options.nested and options.repeats:
        raise UsageError("`nested` and `repeats`", "answer the same question.", "Choose one.")
    check_part(options.split, options.folds)
    check_pruner(options.pruner)
    if options.objective is not None:
        check_objective(options.objective, multilabel=recipe.task.multilabel)
    check_new_folder(folder)
    if options.storage is None:
        check_search_folder(folder, resume=options.resume)
    else:
        check_storage(options.storage)
    space = load_search(options.search, recipe)
    if options.objective is None:
        check_objective(space.objective, multilabel=recipe.task.multilabel)
    check_sampler(options.sampler or space.sampler, space)


def check_tuning(recipe: Recipe, data: Path, roots: Mapping[str, str]) -> None:
    """Check that a recipe that is to be tuned fits a manifest.

    Raises:
        RecipeError: A class is missing or extra.
        ManifestError: The file is not there, or is no manifest.
        MissingClassError: A class has no image in a part.
        WeightsError: The weights that the recipe starts from are not available.
    """
    rows = read_label_rows(data)
    check_roots(roots, rows)
    check_recipe(recipe, rows)
