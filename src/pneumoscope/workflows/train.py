"""A whole run: train, calibrate and export, measure on validation. What `train` does, for whoever else needs one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import write_text
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.export.release import release
from pneumoscope.inference.evaluate import Evaluation
from pneumoscope.training.distributed.ranks import Ranks
from pneumoscope.training.loop.fit import Run, train
from pneumoscope.training.plan import Plan
from pneumoscope.workflows.admission import admit
from pneumoscope.workflows.summary import write_summary


def train_and_release(
    plan: Plan,
    folder: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    callbacks: Callbacks = SILENT,
    name: str | None = None,
    gate: CheckReport | None = None,
    **kwargs: Any,
) -> tuple[Run, Path, Evaluation]:
    """Train a plan into ``folder`` and leave there the bundle and the validation part's figures.

    Args:
        plan: Recipe and data that fit each other.
        folder: The run's; the bundle goes to its ``bundle``.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: Go on after the last whole epoch of the run that is there.
        callbacks: Receive the progress.
        name: The bundle's; the recipe's by default.
        gate: What the data gate said of the plan, from `admit`; asked here if it was not yet.
        kwargs: Passed on to `pneumoscope.training.loop.fit.train`.

    Started by torchrun, the first process alone goes on after the training; the others end there.

    Returns:
        The run, its bundle's folder, and the figures on validation as the clinic measures them.

    Raises:
        CheckRefusedError: The gate was not asked yet, and says no.
        RunError: The folder holds another run, or the loss is no longer finite.
        ParityError: ONNX Runtime and torch differ; no bundle is written.
        KeyboardInterrupt: The user stopped it; the folder can be resumed.
    """
    if gate is None and Ranks.here().first:
        gate = admit(plan, callbacks=callbacks)
    run = train(plan, folder, device=device, resume=resume, callbacks=callbacks, **kwargs)
    if not Ranks.here().first:
        raise SystemExit(0)
    bundle = release(run, folder / "bundle", callbacks=callbacks, name=name, device=device, gate=gate)
    if gate is not None:
        write_text(folder / "gate.json", gate.to_json())
    return run, bundle, write_summary(folder, bundle, plan.manifest, run.epoch, callbacks)
