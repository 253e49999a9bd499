"""``cnn-150`` in Pneumoscope's own training loop, timed. Runs in the package's environment.

    python train_pneumoscope.py --manifest manifest.parquet --epochs 3 --seed 0 --out out.json

It is the function behind ``pneumoscope train``, with checkpoints, metrics and TensorBoard's log; only the line on the
screen is replaced by a clock.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import torch

from pneumoscope.core.callbacks import SILENT
from pneumoscope.data.manifest import read_manifest
from pneumoscope.recipes.recipe import load_recipe
from pneumoscope.training.input.dataset import Batch
from pneumoscope.training.loop import fit
from pneumoscope.training.loop.callbacks import ProgressReporter
from pneumoscope.training.networks.build import count_parameters
from pneumoscope.training.plan import make_plan

if TYPE_CHECKING:  # pneumoscope.training prepares torchvision before Lightning may load it
    import lightning as L  # noqa: N812  # the library's own convention


class Clock(ProgressReporter):
    """A reporter that also times each epoch: its training batches alone, and the whole.

    Attributes:
        starts: When each epoch began, and when the last one had ended, its checkpoints written.
        ends: When the last batch of each epoch was done.
        cpu: Processor time of all threads at the first and the last batch of each epoch.
    """

    def __init__(self, epochs: int) -> None:
        super().__init__(SILENT, epochs)
        self.starts: list[float] = []
        self.ends: list[float] = []
        self.cpu: list[tuple[float, float]] = []

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Start the epoch's clock."""
        super().on_train_epoch_start(trainer, pl_module)
        self.starts.append(time.perf_counter())
        self.ends.append(0.0)
        self.cpu.append((time.process_time(), 0.0))

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: Any, batch: Batch, batch_idx: int
    ) -> None:
        """Remember when the last batch was done."""
        super().on_train_batch_end(trainer, pl_module, outputs, batch, batch_idx)
        self.ends[-1] = time.perf_counter()
        self.cpu[-1] = (self.cpu[-1][0], time.process_time())

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the end of the last epoch."""
        self.starts.append(time.perf_counter())


def main() -> None:
    """Train once and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--float32", action="store_true", help="no bf16, to see what the precision is worth")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    changes = {"epochs": options.epochs, "batch_size": options.batch, "seed": options.seed}
    recipe = load_recipe("cnn-150", [f"training.{key}={value}" for key, value in changes.items()])
    training_plan = make_plan(recipe, read_manifest(options.manifest))
    clock = Clock(options.epochs)
    with tempfile.TemporaryDirectory() as folder, ExitStack() as changed:
        changed.enter_context(patch.object(fit, "ProgressReporter", lambda *_: clock))
        if options.float32:
            changed.enter_context(patch.object(fit, "choose_precision", lambda _: "32-true"))
        run = fit.fit(training_plan, Path(folder) / "run", device="cpu")
        environment = json.loads((run.folder / "environment.json").read_text(encoding="utf-8"))
        with (run.folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    result = {
        "parameters": count_parameters(run.model, "keras"),
        "images": len(run.parts["train"]),
        "train_seconds": [end - start for start, end in zip(clock.starts, clock.ends, strict=False)],
        "epoch_seconds": [end - start for start, end in itertools.pairwise(clock.starts)],
        "cpu_seconds": [end - start for start, end in clock.cpu],
        "validation_accuracy": [float(row["validation_accuracy"]) for row in rows],
        "train_accuracy": [float(row["train_accuracy"]) for row in rows],
        "software": f"Pneumoscope {environment['pneumoscope']}, torch {torch.__version__}, {environment['precision']}",
        "threads": environment["threads"],
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
