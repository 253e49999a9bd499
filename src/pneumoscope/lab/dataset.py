"""Batches of cached images, in an order that depends only on the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pneumoscope.lab.cache import CachedImages


class Batch(NamedTuple):
    """Images [N, 1, S, S] uint8, classes [N] int64, and each image's number for the counter-based randomness."""

    image: Tensor
    target: Tensor
    key: Tensor


@dataclass(frozen=True)
class Part:
    """One part of the data: cached images, class indices [N] and keys [N] (from the images' hashes)."""

    images: CachedImages
    targets: NDArray[np.int64]
    keys: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.targets)


def keys_of(hashes: Sequence[str]) -> NDArray[np.uint64]:
    """Return a 64-bit number for each SHA-256: its first half is as random as any."""
    return np.array([int(text[:16], 16) for text in hashes], np.uint64)


class PartDataset(Dataset[Batch]):
    """A part as torch wants it; whole batches are fetched at once."""

    def __init__(self, part: Part) -> None:
        self.part = part

    def __len__(self) -> int:
        return len(self.part)

    def __getitem__(self, index: int) -> Batch:
        return self.__getitems__([index])

    def __getitems__(self, indices: Sequence[int]) -> Batch:
        chosen = list(indices)
        return Batch(
            self.part.images.take(chosen),
            torch.from_numpy(self.part.targets[chosen]),
            torch.from_numpy(self.part.keys[chosen].view(np.int64)),
        )


class CountedSampler(Sampler[int]):
    """An order from (seed, epoch); ``set_epoch`` is called by the training loop.

    Args:
        targets: Class of each image, for balanced sampling.
        seed: The run's.
        balanced: Draw with replacement so that all classes are equally frequent; else each image comes once.
        rank: This process, of ``world`` processes; each takes every ``world``-th image.
        world: Number of processes.
    """

    def __init__(self, targets: NDArray[np.int64], seed: int, balanced: bool, rank: int = 0, world: int = 1) -> None:
        self.targets, self.seed, self.balanced, self.rank, self.world = targets, seed, balanced, rank, world
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(range(self.rank, len(self.targets), self.world))

    def __iter__(self) -> Iterator[int]:
        # The second word tells this stream from the images' own, whose keys are hashes.
        generator = np.random.Generator(np.random.Philox(key=np.array([self.seed, 0], np.uint64), counter=self.epoch))
        n = len(self.targets)
        if self.balanced:
            counts = np.bincount(self.targets)
            weight = 1 / counts[self.targets]
            order = generator.choice(n, n, p=weight / weight.sum())
        else:
            order = generator.permutation(n)
        return iter(order[self.rank :: self.world].tolist())


def loader(
    part: Part, batch_size: int, sampler: CountedSampler | None = None, drop_last: bool = False
) -> DataLoader[Batch]:
    """Return a loader of whole batches, read in this process: the images are memory-mapped, workers would only copy."""
    return DataLoader(
        PartDataset(part), batch_size=batch_size, sampler=sampler, collate_fn=lambda batch: batch, drop_last=drop_last
    )
