"""Studies: every slot once, whatever dies; the test part stays out; what a search leaves behind."""

from __future__ import annotations

import json
import pickle
import signal
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")
pytestmark = pytest.mark.torch

from optuna.trial import TrialState  # noqa: E402

from pneumoscope.core.callbacks import Callbacks  # noqa: E402
from pneumoscope.core.errors import MissingExtraError, RunError, UsageError  # noqa: E402
from pneumoscope.data.manifest import Manifest  # noqa: E402
from pneumoscope.recipes.recipe import parse_recipe, with_changes  # noqa: E402
from pneumoscope.training.plan import make_plan  # noqa: E402
from pneumoscope.tuning import nested_cv, study  # noqa: E402
from pneumoscope.tuning.cross_validation import choose_folds, deal_folds, select_data, validation_is_large  # noqa: E402
from pneumoscope.tuning.storage import SLOT, claim, open_storage  # noqa: E402
from pneumoscope.tuning.summary import best_recipe, find_best, summarise  # noqa: E402
from program import Program, environment  # noqa: E402

MakeJob = Callable[..., Any]


def finished_slots(session: study.StudySession) -> Counter[int]:
    done = session.study.get_trials(states=(TrialState.COMPLETE, TrialState.PRUNED))
    return Counter(int(trial.user_attrs[SLOT]) for trial in done)


def settings(session: study.StudySession) -> list[dict[str, Any]]:
    done = session.study.get_trials(states=(TrialState.COMPLETE,))
    return [trial.params for trial in sorted(done, key=lambda trial: int(trial.user_attrs[SLOT]))]


def test_folds_keep_groups_together_and_exclude_test_and_choose_epochs_on_other_images(job: MakeJob) -> None:
    search_job = job()
    data = select_data(search_job.plan)
    table = search_job.plan.manifest.table
    assert set(data.manifest.table.sha256) == set(table.sha256[table["split"] != "test"])
    folds = deal_folds(data, 4, seed=0)
    measured = np.concatenate([fold.measure for fold in folds])
    assert sorted(measured) == list(range(len(data)))  # each image is measured once
    for fold in folds:
        uses = [set(data.groups[rows]) for rows in (fold.train, fold.select, fold.measure)]
        assert not uses[0] & uses[1]
        assert not uses[0] & uses[2]
        assert not uses[1] & uses[2]
        assert len(fold.train) + len(fold.select) + len(fold.measure) == len(data)
    assert any(
        not np.array_equal(a.measure, b.measure) for a, b in zip(folds, deal_folds(data, 4, seed=1), strict=True)
    )


def test_the_test_part_is_refused_and_a_small_validation_part_is_replaced_by_folds(job: MakeJob) -> None:
    plan = job().plan
    with pytest.raises(UsageError, match="not for choosing"):
        choose_folds(plan, None, "test")
    with pytest.raises(UsageError, match="ranked on validation"):
        choose_folds(plan, None, "train")
    assert not validation_is_large(select_data(plan))
    assert choose_folds(plan, None, None) == 5
    assert choose_folds(plan, 3, None) == 3
    assert choose_folds(plan, None, "validation") == 0


def test_a_large_validation_part_is_measured_by_default(job: MakeJob) -> None:
    plan = job().plan
    table = plan.manifest.table
    many = table.loc[np.repeat(table.index[table["split"] == "validation"], 50)].reset_index(drop=True)
    many["group"] = [f"g{n}" for n in range(len(many))]
    assert validation_is_large(select_data(type(plan)(plan.recipe, Manifest(many, plan.manifest.roots), ())))


def test_fewer_groups_than_folds_is_found_before_the_first_trial(job: MakeJob) -> None:
    with pytest.raises(RunError, match=r"fold \d+ of 12: .*has no image of"):
        study.search(job(folds=12), 1)


def test_a_killed_search_resumes_with_the_settings_of_an_uninterrupted_one(
    job: MakeJob, pretend_trials: list[float], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = study.search(job(trials=12, url=f"sqlite:///{tmp_path / 'whole.db'}"), 1)
    once = study.run_folds

    def interrupted(*arguments: Any) -> Any:
        if len(pretend_trials) == 17:  # the fifth trial of the second search
            pretend_trials.append(0)
            raise KeyboardInterrupt
        return once(*arguments)

    monkeypatch.setattr(study, "run_folds", interrupted)
    cut = job(trials=12, url=f"sqlite:///{tmp_path / 'cut.db'}")
    with pytest.raises(KeyboardInterrupt):
        study.search(cut, 1)
    again = study.search(cut, 1)
    assert settings(again) == settings(whole)
    assert finished_slots(again) == Counter(range(12))
    assert len({json.dumps(point) for point in settings(whole)}) == 12  # TPE does not try a setting twice


def test_a_longer_search_keeps_the_earlier_trials(job: MakeJob, pretend_trials: list[float]) -> None:
    study.search(job(trials=3), 1)
    longer = study.search(job(trials=5), 1)
    assert finished_slots(longer) == Counter(range(5))
    assert len(pretend_trials) == 5
    shorter = study.search(job(trials=2), 1)
    assert len(pretend_trials) == 5
    assert len(summarise(shorter).trials) == 5


def test_a_search_may_end_with_the_finished_trials(job: MakeJob, pretend_trials: list[float]) -> None:
    study.open_job(job(trials=9))
    session = study.search(job(trials=2), 1)
    assert len(pretend_trials) == 2
    assert [trial.state for trial in summarise(session).trials] == ["complete", "complete"]


def test_a_study_of_another_search_is_not_joined(job: MakeJob, pretend_trials: list[float]) -> None:
    study.search(job(trials=1), 1)
    with pytest.raises(RunError, match="objective was auroc, is log-loss"):
        study.search(job(trials=1, objective="log-loss"), 1)
    with pytest.raises(RunError, match="measured was grouped 2-fold"):
        study.search(job(trials=1, folds=3), 1)


def test_another_worker_repeats_the_trial_of_a_killed_worker(
    job: MakeJob, pretend_trials: list[float], program: Program, tmp_path: Path
) -> None:
    search_job = job(heartbeat=1)
    (tmp_path / "job").write_bytes(pickle.dumps(search_job))
    code = (
        "import os, pickle, signal, sys, pathlib\n"
        "from pneumoscope.tuning import study\n"
        "study.run_folds = lambda *_: (print('taken', flush=True), os.kill(os.getpid(), signal.SIGKILL))\n"
        "study.work(pickle.loads(pathlib.Path(sys.argv[1]).read_bytes()))\n"
    )
    command = ["python", "-c", code, str(tmp_path / "job")]
    ended = program.run(command, tmp_path, environment(tmp_path), tmp_path / "output")
    assert ended == -signal.SIGKILL
    assert (tmp_path / "output").read_text() == "taken\n"
    session = study.search(search_job, 1)
    assert finished_slots(session) == Counter(range(4))
    lost = session.study.get_trials(states=(TrialState.FAIL,))
    assert [trial.user_attrs[SLOT] for trial in lost] == [0]
    assert summarise(session).trials[0].attempts == 2


def test_only_the_trial_of_a_diverging_setting_fails(
    job: MakeJob, pretend_trials: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    once = study.run_folds

    def diverges(recipe: Any, *rest: Any) -> Any:
        if recipe.optimizer.lr == 0.1:
            raise FloatingPointError("the loss is nan in epoch 1, step 0")
        return once(recipe, *rest)

    monkeypatch.setattr(study, "run_folds", diverges)
    summary = summarise(study.search(job(trials=12, sampler="grid"), 1))
    assert (summary.count("complete"), summary.count("failed")) == (9, 3)
    assert all("loss is nan" in trial.why for trial in summary.trials if trial.state == "failed")


def test_median_pruning_ends_a_poor_trial_after_its_first_fold(job: MakeJob, pretend_trials: list[float]) -> None:
    session = study.search(job(trials=12, sampler="grid", pruner="median", folds=3), 1)
    pruned = session.study.get_trials(states=(TrialState.PRUNED,))
    assert pruned
    medians = np.median([trial.intermediate_values[1] for trial in session.study.trials if trial not in pruned])
    assert all(max(trial.intermediate_values.values()) < medians + 0.1 for trial in pruned)


def test_the_best_becomes_a_recipe_that_train_takes(job: MakeJob, pretend_trials: list[float]) -> None:
    session = study.search(job(trials=12, sampler="grid"), 1)
    best, recipe = find_best(session), best_recipe(session)
    assert best is not None
    assert recipe is not None
    assert best.params == {"optimizer.lr": 0.01, "optimizer.momentum": 0.9}  # what the pretend_trials trial prefers
    assert (recipe.name, recipe.optimizer.lr) == ("lenet-128-tuned", 0.01)
    assert recipe.changes[-2:] == ("optimizer.lr=0.01", "optimizer.momentum=0.9")
    assert "optimistic" in recipe.notes[-1]
    import yaml

    assert parse_recipe(yaml.safe_load(recipe.to_yaml()), "best") == recipe
    summary = summarise(session)
    own = summary.trial(summary.own)
    assert own is not None
    assert own.settings == {"optimizer.lr": 0.01, "optimizer.momentum": 0.9}
    assert summary.importance["optimizer.lr"] > summary.importance["optimizer.momentum"]


def test_a_longer_search_keeps_the_run_of_the_shorter_one(
    job: MakeJob, pretend_trials: list[float], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The same settings need no second run; other settings get a folder of their own."""
    from pneumoscope.workflows import tune

    trained: list[tuple[str, float, bool]] = []

    def pretend(plan: Any, checks: object, run: Path, *, resume: bool, **_: object) -> None:
        trained.append((run.name, plan.recipe.optimizer.lr, resume))
        if resume:
            assert (run / "recipe.yaml").read_text() == plan.recipe.to_yaml()  # else the run refuses to go on
        run.mkdir(exist_ok=True)
        (run / "recipe.yaml").write_text(plan.recipe.to_yaml())

    monkeypatch.setattr(tune, "train_plan", pretend)
    said: list[str] = []

    class Listener(Callbacks):
        def message(self, text: str) -> None:
            said.append(text)

    plan = job().plan
    plan = make_plan(
        with_changes(plan.recipe, ["optimizer.lr=0.1"]), plan.manifest
    )  # the first trial, and not the best
    for trials in (1, 1, 12, 12):
        session = study.search(replace(job(trials=trials, sampler="grid"), plan=plan), 1)
        tune.train_best(session, tmp_path, None, Listener())  # type: ignore[arg-type]
    assert trained == [("best", 0.1, False), ("best", 0.1, True), ("best-2", 0.01, False), ("best-2", 0.01, True)]
    assert "best holds the best of a shorter search; the run of the best is" in said[-1]


def test_nested_searches_again_without_each_outer_fold(job: MakeJob, pretend_trials: list[float]) -> None:
    search_job = job(trials=3, sampler="random")
    comparison = nested_cv.compare_nested(search_job, 3, 1)
    data = select_data(search_job.plan)
    assert comparison.positives == int((data.targets == 0).sum())  # every image is measured once
    assert len(comparison.chosen) == 3
    assert len(pretend_trials) == 3 * (3 + 2)
    storage = open_storage(search_job.url)
    from optuna import load_study

    for number, fold in enumerate(deal_folds(data, 3, 0), start=1):
        inner = load_study(study_name=f"t: without fold {number} of 3", storage=storage)
        inside = data.only(np.concatenate([fold.train, fold.select]))
        assert inner.user_attrs["data"] == inside.manifest.rows_hash()


def test_repeated_measures_both_on_other_folds(job: MakeJob, pretend_trials: list[float]) -> None:
    session = study.search(job(trials=2), 1)
    comparison = nested_cv.compare_repeated(session, {"optimizer.lr": 0.1, "optimizer.momentum": 0.0}, 2)
    assert comparison.positives == 2 * int((session.data.targets == 0).sum())
    assert comparison.difference.value is not None
    assert comparison.difference.value < 0  # worse than the recipe's own lr of .01


def test_a_slot_is_claimed_once(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 's.db'}")
    assert [claim(storage, "a"), claim(storage, "a"), claim(storage, "b")] == [True, False, True]


@pytest.mark.parametrize(
    ("url", "error", "words"),
    [
        ("t.db", UsageError, ["sqlite:///t.db"]),
        ("mysql://a:secret@b/c", UsageError, ["must be sqlite"]),
        ("postgresql://me:secret@127.0.0.1:1/none", RunError, ["cannot be opened"]),
    ],
)
def test_the_error_of_an_unreachable_address_hides_its_password(
    url: str, error: type[Exception], words: list[str]
) -> None:
    if url.startswith("postgresql"):
        pytest.importorskip("psycopg")
    with pytest.raises((error, MissingExtraError)) as caught:
        open_storage(url)
    assert "secret" not in str(caught.value)
    for word in words:
        assert word in str(caught.value)


def test_an_address_that_cannot_be_read_is_refused_without_its_password() -> None:
    with pytest.raises(UsageError, match="is no database address") as caught:
        open_storage("postgresql://me:secret@db.example.org:port/tuning")
    assert "secret" not in str(caught.value)
