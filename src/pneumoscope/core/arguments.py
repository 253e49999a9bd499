"""What Python callers may pass in place of a sequence: one text or one path stands for a sequence of one."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import TypeVar, cast

T = TypeVar("T")


def as_tuple(values: T | Iterable[T]) -> tuple[T, ...]:
    """Return values as a tuple; a single text or path is not taken apart into letters.

    Raises:
        TypeError: The value is neither a text, a path nor iterable.
    """
    if isinstance(values, str | Path):
        return (cast(T, values),)
    return tuple(cast(Iterable[T], values))
