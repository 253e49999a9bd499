"""The seam between work on many images and the machines that do it: one function, `Engine.map`.

Prediction, import and audit give an engine a function and items. The engine of this process runs threads; the Ray
engine runs processes, on this machine or on a cluster. Results come in the order of the items from either, each once,
so that what stands on it (a journal, a table, files of answers) needs to know nothing about the engine.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable
from typing import Protocol, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Engine(Protocol):
    """Does the same work for many items."""

    def map(self, work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
        """Yield the result for each item, in the order of the items, in constant memory.

        Args:
            work: Answers one item. It may be called for an item a second time, where a process died on the first:
                what it writes must then be the same. For Ray it can be pickled, with what it holds.
            items: They are read lazily. For Ray they can be pickled.

        Yields:
            What ``work`` returned. Close the generator to stop early.

        Raises:
            PneumoscopeError: Processes die on the same items again and again.
            Exception: What ``work`` raised; the rest is not done.
        """
        ...


def default_workers() -> int:
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1
