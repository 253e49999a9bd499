"""Lightning's settings for several processes, and how Ctrl-C ends them all at the same step."""

from __future__ import annotations

import signal
from typing import Any

import lightning as L  # noqa: N812  # the library's own convention
import torch
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.strategies import DDPStrategy

from pneumoscope.core.errors import RunError
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.training.distributed.ranks import Ranks
from pneumoscope.training.loop.callbacks import StraightToFile
from pneumoscope.training.loop.module import Learner
from pneumoscope.training.networks.summary import build_unweighted


def unused_parameters(recipe: Recipe) -> list[str]:
    """Return the trainable parameters that no gradient reaches (MobileNetV3's ``conv_head``, behind the last map).

    One backward pass that computes only shapes finds them. DDP waits for every gradient unless an option says
    otherwise, and the search for missing ones at each step costs time.
    """
    model = build_unweighted(recipe).train()
    size = recipe.input.size
    model(torch.zeros(2, 1, size, size, device="meta")).sum().backward()
    return [name for name, parameter in model.named_parameters() if parameter.requires_grad and parameter.grad is None]


def trainer_options(ranks: Ranks, recipe: Recipe) -> dict[str, Any]:
    """Return the options of `lightning.Trainer` for devices, machines and processes."""
    if ranks.alone:
        # Stated, not guessed: a scheduler's variables (SLURM's, say) do not make one process several.
        return {"devices": 1, "plugins": [LightningEnvironment(), StraightToFile()]}
    strategy = DDPStrategy(
        find_unused_parameters=bool(unused_parameters(recipe)),
        broadcast_buffers=False,  # batch-norm's statistics are already the same everywhere (norm.py)
    )
    return {
        "devices": ranks.local_world,
        "num_nodes": ranks.machines,
        "strategy": strategy,
        "plugins": [TorchElasticEnvironment(), StraightToFile()],
    }


def check_batches(ranks: Ranks, batch_size: int, validation: int) -> None:
    """Raise `RunError` if there is too little to share.

    Args:
        ranks: The processes.
        batch_size: The recipe's: that of all processes together.
        validation: Images of the validation part.
    """
    for thing, count, way_out in (
        ("training.batch_size", batch_size, "Raise it (`sets='training.batch_size=...'`), or start fewer processes."),
        ("the validation part", validation, "Start fewer processes."),
    ):
        if count < ranks.world:
            raise RunError(thing, f"{count} images cannot be shared by {ranks.world} processes.", way_out)


class StopTogether(L.Callback):
    """Stops several processes together: each notes Ctrl-C, and all stop at the step at which one has noted it.

    A process that stopped on its own would leave the others waiting for its gradients.
    """

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        """Handle the signals; Lightning restores the old handlers at the end."""
        if not isinstance(pl_module, Learner):
            raise TypeError("StopTogether serves a Learner")
        learner = pl_module

        def note(*_: Any) -> None:
            learner.asked_to_stop = True

        signal.signal(signal.SIGINT, note)
        # torchrun sends this when another process has died: no agreement is possible then.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
