"""Explicit tables of named things: a repeated name raises, an unknown one suggests the nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any, Generic, TypeVar

from pneumoscope.core.arguments import argument, quote
from pneumoscope.core.errors import UsageError

T = TypeVar("T")


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or an empty string."""
    near = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {quote(near[0])}?" if near else ""


def check_name(name: str, names: Iterable[str], parameter: str, kind: str) -> None:
    """Check that an argument's value is one of its names.

    Args:
        name: The value.
        names: The names that exist, in the order in which the message lists them.
        parameter: The argument, such as ``sampler``.
        kind: What the names are of, in the singular.

    Raises:
        UsageError: There is none of that name; the message suggests the nearest, or the first, and lists all.
    """
    known = list(names)
    if name not in known:
        near = get_close_matches(name, known, n=1, cutoff=0.5)
        way_out = f"There are: {', '.join(known)}. Example: {argument(parameter, (near or known)[0])}"
        raise UsageError(argument(parameter, name), f"no such {kind}.{suggestion(name, known)}", way_out)


def several(names: Iterable[str], shown: int = 5, longest: int = 200) -> str:
    """Return the first few names and how many more there are; a name of more than ``longest`` characters is cut."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(quote(name, longest) for name in names[:shown]) + more


class Registry(Generic[T]):
    """A table from names to things of one kind.

    Args:
        kind: What the things are, in the singular, as an error message calls them ("source").
    """

    def __init__(self, kind: str) -> None:
        self.kind = kind
        self._table: dict[str, T] = {}

    def add(self, name: str, thing: T) -> T:
        """Add ``thing`` under ``name``.

        Raises:
            ValueError: The name is taken (a fault of the program, not of the user).
        """
        if name in self._table:
            raise ValueError(f"{self.kind} {name!r} is registered twice")
        self._table[name] = thing
        return thing

    def register(self, name: str) -> Callable[[T], T]:
        """Return a decorator that adds the decorated object under ``name``."""
        return lambda thing: self.add(name, thing)

    def get(self, name: str) -> T:
        """Return the thing of that name.

        Raises:
            UsageError: There is none; the message suggests the nearest and lists all.
        """
        if name not in self._table:
            raise UsageError(
                name,
                f"no such {self.kind}.{suggestion(name, self._table)}",
                f"There are: {', '.join(sorted(self._table))}.",
            )
        return self._table[name]

    def __contains__(self, name: object) -> bool:
        return name in self._table

    def __iter__(self) -> Iterator[str]:
        return iter(sorted(self._table))

    def __len__(self) -> int:
        return len(self._table)


def discover(kind: str, package: str, attribute: str) -> Registry[Any]:
    """Return what the modules of a package define, by name, so that an addition is one new file.

    Args:
        kind: What the things are, in the singular, as an error message calls them ("source").
        package: Dotted name of the package; its modules whose names begin with a letter are imported.
        attribute: Name of the thing in each module; its ``name`` is the module's, with hyphens for underscores.

    Raises:
        ValueError: A thing is not in the module of its name (a fault of the program, not of the user).
    """
    registry: Registry[Any] = Registry(kind)
    folder = Path(str(import_module(package).__file__)).parent
    for path in sorted(folder.glob("[a-z]*.py")):
        thing = getattr(import_module(f"{package}.{path.stem}"), attribute)
        if thing.name != path.stem.replace("_", "-"):
            raise ValueError(f"the {kind} {thing.name!r} must be in the module of its name, not in {path.name}")
        registry.add(thing.name, thing)
    return registry
