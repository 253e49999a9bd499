"""One trial: train each fold in memory, measure what it held back. No file is written: trials are cheap.

The training itself is the one of `pneumoscope train`: the same learner, order of images, augmentation and precision.
"""

from __future__ import annotations

import signal
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightning as L  # noqa: N812  # the library's own convention
import numpy as np
import torch
from torch import Tensor

from pneumoscope.recipes.recipe import Recipe
from pneumoscope.stats.kernels import Floats
from pneumoscope.training.input.dataset import CountedSampler, Part, loader
from pneumoscope.training.loop.fit import quiet_libraries
from pneumoscope.training.loop.module import Learner
from pneumoscope.training.machine import choose_precision
from pneumoscope.training.networks.build import Classifier, build
from pneumoscope.tuning.cross_validation import Fold, Material
from pneumoscope.tuning.objective import Measured, Objective

Report = Callable[[int, float], None]
"""Told of each step and its value, counted from 1; raises what ends the trial early."""


class Keep(L.Callback):
    """Keeps the best epoch's weights in memory and tells how each epoch went."""

    def __init__(self, recipe: Recipe, told: Callable[[dict[str, float]], None]) -> None:
        self.recipe = recipe
        self.told = told
        self.best: float | None = None
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the epoch, keep its weights if it is the best, stop if the recipe's patience is over."""
        if not isinstance(pl_module, Learner):
            raise TypeError("Keep serves a Learner")
        row, selection = pl_module.latest, self.recipe.selection
        epoch = int(row["epoch"])
        value = row["epoch"] if selection.metric == "last" else row[selection.metric]
        better = self.best is None or (value < self.best if selection.mode == "min" else value > self.best)
        if np.isfinite(value) and better:
            self.best, self.epoch = value, epoch
            self.weights = {key: part.detach().clone() for key, part in pl_module.model.state_dict().items()}
        patience = self.recipe.training.early_stopping
        if patience is not None and epoch - self.epoch >= patience.patience:
            trainer.should_stop = True
        self.told(row)


def fit_fold(
    recipe: Recipe, material: Material, fold: Fold, device: str, told: Callable[[dict[str, float]], None]
) -> tuple[Floats, int]:
    """Train on a fold and return the probabilities [n, C] of what it measures, and the kept epoch.

    Raises:
        FloatingPointError: The loss is no longer finite, or no epoch had a finite selection metric.
    """
    training, size = recipe.training, recipe.input.size
    torch.manual_seed(training.seed)
    model = build(recipe)
    parts = {name: material.part(size, getattr(fold, name)) for name in ("train", "select", "measure")}
    sampler = CountedSampler(parts["train"].targets, training.seed, training.sampling == "balanced")
    # A last batch of one image has no batch statistics.
    drop_last = len(parts["train"]) > training.batch_size and len(parts["train"]) % training.batch_size == 1
    batches = loader(parts["train"], training.batch_size, sampler, drop_last)
    learner = Learner(model, recipe, material.counts(fold.train), len(batches))
    learner.to(memory_format=torch.channels_last)
    keep = Keep(recipe, told)
    before = signal.getsignal(signal.SIGINT)
    with quiet_libraries():
        trainer = L.Trainer(
            accelerator={"cpu": "cpu", "cuda": "gpu", "mps": "mps"}[device],
            devices=1,
            precision=choose_precision(device),
            max_epochs=training.epochs,
            num_sanity_val_steps=0,
            logger=False,
            callbacks=[keep],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
        )
        try:
            trainer.fit(learner, batches, loader(parts["select"], 64))
        except SystemExit:
            # Lightning turns Ctrl-C into an exit.
            if not trainer.interrupted:
                raise
        finally:
            signal.signal(signal.SIGINT, before)
    if trainer.interrupted:
        raise KeyboardInterrupt
    if not keep.weights:
        raise FloatingPointError(f"no epoch had a finite {recipe.selection.metric}")
    model.load_state_dict(keep.weights)
    return probabilities(model.to(device), parts["measure"], device), keep.epoch


def probabilities(model: Classifier, part: Part, device: str) -> Floats:
    """Return the uncalibrated probabilities [n, C] of a part, in float32 arithmetic."""
    model.eval().float()
    with torch.inference_mode():
        pieces = [model(batch.image.to(device).float() / 255).softmax(1).cpu() for batch in loader(part, 64)]
    return np.asarray(torch.cat(pieces).double().numpy())


@dataclass(frozen=True)
class Outcome:
    """What a finished trial measured, in the order of the rows measured, and the kept epoch of each fold."""

    measured: Measured
    epochs: tuple[int, ...]


def run_folds(
    recipe: Recipe, material: Material, folds: tuple[Fold, ...], objective: Objective, device: str, report: Report
) -> Outcome:
    """Train and measure every fold.

    With one fold each epoch is reported, by the validation figure that stands for the objective. With several, each
    fold is, by the objective on all that was measured so far: an epoch's figure on the few images that choose it is
    mostly noise.
    """
    pieces: list[Floats] = []
    epochs = []
    done = np.empty(0, np.intp)

    def told(row: dict[str, float]) -> None:
        if len(folds) == 1 and np.isfinite(row[objective.epoch_metric]):
            report(int(row["epoch"]), row[objective.epoch_metric])

    for number, fold in enumerate(folds, start=1):
        made, epoch = fit_fold(recipe, material, fold, device, told)
        pieces.append(made)
        epochs.append(epoch)
        done = np.concatenate([done, fold.measure])
        measured = Measured(np.concatenate(pieces), material.targets[done].astype(np.intp), material.groups[done])
        if len(folds) > 1 and np.isfinite(value := objective.value(measured)):
            report(number, value)
    return Outcome(measured, tuple(epochs))


def figures(measured: Measured, objective: Objective, others: tuple[Objective, ...]) -> dict[str, Any]:
    """Return the figures of a trial with their intervals, as the study keeps them."""
    return {o.name: o.estimate(measured).model_dump() for o in dict.fromkeys((objective, *others))}
