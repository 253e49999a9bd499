"""The files that a run writes after each epoch: checkpoints, metrics.csv, timing.json, a report to callbacks."""

from __future__ import annotations

import csv
import shutil
import time
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812  # the library's own convention
import numpy as np
import torch
from lightning.fabric.utilities.types import _PATH
from lightning.pytorch.plugins.io import TorchCheckpointIO

from pneumoscope.core.callbacks import TRAINING, Callbacks, EpochEnd, TrainingStep
from pneumoscope.core.files import atomic_path, write_json
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.training.input.dataset import Batch
from pneumoscope.training.loop.module import Learner


def _link_or_copy(source: Path, target: Path) -> None:
    """Give a file a second name, or copy it where the disk cannot; a checkpoint is replaced, never written into."""
    target.unlink(missing_ok=True)
    try:
        target.hardlink_to(source)
    except OSError:
        shutil.copyfile(source, target)


class StraightToFile(TorchCheckpointIO):
    """Writes a checkpoint to its file; Lightning makes it in memory first, which takes twice its size and its time."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: _PATH, storage_options: Any | None = None) -> None:
        """Write ``checkpoint``; `RunFiles` gives it its name when it is whole."""
        before = torch.serialization.get_crc32_options()
        torch.serialization.set_crc32_options(False)  # two thirds of the time, for sums that torch.load does not check
        try:
            torch.save(checkpoint, path)
        finally:
            torch.serialization.set_crc32_options(before)


class RunFiles(L.Callback):
    """Writes ``last.ckpt`` and ``metrics.csv`` after each epoch, keeps the best as ``best.ckpt``.

    ``timing.json`` has the seconds of each epoch, training and validation together: apart from the figures, which
    are the same on every machine. Its state travels in the checkpoint, so a resumed run goes on with the same history,
    best value and patience.
    """

    def __init__(self, folder: Path, recipe: Recipe) -> None:
        self.folder = folder
        self.recipe = recipe
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, float] | None = None
        self.best_epoch = 0
        self.stopped = False
        self.seconds: list[float] = []
        self.started = 0.0

    def state_dict(self) -> dict[str, Any]:
        """Return history and best value, for the checkpoint."""
        return {
            "rows": self.rows,
            "best": None if self.best is None else self.recipe.selection.value_of(self.best),
            "best_epoch": self.best_epoch,
            "stopped": self.stopped,
            "seconds": self.seconds,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore them."""
        self.rows, self.best_epoch = list(state_dict["rows"]), state_dict["best_epoch"]
        self.best = next((row for row in self.rows if int(row["epoch"]) == self.best_epoch), None)
        self.stopped = state_dict["stopped"]
        self.seconds = list(state_dict.get("seconds", []))  # not in checkpoints of version 0.1

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the epoch's clock."""
        self.started = time.perf_counter()

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the epoch's figures, decide whether it is the best and whether to stop, and write all that."""
        if not isinstance(pl_module, Learner):
            raise TypeError("RunFiles serves a Learner")
        row = dict(pl_module.latest)
        self.rows.append(row)
        self.seconds.append(round(time.perf_counter() - self.started, 2))
        if better := self.recipe.selection.is_better(row, self.best):
            self.best, self.best_epoch = row, int(row["epoch"])
        patience = self.recipe.training.early_stopping
        if patience is not None and row["epoch"] - self.best_epoch >= patience.patience:
            self.stopped = trainer.should_stop = True
        last = self.folder / "last.ckpt"
        if trainer.is_global_zero:
            with atomic_path(self.folder / "metrics.csv") as temporary, temporary.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(self.rows[0]))
                writer.writeheader()
                writer.writerows(self.rows)
            write_json(self.folder / "timing.json", {"epoch_seconds": self.seconds})
        # All processes take part in a checkpoint, the first alone writes it.
        with atomic_path(last) if trainer.is_global_zero else nullcontext(last) as target:
            trainer.save_checkpoint(target)
        if better and trainer.is_global_zero:
            with atomic_path(self.folder / "best.ckpt") as temporary:
                _link_or_copy(last, temporary)


class ProgressReporter(L.Callback):
    """Reports each step and each epoch to `Callbacks`."""

    def __init__(self, callbacks: Callbacks, epochs: int) -> None:
        self.callbacks = callbacks
        self.epochs = epochs
        self.started = 0.0
        self.images = 0

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the epoch's clock."""
        self.started, self.images = time.perf_counter(), 0

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Report the step."""
        self.images += len(batch.target) * trainer.world_size
        steps = int(trainer.num_training_batches)
        self.callbacks.step(
            TrainingStep(
                epoch=trainer.current_epoch + 1,
                epochs=self.epochs,
                done=steps * trainer.current_epoch + batch_idx + 1,
                total=steps * self.epochs,
                loss=float(trainer.callback_metrics.get("loss", np.nan)),
                images_per_second=self.images / (time.perf_counter() - self.started),
            )
        )

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Report the epoch's figures."""
        if not isinstance(pl_module, Learner):
            raise TypeError("ProgressReporter serves a Learner")
        self.callbacks.epoch(
            EpochEnd(
                epoch=trainer.current_epoch + 1,
                epochs=self.epochs,
                seconds=time.perf_counter() - self.started,
                images=pl_module.images,
                metrics=pl_module.latest,
            )
        )

    def teardown(self, trainer: L.Trainer, pl_module: L.LightningModule, stage: str) -> None:
        """Report the end."""
        self.callbacks.finish(TRAINING)
