"""The training step, the validation epoch and the learning rate, as Lightning needs them.

All randomness comes from counters: augmentation from (seed, epoch, image), dropout from (seed, epoch, step, rank). So a
run that was killed and resumed gives the same weights as one that was not.

Several processes share each batch (ranks.py): its loss, batch-norm and gradient are those of all its images, and the
epoch's figures are computed from the logits of all processes.
"""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import lightning as L  # noqa: N812  # the library's own convention
import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor

from pneumoscope.recipes.recipe import Recipe
from pneumoscope.stats import metrics
from pneumoscope.training.distributed.ranks import Ranks
from pneumoscope.training.input.augment import augment
from pneumoscope.training.input.dataset import ALONE, Batch, Targets
from pneumoscope.training.loop.finding_loss import finding_loss, finding_metrics, positive_weights
from pneumoscope.training.loop.optim import Plateau, make_optimizer, penalty, rate_factor, trainable
from pneumoscope.training.networks.batch_norm import GlobalBatchNorm
from pneumoscope.training.networks.build import Classifier

METRICS = ("loss", "accuracy", "balanced_accuracy", "auroc")


def class_weights(recipe: Recipe, targets: Targets) -> Tensor | None:
    """Return the loss's weight of each class, of mean 1 over the training images; None if all are alike.

    Of a multi-label task: the weight of each present finding against an absent one.
    """
    if recipe.task.multilabel:
        return positive_weights(recipe.loss, torch.from_numpy(targets))
    given = recipe.loss.class_weights
    if given == "none":
        return None
    if given == "balanced":
        counts = np.bincount(targets, minlength=len(recipe.task.classes)).tolist()
        return torch.tensor([sum(counts) / (len(counts) * count) for count in counts])
    return torch.tensor([float(value) for value in given])


def loss_of(recipe: Recipe, logits: Tensor, target: Tensor, weight: Tensor | None) -> Tensor:
    """Return the mean loss of logits [N, C] in float32.

    The binary logits are (z, 0), so cross-entropy is the binary one; ``nll`` on log-softmax is cross-entropy too.
    ``focal`` after Lin et al., ICCV 2017.
    """
    if recipe.task.multilabel:
        return finding_loss(recipe.loss, logits, target, weight)
    logits = logits.float()
    smoothing = recipe.loss.label_smoothing
    if recipe.loss.kind == "focal":
        each = F.cross_entropy(logits, target, weight, reduction="none", label_smoothing=smoothing)
        p = logits.softmax(1).gather(1, target[:, None])[:, 0]
        return ((1 - p) ** recipe.loss.focal_gamma * each).mean()
    return F.cross_entropy(logits, target, weight, label_smoothing=smoothing)


def loss_weight(recipe: Recipe, target: Tensor, weight: Tensor | None) -> Tensor:
    """Return what the mean of `loss_of` divides by: the images, or with class weights the sum of theirs.

    Of a multi-label task: the number of findings that are stated, over all images.
    """
    if recipe.task.multilabel:
        return target.isfinite().sum().float()
    if weight is None or recipe.loss.kind == "focal":
        return torch.tensor(float(len(target)), device=target.device)
    return weight[target].sum()


def epoch_metrics(logits: Tensor, target: Tensor) -> dict[str, float]:
    """Return loss, accuracy, balanced accuracy and the primary class's AUROC of logits [N, C]; nan if undefined.

    Of findings (``target`` [N, C] float): all four over the findings that are stated, balanced accuracy and AUROC as
    the mean over the findings that have both answers.
    """
    if target.ndim == 2:
        return finding_metrics(logits, target)
    logits = logits.float()
    probability = logits.softmax(1).numpy()
    truth = target.numpy()
    decided = probability.argmax(1)
    return {
        "loss": float(F.cross_entropy(logits, target)),
        "accuracy": metrics.accuracy(truth, decided),
        "balanced_accuracy": metrics.balanced_accuracy(truth, decided, probability.shape[1]),
        "auroc": metrics.auroc(probability[:, 0], truth == 0),
    }


class Learner(L.LightningModule):
    """A classifier that learns by its recipe.

    Args:
        model: The classifier.
        recipe: How it learns.
        targets: Of the training part.
        steps_an_epoch: Optimizer steps in an epoch.
        ranks: The processes that share each batch.
    """

    def __init__(
        self, model: Classifier, recipe: Recipe, targets: Targets, steps_an_epoch: int, ranks: Ranks = ALONE
    ) -> None:
        super().__init__()
        self.model = model
        self.recipe = recipe
        self.steps_an_epoch = steps_an_epoch
        self.plateau = Plateau(recipe.schedule)
        self.register_buffer("class_weight", class_weights(recipe, targets), persistent=False)
        steps = steps_an_epoch * recipe.training.epochs
        self._factor = rate_factor(recipe.schedule, steps, steps_an_epoch)
        self._base_rates: list[float] = []
        self._train: dict[int, tuple[Tensor, Tensor]] = {}  # by batch: L-BFGS asks for one several times
        self._validation: list[tuple[Tensor, Tensor]] = []
        self.latest: dict[str, float] = {}
        self.ranks = ranks
        self.images = 0  # training images of the epoch, in all processes
        self.asked_to_stop = False

    def configure_optimizers(self) -> torch.optim.Optimizer:
        """Return the recipe's optimizer; the rate is set step by step below."""
        optimizer = make_optimizer(self.model, self.recipe.optimizer)
        self._base_rates = [group["lr"] for group in optimizer.param_groups]
        return optimizer

    def on_train_batch_start(self, batch: Batch, batch_idx: int) -> None:
        """Seed dropout by the counter and set the learning rate of this step."""
        seed = self.recipe.training.seed
        word = np.random.SeedSequence((seed, self.current_epoch, batch_idx, self.global_rank)).generate_state(1)[0]
        torch.manual_seed(int(word))
        factor = self._factor(self.current_epoch * self.steps_an_epoch + batch_idx) * self.plateau.scale
        floor = self.recipe.schedule.floor if self.recipe.schedule.kind == "plateau" else 0.0
        for group, rate in zip(self.trainer.optimizers[0].param_groups, self._base_rates, strict=True):
            group["lr"] = max(rate * factor, floor)

    def logits(self, batch: Batch, *, augmented: bool) -> Tensor:
        """Return the logits [N, C] of a batch."""
        image = batch.image.float() / 255
        if augmented and len(image):
            keys = batch.key.cpu().numpy().view(np.uint64)
            image = augment(image, self.recipe.augment, self.recipe.training.seed, self.current_epoch, keys)
        logits: Tensor = self.model(image)
        return logits

    def training_step(self, batch: Batch, batch_idx: int) -> Tensor:
        """Return the loss of an augmented batch."""
        with nullcontext() if self.ranks.alone else GlobalBatchNorm():
            logits = self.logits(batch, augmented=True)
        self._train[batch_idx] = (logits.detach().float().cpu(), batch.target.cpu())
        weight = self.class_weight if isinstance(self.class_weight, Tensor) else None
        # This process may have no image of a small last batch: its share is 0 then, and so is its gradient.
        loss = loss_of(self.recipe, logits, batch.target, weight) if len(batch.target) else logits.float().sum()
        mean_loss = loss.detach()
        if not self.ranks.alone:
            mean_loss, share = self._agree(mean_loss, loss_weight(self.recipe, batch.target, weight))
            loss = loss * share
        if not torch.isfinite(mean_loss):
            raise FloatingPointError(
                f"the loss is {float(mean_loss)} in epoch {self.current_epoch + 1}, step {batch_idx}"
            )
        self.log("loss", mean_loss, prog_bar=True)
        return loss + penalty(self.model, self.recipe.optimizer)

    def _agree(self, loss: Tensor, weight: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean loss of all processes' images and the factor for this one's.

        With it the mean of all gradients, which DDP takes, is the gradient of the mean over all images, however they
        are shared. All processes see the same figures, so that they also fail or stop at the same step.
        """
        stop = torch.full_like(weight, float(self.asked_to_stop))
        total = self.ranks.sum(torch.stack((loss * weight, weight, stop)))
        if total[2] > 0:
            raise KeyboardInterrupt
        return total[0] / total[1], self.ranks.world * weight / total[1]

    def validation_step(self, batch: Batch, batch_idx: int) -> None:
        """Collect the logits of a batch."""
        if not len(batch.target):
            return
        logits = self.logits(batch, augmented=False)
        self._validation.append((logits.float().cpu(), batch.target.cpu()))

    def on_validation_epoch_end(self) -> None:
        """Turn the epoch's logits into figures; training's are of the augmented images, as they were learnt from."""
        self.latest = {"epoch": float(self.current_epoch + 1), "lr": self.trainer.optimizers[0].param_groups[-1]["lr"]}
        for name, pairs in (("train", list(self._train.values())), ("validation", self._validation)):
            logits, target = (self.ranks.gather(torch.cat(parts)) for parts in zip(*pairs, strict=True))
            if name == "train":
                self.images = len(target)
            self.latest |= {f"{name}_{key}": value for key, value in epoch_metrics(logits, target).items()}
        self._train.clear()
        self._validation.clear()
        if self.recipe.schedule.kind == "plateau":
            self.plateau.update(self.latest[self.recipe.schedule.monitor])
        self.log_dict({key: value for key, value in self.latest.items() if np.isfinite(value)})

    def configure_gradient_clipping(
        self,
        optimizer: torch.optim.Optimizer,
        gradient_clip_val: float | None = None,
        gradient_clip_algorithm: str | None = None,
    ) -> None:
        """Clip the gradient's norm, if the recipe says so."""
        if self.recipe.optimizer.clip_norm is not None:
            torch.nn.utils.clip_grad_norm_(trainable(self.model), self.recipe.optimizer.clip_norm)

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Add what a resumed run needs beyond weights and optimizer."""
        checkpoint["plateau"] = self.plateau.state_dict()

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Restore it."""
        self.plateau.load_state_dict(checkpoint["plateau"])
