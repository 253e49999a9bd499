"""What a long job shows: lines on stderr, and bars where stderr is a terminal, else a line each minute."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)

from pneumoscope.cli.minute_lines import MinuteLines
from pneumoscope.core.callbacks import TRAINING, Callbacks, EpochEnd, TrainingStep


class RichCallbacks(Callbacks):
    """Prints messages and draws bars with Rich.

    Args:
        console: Where both go; stderr by default.
        quiet: Print and draw nothing.
    """

    def __init__(self, console: Console | None = None, *, quiet: bool = False) -> None:
        # This stderr, also while the job redirects it to silence a library: the bar has to move meanwhile.
        self.console = console or Console(file=sys.stderr, stderr=True, highlight=False, soft_wrap=True, quiet=quiet)
        self._tasks: dict[str, TaskID] = {}
        self._bars: Progress | None = None  # one for all tasks: Rich draws one live display at a time
        self._training: tuple[Progress, TaskID] | None = None
        self._lines = MinuteLines(self.message)

    def message(self, text: str) -> None:
        """Print a line; brackets are intervals and classes here, not Rich's markup."""
        self.console.print(text, markup=False, highlight=False)

    def progress(self, task: str, done: int, total: int | None) -> None:
        """Draw or advance the task's bar."""
        if not self.console.is_terminal:
            self._lines.update(task, "running" if total is None else f"{done:,} of {total:,}")
            return
        if self._bars is None:
            self._bars = Progress(
                TextColumn("{task.description}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[rate]}"),
                TimeRemainingColumn(),
                console=self.console,
                transient=True,
            )
            self._bars.start()
        if task not in self._tasks:
            name = escape(task[:1].upper() + task[1:])
            self._tasks[task] = self._bars.add_task(name, total=total, rate="")
        bar = self._tasks[task]
        speed = next(each.speed for each in self._bars.tasks if each.id == bar)
        self._bars.update(bar, completed=done, total=total, rate=f"{speed:.0f}/s" if speed and speed >= 1 else "")

    def finish(self, task: str) -> None:
        """Remove the task's bar."""
        self._lines.finish(task)
        if task == TRAINING and self._training is not None:
            self._training[0].stop()
            self._training = None
        bar = self._tasks.pop(task, None)
        if self._bars is None or bar is None:
            return
        self._bars.remove_task(bar)
        if not self._tasks:
            self._bars.stop()
            self._bars = None

    @contextmanager
    def paused(self) -> Iterator[None]:
        """Take the bars off the terminal while the block prints something else."""
        if self._bars is None:
            yield
            return
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()

    def step(self, step: TrainingStep) -> None:
        """Advance the bar over the whole training."""
        if not self.console.is_terminal:
            state = f"epoch {step.epoch}/{step.epochs}, step {step.done:,} of {step.total:,}, loss {step.loss:.3f}"
            self._lines.update(TRAINING, state)
            return
        if self._training is None:
            self._training = self._start_training()
        bar, task = self._training
        bar.update(
            task,
            completed=step.done,
            total=step.total,
            epoch=f"{step.epoch}/{step.epochs}",
            loss=f"{step.loss:.3f}",
            rate=f"{step.images_per_second:.0f} images",
        )

    def epoch(self, end: EpochEnd) -> None:
        """Print the epoch's line."""
        row = end.metrics
        self.message(
            f"epoch {end.epoch:>3}/{end.epochs}  "
            f"train loss {row['train_loss']:.4f} accuracy {row['train_accuracy']:.4f}  "
            f"validation loss {row['validation_loss']:.4f} accuracy {row['validation_accuracy']:.4f} "
            f"AUROC {row['validation_auroc']:.4f}  "
            f"{end.seconds:.0f} s ({end.images} images)"
        )

    def _start_training(self) -> tuple[Progress, TaskID]:
        bar = Progress(
            TextColumn("epoch {task.fields[epoch]}"),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("loss {task.fields[loss]}"),
            TextColumn("{task.fields[rate]}/s"),
            TimeElapsedColumn(),
            TextColumn("left"),
            TimeRemainingColumn(),
            console=self.console,
        )
        bar.start()
        return bar, bar.add_task("", total=None, epoch="", loss="", rate="")
