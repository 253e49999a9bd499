"""The seam between rooms that count in plain functions and jobs that report to `Callbacks`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

from pneumoscope.core.callbacks import Callbacks, EpochEnd, TrainingStep


class NewMessages(Callbacks):
    """Passes everything on but a message that was passed before: checks of many folds find the same."""

    def __init__(self, inner: Callbacks) -> None:
        self.inner = inner
        self.seen: set[str] = set()

    def message(self, text: str) -> None:
        """Pass a line on the first time."""
        if text not in self.seen:
            self.seen.add(text)
            self.inner.message(text)

    def progress(self, task: str, done: int, total: int | None) -> None:
        """Pass the progress on."""
        self.inner.progress(task, done, total)

    def finish(self, task: str) -> None:
        """Pass the end of a task on."""
        self.inner.finish(task)

    def step(self, step: TrainingStep) -> None:
        """Pass a step on."""
        self.inner.step(step)

    def epoch(self, end: EpochEnd) -> None:
        """Pass an epoch on."""
        self.inner.epoch(end)


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
