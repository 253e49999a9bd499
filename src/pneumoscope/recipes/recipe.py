"""A recipe: everything that decides how a network is trained, in one validated YAML file.

A recipe names its source, what the source reports, and what the source leaves unstated and had to be assumed; its
``expects`` is the number of parameters that a test holds the built network to. Recipes are frozen values: ``--set``
makes a new one and notes the change.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, Field, ValidationError, model_validator

from pneumoscope.core.arguments import argument, as_tuple, check_arguments
from pneumoscope.core.errors import ChangeError, RecipeError, UsageError
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.overrides import parse_change, put
from pneumoscope.core.registry import suggestion
from pneumoscope.core.strict_yaml import load_strictly
from pneumoscope.core.task import Task
from pneumoscope.recipes.selection import Selection
from pneumoscope.recipes.settings import (
    Augment,
    Expects,
    Fraction,
    Head,
    Input,
    Loss,
    Network,
    Optimizer,
    Schedule,
    Training,
)


class Recipe(Frozen):
    """What to train, from which source, and how."""

    name: str
    summary: str
    source: str = ""
    reported: dict[str, Any] = Field(default_factory=dict)
    assumed: tuple[str, ...] = ()
    notes: tuple[str, ...] = Field(default=(), description="contradictions of the source, choices and their reasons")
    task: Task
    input: Input
    network: Network
    head: Head = Head()
    augment: Augment = Augment()
    loss: Loss = Loss()
    optimizer: Optimizer
    schedule: Schedule = Schedule()
    training: Training
    selection: Selection = Selection()
    split: dict[Literal["train", "validation", "calibration", "test"], Fraction] | None = None
    expects: Expects | None = None
    changes: tuple[str, ...] = Field(default=(), description="what --set or the data changed")

    @model_validator(mode="after")
    def _consistent(self) -> Recipe:
        if self.task.multilabel:
            self._check_multilabel()
        elif self.loss.kind == "asymmetric":
            raise ValueError("loss asymmetric is for multilabel tasks")
        elif (self.loss.kind == "bce") != (self.task.kind == "binary"):
            raise ValueError("loss bce and a binary task go together (one sigmoid output)")
        if isinstance(self.loss.class_weights, tuple) and len(self.loss.class_weights) != len(self.task.classes):
            raise ValueError(f"loss.class_weights needs {len(self.task.classes)} numbers, one for each class")
        if self.split is not None and abs(sum(self.split.values()) - 1) > 1e-6:
            raise ValueError(f"split adds up to {sum(self.split.values()):g}, not 1")
        if len(self.input.mean) not in (1, self.input.channels) or len(self.input.std) not in (1, self.input.channels):
            raise ValueError(f"input.mean and input.std need 1 or {self.input.channels} numbers")
        if self.head.standardise and not self.network.frozen:
            raise ValueError("head.standardise needs network.frozen: a trunk that learns has no lasting statistics")
        if self.optimizer.kind == "lbfgs":
            if not (self.network.frozen and self.augment.off) or any(self.head.dropout_rates):
                raise ValueError("optimizer lbfgs needs network.frozen, no augmentation and no dropout: nothing random")
            if self.optimizer.clip_norm is not None:
                raise ValueError("optimizer lbfgs takes no clip_norm")
        return self

    def _check_multilabel(self) -> None:
        if self.loss.kind not in ("bce", "focal", "asymmetric"):
            raise ValueError(
                f"loss {self.loss.kind} is for one class an image; a multilabel task takes bce, focal or asymmetric"
            )
        if self.training.sampling != "shuffle":
            raise ValueError("sampling balanced needs one class an image; weigh the findings by loss.class_weights")
        if self.augment.exchange_corners:
            raise ValueError("augment.exchange_corners needs one class an image")

    @staticmethod
    def names() -> list[str]:
        """Return the names of the recipes that come with the package.

        Returns:
            The names, sorted.
        """
        return recipe_names()

    @staticmethod
    @check_arguments
    def load(name: str | Path, sets: Sequence[str] = ()) -> Recipe:
        """Load a recipe that comes with the package, or one from a YAML file.

        Args:
            name: Its name, or the path of a ``.yaml`` file.
            sets: Changes as ``key.inner=value`` or ``key.list[0]=value``, the value in YAML.

        Returns:
            The recipe; ``changes`` lists what ``sets`` changed.

        Raises:
            UsageError: No such recipe, or a change that is not of that form.
            RecipeError: The recipe breaks the schema; an unknown key suggests the nearest.

        Example:
            >>> recipe = ps.Recipe.load("cnn-150", ["training.epochs=5"])
        """
        return load_recipe(name, sets)

    @property
    def outputs(self) -> int:
        """Units of the last layer: one for a binary task."""
        return 1 if self.task.kind == "binary" else len(self.task.classes)

    def to_yaml(self) -> str:
        """Return the recipe as YAML.

        Returns:
            The text of a recipe's file, with all defaults written out.
        """
        return yaml.safe_dump(self.model_dump(mode="json"), sort_keys=False, allow_unicode=True, width=110)

    def hash(self) -> str:
        """Return the identity of the recipe.

        Returns:
            SHA-256 of its YAML, 64 hexadecimal digits.
        """
        return hashlib.sha256(self.to_yaml().encode()).hexdigest()


def _known_keys(model: type[BaseModel], path: Sequence[Any]) -> list[str]:
    """Return the keys that are allowed at ``path`` inside ``model``."""
    for step in path:
        field = model.model_fields.get(str(step))
        candidates = [] if field is None else [field.annotation, *getattr(field.annotation, "__args__", ())]
        inner = next((kind for kind in candidates if isinstance(kind, type) and issubclass(kind, BaseModel)), None)
        if inner is None:
            break
        model = inner
    return list(model.model_fields)


def parse_recipe(data: Any, where: str) -> Recipe:
    """Validate ``data`` (what a YAML file holds) as a recipe.

    Args:
        data: The mapping.
        where: What to call it in an error.

    Raises:
        RecipeError: A key is unknown (the nearest is suggested), missing, or has a value that its rule forbids.
    """
    if not isinstance(data, Mapping):
        raise RecipeError(where, f"a recipe is a YAML mapping, this is {type(data).__name__}.")
    try:
        return Recipe.model_validate(data)
    except ValidationError as error:
        first = error.errors()[0]
        # Steps into one kind of a union are named by its class, or by its validator: ``function-after[...]``.
        path = [step for step in first["loc"] if not (isinstance(step, str) and (step[:1].isupper() or "[" in step))]
        key = ".".join(str(step) for step in path)
        if first["type"] == "extra_forbidden":
            known = _known_keys(Recipe, path[:-1])
            hint = _suggest_key(str(path[-1]), known)
            raise RecipeError(
                where,
                f"unknown key {key!r}.{hint}",
                f"Keys there: {', '.join(known)}.",
            ) from error
        message = first["msg"].removeprefix("Value error, ")
        given = "" if first["type"] in ("missing", "value_error") else f" (found {first['input']!r})"
        raise RecipeError(
            where, f"{key + ': ' if key else ''}{message}{given}.", "Correct the recipe or `sets`."
        ) from error


def _suggest_key(name: str, siblings: Sequence[str]) -> str:
    """Return the hint for an unknown key: the nearest beside it, or of another section (``training.epochs``).

    Args:
        name: The last step of the unknown key.
        siblings: The keys that are known in its place.
    """
    paths: dict[str, list[str]] = {key: [key] for key in siblings}
    for section in Recipe.model_fields:
        for key in _known_keys(Recipe, [section]):
            if key not in siblings and key not in Recipe.model_fields:
                paths.setdefault(key, []).append(f"{section}.{key}")
    near = get_close_matches(name, list(paths), n=1, cutoff=0.5)
    return f" Did you mean {' or '.join(map(repr, paths[near[0]]))}?" if near else ""


def _builtin_folder() -> Path:
    return Path(str(files("pneumoscope") / "recipes"))


def recipe_names() -> list[str]:
    """Return the names of the recipes that come with the package, sorted."""
    return sorted(path.stem for path in _builtin_folder().glob("*.yaml"))


def _merged(base: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``base`` with ``over`` laid over it, mapping by mapping."""
    result = dict(base)
    for key, value in over.items():
        both = isinstance(value, Mapping) and isinstance(result.get(key), Mapping)
        result[key] = _merged(result[key], value) if both else value
    return result


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = load_strictly(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise RecipeError(str(path), f"cannot be read as YAML: {error}.") from error
    if not isinstance(data, dict):
        raise RecipeError(str(path), "a recipe is a YAML mapping.")
    parent = data.pop("extends", None)
    if parent is None:
        return data
    if "summary" not in data:  # the parent's is of another recipe
        raise RecipeError(
            str(path), f"extends {parent} and has no summary of its own.", "Say in a line what it is: `summary: ...`."
        )
    merged = _merged(_read_yaml(_builtin_folder() / f"{parent}.yaml"), data)
    # A recipe of another network has none of the publication's facts: null removes them.
    return {key: value for key, value in merged.items() if value is not None or key not in _PUBLICATION}


_PUBLICATION = ("source", "reported", "assumed")


def load_recipe(name: str | Path, sets: Sequence[str] = ()) -> Recipe:
    """Load a recipe by the name of a built-in one or by the path of a YAML file.

    Args:
        name: Name or path.
        sets: Changes as ``key.inner=value`` or ``key.list[0]=value``, the value in YAML.

    Raises:
        UsageError: No such recipe, or a change that is not of that form.
        RecipeError: The file breaks the schema.
    """
    name = os.fspath(name)
    path = Path(name) if name.endswith((".yaml", ".yml")) else _builtin_folder() / f"{name}.yaml"
    if not path.is_file():
        names = recipe_names()
        raise UsageError(
            name, f"no such recipe.{suggestion(name, names)}", f"There are: {', '.join(names)}; or name a .yaml file."
        )
    recipe = parse_recipe(_read_yaml(path), str(path))
    return with_changes(recipe, sets)


def with_changes(recipe: Recipe, sets: Sequence[str]) -> Recipe:
    """Return ``recipe`` with ``key.inner=value`` or ``key.list[0]=value`` changes, which are noted in ``changes``.

    Raises:
        UsageError: A change is not of that form.
        ChangeError: A key is unknown, or its value breaks a rule of the recipe.
    """
    sets = as_tuple(sets)
    if not sets:
        return recipe
    data = recipe.model_dump(mode="json")
    for item in sets:
        path, value = parse_change(item)
        put(data, path, value, argument("sets", item))
    data["changes"] = [*recipe.changes, *sets]
    # The expected count holds for the recipe's own network; a changed one is no longer held to it.
    if any(item.startswith(("task.", "network.", "head.", "input.")) for item in sets):
        data["expects"] = None
    if any(item.startswith("task.classes") for item in sets):
        data["task"]["optional"] = []
    try:
        return parse_recipe(data, f"{recipe.name} with {' '.join(sets)}")
    except RecipeError as error:
        raise ChangeError(error.thing, error.problem, error.way_out) from error
