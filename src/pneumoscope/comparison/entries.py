"""The entries of a comparison: recipes times grid times seeds, each fitted to the question and checked."""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from fnmatch import fnmatchcase
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import PneumoscopeError, UsageError, WeightsError
from pneumoscope.core.labels import LABELS, is_none_label
from pneumoscope.recipes.recipe import Recipe, load_recipe, recipe_names, with_changes
from pneumoscope.recipes.starting_weights import choose_weights

if TYPE_CHECKING:
    from pneumoscope.data.manifest import Manifest
    from pneumoscope.training.plan import Plan

AS_PUBLISHED = "recipe"
"""Value of a grid that leaves the recipe's own value."""

NONE_LABELS = tuple(filter(is_none_label, LABELS))

USUAL_TARGET = "covid-19"
"""The class that is looked for where none is named and the data have it."""

_SCOPED = re.compile(r"^([\w*?.\[\]-]+):(?=[\w.\[\]]+=)")
_UNSAFE = re.compile(r"[^\w.+=-]+")


@dataclass(frozen=True)
class ComparisonEntry:
    """One network to train: ``name`` is its folder's too. ``problem`` says why it cannot be run; empty where it can."""

    name: str
    recipe: Recipe
    settings: Mapping[str, str]
    plan: Plan | None
    problem: str = ""


class ChosenRecipe(NamedTuple):
    """A recipe with its changes: the name of its entry, the recipe, and its settings of the grid."""

    name: str
    recipe: Recipe
    settings: Mapping[str, str]


def parse_grid(texts: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Return ``key=v1,v2`` options as key -> values; a comma inside brackets or braces does not separate.

    Raises:
        UsageError: One is not of that form, or names a key or a value twice.
    """
    grid: dict[str, tuple[str, ...]] = {}
    for text in texts:
        key, equals, rest = text.partition("=")
        values = tuple(value.strip() for value in _split(rest))
        if not (key and equals and all(values)):
            raise UsageError(f"the grid {text}", "must be key=value,value.", "Example: optimizer.lr=1e-3,1e-4")
        if _SCOPED.match(text):
            raise UsageError(f"the grid {text}", "names a recipe; a grid is of all recipes.", "Say key=value,value.")
        if key in grid or len(set(values)) < len(values):
            raise UsageError(f"the grid {text}", "names a key or a value twice.", "Say each once.")
        grid[key] = values
    return grid


def _split(text: str) -> list[str]:
    parts, depth = [""], 0
    for character in text:
        depth += (character in "[{") - (character in "]}")
        if character == "," and not depth:
            parts.append("")
        else:
            parts[-1] += character
    return parts


def sets_for(name: str, sets: Sequence[str]) -> list[str]:
    """Return the changes that apply to a recipe, of ``key=value`` (for all) and ``recipe-*:key=value``."""
    chosen = []
    for text in sets:
        match = _SCOPED.match(text)
        if match is None:
            chosen.append(text)
        elif fnmatchcase(name, match[1]):
            chosen.append(text[match.end() :])
    return chosen


def check_changes(recipes: Sequence[Recipe | str | Path], sets: Sequence[str]) -> None:
    """Check that each change applies to one recipe or more.

    Args:
        recipes: Recipes, their names or YAML files.
        sets: Changes, as `sets_for` reads them.

    Raises:
        UsageError: A change applies to none.
    """
    unused = [text for text in sets if not any(sets_for(_stem(name), [text]) for name in recipes)]
    if unused:
        raise UsageError(
            argument("sets", unused[0]),
            "applies to none of the recipes.",
            f"They are: {', '.join(map(_stem, recipes))}.",
        )


def fit_task(recipe: Recipe, target: str, present: Counter[str]) -> list[str]:
    """Return the changes that make a recipe ask the comparison's question of these data.

    A binary recipe tells the target from normal and leaves other labels out. One of several classes tells apart all
    classes that the data have, the target first. A recipe that already does so is not changed.
    """
    task = recipe.task
    if task.kind == "binary":
        wanted, changes = (target, *NONE_LABELS), []
        data_classes = {task.class_of(label) for label in present} - {None}
        if task.classes[0] == target and data_classes <= set(task.classes):
            return []
        if task.classes != wanted:
            changes.append(f"task.classes=[{', '.join(wanted)}]")
            if task.sigmoid_of not in (None, *wanted):
                changes.append(f"task.sigmoid_of={target}")
            if task.map:
                changes.append("task.map={}")
        others = [label for label in present if label not in wanted]
        if not set(others) <= set(task.ignore):
            changes.append(f"task.ignore=[{', '.join(others)}]")
        return changes
    data_classes = {task.class_of(label) for label in present} - {None}
    known = {*task.classes, *task.optional}
    if task.classes[0] == target and data_classes <= known and set(task.classes) <= data_classes:
        return []
    in_order = [name for name in (*task.classes, *task.optional) if name in data_classes]
    rest = [str(name) for name in data_classes if name not in in_order]
    classes = [target, *(name for name in (*in_order, *sorted(rest)) if name != target)]
    return [f"task.classes=[{', '.join(classes)}]"]


def choose_recipes(
    names: Sequence[Recipe | str | Path],
    labels: Counter[str],
    target: str | None,
    *,
    has_parts: bool = True,
    sets: Sequence[str] = (),
    grid: Mapping[str, Sequence[str]] | None = None,
    seeds: int = 1,
) -> list[ChosenRecipe]:
    """Return the recipes of a comparison with their changes, in the order of the names; torch is not needed.

    Args:
        names: As in `plan_entries`.
        labels: Label of the manifest -> number of its images.
        target: The class that is looked for; None: covid-19, or else the only one besides "normal". Recipes of several
            findings an image have none.
        has_parts: Whether the manifest is in parts.
        sets: Changes, as `sets_for` reads them.
        grid: Setting -> values, as `parse_grid` returns them.
        seeds: How many of each, from the recipe's own seed upwards.

    Raises:
        UsageError: An unknown recipe, one that comes twice, a target that the data have no image of or that means
            "none of these", or no parts.
        RecipeError: A recipe that contradicts itself.
    """
    chosen: list[Recipe | str | Path] = []
    for name in names:
        chosen += published_recipes() if name == "all" else [name]
    loaded = [name if isinstance(name, Recipe) else load_recipe(str(name)) for name in chosen]
    if not all(recipe.task.multilabel for recipe in loaded):
        target = _choose_target(target, labels)
    if not has_parts:
        raise UsageError(
            "the manifest",
            "has no parts; each recipe would split it in its own way.",
            "Divide it with `pneumoscope.split`.",
        )
    check_changes(chosen, sets)
    by_name: dict[str, ChosenRecipe] = {}
    for name in chosen:
        for values in itertools.product(*(grid or {}).values()):
            settings = dict(zip(grid or {}, values, strict=True))
            for number in range(seeds):
                entry = _choose_recipe(
                    name, target or USUAL_TARGET, labels, sets_for(_stem(name), sets), settings, number
                )
                if entry.name in by_name:
                    raise UsageError(entry.name, "is named twice.", "Say each recipe once.")
                by_name[entry.name] = entry
    return list(by_name.values())


def _choose_target(target: str | None, labels: Counter[str]) -> str:
    """Return the class that is looked for: the one that is named, the usual one, or the only one that there is."""
    named = ", ".join(f"{label} ({n})" for label, n in labels.items())
    likely = [label for label in labels if label not in NONE_LABELS] or list(labels)
    if target is None:
        if USUAL_TARGET in labels:
            return USUAL_TARGET
        if len(likely) == 1:
            return likely[0]
        raise UsageError(
            "`target`",
            f"is not given, and the data have no image of {USUAL_TARGET}, the usual one; they have {named}.",
            f"Name the class that is looked for, such as {argument('target', likely[0])}",
        )
    if target in labels and target not in NONE_LABELS:
        return target
    near = get_close_matches(target, likely, n=1, cutoff=0.5) or likely
    problem = f"the data have no such image; they have {named}."
    if target in NONE_LABELS:
        problem = "means that nothing was found, and so cannot be what is looked for."
    raise UsageError(argument("target", target), problem, f"Say: {argument('target', near[0])}")


def plan_entries(
    names: Sequence[Recipe | str | Path],
    manifest: Manifest,
    target: str | None,
    *,
    sets: Sequence[str] = (),
    grid: Mapping[str, Sequence[str]] | None = None,
    seeds: int = 1,
) -> list[ComparisonEntry]:
    """Return all networks of a comparison, in the order of the names.

    A network whose weights are not available stays in the list with its reason. Every other contradiction is an error
    now, before the first network is trained.

    Args:
        names: Recipes, their names or YAML files; ``all`` stands for every recipe of a published system and for the
            flagship.
        manifest: In parts.
        target: As in `choose_recipes`.
        sets: Changes, as `sets_for` reads them.
        grid: Setting -> values, as `parse_grid` returns them.
        seeds: How many of each, from the recipe's own seed upwards.

    Raises:
        UsageError: An unknown recipe, one that comes twice, a target that the data have no image of.
        RecipeError: A recipe that contradicts itself, its network or the data.
        RunError: A class has too few images.
    """
    labels, has_parts = Counter(str(label) for label in manifest.table.label), bool(manifest.parts_present)
    chosen = choose_recipes(names, labels, target, has_parts=has_parts, sets=sets, grid=grid, seeds=seeds)
    return [_plan_entry(each, manifest) for each in chosen]


def published_recipes() -> list[str]:
    """Return the recipes of the published systems and the flagship; the built-in models' have classes of their own."""
    return [name for name in recipe_names() if name not in _OF_OTHER_QUESTIONS]


_OF_OTHER_QUESTIONS = (
    "mobilenetv2-opacity", "mobilenetv2-covid", "mobilenetv2-tb", "mobilenetv2-findings", "densenet121-chexnet",
)  # fmt: skip


def _stem(recipe: Recipe | str | Path) -> str:
    """Return a recipe's name: its own, or that of its file."""
    if isinstance(recipe, Recipe):
        return recipe.name
    return re.sub(r"\.ya?ml$", "", str(recipe).replace("\\", "/").rpartition("/")[2])


def _choose_recipe(
    name: Recipe | str | Path,
    target: str,
    present: Counter[str],
    sets: Sequence[str],
    settings: Mapping[str, str],
    number: int,
) -> ChosenRecipe:
    recipe = name if isinstance(name, Recipe) else load_recipe(str(name))
    asked = recipe.task.multilabel or any(text.startswith("task.") for text in sets)
    changes = [] if asked else fit_task(recipe, target, present)
    changes += [*sets, *(f"{key}={value}" for key, value in settings.items() if value != AS_PUBLISHED)]
    if number:
        changes.append(f"training.seed={recipe.training.seed + number}")
    recipe = with_changes(recipe, changes)
    parts = [_stem(name), *(f"{key.rpartition('.')[2]}={value}" for key, value in settings.items())]
    slug = _UNSAFE.sub("_", "+".join(parts)) + (f".seed{recipe.training.seed}" if number else "")
    if recipe.task.classes[0] != target and not recipe.task.multilabel:
        raise UsageError(
            slug, f"looks first for {recipe.task.classes[0]}, the comparison for {target}.", "Name the target first."
        )
    return ChosenRecipe(slug, recipe, settings)


def _plan_entry(chosen: ChosenRecipe, manifest: Manifest) -> ComparisonEntry:
    from pneumoscope.training.networks.summary import build_unweighted
    from pneumoscope.training.plan import make_plan

    slug, recipe, settings = chosen
    problem = ""
    try:
        recipe = choose_weights(recipe)
    except WeightsError as error:
        problem = str(error)
    try:
        fitted = make_plan(recipe, manifest)
        build_unweighted(fitted.recipe)
    except PneumoscopeError as error:
        # The reader first needs to know which of twenty networks it was.
        thing = slug if slug.startswith(error.thing) else f"{slug}: {error.thing}"
        raise type(error)(thing, error.problem, error.way_out) from error
    return ComparisonEntry(slug, fitted.recipe, settings, None if problem else fitted, problem)
