"""How a long job reports while it runs: one small seam between the work and the screen.

Everything that takes minutes (training, export, a search, a comparison) takes `Callbacks`. The base class is silent.
The command line draws bars with its own subclass; a notebook or a server writes another one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

TRAINING = "training"
"""The task whose steps `Callbacks.step` reports; `Callbacks.finish` ends it like any other."""


@dataclass(frozen=True)
class TrainingStep:
    """One optimizer step.

    Args:
        epoch: Number of the epoch, from 1.
        epochs: Epochs of the whole training.
        done: Steps so far, over all epochs.
        total: Steps of the whole training.
        loss: Loss of the last batch; NaN before the first one is known.
        images_per_second: Images a second in this epoch, over all processes.
    """

    epoch: int
    epochs: int
    done: int
    total: int
    loss: float
    images_per_second: float


@dataclass(frozen=True)
class EpochEnd:
    """A finished epoch.

    Args:
        epoch: Its number, from 1.
        epochs: Epochs of the whole training.
        seconds: Training and validation together.
        images: Training images of the epoch, over all processes.
        metrics: The epoch's row of ``metrics.csv``, such as ``validation_auroc``; NaN where a figure is not defined.
    """

    epoch: int
    epochs: int
    seconds: float
    images: int
    metrics: Mapping[str, float]


class Callbacks:
    """Receives what a job reports. The base class does nothing; a subclass overrides what it needs.

    A method that raises ends the job with that error.
    """

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"

    def message(self, text: str) -> None:
        """Receive one line for the reader: a note, a finding, the end of a trial.

        Args:
            text: The line.
        """

    def progress(self, task: str, done: int, total: int | None) -> None:
        """Receive how far a task is.

        Args:
            task: Its name, such as ``measuring on validation``.
            done: Units that are finished.
            total: Units in all; None where they cannot be counted.
        """

    def finish(self, task: str) -> None:
        """Receive the end of a task, successful or not.

        Args:
            task: Its name, as `progress` had it.
        """

    def step(self, step: TrainingStep) -> None:
        """Receive one optimizer step of a training.

        Args:
            step: How far the training is, and its loss.
        """

    def epoch(self, end: EpochEnd) -> None:
        """Receive the figures of a finished epoch.

        Args:
            end: Its number, duration and metrics.
        """

    @contextmanager
    def counting(self, task: str, total: int | None = None) -> Iterator[Callable[[int], None]]:
        """Report a task while the block runs.

        Args:
            task: Its name.
            total: Units in all; None where they cannot be counted.

        Yields:
            A function that takes the number of further units that are finished.
        """
        done = 0

        def advance(units: int) -> None:
            nonlocal done
            done += units
            self.progress(task, done, total)

        self.progress(task, 0, total)
        try:
            yield advance
        finally:
            self.finish(task)


SILENT = Callbacks()
"""Reports nothing. It has no state, so that every job can share it."""
