"""A search for settings: plan the trials, and let any number of processes work on them until all are done.

A `SearchJob` is all that a worker needs to know; it can be sent to another process. The same command on another machine
makes the same job and takes part in the same study.
"""

from __future__ import annotations

import json
import multiprocessing
import os
import platform
import signal
import sys
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from multiprocessing.connection import Connection, wait
from typing import TYPE_CHECKING, Any

import optuna
import torch
from optuna.exceptions import StorageInternalError
from optuna.storages import RDBStorage
from optuna.study import Study
from optuna.trial import FrozenTrial, TrialState

from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import PneumoscopeError, RecipeError, RunError, TerminationRequest
from pneumoscope.core.signals import termination_as_interrupt
from pneumoscope.recipes.recipe import with_changes
from pneumoscope.stats.estimates import Estimate
from pneumoscope.training.machine import choose_device, keep_freed_memory
from pneumoscope.training.plan import Plan
from pneumoscope.tuning.cross_validation import CrossValidationData, Fold, deal_folds, select_data
from pneumoscope.tuning.objective import Objective, find_objective
from pneumoscope.tuning.objective_names import OF_FINDINGS
from pneumoscope.tuning.sampling import DistinctSampler, make_pruner, plan_points
from pneumoscope.tuning.space import Point, SearchSpace, changes_of
from pneumoscope.tuning.storage import (
    HEARTBEAT,
    SLOT,
    WHY,
    close,
    heartbeat,
    list_unfinished,
    open_storage,
    open_study,
    plan_slots,
    requeue,
    requeue_lost,
    take_trial,
)
from pneumoscope.tuning.trial import estimate_figures, run_folds

if TYPE_CHECKING:
    from multiprocessing.context import ForkServerContext, SpawnContext

ALSO = ("auroc", "sensitivity-at-specificity-90", "balanced-accuracy", "log-loss")
"""Figures that each trial of a recipe with one answer an image keeps beside its objective."""


def figures_beside(*, multilabel: bool) -> tuple[str, ...]:
    """Return the names of the figures that each trial keeps beside its objective."""
    return OF_FINDINGS if multilabel else ALSO


FIGURES, EPOCHS, SECONDS, WHERE, DATA = "figures", "epochs", "seconds", "where", "data"


@dataclass(frozen=True)
class SearchJob:
    """One search.

    Args:
        plan: The recipe as it stands and its data.
        search: The space.
        name: The study's, in its database.
        url: The database's.
        trials: In all, over all workers; fewer than were planned before leaves the rest waiting.
        sampler: How settings are chosen.
        objective: By its name.
        folds: Of the grouped cross-validation; 0 measures the validation part.
        pruner: What stops unpromising trials early.
        seed: Of folds and sampler.
        device: ``auto``, ``cpu``, ``cuda`` or ``mps``.
        heartbeat: Seconds between a worker's signs of life.
        rows: Only these images, by SHA-256; None takes all but the test part.
    """

    plan: Plan
    search: SearchSpace
    name: str
    url: str
    trials: int
    sampler: str = "tpe"
    objective: str = "auroc"
    folds: int = 5
    pruner: str = "median"
    seed: int = 0
    device: str = "auto"
    heartbeat: float = HEARTBEAT
    rows: frozenset[str] | None = None

    def data(self) -> CrossValidationData:
        """Return the images that the search may use."""
        data = select_data(self.plan)
        if self.rows is None:
            return data
        return data.only(data.manifest.table.sha256.isin(self.rows).to_numpy().nonzero()[0])

    def identity(self, data: CrossValidationData) -> dict[str, Any]:
        """Return what must be the same for two workers to take part in one study, all of it as JSON has it."""
        measured = f"grouped {self.folds}-fold cross-validation" if self.folds else "validation part"
        return {
            "recipe": self.plan.recipe.name,
            # Without defaults: a later version of this program may know more keys.
            "settings": self.plan.recipe.model_dump(mode="json", exclude_defaults=True),
            "space": json.loads(self.search.model_dump_json(include={"parameters"}))["parameters"],
            "objective": self.objective,
            "measured": measured,
            "sampler": self.sampler,
            "pruner": self.pruner,
            "seed": self.seed,
            DATA: data.manifest.rows_hash(),
            "split": data.manifest.split_hash(),
        }


@dataclass(frozen=True)
class StudySession:
    """A job with its open study and its folds."""

    job: SearchJob
    storage: RDBStorage
    study: Study
    data: CrossValidationData
    folds: tuple[Fold, ...]
    objective: Objective

    @property
    def steps(self) -> int:
        """How often a whole trial reports."""
        return len(self.folds) if len(self.folds) > 1 else self.job.plan.recipe.training.epochs


def open_job(job: SearchJob) -> StudySession:
    """Check a job, open its study and plan its trials.

    Raises:
        PneumoscopeError: A fault that would fail every trial.
    """
    objective = find_objective(job.objective, multilabel=job.plan.recipe.task.multilabel)
    data = job.data()
    folds = deal_folds(data, job.folds, job.seed)
    make_pruner(job.pruner, 1)
    points = plan_points(job.search, job.plan.recipe, job.sampler, job.trials, job.seed)
    storage = open_storage(job.url, job.heartbeat)
    study = open_study(storage, job.name, objective.goal, job.identity(data))
    plan_slots(study, storage, points)
    return StudySession(job, storage, study, data, folds, objective)


def work(job: SearchJob, callbacks: Callbacks = SILENT) -> None:
    """Take part in a study until no trial is left, neither waiting nor running elsewhere.

    Args:
        job: The search.
        callbacks: Receive a line for each trial.

    Raises:
        PneumoscopeError: A fault that would end every other trial too, such as an unreadable image.
        KeyboardInterrupt: The user stopped it; the current trial went back into the queue.
    """
    session = open_job(job)
    try:
        _work(session, callbacks)
    finally:
        close(session.storage)


def _work(session: StudySession, callbacks: Callbacks) -> None:
    job, device = session.job, choose_device(session.job.device)
    keep_freed_memory()
    while True:
        requeue_lost(session.study)
        waiting = take_trial(session.study, session.storage, job.trials)
        if waiting is not None:
            trial_id, frozen = waiting
            with heartbeat(session.storage, trial_id):
                _run(session, trial_id, frozen, device, callbacks)
        elif list_unfinished(session.study, job.trials, TrialState.RUNNING, TrialState.WAITING):
            time.sleep(min(job.heartbeat, 2))  # another worker has it, and may still die
        else:
            return


def _run(session: StudySession, trial_id: int, frozen: FrozenTrial, device: str, callbacks: Callbacks) -> None:
    """Work on a trial and write its result to the database."""
    job, slot = session.job, int(frozen.user_attrs[SLOT])
    # A study object of its own: it sees what the other workers have finished meanwhile.
    study = optuna.load_study(
        study_name=job.name,
        storage=session.storage,
        sampler=DistinctSampler(job.search, job.seed, slot),
        pruner=make_pruner(job.pruner, session.steps),
    )
    study.get_trials(deepcopy=False)  # Optuna's cache must know the trial before it can be written to
    trial = optuna.trial.Trial(study, trial_id)
    started = time.perf_counter()
    trial.set_user_attr(WHERE, {"host": platform.node(), "process": os.getpid()})
    point: Point = {key: setting.ask(trial, key) for key, setting in job.search.parameters.items()}

    def report(step: int, value: float) -> None:
        trial.report(value, step)
        if step < session.steps and trial.should_prune():
            raise optuna.TrialPruned(f"after step {step} of {session.steps}")

    def end(state: TrialState, why: str = "", value: float | None = None) -> None:
        trial.set_user_attr(SECONDS, round(time.perf_counter() - started, 2))
        if why:
            trial.set_user_attr(WHY, why)
        study.tell(trial, value, state=state)

    try:
        recipe = with_changes(job.plan.recipe, changes_of(point))
        result = run_folds(recipe, session.data, session.folds, session.objective, device, report)
    except optuna.TrialPruned as pruned:
        end(TrialState.PRUNED, str(pruned))
        callbacks.message(_line(job, slot, point, f"pruned {pruned}", started))
    except (FloatingPointError, torch.OutOfMemoryError, RecipeError) as error:
        end(TrialState.FAIL, f"{type(error).__name__}: {error}".splitlines()[0])
        callbacks.message(_line(job, slot, point, f"failed: {error}", started))
    except BaseException as error:
        with suppress(StorageInternalError):  # the database is gone as well: the trial's missing heartbeat shows it
            end(TrialState.FAIL, f"stopped: {type(error).__name__}")
            requeue(study, session.storage.get_trial(trial_id), lost=False)
        raise
    else:
        multilabel = job.plan.recipe.task.multilabel
        others = tuple(find_objective(name, multilabel=multilabel) for name in figures_beside(multilabel=multilabel))
        trial_figures = estimate_figures(result.measured, session.objective, others)
        trial.set_user_attr(FIGURES, trial_figures)
        trial.set_user_attr(EPOCHS, list(result.epochs))
        estimate = Estimate.model_validate(trial_figures[job.objective])
        if estimate.value is None:
            end(TrialState.FAIL, f"{job.objective}: {estimate.note}")
        else:
            end(TrialState.COMPLETE, value=estimate.value)
        callbacks.message(_line(job, slot, point, f"{job.objective} {estimate}", started))


def _line(job: SearchJob, slot: int, point: Point, what: str, started: float) -> str:
    settings = " ".join(changes_of(point))
    return f"trial {slot + 1:>3}/{job.trials}  {what}  {time.perf_counter() - started:.0f} s  {settings}"


def search(job: SearchJob, workers: int = 1, callbacks: Callbacks = SILENT) -> StudySession:
    """Run a study to its end with ``workers`` processes on this machine; others may take part elsewhere.

    Args:
        job: The search.
        workers: Processes on this machine; each takes its share of the cores.
        callbacks: Receive a line for each trial, of all workers, in this process.

    Raises:
        RunError: Every process died, or no trial came to an end.
        TerminationRequest: SIGTERM stopped this process, or all those that worked for it.
    """
    session = open_job(job)
    terminated = False
    if workers == 1:
        work(job, callbacks)
    else:
        terminated = _spread(job, workers, callbacks)
        requeue_lost(session.study)
    left = list_unfinished(session.study, job.trials, TrialState.RUNNING, TrialState.WAITING)
    if left and terminated:
        are_left = format_count(len(left), "trial is left", "trials are left")
        raise TerminationRequest(f"{are_left}. Go on with `resume=True`.")
    if left:
        raise RunError(
            f"study {job.name!r}", f"{len(left)} trials are left: its workers died.", "Go on with `resume=True`."
        )
    if not session.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)):
        whys = {str(trial.user_attrs.get(WHY, "its worker died")) for trial in session.study.trials}
        raise RunError(f"study {job.name!r}", f"no trial came to an end: {'; '.join(sorted(whys))}.")
    return session


def _spread(job: SearchJob, workers: int, callbacks: Callbacks) -> bool:
    """Start worker processes, pass on what they report, and wait for them.

    Returns:
        Whether SIGTERM ended one of them.
    """
    context = _worker_context()
    threads = max(1, (os.cpu_count() or 1) // workers)
    processes, receivers = [], []
    errors: list[PneumoscopeError] = []
    try:
        with termination_as_interrupt():
            for _ in range(workers):
                receiver, sender = context.Pipe(duplex=False)
                process = context.Process(target=_run_worker, args=(job, threads, sender), daemon=True)
                process.start()
                processes.append(process)
                sender.close()  # the worker has its own copy: the pipe ends when the worker does, however it ends
                receivers.append(receiver)
            while receivers:
                ready = wait(receivers)
                for receiver in [receiver for receiver in receivers if receiver in ready]:
                    try:
                        report = receiver.recv()
                    except EOFError:
                        receivers.remove(receiver)
                        continue
                    if isinstance(report, PneumoscopeError):
                        errors.append(report)
                    else:
                        callbacks.message(report)
            for process in processes:
                process.join()
    except KeyboardInterrupt as interrupt:
        for process in processes:
            if isinstance(interrupt, TerminationRequest):
                process.terminate()  # Ctrl-C reaches them without this process, SIGTERM does not
        for process in processes:  # each puts its own trial back
            process.join(timeout=30)
        raise type(interrupt)("Go on with `resume=True`.") from None
    if errors:
        raise RunError(errors[0].thing, errors[0].problem, errors[0].way_out)
    return any(process.exitcode in (_TERMINATED, -signal.SIGTERM) for process in processes)


_TERMINATED = 128 + signal.SIGTERM
"""Exit code of a worker that put its trial back after SIGTERM, as shells have it."""


def _worker_context() -> SpawnContext | ForkServerContext:
    """Return how workers start: from a process that has imported what they need and done nothing, where one can fork.

    This process itself is not forked, since a forked torch has dead threads. Without a fork each worker imports all.
    """
    if "forkserver" not in multiprocessing.get_all_start_methods():
        return multiprocessing.get_context("spawn")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    return context


class _SentCallbacks(Callbacks):
    """Sends a worker's messages to the process that started it."""

    def __init__(self, sender: Connection) -> None:
        self.sender = sender

    def message(self, text: str) -> None:
        with suppress(BrokenPipeError):  # that process is gone; the trial goes on
            self.sender.send(text)


def _run_worker(job: SearchJob, threads: int, sender: Connection) -> None:
    """Work on a study in a process of its own, with its share of the cores."""
    torch.set_num_threads(threads)
    try:
        work(job, _SentCallbacks(sender))
    except PneumoscopeError as error:
        with suppress(BrokenPipeError):
            sender.send(error)
    except TerminationRequest:
        sys.exit(_TERMINATED)
    except KeyboardInterrupt:
        return


def drop_fold(job: SearchJob, number: int, of: int, hashes: frozenset[str]) -> SearchJob:
    """Return the same search on fewer images, as a study of its own."""
    return replace(job, name=f"{job.name}: without fold {number} of {of}", rows=hashes)
