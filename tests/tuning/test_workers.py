"""Several worker processes on one PostgreSQL study, training for real: every trial once, the figures those of one."""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")
pytestmark = pytest.mark.torch

import torch  # noqa: E402
from optuna.trial import TrialState  # noqa: E402

from pneumoscope.core.errors import RunError, TerminationRequest  # noqa: E402
from pneumoscope.tuning import study  # noqa: E402
from pneumoscope.tuning.storage import SLOT, close  # noqa: E402


def test_the_error_of_a_worker_process_reaches_the_command(job: Callable[..., Any]) -> None:
    search_job = job()
    table = search_job.plan.manifest.table.copy()
    table["sha256"] = "0" * 64  # no image is what was imported
    changed = replace(search_job.plan, manifest=replace(search_job.plan.manifest, table=table))
    with pytest.raises(RunError, match="changed since the import"):
        study.search(replace(search_job, plan=changed), 2)


class Workers:
    """In place of a context of multiprocessing: processes that do not run."""

    def __init__(self, exitcode: int | None, on_start: Callable[[], None] = lambda: None) -> None:
        self.exitcode, self.on_start = exitcode, on_start
        self.ended = 0
        self.Pipe, self.Process = multiprocessing.Pipe, lambda **_: self

    def start(self) -> None:
        self.on_start()

    def terminate(self) -> None:
        self.ended += 1

    def join(self, timeout: float | None = None) -> None: ...


def test_sigterm_ends_the_workers_too_and_is_no_ctrl_c(
    job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[int] = []

    def start() -> None:
        if started:
            signal.raise_signal(signal.SIGTERM)
        started.append(1)

    workers = Workers(None, start)
    monkeypatch.setattr(study, "_worker_context", lambda: workers)
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(TerminationRequest, match="Go on with"):
        study.search(job(), 2)
    assert workers.ended == 1  # the one that had started
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize("exitcode", [143, -signal.SIGTERM])
def test_workers_that_sigterm_ended_leave_trials_and_say_why(
    job: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, exitcode: int
) -> None:
    monkeypatch.setattr(study, "_worker_context", lambda: Workers(exitcode))
    with pytest.raises(TerminationRequest, match=r"4 trials are left\. Go on with"):
        study.search(job(), 2)


def test_a_worker_tells_sigterm_by_its_exit_code(monkeypatch: pytest.MonkeyPatch) -> None:
    def work(*_: Any) -> None:
        raise TerminationRequest

    monkeypatch.setattr(study, "work", work)
    _, sender = multiprocessing.Pipe(duplex=False)
    with pytest.raises(SystemExit) as caught:
        study._run_worker(None, torch.get_num_threads(), sender)  # type: ignore[arg-type]
    assert caught.value.code == 143


def test_two_workers_on_postgresql_share_the_trials(postgres: str, job: Callable[..., Any]) -> None:
    search_job = job(sampler="random", trials=4, url=postgres, name="two workers")
    session_of_two = study.search(search_job, 2)
    trials = session_of_two.study.get_trials()
    assert [trial.state for trial in trials] == [TrialState.COMPLETE] * 4
    assert Counter(trial.user_attrs[SLOT] for trial in trials) == Counter(range(4))
    assert {key for trial in trials for key in trial.user_attrs["figures"]} >= {"auroc", "log-loss"}

    session_of_one = study.search(replace(search_job, name="one worker"), 1)
    values = {trial.user_attrs[SLOT]: (trial.params, trial.value) for trial in session_of_one.study.get_trials()}
    for trial in trials:  # the same settings; the figures too, since all randomness is counted
        params, value = values[trial.user_attrs[SLOT]]
        assert trial.params == params
        assert trial.value == pytest.approx(value, abs=0.02)
    for session in (session_of_two, session_of_one):
        close(session.storage)
