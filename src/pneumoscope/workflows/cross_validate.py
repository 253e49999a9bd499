"""A repeated cross-validation of recipes as a list of steps: deal, plan, check, train, measure, test, report."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from pneumoscope.bundle.runtime import load
from pneumoscope.comparison.cross_validation import CrossValidation, FoldResult, mean_ratio, rank_recipes
from pneumoscope.comparison.cross_validation_page import render_cross_validation_page
from pneumoscope.comparison.entries import check_changes, published_recipes, sets_for
from pneumoscope.comparison.finding_figures import measure_findings, scores_of
from pneumoscope.comparison.ranked_metric import choose_metric
from pneumoscope.comparison.result import NotRun, select_figures
from pneumoscope.comparison.runs import EntryResult, read_card_of
from pneumoscope.core.arguments import argument, as_tuple, check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import RunError, UsageError
from pneumoscope.core.files import write_json, write_text
from pneumoscope.data.manifest import Manifest
from pneumoscope.inference.evaluate import predict_rows
from pneumoscope.inference.evaluation import group_sentence
from pneumoscope.recipes.recipe import with_changes
from pneumoscope.stats.figures import evaluate_predictions
from pneumoscope.training.plan import Plan
from pneumoscope.workflows.compare import check_entries, run_all
from pneumoscope.workflows.datasets import ManifestInput, Roots, manifest_of
from pneumoscope.workflows.early_checks import check_metric
from pneumoscope.workflows.folds import FoldJob, learning_rows, plan_folds, plan_folds_of_findings
from pneumoscope.workflows.inputs import RecipeInput, reasons_of, recipe_of
from pneumoscope.workflows.progress import NewMessages

HELD_OUT = "held-out.json"


@check_arguments
def cross_validate(
    recipes: Sequence[RecipeInput],
    data: ManifestInput,
    out: str | Path,
    *,
    folds: int = 5,
    repeats: int = 1,
    target: str | None = None,
    sets: Sequence[str] = (),
    metric: str = "auroc",
    seed: int = 0,
    device: str = "auto",
    allow: Mapping[str, str] | None = None,
    roots: Roots | None = None,
    command: str = "pneumoscope.cross_validate",
    callbacks: Callbacks = SILENT,
) -> CrossValidation:
    """Train recipes in the folds of a repeated cross-validation and test their differences.

    Patients are dealt into folds by whole groups, alike in label and source. In each fold the other patients are
    divided into train, validation and calibration parts, so that the images held out choose, stop and calibrate
    nothing. Each repeat deals with another seed and trains with another seed. A manifest's test part stays closed and
    is in no fold. The same call goes on with a cross-validation that was interrupted.

    Args:
        recipes: Recipes, names of shipped ones or paths of YAML files; "all" stands for every published one.
        data: The manifest, or the path of its file.
        out: The folder; each network's run is in its ``folds``.
        folds: 2 or more.
        repeats: Divisions into folds, 1 or more.
        target: The class that is looked for; None: covid-19, or where the data have no such image, the only class
            besides "normal". Recipes of several findings an image have none, and this is not used.
        sets: Changes of all recipes (``key=value``) or of some (``cnn-*:key=value``).
        metric: The figure to rank and to test by, one of `pneumoscope.stats.comparison.paired.METRICS`. Recipes of
            several findings an image are ranked by the mean of the findings' AUROC ("auroc").
        seed: Of the divisions.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        allow: Name of a data check -> why its finding is accepted.
        roots: Source -> folder where its images lie now.
        command: How it was asked for, for the record.
        callbacks: Receive messages and progress.

    Returns:
        The recipes with their means and intervals, the best first, each with its corrected test against the best
        (Nadeau & Bengio 2003).

    Raises:
        UsageError: An unknown metric, recipe or class, fewer than 2 folds, or a folder of another cross-validation.
        CheckRefusedError: A data check blocks in a fold; nothing was trained.
        RunError: No recipe could be trained in all folds.
        KeyboardInterrupt: The user stopped it; the same call goes on.

    Example:
        >>> result = ps.cross_validate(["lenet-128", "cnn-150"], "manifest.parquet", "runs/cv", repeats=2)
        >>> result.recipes[1].versus_best
    """
    recipes, sets = as_tuple(recipes), as_tuple(sets)
    if not recipes:
        raise UsageError("recipes", "names no recipe.", "Name one or more: a shipped one, a file, or all.")
    check_metric(metric)
    check_least(2, folds=folds)
    check_least(1, repeats=repeats)
    check_least(0, seed=seed)
    allowed = reasons_of(allow)
    manifest, closed = learning_rows(manifest_of(data, roots))
    names = [each for name in recipes for each in (published_recipes() if name == "all" else [name])]
    loaded = [recipe_of(name) for name in names]
    check_changes(loaded, sets)
    chosen = [with_changes(one, sets_for(one.name, sets)) for one in loaded]
    metric = choose_metric(metric, chosen)
    findings: tuple[str, ...] = ()
    if chosen[0].task.multilabel:
        jobs, findings, left_out = plan_folds_of_findings(chosen, manifest, folds, repeats, seed)
    else:
        jobs, left_out = list(plan_folds(names, manifest, folds, repeats, target, sets, seed)), ()
    folder = Path(out)
    _claim(folder, manifest, folds, repeats, seed)
    once = NewMessages(callbacks)
    checks = [check_entries(job.entries, allowed=allowed, callbacks=once) for job in jobs]
    results: dict[str, list[FoldResult]] = {}
    failed: dict[str, EntryResult] = {}
    for number, (job, report) in enumerate(zip(jobs, checks, strict=True), start=1):
        callbacks.message(
            f"Fold {number} of {len(jobs)} (repeat {job.repeat}, fold {job.fold}): {len(job.held)} images held out."
        )
        runs = folder / "folds" / f"repeat-{job.repeat}-fold-{job.fold}"
        for result in run_all(job.entries, runs, checks=report, device=device, callbacks=callbacks):
            if result.status != "done":
                failed.setdefault(result.entry.name, result)
            elif result.entry.name not in failed:
                measured = _measure(job, result, folder, callbacks)
                results.setdefault(result.entry.name, []).append(measured)
    complete = {name: many for name, many in results.items() if name not in failed}
    if not complete:
        raise RunError(str(folder), "no recipe could be trained in all folds. " + _reasons(failed))
    first = {entry.name: entry.recipe for entry in jobs[0].entries}
    outcome = CrossValidation(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        target=jobs[0].entries[0].recipe.task.classes[0],
        findings=findings,
        metric=metric,
        folds=folds,
        repeats=repeats,
        seed=seed,
        data=manifest.rows_hash(),
        images=len(manifest),
        groups=manifest.table.group.nunique(),
        group_sentence=group_sentence(manifest.group_kind),
        closed=closed,
        ratio=mean_ratio([fold for many in complete.values() for fold in many]),
        recipes=tuple(
            rank_recipes(complete, {name: (first[name].name, first[name].changes) for name in complete}, metric)
        ),
        notes=(*_notes(manifest, closed, len(jobs)), *left_out),
        not_run=tuple(_not_run(result) for result in failed.values()),
    )
    write_text(folder / "cross-validation.json", outcome.to_json())
    write_text(folder / "cross-validation.html", render_cross_validation_page(outcome))
    return outcome


def _claim(folder: Path, manifest: Manifest, folds: int, repeats: int, seed: int) -> None:
    """Write down what a folder is for, or refuse one that is for something else; more repeats may be added later."""
    path = folder / "folds.json"
    mine = {"data": manifest.rows_hash(), "folds": folds, "seed": seed}
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != mine:
            raise UsageError(
                argument("out", folder),
                "holds a cross-validation of other images, another seed or another number of folds.",
                "Choose another folder.",
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise UsageError(argument("out", folder), "is not empty and holds no cross-validation.", "Choose another.")
    write_json(path, mine)


def _measure(job: FoldJob, result: EntryResult, folder: Path, callbacks: Callbacks) -> FoldResult:
    """Return a network's figures on the images that its fold held out; the answers are kept beside its run."""
    plan = result.entry.plan
    assert plan is not None  # a finished run had a plan
    card, identity = read_card_of(result.folder)
    held = plan.manifest.part("test")
    path = result.folder / HELD_OUT
    saved = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if (saved.get("identity"), saved.get("data")) != (identity, held.rows_hash()):
        task = "measuring the images held out"
        with callbacks.counting(task, len(held)):
            answers = predict_rows(
                load(result.folder / "bundle"), held, None, lambda done, total: callbacks.progress(task, done, total)
            )
        failures = [answer.error for answer in answers if answer.error is not None]
        if failures:
            raise RunError(str(result.folder), f"{len(failures)} images cannot be read: {failures[0]}", "Check them.")
        saved = {
            "identity": identity,
            "data": held.rows_hash(),
            "probabilities": [list(answer.probabilities) for answer in answers],
        }
        write_json(path, saved)
    probabilities = np.array(saved["probabilities"], dtype=np.float64)
    groups = held.table["group"].to_numpy(dtype=str)
    if card.multilabel:
        scores = scores_of(card, probabilities, card.label_names)
        chosen = measure_findings(scores, plan.targets("test"), groups, card.label_names, resamples=0)
    else:
        figures = evaluate_predictions(
            probabilities,
            plan.targets("test"),
            groups,
            card.label_names,
            thresholds={point.name: point.threshold for point in card.operating_points},
            rng=np.random.default_rng(0),
            resamples=0,
        )
        chosen = select_figures(figures, card.default_operating_point)
    return FoldResult(
        repeat=job.repeat,
        fold=job.fold,
        run=result.folder.relative_to(folder).as_posix(),
        identity=identity,
        images=len(held),
        groups=held.table.group.nunique(),
        learnt=_learnt(plan),
        figures={name: value.value for name, value in chosen.items()},
    )


def _learnt(plan: Plan) -> int:
    return int((plan.manifest.table["split"] != "test").sum())


def _notes(manifest: Manifest, closed: int, folds: int) -> tuple[str, ...]:
    notes = [f"{folds} trainings of each recipe; the images that a fold holds out trained and calibrated nothing in it"]
    if closed:
        notes.append(f"the test part of {closed} images stays closed: it is in no fold")
    if manifest.table["source"].str.startswith("synthetic").any():
        notes.append("synthetic: drawn images, no patients; the figures say nothing about radiographs")
    return tuple(notes)


def _reasons(failed: Mapping[str, EntryResult]) -> str:
    return " ".join(f"{name}: {result.reason}" for name, result in failed.items())


def _not_run(result: EntryResult) -> NotRun:
    return NotRun(
        name=result.entry.name,
        recipe=result.entry.recipe.name,
        status="failed" if result.status == "failed" else "not run",
        reason=result.reason,
        reported=dict(result.entry.recipe.reported),
    )
