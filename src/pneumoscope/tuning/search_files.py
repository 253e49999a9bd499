"""Search files: found by name, validated, and checked against their recipe before the first trial.

A key that the recipe does not know, a value that it refuses or a network that cannot be built would otherwise show
hours later, or count as a failed trial.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from importlib.resources import files
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from pydantic import ValidationError

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import PneumoscopeError, RecipeError, UsageError
from pneumoscope.core.registry import suggestion
from pneumoscope.core.strict_yaml import load_strictly
from pneumoscope.recipes.recipe import Recipe, with_changes
from pneumoscope.tuning.space import Point, Range, SearchSpace, changes_of

SECTIONS = ("input", "network", "head", "augment", "loss", "optimizer", "schedule", "training", "selection")
GENERAL = "general"
MOST_TRIED = 300
"""Settings tried against the recipe's rules, in a space that has more."""


def search_names() -> list[str]:
    """Return the names of the search files that come with the package, sorted."""
    return sorted(path.stem for path in _folder().glob("*.yaml"))


def _folder() -> Path:
    return Path(str(files("pneumoscope.tuning") / "searches"))


def load_search(name: str | None, recipe: Recipe) -> SearchSpace:
    """Load a search by the name of a shipped one or the path of a YAML file; torch is not needed.

    Its keys and values are checked against the recipe's rules here, the networks that it leads to by `check_networks`.

    Args:
        name: Name or path; without one the recipe's own, else the general one.
        recipe: What is searched.

    Raises:
        UsageError: There is no such search.
        RecipeError: The file breaks the schema, or the recipe refuses a key or a value of it.
    """
    names = search_names()
    chosen = name or (recipe.name if recipe.name in names else GENERAL)
    path = Path(chosen) if chosen.endswith((".yaml", ".yml")) else _folder() / f"{chosen}.yaml"
    if not path.is_file():
        raise UsageError(
            argument("search", chosen),
            f"no such search.{suggestion(chosen, names)}",
            f"There are: {', '.join(names)}; or name a .yaml file.",
        )
    try:
        data = load_strictly(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(str(path), f"cannot be read as YAML: {error}.") from error
    search = parse_search(data, str(path))
    check_settings(search, recipe)
    return search


def parse_search(data: Any, where: str) -> SearchSpace:
    """Validate what a search file holds.

    Raises:
        RecipeError: A key is unknown (the nearest is suggested) or missing, or a value breaks its rule.
    """
    if not isinstance(data, Mapping):
        raise RecipeError(where, f"a search is a YAML mapping, this is {type(data).__name__}.")
    try:
        return SearchSpace.model_validate({"name": Path(where).stem, **data})
    except ValidationError as error:
        every = error.errors()
        first = next((each for each in every if each["type"] == "extra_forbidden"), every[0])  # a typo explains more
        path = [str(step) for step in first["loc"] if step not in ("Choice", "Range")]
        if first["type"] == "extra_forbidden":
            known = list(SearchSpace.model_fields if len(path) == 1 else Range.model_fields)
            raise RecipeError(
                where,
                f"unknown key {'.'.join(path)!r}.{suggestion(path[-1], known)}",
                f"Keys there: {', '.join(known)}.",
            ) from error
        raise RecipeError(
            where,
            f"{': '.join((*path, first['msg'].removeprefix('Value error, ')))}.",
            "A parameter is a list of values, or {low: 1e-5, high: 1e-1, log: true}.",
        ) from error


def check_settings(search: SearchSpace, recipe: Recipe) -> None:
    """Find what the recipe would refuse, before the first trial.

    Raises:
        RecipeError: A key must not be searched, is unknown, or a value (or a combination) breaks the recipe's rules.
    """
    where = f"search {search.name!r}"
    if search.recipe is not None and search.recipe != recipe.name:
        raise RecipeError(where, f"belongs to {search.recipe}, not to {recipe.name}.", "Remove its `recipe:`.")
    for key in search.parameters:
        section = key.partition(".")[0].partition("[")[0]
        if key == "training.seed":
            raise RecipeError(where, "training.seed is not a setting: the luckiest seed is no better network.")
        if section in Recipe.model_fields and section not in SECTIONS:
            raise RecipeError(
                where,
                f"{key} decides what is measured, or only describes; a search over it would compare unlike things.",
                f"Sections that can be searched: {', '.join(SECTIONS)}.",
            )
    for point in _samples(search):
        _try(search, recipe, point)


def check_networks(search: SearchSpace, recipe: Recipe) -> None:
    """Build, without memory, the networks at the ends of a space.

    Raises:
        RecipeError: A network cannot be built.
    """
    from pneumoscope.training.networks.summary import build_unweighted

    first: Point = {key: setting.edges[0] for key, setting in search.parameters.items()}
    shapes = {key: s.edges for key, s in search.parameters.items() if key.startswith(("network.", "head.", "input."))}
    for point in ({}, *({key: value} for key, values in shapes.items() for value in values), first):
        changes = changes_of(point)
        if _refusal(recipe, changes) is not None:
            continue  # it goes with another change only
        try:
            build_unweighted(with_changes(recipe, changes))
        except PneumoscopeError as error:
            culprit = f"{' '.join(changes)}: " if changes else ""
            raise RecipeError(f"search {search.name!r}", f"{culprit}{error.problem}", error.way_out) from error


def _samples(search: SearchSpace) -> Iterator[Point]:
    """Yield settings to try: all of a small space, else one for each value and some at random."""
    if search.size is not None and search.size <= MOST_TRIED:
        yield from search.grid()
        return
    first: Point = {key: setting.edges[0] for key, setting in search.parameters.items()}
    for key, setting in search.parameters.items():
        yield from ({**first, key: value} for value in setting.edges)
    rng = np.random.default_rng(0)
    yield from (search.draw(rng) for _ in range(MOST_TRIED // 3))


def _try(search: SearchSpace, recipe: Recipe, point: Point) -> None:
    """Raise `RecipeError` if the recipe refuses a setting, naming the one change that it refuses alone, if there is."""
    changes = changes_of(point)
    if (reason := _refusal(recipe, changes)) is None:
        return
    alone = ((change, _refusal(recipe, [change])) for change in changes)
    culprit, why = next(((change, error) for change, error in alone if error), (" ".join(changes), reason))
    raise RecipeError(f"search {search.name!r}", f"{recipe.name} refuses {culprit}: {why.problem}", why.way_out)


def _refusal(recipe: Recipe, changes: list[str]) -> PneumoscopeError | None:
    try:
        with_changes(recipe, changes)
    except (RecipeError, UsageError) as error:
        return error
    return None
