"""Optimizers and learning-rate schedules, under the names that the published systems use."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn, optim

from pneumoscope.recipes.settings import Optimizer as OptimizerRecipe
from pneumoscope.recipes.settings import Schedule
from pneumoscope.training.networks.build import Classifier


def parameter_groups(model: Classifier, recipe: OptimizerRecipe) -> list[dict[str, Any]]:
    """Return groups with their rates: trunk and head apart, and no weight decay on biases and norms."""
    groups = []
    for module, lr in ((model.trunk, recipe.lr * recipe.backbone_lr_factor), (model.head, recipe.lr)):
        trained = [parameter for parameter in module.parameters() if parameter.requires_grad]
        for decay, chosen in (
            (recipe.weight_decay, [p for p in trained if p.ndim > 1]),
            (0.0, [p for p in trained if p.ndim <= 1]),
        ):
            if chosen:
                groups.append({"params": chosen, "lr": lr, "weight_decay": decay})
    return groups


def make_optimizer(model: Classifier, recipe: OptimizerRecipe) -> optim.Optimizer:
    """Return the recipe's optimizer on the model's trainable parameters."""
    if recipe.kind == "lbfgs":
        options: dict[str, Any] = {"max_iter": 50, "history_size": 20, "line_search_fn": "strong_wolfe"}
        return optim.LBFGS(list(trainable(model)), recipe.lr, **options)
    groups = parameter_groups(model, recipe)
    # One pass over weights, gradient and moments in place of one for each operation: a quarter of the time on a CPU.
    # On a GPU torch's default is already fast, and a fused step would bypass the clipping of scaled gradients.
    fused = next(trainable(model)).device.type == "cpu" or None
    match recipe.kind:
        case "sgd":
            return optim.SGD(groups, recipe.lr, recipe.momentum, nesterov=recipe.nesterov)
        case "rmsprop":
            return optim.RMSprop(groups, recipe.lr, alpha=recipe.rho, eps=recipe.eps, momentum=recipe.momentum)
        case "adam":
            return optim.Adam(groups, recipe.lr, eps=recipe.eps, fused=fused)
        case "adamw":
            return optim.AdamW(groups, recipe.lr, eps=recipe.eps, fused=fused)
        case "adagrad":
            return optim.Adagrad(groups, recipe.lr, eps=recipe.eps)


def penalty(model: Classifier, recipe: OptimizerRecipe) -> float | Tensor:
    """Return what L-BFGS adds to the loss for the weights' size; other optimizers make them decay by themselves."""
    if recipe.kind != "lbfgs":
        return 0.0
    squares = [parameter.square().sum() for parameter in trainable(model) if parameter.ndim > 1]
    return recipe.weight_decay / 2 * torch.stack(squares).sum()


def rate_factor(schedule: Schedule, steps: int, steps_an_epoch: int) -> Callable[[int], float]:
    """Return the factor of the learning rate at each step, 0 <= step < ``steps``.

    ``cosine``: linear warm-up, then half a cosine to ``floor`` (Loshchilov and Hutter, ICLR 2017). ``one-cycle``: up
    over the first 30% from 1/25, down to 1/10,000 (Smith and Topin 2018; torch's OneCycleLR has the same defaults).
    ``constant`` and ``plateau``: 1 after the warm-up; the plateau's own cuts are made between epochs.
    """
    warmup = round(schedule.warmup_epochs * steps_an_epoch)

    def cosine(low: float, high: float, share: float) -> float:
        return low + (high - low) * (1 - math.cos(math.pi * min(max(share, 0), 1))) / 2

    def factor(step: int) -> float:
        if schedule.kind == "one-cycle":
            up = max(0.3 * steps - 1, 1)
            if step <= up:
                return cosine(1 / 25, 1, step / up)
            return cosine(1, 1 / 25 / 1e4, (step - up) / max(steps - 1 - up, 1))
        if step < warmup:
            return (step + 1) / (warmup + 1)
        if schedule.kind == "cosine":
            return cosine(1, schedule.floor, (step - warmup) / max(steps - warmup, 1))
        return 1.0

    return factor


class Plateau:
    """Cuts every learning rate by ``factor`` when a metric has not improved for ``patience`` epochs (Keras's rule)."""

    def __init__(self, schedule: Schedule) -> None:
        self.schedule = schedule
        self.best: float | None = None
        self.waited = 0
        self.scale = 1.0

    def update(self, value: float) -> None:
        """Take the epoch's value of the monitored metric."""
        better = value if self.schedule.monitor != "validation_loss" else -value
        if self.best is None or better > self.best + 1e-4:
            self.best, self.waited = better, 0
            return
        self.waited += 1
        if self.waited >= self.schedule.patience:
            self.scale, self.waited = self.scale * self.schedule.factor, 0

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint must hold."""
        return {"best": self.best, "waited": self.waited, "scale": self.scale}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore it."""
        self.best, self.waited, self.scale = state["best"], state["waited"], state["scale"]


def trainable(model: nn.Module) -> Iterator[nn.Parameter]:
    """Yield the parameters that are trained."""
    return (parameter for parameter in model.parameters() if parameter.requires_grad)
