"""Training: one function from a plan to a run folder that can be interrupted and resumed.

The folder holds the resolved ``recipe.yaml``, ``environment.json``, ``data.json`` (hashes of data and split),
``manifest.parquet`` (the rows and parts that were used), ``metrics.csv``, ``last.ckpt``, ``best.ckpt`` and
TensorBoard's events.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch.loggers import TensorBoardLogger

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import RunError
from pneumoscope.core.files import write_json, write_text
from pneumoscope.core.run_folder import check_run_folder, holds_run
from pneumoscope.data.manifest import Manifest, read_manifest, write_manifest
from pneumoscope.recipes.recipe import Recipe, load_recipe
from pneumoscope.training.distributed.ranks import Ranks, together
from pneumoscope.training.distributed.strategy import StopTogether, check_batches
from pneumoscope.training.features import SEEN, FeatureStore, learning_parts
from pneumoscope.training.input.corners import add_corner_copies, name_corner_copies
from pneumoscope.training.input.dataset import Part
from pneumoscope.training.loop.callbacks import ProgressReporter, RunFiles
from pneumoscope.training.loop.module import Learner
from pneumoscope.training.loop.trainer import fit_learner, training_batches
from pneumoscope.training.machine import Precision, choose_device, choose_precision, environment, keep_freed_memory
from pneumoscope.training.networks.build import Classifier, build
from pneumoscope.training.plan import LEARNING_PARTS, Plan, load_part


@dataclass(frozen=True)
class FittedRun:
    """A finished training.

    Args:
        folder: Of the run.
        plan: Recipe and data.
        parts: Part -> its cached images; the test part is not among them.
        model: The kept weights in a float32 model on the CPU.
        kept_epoch: Number of the kept epoch, from 1.
    """

    folder: Path
    plan: Plan
    parts: dict[str, Part]
    model: Classifier
    kept_epoch: int


def _differences(old: dict[str, Any], new: dict[str, Any], prefix: str = "") -> list[str]:
    lines = []
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            lines += _differences(a, b, f"{prefix}{key}.")
        elif a != b:
            lines.append(f"{prefix}{key} was {a}, is {b}")
    return lines


def open_run(folder: Path, plan: Plan, *, resume: bool) -> None:
    """Make the run's folder, or check that the one that is there is of the same recipe and data.

    Raises:
        RunError: The folder holds another run, or one that ``resume`` was not given for, or none to resume.
    """
    check_run_folder(folder, resume=resume)
    if holds_run(folder):
        check_same_run(folder, plan)
        return
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(plan.manifest, folder / "manifest.parquet")
    write_json(folder / "data.json", _data_identity(plan))
    write_text(folder / "recipe.yaml", plan.recipe.to_yaml())


def _data_identity(plan: Plan) -> dict[str, str]:
    return {"data": plan.manifest.rows_hash(), "split": plan.manifest.split_hash()}


def check_same_run(folder: Path, plan: Plan) -> None:
    """Check that the run in a folder, if one was begun there, is of the plan's recipe and data.

    Raises:
        RunError: It is another run; the message names what differs.
    """
    if not holds_run(folder):
        return
    # What was changed stands in the settings themselves.
    old, new = (
        recipe.model_dump(mode="json", exclude={"changes"})
        for recipe in (load_recipe(str(folder / "recipe.yaml")), plan.recipe)
    )
    data = json.loads((folder / "data.json").read_text())
    changed = _differences(old, new) + _differences(data, _data_identity(plan))
    if changed:
        raise RunError(
            str(folder), f"was started with something else: {'; '.join(changed[:6])}.", "Choose another `out`."
        )


def read_run_manifest(folder: Path) -> Manifest:
    """Return the rows and parts that a run used."""
    return read_manifest(folder / "manifest.parquet")


def load_parts(plan: Plan, callbacks: Callbacks = SILENT) -> dict[str, Part]:
    """Decode (or find in the cache) the parts that a training may see."""
    total = sum(len(plan.manifest.part(part)) for part in LEARNING_PARTS)
    with callbacks.counting(f"decoding at {plan.recipe.input.size} pixels", total) as advance:
        return {part: load_part(plan, part, advance) for part in LEARNING_PARTS}


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running what it holds."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a damaged file raises nearly anything
        raise RunError(str(path), f"cannot be read: {error}.", "Delete it to start the run again.") from error
    return state


def _is_finished(last: Path, recipe: Recipe) -> bool:
    state = _read_checkpoint(last)["callbacks"]["RunFiles"]
    return bool(state["stopped"]) or len(state["rows"]) >= recipe.training.epochs


def fit(
    plan: Plan,
    folder: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    callbacks: Callbacks = SILENT,
    features: FeatureStore | None = None,
) -> FittedRun:
    """Fit a plan's network to its training part and leave the run's files in ``folder``.

    Started by torchrun, all processes train it together; the first alone writes, and all must see ``folder``.

    Args:
        plan: Recipe and data that fit each other.
        folder: The run's.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: Go on after the last whole epoch of the run that is there.
        callbacks: Receive the progress.
        features: Where the feature maps of a frozen backbone are kept, for several runs; None: for this run alone.

    Raises:
        RunError: The folder holds another run, or the loss is no longer finite.
        KeyboardInterrupt: The user stopped it; the folder can be resumed. After SIGTERM it is a `TerminationRequest`.
    """
    recipe = plan.recipe
    keep_freed_memory()
    chosen = choose_device(device)
    precision = choose_precision(chosen)
    torch.manual_seed(recipe.training.seed)
    model = build(recipe)
    with together(chosen) as ranks:
        with ranks.agreed():
            check_batches(ranks, recipe.training.batch_size, len(plan.manifest.part("validation")))
            if ranks.first:
                open_run(folder, plan, resume=resume)
                write_json(folder / "environment.json", environment(chosen, precision) | {"processes": ranks.world})
        with ranks.agreed():
            if not (folder / "environment.json").is_file():
                raise RunError(
                    str(folder), f"cannot be read by process {ranks.rank}.", "Name a folder all machines share."
                )
        parts = ranks.in_turn(lambda: load_parts(plan, callbacks))
        last = folder / "last.ckpt"
        if not (last.is_file() and _is_finished(last, recipe)):
            learnt_from, seed = parts, recipe.training.seed
            if recipe.augment.exchange_corners:
                learnt_from = parts | {"train": add_corner_copies(parts["train"], seed)}

            def name_images() -> dict[str, list[str]]:
                hashes = {part: plan.manifest.part(part).table["sha256"].tolist() for part in SEEN}
                if recipe.augment.exchange_corners:
                    hashes["train"] = name_corner_copies(hashes["train"], parts["train"].targets, seed)
                return hashes

            with learning_parts(
                plan,
                learnt_from,
                name_images,
                model,
                folder,
                device=chosen,
                precision=precision,
                ranks=ranks,
                features=features,
                callbacks=callbacks,
            ) as (learnt, learner):
                _fit(plan, learnt, learner, model, folder, chosen, precision, callbacks, ranks)
        with ranks.agreed():  # the first process has written the last file
            pass
    checkpoint = _read_checkpoint(folder / "best.ckpt")
    weights = {key.removeprefix("model."): value for key, value in checkpoint["state_dict"].items()}
    own = model.state_dict().keys()
    model.load_state_dict({key: value for key, value in weights.items() if key in own})
    return FittedRun(
        folder, plan, parts, model.float().cpu().eval(), int(checkpoint["callbacks"]["RunFiles"]["best_epoch"])
    )


def _fit(
    plan: Plan,
    parts: dict[str, Part],
    learner_type: type[Learner],
    model: Classifier,
    folder: Path,
    device: str,
    precision: Precision,
    callbacks: Callbacks,
    ranks: Ranks,
) -> None:
    recipe = plan.recipe
    epochs = recipe.training.epochs
    files, last = RunFiles(folder, recipe), folder / "last.ckpt"
    batches = training_batches(parts["train"], recipe, ranks)
    learner = learner_type(model, recipe, plan.targets("train"), len(batches), ranks)
    learner.to(memory_format=torch.channels_last)
    try:
        stopped_by = fit_learner(
            learner,
            batches,
            parts["validation"],
            device=device,
            precision=precision,
            callbacks=[
                files,
                *([ProgressReporter(callbacks, epochs)] if ranks.first else []),
                *([] if ranks.alone else [StopTogether()]),
            ],
            logger=TensorBoardLogger(folder, name="", version="tensorboard"),
            checkpoint=last if last.is_file() else None,
        )
    except FloatingPointError as error:
        raise RunError(
            str(folder),
            f"{error}.",
            "A smaller learning rate usually helps: `sets='optimizer.lr=...'`, in another `out`.",
        ) from error
    if stopped_by is not None:
        if not ranks.first:
            raise SystemExit(1)  # the first process says it
        done = len(files.rows)
        raise stopped_by(
            f"Stopped after {done} whole epoch{'s' if done != 1 else ''} of {epochs}; go on with `resume=True`."
        )
