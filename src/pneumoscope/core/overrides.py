"""One change to a nested setting, as `--set` and the search space of `tune` write it: ``head.dropout[1]=0.3``.

Nothing here knows what a recipe is. The recipe's own rules decide whether the new value is allowed.
"""

from __future__ import annotations

import re
from typing import Any

import yaml

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError

Path = tuple[str | int, ...]
"""The steps to a value: names of mappings and numbers in lists."""


def parse_path(key: str, where: str) -> Path:
    """Return the steps of ``head.dropout[1]`` or ``head.dropout.1``.

    Args:
        key: Names joined by dots; an entry of a list by its number from 0.
        where: The name of the setting in an error message.

    Raises:
        UsageError: It has an empty or broken step.
    """
    steps = re.sub(r"\[(\d+)\]", r".\1", key).split(".")
    if any(not step or not re.fullmatch(r"\w+", step) for step in steps):
        raise UsageError(where, "is not of the form key.inner or key.inner[0].", "Example: head.dropout[1]")
    return tuple(int(step) if step.isdigit() else step for step in steps)


def parse_change(text: str) -> tuple[Path, Any]:
    """Return the steps and the value of ``key.inner=value``, the value in YAML.

    Raises:
        UsageError: It is not of that form.
    """
    where = argument("sets", text)
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise UsageError(where, "is not of the form key=value.", "Example: `sets='optimizer.lr=1e-4'`")
    try:
        return parse_path(key, where), parse_numbers(yaml.safe_load(value))
    except yaml.YAMLError as error:
        raise UsageError(where, f"the value is not YAML: {error}.") from error


def parse_numbers(value: Any) -> Any:
    """Return the value with texts such as ``1e-4``, which YAML 1.1 does not read as numbers, as numbers."""
    if isinstance(value, list):
        return [parse_numbers(item) for item in value]
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return value
    return value


def put(data: dict[str, Any], path: Path, value: Any, where: str) -> None:
    """Set the value at ``path`` inside ``data``, in place; a missing mapping on the way is created.

    Raises:
        UsageError: A step is the number of an entry that does not exist.
    """
    place: Any = data
    for depth, name in enumerate(path):
        step: Any = str(name) if isinstance(place, dict) else name
        if not isinstance(place, dict):
            _check_entry(place, step, path[:depth], where)
        if depth == len(path) - 1:
            place[step] = value
            return
        following = place.get(step) if isinstance(place, dict) else place[step]
        if not isinstance(following, dict | list) and isinstance(path[depth + 1], str):
            following = place[step] = {}
        place = following


def _check_entry(place: Any, step: str | int, path: Path, where: str) -> None:
    """Raise `UsageError` unless ``place``, which lies at ``path``, is a list with the entry ``step``."""
    name = ".".join(map(str, path))
    whole = f"Give the whole list: {name}=[...]"
    if not isinstance(place, list) or not place:
        description = "is empty" if place in (None, []) else f"is {place!r}, not a list"
        raise UsageError(where, f"{name} {description}, so it has no entry {step!r}.", whole)
    if not isinstance(step, int) or step >= len(place):
        raise UsageError(where, f"{name} has {len(place)} entries, numbered 0 to {len(place) - 1}.", whole)
