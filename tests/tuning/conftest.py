"""Fixtures of the tests of the search: a tiny job on phantoms, and trials without training."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pneumoscope.data.manifest import Manifest


@pytest.fixture(autouse=True)
def _temporary_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path_factory.getbasetemp() / "tune-cache"))


@pytest.fixture
def job(phantom_set: Manifest, tmp_path: Path) -> Callable[..., Any]:
    """Make a search of lenet-128 for one epoch, two folds, COVID-19 against the rest left out."""

    def make(**changes: Any) -> Any:
        pytest.importorskip("torch")
        pytest.importorskip("optuna")
        from pneumoscope.recipes.recipe import load_recipe
        from pneumoscope.training.plan import make_plan
        from pneumoscope.tuning.search_files import parse_search
        from pneumoscope.tuning.study import SearchJob

        three = "task.classes=[covid-19, normal, viral-pneumonia]"
        recipe = load_recipe("lenet-128", [three, "training.epochs=1", "training.batch_size=16"])
        space = {"optimizer.lr": [0.0001, 0.001, 0.01, 0.1], "optimizer.momentum": [0.0, 0.5, 0.9]}
        search = parse_search({"name": "tiny", "parameters": space}, "tiny")
        given = {"name": "t", "url": f"sqlite:///{tmp_path / 's.db'}", "trials": 4, "folds": 2, "pruner": "none"}
        return SearchJob(plan=make_plan(recipe, phantom_set), search=search, device="cpu", **{**given, **changes})

    return make


@pytest.fixture
def pretend_trials(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Put a trial that takes no time in place of training: its scores are the better the nearer lr is to .01.

    Returns the learning rates that were tried, in order.
    """
    pytest.importorskip("torch")
    import numpy as np

    from pneumoscope.tuning import nested_cv, study
    from pneumoscope.tuning.objective import HeldOutPredictions
    from pneumoscope.tuning.trial import TrialResult

    tried: list[float] = []

    def run_folds(recipe: Any, data: Any, folds: Any, objective: Any, device: str, report: Any) -> TrialResult:
        tried.append(recipe.optimizer.lr)
        rows = np.concatenate([fold.measure for fold in folds])
        far = 1 + abs(np.log10(recipe.optimizer.lr) + 2) - 0.5 * recipe.optimizer.momentum
        noise = far * np.random.default_rng(len(data)).normal(size=len(rows))
        truth = data.targets[rows].astype(np.intp)
        first = 1 / (1 + np.exp(-(2.0 * (truth == 0) - 1 + noise)))
        rest = np.eye(2)[np.clip(truth - 1, 0, 1)] * (1 - first)[:, None]
        measured = HeldOutPredictions(np.column_stack([first, rest]), truth, data.groups[rows])
        for step in range(1, len(folds) + 1):
            report(step, objective.value(measured))
        return TrialResult(measured, (1,) * len(folds))

    monkeypatch.setattr(study, "run_folds", run_folds)
    monkeypatch.setattr(nested_cv, "run_folds", run_folds)
    return tried
