"""Training: one function from a plan to a run folder that can be interrupted and resumed.

The folder holds the resolved ``recipe.yaml``, ``environment.json``, ``data.json`` (hashes of data and split),
``manifest.parquet`` (the rows and parts that were used), ``metrics.csv``, ``last.ckpt``, ``best.ckpt`` and
TensorBoard's events.
"""

from __future__ import annotations

import json
import logging
import signal
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812  # the library's own convention
import torch
from lightning.pytorch.loggers import TensorBoardLogger

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import RunError
from pneumoscope.core.files import write_json, write_text
from pneumoscope.data.manifest import Manifest, read_manifest, write_manifest
from pneumoscope.recipes.recipe import Recipe, load_recipe
from pneumoscope.training.distributed.ranks import Ranks, together
from pneumoscope.training.distributed.strategy import StopTogether, check_batches, trainer_options
from pneumoscope.training.features import FeatureStore, learning_parts
from pneumoscope.training.input.dataset import CountedSampler, Part, loader
from pneumoscope.training.loop.callbacks import ProgressReporter, RunFiles
from pneumoscope.training.loop.module import Learner
from pneumoscope.training.machine import choose_device, choose_precision, environment, keep_freed_memory
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
    recipe_path, data_path = folder / "recipe.yaml", folder / "data.json"
    identity = {"data": plan.manifest.rows_hash(), "split": plan.manifest.split_hash()}
    if recipe_path.is_file() and data_path.is_file():
        if not resume:
            raise RunError(str(folder), "already holds a run.", "Go on with it (--resume), or choose another --out.")
        old = load_recipe(str(recipe_path)).model_dump(mode="json")
        changed = _differences(old, plan.recipe.model_dump(mode="json"))
        changed += _differences(json.loads(data_path.read_text()), identity)
        if changed:
            raise RunError(
                str(folder), f"was started with something else: {'; '.join(changed[:6])}.", "Choose another --out."
            )
        return
    if folder.is_dir() and any(folder.iterdir()):
        raise RunError(str(folder), "is not empty and holds no run.", "Choose another --out.")
    folder.mkdir(parents=True, exist_ok=True)
    write_manifest(plan.manifest, folder / "manifest.parquet")
    write_json(data_path, identity)
    write_text(recipe_path, plan.recipe.to_yaml())


def read_run_manifest(folder: Path) -> Manifest:
    """Return the rows and parts that a run used."""
    return read_manifest(folder / "manifest.parquet")


def load_parts(plan: Plan, callbacks: Callbacks = SILENT) -> dict[str, Part]:
    """Decode (or find in the cache) the parts that a training may see."""
    total = sum(len(plan.manifest.part(part)) for part in LEARNING_PARTS)
    with callbacks.counting(f"decoding at {plan.recipe.input.size} pixels", total) as advance:
        return {part: load_part(plan, part, advance) for part in LEARNING_PARTS}


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


def _read_checkpoint(path: Path) -> dict[str, Any]:
    """Read a checkpoint without running what it holds."""
    try:
        state: dict[str, Any] = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # unpickling a damaged file raises nearly anything
        raise RunError(str(path), f"cannot be read: {error}.", "Delete it to start the run anew.") from error
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
        KeyboardInterrupt: The user stopped it; the folder can be resumed.
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
                    str(folder), f"is not seen by process {ranks.rank}.", "Name a folder all machines share."
                )
        parts = ranks.in_turn(lambda: load_parts(plan, callbacks))
        last = folder / "last.ckpt"
        if not (last.is_file() and _is_finished(last, recipe)):
            with learning_parts(
                plan,
                parts,
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
    kept = _read_checkpoint(folder / "best.ckpt")
    weights = {key.removeprefix("model."): value for key, value in kept["state_dict"].items()}
    own = model.state_dict().keys()
    model.load_state_dict({key: value for key, value in weights.items() if key in own})
    return FittedRun(folder, plan, parts, model.float().cpu().eval(), int(kept["callbacks"]["RunFiles"]["best_epoch"]))


def _fit(
    plan: Plan,
    parts: dict[str, Part],
    learner_type: type[Learner],
    model: Classifier,
    folder: Path,
    device: str,
    precision: str,
    callbacks: Callbacks,
    ranks: Ranks,
) -> None:
    recipe = plan.recipe
    training = recipe.training
    files = RunFiles(folder, recipe)
    files_last = folder / "last.ckpt"
    sampler = CountedSampler(parts["train"].targets, training.seed, training.sampling == "balanced")
    # A last batch of one image has no batch statistics.
    drop_last = len(parts["train"]) > training.batch_size and len(parts["train"]) % training.batch_size == 1
    batches = loader(parts["train"], training.batch_size, sampler, drop_last, ranks)
    learner = learner_type(model, recipe, plan.counts("train"), len(batches), ranks)
    learner.to(memory_format=torch.channels_last)
    before = signal.getsignal(signal.SIGINT)
    with quiet_libraries():
        trainer = L.Trainer(
            accelerator={"cpu": "cpu", "cuda": "gpu", "mps": "mps"}[device],
            precision=precision,  # type: ignore[arg-type]
            max_epochs=training.epochs,
            num_sanity_val_steps=0,
            logger=TensorBoardLogger(folder, name="", version="tensorboard"),
            callbacks=[
                files,
                *([ProgressReporter(callbacks, training.epochs)] if ranks.first else []),
                *([] if ranks.alone else [StopTogether()]),
            ],
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            log_every_n_steps=20,
            **trainer_options(ranks, recipe),
        )
        try:
            trainer.fit(
                learner,
                batches,
                loader(parts["validation"], 64 * ranks.world, ranks=ranks),
                ckpt_path=files_last if files_last.is_file() else None,
                weights_only=True,
            )
        except FloatingPointError as error:
            raise RunError(
                str(folder),
                f"{error}.",
                "A smaller learning rate usually helps: --set optimizer.lr=... in another --out.",
            ) from error
        except SystemExit:
            # Lightning turns Ctrl-C into an exit; what we promise is a sentence on how to go on.
            if not trainer.interrupted:
                raise
        finally:
            signal.signal(signal.SIGINT, before)
    if trainer.interrupted:
        if not ranks.first:
            raise SystemExit(1)  # the first process says it
        done = len(files.rows)
        raise KeyboardInterrupt(
            f"Stopped after {done} whole epoch{'s' if done != 1 else ''} of {training.epochs}; "
            f"go on with the same command and --resume."
        )
