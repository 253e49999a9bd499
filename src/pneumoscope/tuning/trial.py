"""One trial: train each fold in memory, measure what it held back. No file is written: trials are cheap.

The training itself is the one of `pneumoscope train`: the same learner, order of images, augmentation and precision.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightning as L  # noqa: N812  # the library's own convention
import numpy as np
import torch
from torch import Tensor

from pneumoscope.recipes.recipe import Recipe
from pneumoscope.stats.kernels import Floats
from pneumoscope.training.input.corners import add_corner_copies
from pneumoscope.training.input.dataset import Part, loader
from pneumoscope.training.loop.module import Learner
from pneumoscope.training.loop.trainer import fit_learner, training_batches
from pneumoscope.training.machine import choose_precision
from pneumoscope.training.networks.build import Classifier, build
from pneumoscope.tuning.cross_validation import CrossValidationData, Fold
from pneumoscope.tuning.objective import HeldOutPredictions, Objective

ReportStep = Callable[[int, float], None]
"""Receives each step, counted from 1, and its value; raises what ends the trial early."""

ReportEpoch = Callable[[dict[str, float]], None]
"""Receives the figures of each epoch."""


class BestWeights(L.Callback):
    """Keeps the best epoch's weights in memory and reports the figures of each epoch."""

    def __init__(self, recipe: Recipe, report_epoch: ReportEpoch) -> None:
        self.recipe = recipe
        self.report_epoch = report_epoch
        self.best: dict[str, float] | None = None
        self.epoch = 0
        self.weights: dict[str, Tensor] = {}

    def on_train_epoch_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Note the epoch, keep its weights if it is the best, stop if the recipe's patience is over."""
        if not isinstance(pl_module, Learner):
            raise TypeError("BestWeights serves a Learner")
        row = dict(pl_module.latest)
        epoch = int(row["epoch"])
        if self.recipe.selection.is_better(row, self.best):
            self.best, self.epoch = row, epoch
            self.weights = {key: part.detach().clone() for key, part in pl_module.model.state_dict().items()}
        patience = self.recipe.training.early_stopping
        if patience is not None and epoch - self.epoch >= patience.patience:
            trainer.should_stop = True
        self.report_epoch(row)


def fit_fold(
    recipe: Recipe, data: CrossValidationData, fold: Fold, device: str, report_epoch: ReportEpoch
) -> tuple[Floats, int]:
    """Train on a fold and return the probabilities [n, C] of what it measures, and the kept epoch.

    Raises:
        FloatingPointError: The loss is no longer finite, or no epoch had a finite selection metric.
    """
    torch.manual_seed(recipe.training.seed)
    model = build(recipe)
    parts = {name: data.part(recipe.input.size, getattr(fold, name)) for name in ("train", "select", "measure")}
    if recipe.augment.exchange_corners:
        parts["train"] = add_corner_copies(parts["train"], recipe.training.seed)
    batches = training_batches(parts["train"], recipe)
    learner = Learner(model, recipe, data.targets[fold.train], len(batches))
    learner.to(memory_format=torch.channels_last)
    best = BestWeights(recipe, report_epoch)
    precision = choose_precision(device)
    stopped_by = fit_learner(learner, batches, parts["select"], device=device, precision=precision, callbacks=[best])
    if stopped_by is not None:
        raise stopped_by
    if not best.weights:
        raise FloatingPointError(f"no epoch had a finite {recipe.selection.metric}")
    model.load_state_dict(best.weights)
    return predict_part(model.to(device), parts["measure"], device), best.epoch


def predict_part(model: Classifier, part: Part, device: str) -> Floats:
    """Return the uncalibrated probabilities [n, C] of a part, in float32 arithmetic."""
    model.eval().float()
    with torch.inference_mode():
        pieces = [model(batch.image.to(device).float() / 255).cpu() for batch in loader(part, 64)]
    logits = torch.cat(pieces)
    return np.asarray((logits.sigmoid() if model.multilabel else logits.softmax(1)).double().numpy())


@dataclass(frozen=True)
class TrialResult:
    """The predictions of a finished trial, in the order of the rows measured, and the kept epoch of each fold."""

    measured: HeldOutPredictions
    epochs: tuple[int, ...]


def run_folds(
    recipe: Recipe,
    data: CrossValidationData,
    folds: tuple[Fold, ...],
    objective: Objective,
    device: str,
    report: ReportStep,
) -> TrialResult:
    """Train and measure every fold.

    With one fold each epoch is reported, by the validation figure that stands for the objective. With several, each
    fold is, by the objective on all that was measured so far: an epoch's figure on the few images that choose it is
    mostly noise.
    """
    pieces: list[Floats] = []
    epochs = []
    done = np.empty(0, np.intp)

    def report_epoch(row: dict[str, float]) -> None:
        if len(folds) == 1 and np.isfinite(row[objective.epoch_metric]):
            report(int(row["epoch"]), row[objective.epoch_metric])

    for number, fold in enumerate(folds, start=1):
        fold_probabilities, epoch = fit_fold(recipe, data, fold, device, report_epoch)
        pieces.append(fold_probabilities)
        epochs.append(epoch)
        done = np.concatenate([done, fold.measure])
        known = data.targets[done]
        truth = known.astype(np.intp) if known.ndim == 1 else known.astype(np.float64)
        measured = HeldOutPredictions(np.concatenate(pieces), truth, data.groups[done])
        if len(folds) > 1 and np.isfinite(value := objective.value(measured)):
            report(number, value)
    return TrialResult(measured, tuple(epochs))


def estimate_figures(
    measured: HeldOutPredictions, objective: Objective, others: tuple[Objective, ...]
) -> dict[str, Any]:
    """Return the figures of a trial with their intervals, as the study keeps them."""
    return {o.name: o.estimate(measured).model_dump() for o in dict.fromkeys((objective, *others))}
