"""Several worker processes on one PostgreSQL study, training for real: every trial once, the figures those of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")
pytestmark = pytest.mark.torch

from optuna.trial import TrialState  # noqa: E402

from pneumoscope.core.errors import RunError  # noqa: E402
from pneumoscope.tuning import study  # noqa: E402
from pneumoscope.tuning.storage import SLOT, close  # noqa: E402


def test_the_error_of_a_worker_process_reaches_the_command(job: Callable[..., Any]) -> None:
    search_job = job()
    table = search_job.plan.manifest.table.copy()
    table["sha256"] = "0" * 64  # no image is what was imported
    changed = replace(search_job.plan, manifest=replace(search_job.plan.manifest, table=table))
    with pytest.raises(RunError, match="changed since the import"):
        study.search(replace(search_job, plan=changed), 2)


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
