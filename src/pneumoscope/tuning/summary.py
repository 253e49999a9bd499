"""From a study's database to its summary and its best recipe."""

from __future__ import annotations

import datetime
import warnings
from typing import Any, Literal

import numpy as np
import optuna
import torch
from optuna.trial import FrozenTrial, TrialState

from pneumoscope.inference.evaluation import group_sentence
from pneumoscope.recipes.recipe import Recipe, parse_recipe, with_changes
from pneumoscope.stats.estimates import Estimate
from pneumoscope.training.machine import choose_device, choose_precision, environment
from pneumoscope.tuning.objective import Objective
from pneumoscope.tuning.result import StudySummary, StudyTrial, TuningComparison
from pneumoscope.tuning.space import Choice, Range, changes_of
from pneumoscope.tuning.storage import ATTEMPT, SLOT, WHY
from pneumoscope.tuning.study import EPOCHS, FIGURES, SECONDS, WHERE, StudySession

FEWEST_FOR_IMPORTANCE = 8
_STATES: dict[TrialState, Literal["complete", "pruned", "failed", "running", "waiting"]] = {
    TrialState.COMPLETE: "complete",
    TrialState.PRUNED: "pruned",
    TrialState.FAIL: "failed",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def last_attempts(session: StudySession) -> list[FrozenTrial]:
    """Return the trial that stands for each slot, in order: the last one that was tried."""
    by_slot: dict[int, FrozenTrial] = {}
    for trial in sorted(session.study.get_trials(deepcopy=False), key=lambda trial: trial.number):
        by_slot[int(trial.user_attrs[SLOT])] = trial
    planned = (slot for slot, t in by_slot.items() if slot < session.job.trials or t.state.is_finished())
    return [by_slot[slot] for slot in sorted(planned)]


def summarise(session: StudySession, comparison: TuningComparison | None = None) -> StudySummary:
    """Return what is known of a search."""
    job, data, table = session.job, session.data, session.data.manifest.table
    slots = last_attempts(session)
    own = job.search.own_point(job.plan.recipe)
    best = find_best(session)
    counts = data.counts(np.arange(len(data)))
    sources = {
        name: {str(k): int(n) for k, n in table["source"][data.shows(index)].value_counts().items()}
        for index, name in enumerate(data.classes)
    }
    return StudySummary(
        created=datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
        name=job.name,
        recipe=job.plan.recipe.name,
        search=job.search.name,
        objective=session.objective.name,
        objective_words=session.objective.words,
        goal=session.objective.goal,
        measured=session.study.user_attrs["measured"],
        sampler=job.sampler,
        pruner=job.pruner,
        seed=job.seed,
        data=data.manifest.rows_hash(),
        split=data.manifest.split_hash(),
        images=len(data),
        groups=int(data.groups.max()) + 1,
        class_images=dict(zip(data.classes, counts, strict=True)),
        class_sources=sources,
        group_sentence=group_sentence(data.manifest.group_kind),
        stamps=_stamps(sources, table),
        space={key: _words(setting) for key, setting in job.search.parameters.items()},
        trials=tuple(_row(trial, session.objective) for trial in slots),
        best=None if best is None else int(best.user_attrs[SLOT]) + 1,
        own=next((int(t.user_attrs[SLOT]) + 1 for t in slots if own is not None and t.params == own), None),
        importance=_importance(session),
        changes=() if best is None else tuple(_differing(changes_of(best.params), own)),
        comparison=comparison,
        machine=_machine(choose_device(job.device)),
    )


def find_best(session: StudySession) -> FrozenTrial | None:
    """Return the best trial, of equals (but for rounding) the first planned; None if none is finished."""
    done = session.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    sign = -1 if session.objective.goal == "maximize" else 1
    return min(done, key=lambda t: (round(sign * (t.value or 0.0), 9), int(t.user_attrs[SLOT])), default=None)


def best_recipe(session: StudySession) -> Recipe | None:
    """Return the recipe with the best trial's settings, named as the tuned one; None if no trial is finished."""
    best = find_best(session)
    if best is None:
        return None
    job = session.job
    tuned = with_changes(job.plan.recipe, changes_of(best.params))
    data = tuned.model_dump(mode="json")
    estimate = Estimate.model_validate(best.user_attrs[FIGURES][job.objective])
    done = len(session.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,)))
    data["name"] = f"{job.plan.recipe.name}-tuned"
    data["notes"] = [
        *data["notes"],
        f"Settings found by a search: trial {int(best.user_attrs[SLOT]) + 1}, the best of {done} by "
        f"{session.objective.words}, {estimate} by {session.study.user_attrs['measured']}, data "
        f"{session.data.manifest.rows_hash()[:12]}. That figure is optimistic: these images chose the settings, "
        "the validation and calibration parts among them.",
    ]
    return parse_recipe(data, data["name"])


def _row(trial: FrozenTrial, objective: Objective) -> StudyTrial:
    attrs = trial.user_attrs
    figures = {name: Estimate.model_validate(value) for name, value in attrs.get(FIGURES, {}).items()}
    why = str(attrs.get(WHY, ""))
    if trial.state == TrialState.FAIL and not why:
        why = "its worker died"
    return StudyTrial(
        number=int(attrs[SLOT]) + 1,
        state=_STATES[trial.state],
        settings=trial.params or trial.system_attrs.get("fixed_params", {}),
        objective=figures.get(objective.name),
        figures=figures,
        epochs=tuple(attrs.get(EPOCHS, ())),
        seconds=attrs.get(SECONDS),
        host=str(attrs.get(WHERE, {}).get("host", "")),
        attempts=int(attrs.get(ATTEMPT, 1)),
        why=why,
    )


def _stamps(sources: dict[str, dict[str, int]], table: Any) -> tuple[str, ...]:
    """Return the warnings that belong beside every figure."""
    stamps = []
    archives = [set(counts) for counts in sources.values()]
    if len(archives) > 1 and all(len(s) == 1 for s in archives) and len(set.union(*archives)) == len(archives):
        number = ["no", "one", "two", "three", "four"][min(4, len(archives))]
        stamps.append(
            f"A test of {number} sources: each class comes from an archive of its own, so that "
            "what is measured is at least as much the archive as the disease."
        )
    if table["source"].str.startswith("synthetic").any():
        stamps.append("synthetic: drawn images, no patients; the figures say nothing about radiographs")
    return tuple(stamps)


def _machine(device: str) -> dict[str, str]:
    known = environment(device, choose_precision(device))
    names = ("processor", "cores", "device", "precision", "pneumoscope")
    return {**{name: str(known[name]) for name in names}, "torch": torch.__version__}


def _words(setting: Choice | Range) -> str:
    if isinstance(setting, Choice):
        return ", ".join(str(option) for option in setting.options)
    how = ", by its exponent" if setting.log else f", in steps of {setting.step:g}" if setting.step else ""
    return f"{setting.low:g} to {setting.high:g}{how}"


def _differing(changes: list[str], own: dict[str, Any] | None) -> list[str]:
    """Return the changes that are not what the recipe says anyway."""
    same = set() if own is None else set(changes_of(own))
    return [change for change in changes if change not in same]


def _importance(session: StudySession) -> dict[str, float]:
    """Return each parameter's share of the objective's variance; empty where there is too little to say."""
    done = session.study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(done) < FEWEST_FOR_IMPORTANCE or len({trial.value for trial in done}) < 2:
        return {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        evaluator = optuna.importance.FanovaImportanceEvaluator(seed=0)
        shares = optuna.importance.get_param_importances(session.study, evaluator=evaluator)
    return {name: round(float(share), 4) for name, share in shares.items()}
