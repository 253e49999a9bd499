"""The processes that train one network together, as `torchrun` starts them: which one this is, and how they agree.

A single process pays nothing for this: each method then returns its argument. Several processes share every
batch of the recipe, so that a run means the same on one GPU as on sixteen (see docs/operations/clusters.md).
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import RunError, UsageError

PATIENCE = timedelta(hours=2)
"""How long a process waits for the others: the first may have a hundred thousand images to decode."""

T = TypeVar("T")


@dataclass(frozen=True)
class Ranks:
    """This process among its peers.

    Args:
        rank: Its number; process 0 alone writes files and reports.
        world: Number of processes, on all machines.
        local_rank: Its number on this machine, which is also its GPU's.
        local_world: Number of processes on this machine.
    """

    rank: int = 0
    world: int = 1
    local_rank: int = 0
    local_world: int = 1

    @classmethod
    def here(cls) -> Ranks:
        """Read torchrun's variables; a process that it did not start is alone, whatever a scheduler's variables say."""
        if "TORCHELASTIC_RUN_ID" not in os.environ:
            return cls()
        return cls(*(int(os.environ[name]) for name in ("RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")))

    @property
    def first(self) -> bool:
        """Whether this is the process that writes files and reports."""
        return self.rank == 0

    @property
    def alone(self) -> bool:
        """Whether there is no other process."""
        return self.world == 1

    @property
    def machines(self) -> int:
        """Number of machines."""
        return self.world // self.local_world

    def sum(self, values: Tensor) -> Tensor:
        """Return ``values`` added up over all processes, the same bits in each."""
        if not self.alone:
            dist.all_reduce(values)
        return values

    def gather(self, rows: Tensor) -> Tensor:
        """Return the rows [n, ...] of all processes below each other, in order of rank; n may differ, and be 0."""
        if self.alone:
            return rows
        counts = [torch.zeros(1, dtype=torch.int64) for _ in range(self.world)]
        dist.all_gather(counts, torch.tensor([len(rows)]))
        sizes = [int(count) for count in counts]
        padded = torch.cat((rows, rows.new_zeros(max(sizes) - len(rows), *rows.shape[1:])))
        parts = [torch.empty_like(padded) for _ in sizes]
        dist.all_gather(parts, padded)
        return torch.cat([part[:size] for part, size in zip(parts, sizes, strict=True)])

    @contextmanager
    def agreed(self) -> Iterator[None]:
        """Leave the block together; if it fails in one process, all end, and that one alone raises its error."""
        failure: Exception | None = None
        try:
            yield
        except Exception as error:
            failure = error
        failures = int(self.sum(torch.tensor([int(failure is not None)])))
        if failure is not None:
            raise failure
        if failures:
            raise SystemExit(1)

    def in_turn(self, load: Callable[[], T]) -> T:
        """Call ``load``, which fills a cache, where the others find their part of it filled.

        The first process goes first; then one process on each other machine, which may see the same cache or have its
        own; then all the rest.
        """
        mine = 0 if self.first else 1 if self.local_rank == 0 else 2
        results = []
        for turn in range(1 if self.alone else 3):
            with self.agreed():
                if turn == mine:
                    results.append(load())
        return results[0]


def _check(ranks: Ranks, device: str) -> None:
    """Raise where the processes cannot work together."""
    if device == "mps":
        raise UsageError(
            argument("device", "mps"), "serves one process.", "Start without torchrun, or say `device='cpu'`."
        )
    if ranks.local_world * ranks.machines != ranks.world:
        raise RunError(
            f"torchrun: {ranks.world} processes",
            f"cannot lie evenly on machines of {ranks.local_world}.",
            "Start as many on each machine (--nproc_per_node).",
        )
    if device == "cuda" and ranks.local_world > torch.cuda.device_count():
        raise UsageError(
            f"torchrun --nproc_per_node {ranks.local_world}",
            f"wants a GPU for each process; this machine has {torch.cuda.device_count()}.",
            f"Start {torch.cuda.device_count()}, or say `device='cpu'`.",
        )


@contextmanager
def together(device: str) -> Iterator[Ranks]:
    """Join the other processes, if torchrun started any; in an existing group, yield this process's place in it.

    Args:
        device: ``cpu``, ``cuda`` or ``mps``. CPU tensors travel by gloo, GPU tensors by NCCL.

    Raises:
        UsageError: More processes than GPUs on this machine, or a device that cannot be shared.
        RunError: Unequal numbers of processes on the machines.
    """
    ranks = Ranks.here()
    if ranks.alone or dist.is_initialized():
        yield ranks
        return
    _check(ranks, device)
    if device == "cuda":
        torch.cuda.set_device(ranks.local_rank)
    dist.init_process_group("cpu:gloo,cuda:nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
    if not ranks.first:
        # A process that waits for others cannot handle Ctrl-C in Python; it ends at once, and the first one reports it.
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    yield ranks
    # Only after success: once another process has failed, leaving the group may wait for ever.
    dist.destroy_process_group()
