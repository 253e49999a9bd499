"""A whole training as a list of steps: plan, check, fit, calibrate, export, evaluate, describe."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from pneumoscope.core.arguments import check_arguments
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import draft_folder, write_text
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.export.calibrate import calibrate
from pneumoscope.export.card_builder import draft_card
from pneumoscope.export.draft import export_graph, write_bundle_files
from pneumoscope.inference.evaluation import AnyEvaluation, Evaluation
from pneumoscope.training.distributed.ranks import Ranks
from pneumoscope.training.features import FeatureStore
from pneumoscope.training.loop.fit import fit
from pneumoscope.training.plan import Plan
from pneumoscope.workflows.data_checks import check_plan
from pneumoscope.workflows.datasets import ManifestInput, Roots
from pneumoscope.workflows.inputs import RecipeInput, prepare_plan, reasons_of
from pneumoscope.workflows.validation_figures import add_figures, evaluate_draft, write_results


@dataclass(frozen=True)
class Run:
    """A finished run.

    Args:
        folder: With ``recipe.yaml``, ``metrics.csv``, ``evaluation.json``, ``report.html`` and more.
        bundle: The folder of its bundle.
        evaluation: The bundle's figures on the validation part.
        kept_epoch: Number of the epoch whose weights the bundle has, from 1.
    """

    folder: Path
    bundle: Path
    evaluation: AnyEvaluation
    kept_epoch: int

    def __repr__(self) -> str:
        """Return where the run is and how good it is."""
        if not isinstance(self.evaluation, Evaluation):
            mean = self.evaluation.averages["macro/auroc"]
            return (
                f"Run({str(self.folder)!r}: {self.evaluation.model}, kept epoch {self.kept_epoch}; "
                f"validation, {self.evaluation.images} images: {len(self.evaluation.findings)} findings, "
                f"mean AUROC {mean})"
            )
        figures = self.evaluation.figures
        primary = figures.classes[0]
        return (
            f"Run({str(self.folder)!r}: {self.evaluation.model}, kept epoch {self.kept_epoch}; "
            f"validation, {figures.images} images: accuracy {figures.overall['accuracy']}, "
            f"AUROC of {primary} {figures.by_class[primary]['auroc']})"
        )


@check_arguments
def train(
    recipe: RecipeInput,
    data: ManifestInput,
    out: str | Path,
    *,
    sets: Sequence[str] = (),
    roots: Roots | None = None,
    device: str = "auto",
    resume: bool = False,
    name: str | None = None,
    allow: Mapping[str, str] | None = None,
    strict: bool = False,
    callbacks: Callbacks = SILENT,
) -> Run:
    """Train a recipe on a manifest, calibrate it and write its bundle with the validation part's figures.

    Started by torchrun, the first process alone goes on after the training and reports; the others end there.

    Args:
        recipe: A recipe, the name of a shipped one, or the path of a YAML file.
        data: A manifest in parts, or the path of its file.
        out: The run's folder; the bundle goes to its ``bundle``.
        sets: Changes of the recipe, such as ``optimizer.lr=1e-4``.
        roots: Source -> folder where its images lie now.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: Go on after the last whole epoch of the run that is there.
        name: The bundle's name; the recipe's by default.
        allow: Name of a data check -> why its finding is accepted.
        strict: Stop at warnings of the data checks too.
        callbacks: Receive messages and progress; silent by default.

    Returns:
        The run: its folder, its bundle and the figures of the validation part.

    Raises:
        RecipeError: The recipe contradicts itself or the data.
        CheckRefusedError: A data check blocks and is not allowed; nothing was trained.
        RunError: The folder holds another run, or the loss is no longer finite.
        ParityError: ONNX Runtime and torch differ; no bundle is written.
        KeyboardInterrupt: The user stopped it; the folder can be resumed.

    Example:
        >>> run = ps.train("lenet-128", "manifest.parquet", "runs/first", sets=["training.epochs=5"])
        >>> run.evaluation.figures.overall["accuracy"]
    """
    ranks = Ranks.here()
    callbacks = callbacks if ranks.first else SILENT
    allowed = reasons_of(allow)
    plan = prepare_plan(recipe, data, sets=sets, roots=roots, callbacks=callbacks)
    _report_plan(plan, ranks, callbacks)
    checks = check_plan(plan, allowed=allowed, strict=strict, callbacks=callbacks) if ranks.first else None
    return train_plan(plan, checks, Path(out), device=device, resume=resume, name=name, callbacks=callbacks)


def train_plan(
    plan: Plan,
    checks: CheckReport | None,
    folder: Path,
    *,
    device: str = "auto",
    resume: bool = False,
    name: str | None = None,
    features: FeatureStore | None = None,
    callbacks: Callbacks = SILENT,
) -> Run:
    """Train a plan whose data were checked; see `train`.

    Args:
        plan: Recipe and data that fit each other.
        checks: Report of the data checks; None only in a process that is not the first.
        folder: The run's.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        resume: Go on after the last whole epoch of the run that is there.
        name: The bundle's name; the recipe's by default.
        features: Keeps feature maps of frozen backbones for several runs.
        callbacks: Receive messages and progress.
    """
    fitted = fit(plan, folder, device=device, resume=resume, features=features, callbacks=callbacks)
    if not Ranks.here().first:
        raise SystemExit(0)  # torchrun waits for each process to end with 0; the first one has the rest to do
    calibration = calibrate(fitted, device=device, callbacks=callbacks)
    with draft_folder(folder / "bundle") as draft:
        exported = export_graph(fitted, calibration, draft, callbacks=callbacks)
        card = draft_card(fitted, calibration, exported, name=name, checks=checks)
        validation = evaluate_draft(draft, card, plan.manifest, callbacks=callbacks)
        card = add_figures(card, fitted, validation)
        identity = write_bundle_files(draft, card, fitted, exported)
    if checks is not None:
        write_text(folder / "gate.json", checks.to_json())
    evaluation = write_results(folder, card, identity, validation, kept_epoch=fitted.kept_epoch)
    return Run(folder, folder / "bundle", evaluation, fitted.kept_epoch)


def _report_plan(plan: Plan, ranks: Ranks, callbacks: Callbacks) -> None:
    """Report classes, images and, with several processes, how they share a batch."""
    counts = ", ".join(f"{part} {len(plan.manifest.part(part))}" for part in plan.manifest.parts_present)
    callbacks.message(f"{plan.recipe.name}: {', '.join(plan.recipe.task.classes)}; images: {counts}")
    if not ranks.alone:
        least, more = divmod(plan.recipe.training.batch_size, ranks.world)
        callbacks.message(
            f"{ranks.world} processes share each batch of {plan.recipe.training.batch_size}: "
            f"{least}{f' or {least + 1}' if more else ''} images each"
        )
