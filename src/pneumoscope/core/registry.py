"""Explicit tables of named things: a repeated name raises, an unknown one suggests the nearest."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from difflib import get_close_matches
from typing import Generic, TypeVar

from pneumoscope.core.errors import UsageError

T = TypeVar("T")


def suggestion(name: str, names: Iterable[str]) -> str:
    """Return `` Did you mean 'x'?`` for the nearest known name, or an empty string."""
    near = get_close_matches(name, list(names), n=1, cutoff=0.5)
    return f" Did you mean {near[0]!r}?" if near else ""


def several(names: Iterable[str], shown: int = 5) -> str:
    """Return the first few names and how many more there are."""
    names = list(names)
    more = f" and {len(names) - shown} more" if len(names) > shown else ""
    return ", ".join(repr(name) for name in names[:shown]) + more


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
