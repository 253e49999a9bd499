"""The one set-up of Lightning's trainer: for a run, and for the folds of a search."""

from __future__ import annotations

import logging
import signal
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import lightning as L  # noqa: N812  # the library's own convention
from lightning.pytorch.loggers import Logger
from torch.utils.data import DataLoader

from pneumoscope.core.errors import TerminationRequest
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.training.distributed.ranks import Ranks
from pneumoscope.training.distributed.strategy import trainer_options
from pneumoscope.training.input.dataset import ALONE, Batch, CountedSampler, Part, loader
from pneumoscope.training.loop.module import Learner
from pneumoscope.training.machine import Precision

VALIDATION_BATCH = 64
"""Images in one validation batch of a process."""


@contextmanager
def quiet_libraries() -> Iterator[None]:
    """Silence notices of Lightning and torch that no user can act on; a refused checkpoint is still an error."""
    logger = logging.getLogger("lightning.pytorch")
    level = logger.level
    logger.setLevel(logging.WARNING)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*does not have many workers.*")
        warnings.filterwarnings("ignore", message=".*number of training batches.*")
        warnings.filterwarnings("ignore", message=".*exists and is not empty.*")
        warnings.filterwarnings("ignore", message=".*isinstance\\(treespec, LeafSpec\\).*")
        warnings.filterwarnings("ignore", message=".*distributed_sampler.*")
        warnings.filterwarnings("ignore", message=".*Found .* module.* in eval mode.*")
        warnings.filterwarnings("ignore", message=".*sync_dist=True.*")  # the figures are those of all processes
        warnings.filterwarnings("ignore", message=".*Grad strides do not match bucket view strides.*")
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        warnings.filterwarnings("ignore", category=FutureWarning)
        yield
    logger.setLevel(level)


def training_batches(part: Part, recipe: Recipe, ranks: Ranks = ALONE) -> DataLoader[Batch]:
    """Return the batches of an epoch as the recipe wants them, in an order that depends on seed and epoch alone."""
    training = recipe.training
    batch_size = len(part) if recipe.optimizer.kind == "lbfgs" else training.batch_size
    sampler = CountedSampler(part.targets, training.seed, training.sampling == "balanced")
    # A last batch of one image has no batch statistics.
    drop_last = len(part) > batch_size and len(part) % batch_size == 1
    return loader(part, batch_size, sampler, drop_last, ranks)


def fit_learner(
    learner: Learner,
    batches: DataLoader[Batch],
    validation: Part,
    *,
    device: str,
    precision: Precision,
    callbacks: Sequence[L.Callback],
    logger: Logger | bool = False,
    checkpoint: Path | None = None,
) -> type[KeyboardInterrupt] | None:
    """Train a learner for the recipe's epochs.

    Args:
        learner: With its recipe and the processes that share each batch.
        batches: From `training_batches`.
        validation: The images whose figures end each epoch.
        device: ``cpu``, ``cuda`` or ``mps``.
        precision: Lightning's name of it.
        callbacks: Lightning's.
        logger: Lightning's; none by default.
        checkpoint: The checkpoint that the training goes on from.

    Returns:
        The exception that says who stopped it, Ctrl-C or SIGTERM; None where nobody did.

    Raises:
        FloatingPointError: The loss is no longer finite.
    """
    before = signal.getsignal(signal.SIGINT)
    with quiet_libraries():
        trainer = L.Trainer(
            accelerator={"cpu": "cpu", "cuda": "gpu", "mps": "mps"}[device],
            precision=precision,
            max_epochs=learner.recipe.training.epochs,
            num_sanity_val_steps=0,
            logger=logger,
            callbacks=list(callbacks),
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            log_every_n_steps=20,
            **trainer_options(learner.ranks, learner.recipe),
        )
        try:
            trainer.fit(
                learner,
                batches,
                loader(validation, VALIDATION_BATCH * learner.ranks.world, ranks=learner.ranks),
                ckpt_path=checkpoint,
                weights_only=True,
            )
        except SystemExit:
            # Lightning turns Ctrl-C and SIGTERM into an exit.
            if not trainer.interrupted:
                raise
        finally:
            signal.signal(signal.SIGINT, before)
    if not trainer.interrupted:
        return None
    return TerminationRequest if trainer.received_sigterm else KeyboardInterrupt
