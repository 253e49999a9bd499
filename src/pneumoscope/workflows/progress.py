"""The seam between rooms that count in plain functions and jobs that report to `Callbacks`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from pneumoscope.core.callbacks import Callbacks


@contextmanager
def task_starter(callbacks: Callbacks) -> Iterator[Callable[[str, int], Callable[[int], None]]]:
    """Yield a function that starts a task of a name and a total, and returns the function that sets what is done.

    The end of the block finishes every task.
    """
    with ExitStack() as tasks:

        def start(task: str, total: int) -> Callable[[int], None]:
            tasks.callback(callbacks.finish, task)
            return lambda done: callbacks.progress(task, done, total)

        yield start
