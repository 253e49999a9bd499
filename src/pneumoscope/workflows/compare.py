"""The whole comparison: train, rank, recommend, open test once, and write what a reader wants to see."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from pneumoscope.comparison.entries import Entry
from pneumoscope.comparison.finals import Record, open_test
from pneumoscope.comparison.page import comparison_page, draw_figures, leaderboard_csv
from pneumoscope.comparison.ranking import Wishes, sources_of, tables
from pneumoscope.comparison.result import Comparison, NotRun
from pneumoscope.comparison.runs import Outcome, is_finished
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.errors import PneumoscopeError, RunError
from pneumoscope.core.files import atomic_path, write_text
from pneumoscope.data.checks.findings import CheckReport
from pneumoscope.data.manifest import Manifest
from pneumoscope.reporting.charts.figure import to_png
from pneumoscope.training.features import FeatureStore
from pneumoscope.workflows.admission import admit
from pneumoscope.workflows.train import train_and_release

CLOSED = "The test part was not opened."


def run_comparison(
    entries: Sequence[Entry],
    manifest: Manifest,
    folder: Path,
    *,
    target: str,
    wishes: Wishes,
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
        entries: The networks.
        manifest: In parts.
        folder: Of the comparison.
        target: The class that is looked for.
        wishes: How to rank, what to recommend.
        grid: Setting -> values, for the plots.
        command: The command line, for the record.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        allowed: Check of the data gate -> why its finding is accepted.
        finalists: How many of each table go to test, at least; 0 leaves it closed.
        record: Writes the opening down.
        callbacks: Receive the progress.

    Raises:
        CheckRefusedError: The data gate blocks; nothing was trained.
        RunError: Not one network could be run.
        KeyboardInterrupt: The user stopped it; the same command goes on.
    """
    gates = ask_gate(entries, allowed=allowed, callbacks=callbacks)
    outcomes = run_all(entries, folder / "runs", gates=gates, device=device, callbacks=callbacks)
    if not any(outcome.status == "done" for outcome in outcomes):
        reasons = " ".join(f"{outcome.entry.name}: {outcome.reason}" for outcome in outcomes)
        raise RunError(str(folder), f"no network could be run. {reasons}")
    with callbacks.counting("comparing on validation"):
        ranked = tables(outcomes, folder, wishes)
    made = Comparison(
        created=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        target=target,
        metric=wishes.metric,
        data=manifest.rows_hash(),
        split=manifest.split_hash(),
        sources=sources_of(outcomes),
        notes=_notes(outcomes, gates),
        grid={key: tuple(values) for key, values in grid.items()},
        tables=tuple(ranked),
        not_run=tuple(_not_run(outcome) for outcome in outcomes if outcome.status != "done"),
        test_note=CLOSED,
    )
    _write(made, folder)
    if finalists:
        ranked, note = open_test(
            ranked, outcomes, folder, wishes, count=finalists, record=record, command=command, callbacks=callbacks
        )
        made = made.model_copy(update={"tables": tuple(ranked), "test_note": note})
        _write(made, folder)
    return made


def _notes(outcomes: Sequence[Outcome], gates: Mapping[str, CheckReport]) -> tuple[str, ...]:
    """Return what a reader must know of all networks together."""
    plans = {outcome.entry.name: outcome.entry.plan for outcome in outcomes if outcome.entry.plan is not None}
    first: dict[str, None] = {}  # a set that keeps its order: entries share data, and so what is said of it
    if any(plan.manifest.table["source"].str.startswith("synthetic").any() for plan in plans.values()):
        first["synthetic: drawn images, no patients; the figures say nothing about radiographs"] = None
    for report in gates.values():
        for finding in report.findings:
            if finding.severity != "note":
                because = "" if finding.because is None else f" Allowed, because: {finding.because}"
                first[f"data gate, {finding.name}: {finding.sentence}{because}"] = None
    by_note: dict[str, list[str]] = {}
    for name, plan in plans.items():
        for note in plan.notes:
            by_note.setdefault(note, []).append(name)
    return (*first, *(f"{note}: {', '.join(names)}" for note, names in by_note.items()))


def _not_run(outcome: Outcome) -> NotRun:
    return NotRun(
        name=outcome.entry.name,
        recipe=outcome.entry.recipe.name,
        status="failed" if outcome.status == "failed" else "not run",
        reason=outcome.reason,
        reported=dict(outcome.entry.recipe.reported),
    )


def _write(comparison: Comparison, folder: Path) -> None:
    figures = draw_figures(comparison)
    for name, figure in figures.items():
        with atomic_path(folder / "figures" / f"{name}.png") as temporary:
            temporary.write_bytes(to_png(figure))
    write_text(folder / "comparison.json", comparison.to_json())
    write_text(folder / "leaderboard.csv", leaderboard_csv(comparison))
    write_text(folder / "comparison.html", comparison_page(comparison, figures))


def ask_gate(
    entries: Sequence[Entry], *, allowed: Mapping[str, str], callbacks: Callbacks = SILENT
) -> dict[str, CheckReport]:
    """Return what the data gate says of each entry's data, by name; entries with the same data share one report.

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
                reports[key] = admit(entry.plan, allowed=allowed, callbacks=callbacks)
            by_name[entry.name] = reports[key]
    return by_name


def run_all(
    entries: Sequence[Entry],
    folder: Path,
    *,
    gates: Mapping[str, CheckReport],
    device: str,
    callbacks: Callbacks = SILENT,
) -> list[Outcome]:
    """Train every entry that can be trained, each into ``folder``/its name; finished ones are left as they are.

    Raises:
        KeyboardInterrupt: The user stopped it; the same command goes on.
    """
    outcomes: list[Outcome] = []
    with FeatureStore() as features:
        for number, entry in enumerate(entries, start=1):
            heading = f"[{number}/{len(entries)}] {entry.name}"
            where = folder / entry.name
            if entry.plan is None:
                callbacks.message(f"{heading}: not run. {entry.problem}")
                outcomes.append(Outcome(entry, "not run", where, entry.problem))
                continue
            try:
                if is_finished(entry.plan, where):
                    callbacks.message(f"{heading}: finished before")
                else:
                    callbacks.message(f"{heading}: {'; '.join(entry.recipe.changes) or 'as published'}")
                    train_and_release(
                        entry.plan,
                        where,
                        device=device,
                        resume=True,
                        callbacks=callbacks,
                        gate=gates[entry.name],
                        features=features,
                    )
                outcomes.append(Outcome(entry, "done", where))
            except PneumoscopeError as error:
                outcomes.append(Outcome(entry, "failed", where, str(error)))
            except (RuntimeError, MemoryError) as error:  # torch's: out of memory, an operator that a device lacks
                first = (str(error).strip().splitlines() or [type(error).__name__])[0]
                outcomes.append(Outcome(entry, "failed", where, f"{type(error).__name__}: {first}"))
            if outcomes[-1].status == "failed":
                callbacks.message(f"{heading}: failed. {outcomes[-1].reason}")
    return outcomes
