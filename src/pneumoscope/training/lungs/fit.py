"""Train the U-Net on pictures with masks. A set may lack the mask of a structure: the loss sees only what was drawn."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as functional
from numpy.typing import NDArray
from torch import Tensor

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import RunError
from pneumoscope.core.files import atomic_path
from pneumoscope.data.structures import STRUCTURES
from pneumoscope.training.lungs.augment import augment
from pneumoscope.training.lungs.network import LungUNet

_COARSE = 0.6  # share of the epochs at two thirds of the side, at 0.44 of the cost (progressive resizing, fastai 2018)
_SMOOTH = 100.0  # pixels: keeps the Dice of an absent structure from being 0 / 0


@dataclass(frozen=True)
class Outlined:
    """Pictures with the masks that somebody drew.

    Args:
        images: [N, S, S] uint8.
        masks: [N, K, S, S] bool, False where a structure was not drawn.
        drawn: [N, K] bool, whether the structure was drawn in this picture.
        groups: [N] names of the patients.
        sources: [N] names of the sets.
        structures: The K names.
    """

    images: NDArray[np.uint8]
    masks: NDArray[np.bool_]
    drawn: NDArray[np.bool_]
    groups: NDArray[np.str_]
    sources: NDArray[np.str_]
    structures: tuple[str, ...] = tuple(STRUCTURES)

    def __len__(self) -> int:
        return len(self.images)

    def where(self, chosen: NDArray[np.bool_]) -> Outlined:
        """Return some of the pictures.

        Args:
            chosen: [N] bool.
        """
        return replace(
            self,
            images=self.images[chosen],
            masks=self.masks[chosen],
            drawn=self.drawn[chosen],
            groups=self.groups[chosen],
            sources=self.sources[chosen],
        )

    def limited_to(self, structures: Sequence[str]) -> Outlined:
        """Return the pictures with the masks of some structures, in the order given.

        Args:
            structures: Names among ``structures``.
        """
        rows = [self.structures.index(name) for name in structures]
        return replace(self, masks=self.masks[:, rows], drawn=self.drawn[:, rows], structures=tuple(structures))

    def identity(self) -> str:
        """Return a hash of the pictures and their masks."""
        digest = hashlib.sha256(" ".join(self.structures).encode())
        for part in (self.images, np.packbits(self.masks), np.packbits(self.drawn)):
            digest.update(np.ascontiguousarray(part).tobytes())
        return digest.hexdigest()

    @property
    def drawn_structures(self) -> tuple[str, ...]:
        """The structures that at least one picture has a mask of."""
        return tuple(name for index, name in enumerate(self.structures) if self.drawn[:, index].any())

    def joined(self, other: Outlined) -> Outlined:
        """Return the pictures of both, those of ``other`` last."""
        return Outlined(
            np.concatenate([self.images, other.images]),
            np.concatenate([self.masks, other.masks]),
            np.concatenate([self.drawn, other.drawn]),
            np.concatenate([self.groups, other.groups]),
            np.concatenate([self.sources, other.sources]),
            self.structures,
        )


def _read_checkpoint(path: Path, identity: str) -> dict[str, Any]:
    """Return the state of a training of the same data and settings."""
    try:
        state: dict[str, Any] = torch.load(path, weights_only=True)
        own = state["identity"]
    except Exception as error:  # torch raises whatever its reader of damaged archives meets
        raise RunError(str(path), "is no checkpoint of a lungs training, or is damaged.", "Delete it.") from error
    if own != identity:
        raise RunError(
            str(path.parent), "holds a training of other images, epochs or seed.", "Name another folder as `out`."
        )
    return state


def overlap_loss(logits: Tensor, masks: Tensor, drawn: Tensor) -> Tensor:
    """Return cross-entropy plus 1 - Dice, over the structures that were drawn (Milletari et al., V-Net, 3DV 2016).

    Args:
        logits: [N, K, S, S].
        masks: [N, K, S, S] float, 0 or 1.
        drawn: [N, K] float, 0 or 1.
    """
    entropy = functional.binary_cross_entropy_with_logits(logits, masks, reduction="none").mean((2, 3))
    p = logits.sigmoid()
    common = (p * masks).sum((2, 3))
    dice = (2 * common + _SMOOTH) / (p.sum((2, 3)) + masks.sum((2, 3)) + _SMOOTH)
    loss = entropy + 1 - dice
    return (loss * drawn).sum() / drawn.sum().clamp_min(1)


def fit_lungs(
    data: Outlined,
    checkpoint: Path,
    *,
    epochs: int,
    batch_size: int = 16,
    rate: float = 3e-3,
    seed: int = 0,
    callbacks: Callbacks = SILENT,
) -> LungUNet:
    """Train the network and return it; a stopped training goes on after its last whole epoch.

    Args:
        data: The pictures to learn from.
        checkpoint: File of the state after each epoch.
        epochs: Passes over the pictures.
        batch_size: Pictures a step.
        rate: Largest learning rate.
        seed: Decides order and augmentation, epoch by epoch.
        callbacks: Receive the loss of each epoch.

    Raises:
        RunError: The checkpoint is of another training, or damaged.
    """
    torch.manual_seed(seed)  # the starting weights
    network = LungUNet(len(data.structures))
    network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch's stub lacks it
    optimizer = torch.optim.AdamW(network.parameters(), lr=rate, weight_decay=1e-4)
    steps = math.ceil(len(data) / batch_size)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, rate, total_steps=epochs * steps, pct_start=0.15)
    first, identity = 0, f"{data.identity()} {epochs} {batch_size} {rate} {seed}"
    if checkpoint.is_file():
        state = _read_checkpoint(checkpoint, identity)
        network.load_state_dict(state["network"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first = int(state["epoch"])
    network.train()
    for epoch in range(first, epochs):
        generator = torch.Generator().manual_seed(seed * 100_003 + epoch)  # a resumed epoch draws the same changes
        order = torch.randperm(len(data), generator=generator).numpy()
        total = 0.0
        for step in range(steps):
            rows = order[step * batch_size : (step + 1) * batch_size]
            images = torch.from_numpy(data.images[rows])[:, None].float() / 255
            masks = torch.from_numpy(data.masks[rows]).float()
            if epoch < epochs * _COARSE:
                size = (max(32, images.shape[-1] * 2 // 3 // 32 * 32),) * 2  # the network halves it five times
                images, masks = (functional.interpolate(part, size=size, mode="area") for part in (images, masks))
            images, masks = augment(images, masks, generator)
            logits = network(images.contiguous(memory_format=torch.channels_last))
            loss = overlap_loss(logits, masks, torch.from_numpy(data.drawn[rows]).float())
            optimizer.zero_grad(set_to_none=True)
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            total += float(loss.detach()) * len(rows)
        with atomic_path(checkpoint) as temporary:
            torch.save(
                {
                    "identity": identity,
                    "epoch": epoch + 1,
                    "network": network.state_dict(),
                    "optimizer": optimizer.state_dict(),
                    "schedule": schedule.state_dict(),
                },
                temporary,
            )
        callbacks.message(f"epoch {epoch + 1} of {epochs}: loss {total / len(data):.4f}")
    network.eval()
    return network
