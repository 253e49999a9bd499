"""Batches of cached images, in an order that depends only on the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from pneumoscope.training.distributed.ranks import Ranks

ALONE = Ranks()

Targets: TypeAlias = NDArray[Any]
"""The class of each image [N] int64, or what is stated of each finding [N, C] float32: 1, 0, NaN where unknown."""


class ImageRows(Protocol):
    """Images or their feature maps: ``take`` returns those at some positions as one tensor [n, ...]."""

    def take(self, indices: Sequence[int]) -> Tensor:
        """Return the rows at ``indices``."""


class Batch(NamedTuple):
    """Images [N, 1, S, S] uint8 (a frozen backbone: its feature maps), targets as in a part, and numbers [N].

    The number of an image is for the counter-based randomness.
    """

    image: Tensor
    target: Tensor
    key: Tensor


@dataclass(frozen=True)
class Part:
    """One part of the data: images (or kept feature maps), targets and keys [N] (from the images' hashes)."""

    images: ImageRows
    targets: Targets
    keys: NDArray[np.uint64]

    def __len__(self) -> int:
        return len(self.targets)


def keys_of(hashes: Iterable[str]) -> NDArray[np.uint64]:
    """Return a 64-bit number for each SHA-256: its first half is as random as any."""
    first = bytes.fromhex("".join(text[:16] for text in hashes))
    return np.frombuffer(first, ">u8").astype(np.uint64)


class PartDataset(Dataset[Batch]):
    """A part as torch's loader needs it; a whole batch is fetched at once."""

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
    """

    def __init__(self, targets: Targets, seed: int, balanced: bool) -> None:
        self.targets, self.seed, self.balanced = targets, seed, balanced
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Choose the epoch whose order comes next."""
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.targets)

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
        return iter(order.tolist())


class SharedBatches(Sampler[list[int]]):
    """This process's share of each batch: every ``world``-th of its images, from the ``rank``-th on.

    The batches are the same whatever the number of processes, and all make the same number of steps. Shares differ by
    one image at most; where the last batch has fewer images than there are processes, some shares are empty.

    Args:
        order: The images' positions; their order changes with each epoch.
        batch_size: Images of all processes together in a batch.
        drop_last: Leave out a last, smaller batch.
        ranks: The processes.
    """

    def __init__(self, order: CountedSampler | range, batch_size: int, drop_last: bool, ranks: Ranks) -> None:
        self.sampler = order  # Lightning looks for this name to set the epoch
        self.batch_size, self.drop_last, self.ranks = batch_size, drop_last, ranks

    def __len__(self) -> int:
        full, rest = divmod(len(self.sampler), self.batch_size)
        return full + (rest > 0 and not self.drop_last)

    def __iter__(self) -> Iterator[list[int]]:
        order = list(self.sampler)
        for step in range(len(self)):
            batch = order[step * self.batch_size : (step + 1) * self.batch_size]
            yield batch[self.ranks.rank :: self.ranks.world]


def loader(
    part: Part,
    batch_size: int,
    sampler: CountedSampler | None = None,
    drop_last: bool = False,
    ranks: Ranks = ALONE,
) -> DataLoader[Batch]:
    """Return a loader of this process's share of whole batches, in the part's order if no ``sampler`` is given.

    The images are read in this process: they are memory-mapped, and worker processes would only copy them. For a
    million images a part holds 32 bytes each: class, key and place.
    """
    order = range(len(part)) if sampler is None else sampler
    batches = SharedBatches(order, batch_size, drop_last, ranks)
    return DataLoader(PartDataset(part), batch_sampler=batches, collate_fn=lambda batch: batch)
