"""A learning curve of a recipe as a list of steps: subsets, plan, check, train each, fit the curve, write the page."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.card import Card
from pneumoscope.comparison.entries import ComparisonEntry
from pneumoscope.comparison.finding_figures import measure_findings, scores_of
from pneumoscope.comparison.learning_curve import CAUTION, ONE_REPEAT, LearningCurve, render_learning_curve_page
from pneumoscope.comparison.ranked_metric import choose_metric
from pneumoscope.comparison.result import select_figures
from pneumoscope.comparison.runs import EntryResult, read_card_of, read_probabilities
from pneumoscope.core.arguments import argument, as_tuple, check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import MissingClassError, RunError, UsageError
from pneumoscope.core.files import write_json, write_text
from pneumoscope.core.labels import display_name
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.splits import nested_subsets
from pneumoscope.inference.evaluation import group_sentence
from pneumoscope.recipes.recipe import with_changes
from pneumoscope.stats.bootstrap import Resampling, Statistic, resample
from pneumoscope.stats.comparison.paired import Scores
from pneumoscope.stats.design import Design
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.figures import evaluate_predictions
from pneumoscope.stats.finding_averages import mean_area, resample_findings
from pneumoscope.stats.learning_curve import (
    FEWEST_SIZES,
    CurvePoint,
    Forecast,
    PowerLaw,
    check_reach,
    figure_under,
    forecast,
    measure_repeats,
    percentiles,
)
from pneumoscope.stats.metrics import group_index
from pneumoscope.training.input.dataset import Targets
from pneumoscope.training.plan import Plan
from pneumoscope.workflows.compare import run_all
from pneumoscope.workflows.data_checks import check_plan
from pneumoscope.workflows.datasets import ManifestInput, Roots, manifest_of
from pneumoscope.workflows.early_checks import check_metric
from pneumoscope.workflows.inputs import RecipeInput, prepare_plan, reasons_of

SIZES = (0.1, 0.25, 0.5, 1.0)
DRAWS = 1000


@check_arguments
def learning_curve(
    recipe: RecipeInput,
    data: ManifestInput,
    out: str | Path,
    *,
    sizes: Sequence[float] = SIZES,
    repeats: int = 1,
    times: Sequence[float] = (2.0,),
    sets: Sequence[str] = (),
    metric: str = "auroc",
    seed: int = 0,
    device: str = "auto",
    allow: Mapping[str, str] | None = None,
    roots: Roots | None = None,
    command: str = "pneumoscope.learning_curve",
    callbacks: Callbacks = SILENT,
) -> LearningCurve:
    """Train a recipe on growing shares of the training patients and say what more of them would bring.

    The subsets hold whole groups, and each holds the smaller ones. Validation and calibration parts are the same for
    all sizes; figures are of the validation part, and the test part is not touched. The same call goes on with a
    learning curve that was interrupted.

    Args:
        recipe: A recipe, the name of a shipped one, or the path of a YAML file.
        data: A manifest in parts, or the path of its file.
        out: The folder; the networks' runs are in its ``runs``.
        sizes: Shares of the training patients, over 0 to 1; a curve needs four or more.
        repeats: Trainings of each size, each with other subsets and another seed.
        times: How many times the largest measured number of patients the curve is asked about, 2 at most.
        sets: Changes of the recipe.
        metric: One of `pneumoscope.stats.comparison.paired.METRICS`. Of a recipe of several findings an image it is the
            mean of the findings' AUROC ("auroc").
        seed: Of the subsets.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        allow: Name of a data check -> why its finding is accepted.
        roots: Source -> folder where its images lie now.
        command: How it was asked for, for the record.
        callbacks: Receive messages and progress.

    Returns:
        The figures by size with intervals, the fitted curve, and what it expects of more patients.

    Raises:
        UsageError: An unknown metric, a size outside 0 to 1, ``times`` over 2, or a folder of another learning curve.
        RecipeError: The recipe contradicts itself or the data.
        CheckRefusedError: A data check blocks; nothing was trained.
        RunError: A size has too few patients, or a training failed.
        KeyboardInterrupt: The user stopped it; the same call goes on.

    Example:
        >>> curve = ps.learning_curve("lenet-128", "manifest.parquet", "runs/curve", repeats=3)
        >>> curve.forecasts[0].gain
    """
    shares, sets = sorted(set(sizes)), as_tuple(sets)
    check_metric(metric)
    check_least(1, repeats=repeats)
    check_least(0, seed=seed)
    if len(shares) < 2 or not all(0 < share <= 1 for share in shares):
        raise UsageError(
            argument("sizes", list(sizes)), "must be two or more shares over 0 to 1.", "Say 0.1,0.25,0.5,1."
        )
    for value in times:
        check_reach(value)
    allowed = reasons_of(allow)
    manifest = manifest_of(data, roots)
    if not manifest.parts_present:
        raise UsageError("the manifest", "has no parts.", "Divide it with `pneumoscope.split`.")
    whole = prepare_plan(recipe, manifest, sets=sets, callbacks=callbacks)
    metric = choose_metric(metric, [whole.recipe])
    folder = Path(out)
    entries = _plan_sizes(whole, shares, repeats, seed)
    _claim(folder, whole, seed)
    checks = check_plan(whole, allowed=allowed, callbacks=callbacks)
    reports = dict.fromkeys([entry.name for many in entries for entry in many], checks)
    everything = [entry for many in entries for entry in many]
    results = run_all(everything, folder / "runs", checks=reports, device=device, callbacks=callbacks)
    done = {result.entry.name: result for result in results}
    for result in results:
        if result.status != "done":
            raise RunError(str(result.folder), f"the training failed. {result.reason}", "The same call tries it again.")
    with callbacks.counting("fitting the curve"):
        by_size = [[done[entry.name] for entry in many] for many in entries]
        outcome = _measure(whole, by_size, shares, times, metric, seed, command)
    write_text(folder / "learning-curve.json", outcome.to_json())
    write_text(folder / "learning-curve.html", render_learning_curve_page(outcome))
    return outcome


def _plan_sizes(whole: Plan, shares: Sequence[float], repeats: int, seed: int) -> list[list[ComparisonEntry]]:
    """Return for each size its repeats; a size without all classes is an error before the first training."""
    by_repeat: list[list[Manifest]] = []
    for repeat in range(repeats):
        masks = nested_subsets(whole.manifest, shares, seed + repeat)
        by_repeat.append([whole.manifest.where(mask) for mask in masks])
    first = whole.recipe.training.seed
    recipes = [
        with_changes(whole.recipe, [f"training.seed={first + repeat}"]) if repeat else whole.recipe
        for repeat in range(repeats)
    ]
    entries = []
    for place, share in enumerate(shares):
        plans = [Plan(one, by_repeat[repeat][place], whole.notes) for repeat, one in enumerate(recipes)]
        for plan in plans:
            _check_size(plan, share)
        entries.append(
            [
                ComparisonEntry(f"share-{share:g}-repeat-{repeat}", plan.recipe, {}, plan)
                for repeat, plan in enumerate(plans, start=1)
            ]
        )
    return entries


def _check_size(plan: Plan, share: float) -> None:
    """Check that a size has training images of each class, or of each finding and without it.

    Raises:
        MissingClassError: It has none of one.
    """
    lacks = []
    if plan.recipe.task.multilabel:
        for name, column in zip(plan.recipe.task.classes, plan.targets("train").T, strict=True):
            lacks += [
                f"{answer} {display_name(name)}" for answer, n in (("with", 1), ("without", 0)) if n not in column
            ]
    else:
        counts = zip(plan.recipe.task.classes, plan.counts("train"), strict=True)
        lacks = [f"of {display_name(name)}" for name, count in counts if not count]
    if lacks:
        problem = f"has no training image {', none '.join(lacks)}."
        raise MissingClassError(argument("sizes", share), problem, "Take a larger share.")


def _claim(folder: Path, whole: Plan, seed: int) -> None:
    """Write down what a folder is for, or refuse one that is for something else."""
    path = folder / "sizes.json"
    mine = {"data": whole.manifest.rows_hash(), "split": whole.manifest.split_hash(), "seed": seed}
    if path.is_file():
        if json.loads(path.read_text(encoding="utf-8")) != mine:
            raise UsageError(
                argument("out", folder), "holds a learning curve of other images or another seed.", "Choose another."
            )
    elif folder.is_dir() and any(folder.iterdir()):
        raise UsageError(argument("out", folder), "is not empty and holds no learning curve.", "Choose another.")
    write_json(path, mine)


@dataclass(frozen=True, slots=True)
class _ValidationImages:
    """What networks of all sizes are measured on.

    Args:
        truth: [N] class index; of several findings an image [N, C] 1 present, 0 absent, NaN unknown.
        groups: [N] name of each image's group.
        hashes: [N] SHA-256 of each image.
        classes: C names.
        design: Of the study.
        metric: Name of the figure in a record.
        seed: Of the resampling.
    """

    truth: Targets
    groups: NDArray[np.str_]
    hashes: tuple[str, ...]
    classes: tuple[str, ...]
    design: Design | None
    metric: str
    seed: int

    def resample(self, rng: np.random.Generator) -> Resampling:
        """Draw the images again, by whole groups."""
        group = group_index(self.groups)
        if self.truth.ndim == 2:
            return resample_findings(self.truth.astype(np.float64), group, rng, DRAWS)
        truth = self.truth.astype(np.intp)
        return resample(truth, group, len(self.classes), rng, DRAWS, self.design or "case-control")

    def _answers(self, result: EntryResult) -> tuple[Card, NDArray[np.float64]]:
        card, _ = read_card_of(result.folder)
        return card, read_probabilities(result.folder, self.classes, self.hashes)

    def statistic(self, result: EntryResult) -> Statistic:
        """Return the figure of a network as a function of weights [B, N] -> [B]."""
        card, probabilities = self._answers(result)
        if self.truth.ndim == 2:
            return mean_area(probabilities, self.truth.astype(np.float64))
        truth = self.truth.astype(np.intp)
        return figure_under(Scores(probabilities, card.operating_point.threshold), truth, self.metric)

    def measure(self, result: EntryResult) -> Estimate:
        """Return the figure of a network with its own interval."""
        card, probabilities = self._answers(result)
        if self.truth.ndim == 2:
            scores = scores_of(card, probabilities, self.classes)
            return measure_findings(scores, self.truth.astype(np.float32), self.groups, self.classes, seed=self.seed)[
                self.metric
            ]
        measured = evaluate_predictions(
            probabilities,
            self.truth,
            self.groups,
            self.classes,
            thresholds={point.name: point.threshold for point in card.operating_points},
            rng=np.random.default_rng(self.seed),
            design=self.design,
        )
        return select_figures(measured, card.default_operating_point)[self.metric]


def _measure(
    whole: Plan,
    results: Sequence[Sequence[EntryResult]],
    shares: Sequence[float],
    times: Sequence[float],
    metric: str,
    seed: int,
    command: str,
) -> LearningCurve:
    part = whole.manifest.part("validation")
    classes = whole.recipe.task.classes
    validation = _ValidationImages(
        truth=whole.targets("validation"),
        groups=part.table["group"].to_numpy(dtype=str),
        hashes=tuple(str(value) for value in part.table["sha256"]),
        classes=classes,
        design=part.design,
        metric=metric,
        seed=seed,
    )
    statistics = [[validation.statistic(result) for result in many] for many in results]
    rng = np.random.default_rng(seed)
    sample = validation.resample(rng)
    means, draws = measure_repeats(statistics, sample, rng)

    def figure(place: int) -> Estimate:
        if len(results[place]) > 1:
            return percentiles(float(means[place]), draws[:, place], sample)
        return validation.measure(results[place][0])

    points = []
    for place, (share, many) in enumerate(zip(shares, results, strict=True)):
        plan = many[0].entry.plan
        assert plan is not None  # every size was planned
        train = plan.manifest.part("train")
        ones = np.ones((1, len(part)))
        single = [statistic(ones)[0] for statistic in statistics[place]]
        points.append(
            CurvePoint(
                share=share,
                patients=train.table.group.nunique(),
                images=len(train),
                repeats=tuple(float(value) for value in single),
                figure=figure(place),
            )
        )
    notes = [CAUTION]
    if len(results[0]) == 1:
        notes.append(ONE_REPEAT)
    curve: PowerLaw | None = None
    forecasts: tuple[Forecast, ...] = ()
    patients = [float(point.patients) for point in points]
    if len(set(patients)) < FEWEST_SIZES:
        notes.append(f"No curve: it needs {FEWEST_SIZES} sizes or more.")
    else:
        curve, forecasts = forecast(patients, means, draws, times, metric, sample)
    return LearningCurve(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        recipe=whole.recipe.name,
        changes=whole.recipe.changes,
        target=classes[0],
        metric=metric,
        seed=seed,
        images=len(part),
        groups=part.table.group.nunique(),
        group_sentence=group_sentence(part.group_kind),
        data=part.rows_hash(),
        points=tuple(points),
        curve=curve,
        forecasts=forecasts,
        notes=tuple(notes),
    )
