"""A comparison as a list of steps: plan, check, train, rank, recommend, open test once, write the pages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pneumoscope.comparison.entries import ComparisonEntry, plan_entries
from pneumoscope.comparison.finals import Record, open_test
from pneumoscope.comparison.page import draw_figures, render_comparison_page, render_leaderboard
from pneumoscope.comparison.ranked_metric import choose_metric, refuse_sensitivity
from pneumoscope.comparison.ranking import RankingConfig, count_sources, rank_networks
from pneumoscope.comparison.result import Comparison, NotRun
from pneumoscope.comparison.runs import EntryResult, is_finished
from pneumoscope.core.arguments import as_tuple, check_arguments, check_least
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import PneumoscopeError, RunError, UsageError
from pneumoscope.core.files import atomic_path, write_text
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.data.ledger import KnownOpening, ledger_path, record_opening
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.opened_images import OpenedImages
from pneumoscope.reporting.charts.figure import to_png
from pneumoscope.training.features import FeatureStore
from pneumoscope.training.loop.fit import check_same_run
from pneumoscope.workflows.data_checks import check_plan
from pneumoscope.workflows.datasets import ManifestInput, Roots, manifest_of
from pneumoscope.workflows.early_checks import check_metric
from pneumoscope.workflows.inputs import RecipeInput, reasons_of
from pneumoscope.workflows.train import train_plan

CLOSED = "The test part was not opened; --open-test measures the finalists on it, once."


@check_arguments
def compare(
    recipes: Sequence[RecipeInput],
    data: ManifestInput,
    out: str | Path,
    *,
    target: str | None = None,
    sets: Sequence[str] = (),
    grid: Mapping[str, Sequence[str]] | None = None,
    seeds: int = 1,
    metric: str = "auroc",
    margin: float = 0.01,
    minimum_sensitivity: float | None = None,
    latency_budget: float | None = None,
    open_test: bool = False,
    finalists: int = 2,
    device: str = "auto",
    allow: Mapping[str, str] | None = None,
    roots: Roots | None = None,
    command: str = "pneumoscope.compare",
    callbacks: Callbacks = SILENT,
) -> Comparison:
    """Train many recipes on the same images and say which network is best, and how sure that is.

    Networks are ranked on validation, never on test. With ``open_test``, test is then opened once, on the record, for
    the finalists. A recipe that asks another question is fitted to the classes of the data. The same call goes on with
    a comparison that was interrupted.

    Args:
        recipes: Recipes, names of shipped ones or paths of YAML files; "all" stands for every published one.
        data: The manifest in parts, or the path of its file. One in memory cannot be used with ``open_test``.
        out: The comparison's folder.
        target: The class that is looked for; None: covid-19, or where the data have no such image, the only class
            besides "normal". Recipes of several findings an image have none, and this is not used.
        sets: Changes of all recipes (``key=value``) or of some (``cnn-*:key=value``).
        grid: Setting -> values: every recipe is trained with each; the value "recipe" leaves the recipe's own.
        seeds: Runs of each, from its own seed upwards.
        metric: The figure to rank by, one of `pneumoscope.stats.comparison.paired.METRICS`. Recipes of several findings
            an image are ranked by the mean of the findings' AUROC ("auroc").
        margin: How much worse than the best the recommended network may be, in the metric's unit.
        minimum_sensitivity: What the recommended network must reach at its default threshold, 0 to 1.
        latency_budget: Seconds for one image that the recommended network may take.
        open_test: Measure the finalists on the test part, which opens it, and write that to the ledger.
        finalists: Networks of each table that go to test, at least; 1 or more.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        allow: Name of a data check -> why its finding is accepted.
        roots: Source -> folder where its images lie now.
        command: How the comparison was asked for, for the record.
        callbacks: Receive messages and progress.

    Returns:
        The ranked tables, with the recommendation and what was not run.

    Raises:
        UsageError: An unknown metric, recipe or class, or a test part without a file beside which its ledger lies.
        CheckRefusedError: A data check blocks; nothing was trained.
        RunError: ``out`` has a run of one of the networks with other settings or data, or not one could be run.
        KeyboardInterrupt: The user stopped it; the same call goes on.

    Example:
        >>> comparison = ps.compare(["cnn-150", "lenet-128"], "manifest.parquet", "runs/comparison")
        >>> comparison.tables[0].recommendation.sentences
    """
    recipes, sets = as_tuple(recipes), as_tuple(sets)
    if not recipes:
        raise UsageError("recipes", "names no recipe to compare.", "Name one or more: a shipped one, a file, or all.")
    check_metric(metric)
    check_least(1, finalists=finalists, seeds=seeds)
    if open_test and isinstance(data, Manifest):
        raise UsageError(
            "the manifest in memory",
            "has no file beside which the opening of its test part could be written down.",
            "Pass the path of its file, or `open_test=False`.",
        )
    allowed = reasons_of(allow)
    manifest = manifest_of(data, roots)

    def record(images: OpenedImages, by: str, number: str) -> list[KnownOpening]:
        assert not isinstance(data, Manifest)  # refused above
        earlier = record_opening(Path(data), images, by, command, number=number)
        where = ledger_path(Path(data))
        callbacks.message(f"{len(images)} test images opened; written to {where}; earlier openings: {len(earlier)}")
        return earlier

    entries = plan_entries(recipes, manifest, target, sets=sets, grid=grid, seeds=seeds)
    chosen = [entry.recipe for entry in entries]
    figure = choose_metric(metric, chosen)
    refuse_sensitivity(minimum_sensitivity, chosen)
    return run_comparison(
        entries,
        manifest,
        Path(out),
        target=chosen[0].task.classes[0],
        config=RankingConfig(figure, margin, minimum_sensitivity, latency_budget),
        grid=grid or {},
        command=command,
        device=device,
        allowed=allowed,
        finalists=finalists if open_test else 0,
        record=record,
        callbacks=callbacks,
    )


def run_comparison(
    networks: Sequence[ComparisonEntry],
    manifest: Manifest,
    folder: Path,
    *,
    target: str,
    config: RankingConfig,
    grid: Mapping[str, Sequence[str]],
    command: str,
    device: str,
    allowed: Mapping[str, str],
    finalists: int,
    record: Record,
    callbacks: Callbacks = SILENT,
) -> Comparison:
    """Run a comparison in ``folder``.

    It leaves ``runs/``, ``comparison.json``, ``comparison.html``, ``leaderboard.csv`` and ``figures/`` there. What is
    finished there is not done again. Before the test part is opened, validation's table is already written.

    Args:
        networks: What is compared.
        manifest: In parts.
        folder: Of the comparison.
        target: The class that is looked for.
        config: How to rank and what to recommend.
        grid: Setting -> values, for the plots.
        command: The command line, for the record.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        allowed: Name of a data check -> why its finding is accepted.
        finalists: How many of each table go to test, at least; 0 leaves it closed.
        record: Writes the opening to the ledger.
        callbacks: Receive the progress.

    Raises:
        CheckRefusedError: A data check blocks; nothing was trained.
        RunError: The folder has a run of one of the networks with other settings or data, or not one could be run.
        KeyboardInterrupt: The user stopped it; the same command goes on.
    """
    for entry in networks:
        if entry.plan is not None:
            check_same_run(folder / "runs" / entry.name, entry.plan)
    checks = check_entries(networks, allowed=allowed, callbacks=callbacks)
    results = run_all(networks, folder / "runs", checks=checks, device=device, callbacks=callbacks)
    if not any(result.status == "done" for result in results):
        reasons = " ".join(f"{result.entry.name}: {result.reason}" for result in results)
        raise RunError(str(folder), f"no network could be run. {reasons}")
    with callbacks.counting("comparing on validation"):
        ranked = rank_networks(results, folder, config)
    comparison = Comparison(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        target=target,
        metric=config.metric,
        data=manifest.rows_hash(),
        split=manifest.split_hash(),
        sources=count_sources(results),
        notes=_notes(results, checks),
        grid={key: tuple(values) for key, values in grid.items()},
        tables=tuple(ranked),
        not_run=tuple(_not_run(result) for result in results if result.status != "done"),
        test_note=CLOSED,
    )
    _write(comparison, folder)
    if finalists:
        ranked, note = open_test(
            ranked, results, folder, config, count=finalists, record=record, command=command, callbacks=callbacks
        )
        comparison = comparison.model_copy(update={"tables": tuple(ranked), "test_note": note})
        _write(comparison, folder)
    return comparison


def _notes(results: Sequence[EntryResult], checks: Mapping[str, CheckReport]) -> tuple[str, ...]:
    """Return the notes on all networks together: warnings of the data checks, and decisions of the plans."""
    plans = {result.entry.name: result.entry.plan for result in results if result.entry.plan is not None}
    first: dict[str, None] = {}  # a set in order: entries share data, and so the notes on them
    if any(plan.manifest.table["source"].str.startswith("synthetic").any() for plan in plans.values()):
        first["synthetic: drawn images, no patients; the figures say nothing about radiographs"] = None
    for report in checks.values():
        for finding in report.findings:
            if finding.severity != "note":
                because = "" if finding.because is None else f" Allowed, because: {finding.because}"
                first[f"data checks, {finding.name}: {finding.sentence}{because}"] = None
    by_note: dict[str, list[str]] = {}
    for name, plan in plans.items():
        for note in plan.notes:
            by_note.setdefault(note, []).append(name)
    return (*first, *(f"{note}: {', '.join(names)}" for note, names in by_note.items()))


def _not_run(result: EntryResult) -> NotRun:
    return NotRun(
        name=result.entry.name,
        recipe=result.entry.recipe.name,
        status="failed" if result.status == "failed" else "not run",
        reason=result.reason,
        reported=dict(result.entry.recipe.reported),
    )


def _write(comparison: Comparison, folder: Path) -> None:
    figures = draw_figures(comparison)
    for name, figure in figures.items():
        with atomic_path(folder / "figures" / f"{name}.png") as temporary:
            temporary.write_bytes(to_png(figure))
    write_text(folder / "comparison.json", comparison.to_json())
    write_text(folder / "leaderboard.csv", render_leaderboard(comparison))
    write_text(folder / "comparison.html", render_comparison_page(comparison, figures))


def check_entries(
    entries: Sequence[ComparisonEntry], *, allowed: Mapping[str, str], callbacks: Callbacks = SILENT
) -> dict[str, CheckReport]:
    """Return the report of the data checks for each entry, by name; entries with the same data share one report.

    Raises:
        CheckRefusedError: A finding blocks and is not allowed; nothing was trained yet.
    """
    reports: dict[tuple[object, ...], CheckReport] = {}
    by_name = {}
    for entry in entries:
        if entry.plan is not None:
            manifest, task = entry.plan.manifest, entry.plan.recipe.task
            classes = frozenset((label, task.class_of(label)) for label in set(manifest.table.label))
            key = (manifest.rows_hash(), manifest.split_hash(), classes)
            if key not in reports:
                reports[key] = check_plan(entry.plan, allowed=allowed, callbacks=callbacks)
            by_name[entry.name] = reports[key]
    return by_name


def run_all(
    entries: Sequence[ComparisonEntry],
    folder: Path,
    *,
    checks: Mapping[str, CheckReport],
    device: str,
    callbacks: Callbacks = SILENT,
) -> list[EntryResult]:
    """Train every entry that can be trained, each into ``folder``/its name; finished ones are not trained again.

    Raises:
        KeyboardInterrupt: The user stopped it; the same command goes on.
    """
    results: list[EntryResult] = []
    with FeatureStore() as features:
        for number, entry in enumerate(entries, start=1):
            heading = f"[{number}/{len(entries)}] {entry.name}"
            where = folder / entry.name
            if entry.plan is None:
                callbacks.message(f"{heading}: not run. {entry.problem}")
                results.append(EntryResult(entry, "not run", where, entry.problem))
                continue
            try:
                if is_finished(entry.plan, where):
                    callbacks.message(f"{heading}: finished before")
                else:
                    callbacks.message(f"{heading}: {'; '.join(entry.recipe.changes) or 'as published'}")
                    train_plan(
                        entry.plan,
                        checks[entry.name],
                        where,
                        device=device,
                        resume=True,
                        features=features,
                        callbacks=callbacks,
                    )
                results.append(EntryResult(entry, "done", where))
            except PneumoscopeError as error:
                results.append(EntryResult(entry, "failed", where, str(error)))
            except (
                RuntimeError,
                MemoryError,
            ) as error:  # torch: out of memory, or an operator is missing
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                results.append(EntryResult(entry, "failed", where, f"{type(error).__name__}: {first}"))
            if results[-1].status == "failed":
                callbacks.message(f"{heading}: failed. {results[-1].reason}")
    return results
