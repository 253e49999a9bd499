"""What each process of test_ddp.py runs under torchrun.

    torchrun --nproc_per_node 2 ddp_worker.py RECIPE MANIFEST OUT

Trains into OUT/whole; trains again into OUT/cut, dies in the third epoch, keeps a copy as OUT/half and resumes. Notes
the keys of the images that this process was given, by part and epoch, as OUT/keys.RANK.json, and how far a batch-norm
over all processes is from that of one, as OUT/norm.RANK.json.
"""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import torch
from torch import nn

from pneumoscope.data.manifest import read_manifest
from pneumoscope.recipes.recipe import load_recipe
from pneumoscope.training.distributed.ranks import Ranks, together
from pneumoscope.training.input.dataset import Batch
from pneumoscope.training.loop import fit
from pneumoscope.training.loop.module import Learner
from pneumoscope.training.networks.batch_norm import GlobalBatchNorm
from pneumoscope.training.plan import make_plan

StepKeys = list[tuple[str, int, list[int]]]


class Stop(Exception):  # noqa: N818
    """An exception that stops all processes at once, like a power cut."""


def record_keys(step_keys: StepKeys) -> None:
    """Let the learner record the keys of the images of each step."""
    for name in ("training", "validation"):
        original = getattr(Learner, f"{name}_step")

        def step(self: Learner, batch: Batch, index: int, name: str = name, original: object = original) -> object:
            step_keys.append((name, self.current_epoch, batch.key.tolist()))
            return original(self, batch, index)

        setattr(Learner, f"{name}_step", step)


def keep_first_gradient(path: Path) -> None:
    def keep(self: Learner, optimizer: object) -> None:
        if not path.exists():
            torch.save({name: p.grad for name, p in self.named_parameters()}, path)

    Learner.on_before_optimizer_step = keep


def train_until_the_third_epoch(training_plan: object, folder: Path) -> None:
    original = Learner.training_step

    def step(self: Learner, batch: Batch, batch_idx: int) -> object:
        if self.current_epoch == 2 and batch_idx == 1:
            raise Stop
        return original(self, batch, batch_idx)

    Learner.training_step = step
    try:
        fit.fit(training_plan, folder, device="cpu")
    except Stop:
        Learner.training_step = original


def norm_differences(ranks: Ranks) -> list[float]:
    """Return the largest differences from torch's batch-norm of the whole batch; the second process may have none."""
    differences = []
    for shares in ((3, 2), (2, 0)):
        torch.manual_seed(0)
        x, wanted = torch.randn(sum(shares), 5, 4, 4) * 3 + 700, torch.randn(sum(shares), 5, 4, 4)
        one, several = nn.BatchNorm2d(5), nn.BatchNorm2d(5)
        whole = x.clone().requires_grad_()
        ((one(whole) - wanted) ** 2).sum().backward()
        mine = slice(0, shares[0]) if ranks.first else slice(shares[0], None)
        own = x[mine].clone().requires_grad_()
        with GlobalBatchNorm():
            ((several(own) - wanted[mine]) ** 2).sum().backward()
        pairs = [(own.grad, whole.grad[mine])]
        pairs += [(ranks.sum(b.grad), a.grad) for a, b in zip(one.parameters(), several.parameters(), strict=True)]
        pairs += zip(several.buffers(), one.buffers(), strict=True)
        differences += [float(((a - b).abs() / (b.abs() + 1)).max()) for a, b in pairs if a.numel()]
    return differences


def main(recipe: str, manifest: Path, out: Path) -> None:
    fit.choose_precision = lambda device: "32-true"  # bfloat16 would hide what is compared
    training_plan = make_plan(load_recipe(recipe), read_manifest(manifest))
    step_keys: StepKeys = []
    with together("cpu") as ranks:
        (out / f"norm.{ranks.rank}.json").write_text(json.dumps(norm_differences(ranks)))
        record_keys(step_keys)
        if ranks.first:
            keep_first_gradient(out / "gradient.2.pt")
        fit.fit(training_plan, out / "whole", device="cpu")
        (out / f"keys.{ranks.rank}.json").write_text(json.dumps(step_keys))
        train_until_the_third_epoch(training_plan, out / "cut")
        with ranks.agreed():
            if ranks.first:
                shutil.copytree(out / "cut", out / "half")
        fit.fit(training_plan, out / "cut", device="cpu", resume=True)


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]))
