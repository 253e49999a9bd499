"""Recipes of several findings an image: compared, cross-validated, tuned, and by the number of patients."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from sklearn.metrics import roc_auc_score  # noqa: E402

from pneumoscope.comparison.result import Comparison  # noqa: E402
from pneumoscope.core.errors import RecipeError, UsageError  # noqa: E402
from pneumoscope.data.columns import TEXT  # noqa: E402
from pneumoscope.data.finding_cases import manifest_targets  # noqa: E402
from pneumoscope.data.manifest import Manifest, validate, write_manifest  # noqa: E402
from pneumoscope.data.phantoms.dataset import write_set  # noqa: E402
from pneumoscope.data.splits import assign_parts  # noqa: E402
from pneumoscope.inference.evaluation import FindingsEvaluation  # noqa: E402
from pneumoscope.recipes.recipe import Recipe, load_recipe, parse_recipe  # noqa: E402
from pneumoscope.workflows.compare import compare  # noqa: E402
from pneumoscope.workflows.cross_validate import cross_validate  # noqa: E402
from pneumoscope.workflows.early_checks import check_comparison  # noqa: E402
from pneumoscope.workflows.learning_curve import learning_curve  # noqa: E402
from pneumoscope.workflows.tune import tune  # noqa: E402

FINDINGS = ("covid-19", "pneumonia", "hernia")
"""The last one is in two patients: no cross-validation can teach it."""


def make_recipe(name: str, *classes: str, epochs: int = 1) -> Recipe:
    """Return a small multi-label recipe."""
    data = load_recipe("cnn-150").model_dump(mode="json")
    data |= {"name": name, "expects": None, "loss": {"kind": "bce"}}
    data["task"] = {"kind": "multilabel", "classes": list(classes)}
    data["input"]["size"], data["head"]["hidden"] = 32, [8]
    data["training"] |= {"epochs": epochs, "batch_size": 16, "sampling": "shuffle", "fewest_groups": 2}
    return parse_recipe(data, name)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A manifest of 3 x 24 patients; pictures of viral pneumonia state that there is no COVID-19, two a hernia."""
    folder = tmp_path_factory.mktemp("set")
    manifest = write_set(folder, 24, ("covid-19", "normal", "viral-pneumonia"), seed=2, size=64)
    table = manifest.table.copy()
    viral = table.label == "viral-pneumonia"
    stated = np.where(viral, json.dumps({"covid-19": False, "viral-pneumonia": True}), None)
    for group in table.group[viral].unique()[:2]:
        both = json.dumps({"covid-19": False, "hernia": True, "viral-pneumonia": True})
        stated[(table.group == group).to_numpy()] = both
    table["findings"] = pd.array(stated, dtype=TEXT)
    table.loc[table.findings.fillna("").str.contains("hernia"), "label"] = "other"
    whole = validate(replace(manifest, table=table))
    divided = assign_parts(whole, {"validation": 0.3, "calibration": 0.25, "test": 0.2}, seed=0)
    write_manifest(divided, folder / "manifest.parquet")
    return folder / "manifest.parquet"


@pytest.fixture(scope="module", autouse=True)
def _cache(tmp_path_factory: pytest.TempPathFactory) -> object:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PNEUMOSCOPE_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module")
def comparison(data: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Comparison, Path]:
    folder = tmp_path_factory.mktemp("compared")
    recipes = [make_recipe("short", *FINDINGS), make_recipe("long", *FINDINGS[::-1], epochs=4)]
    return compare(recipes, data, folder, device="cpu", open_test=True, finalists=2), folder


def test_networks_are_ranked_by_the_mean_area_of_their_findings(
    comparison: tuple[Comparison, Path], data: Path
) -> None:
    result, folder = comparison
    (table,) = result.tables
    assert (table.kind, set(table.classes), result.metric) == ("multilabel", {"covid-19", "pneumonia"}, "macro/auroc")
    validation = Manifest.read(data).part("validation")
    areas = {}
    for row in table.rows:
        answers = (
            pd.read_parquet(folder / row.run / "predictions.parquet").set_index("sha256").loc[validation.table.sha256]
        )
        for name in table.classes:
            truth = manifest_targets(validation, [name])[:, 0]
            known = np.isfinite(truth)
            area = roc_auc_score(truth[known], answers[f"p_{name}"].to_numpy()[known])
            assert row.figures[f"{name}/auroc"].value == pytest.approx(area, abs=1e-6)
            areas[row.name, name] = area
        mean = np.mean([areas[row.name, name] for name in table.classes])
        assert row.figures["macro/auroc"].value == pytest.approx(mean, abs=1e-6)
    best, other = table.rows
    assert best.figures["macro/auroc"].value >= other.figures["macro/auroc"].value
    assert best.versus_best is None
    gap = other.figures["macro/auroc"].value - best.figures["macro/auroc"].value
    assert other.versus_best is not None
    assert other.versus_best.difference.value == pytest.approx(gap, abs=1e-6)


def test_the_finalists_open_the_test_part_once_and_have_the_figures_of_an_evaluation(
    comparison: tuple[Comparison, Path],
) -> None:
    result, folder = comparison
    (table,) = result.tables
    assert [final.name for final in table.finals] == [row.name for row in table.rows]
    for final in table.finals:
        assert isinstance(final.evaluation, FindingsEvaluation)
        assert final.figures["macro/auroc"] == final.evaluation.averages["macro/auroc"]
        assert final.images == final.evaluation.images
    again = Comparison.model_validate_json((folder / "comparison.json").read_text(encoding="utf-8"))
    assert again == result
    page = (folder / "comparison.html").read_text(encoding="utf-8")
    assert "AUROC, mean of the findings" in page
    assert "Confusion matrices" not in page
    assert "macro/auroc_low" in (folder / "leaderboard.csv").read_text(encoding="utf-8").splitlines()[0]
    assert "macro/auroc" in repr(result)
    assert "2 findings" in page


def test_what_findings_do_not_have_is_refused_before_a_training(data: Path, tmp_path: Path) -> None:
    recipes = [make_recipe("short", *FINDINGS)]
    with pytest.raises(UsageError, match="mean AUROC"):
        compare(recipes, data, tmp_path / "a", metric="accuracy")
    with pytest.raises(UsageError, match="threshold of its own"):
        compare(recipes, data, tmp_path / "a", minimum_sensitivity=0.9)
    with pytest.raises(UsageError, match="one answer an image"):
        check_comparison(
            ["mobilenetv2-findings", "lenet-128"], data, tmp_path / "a", "covid-19",
            sets=[], grid=[], seeds=1, metric="auroc", device="cpu", roots={},
        )  # fmt: skip
    with pytest.raises(UsageError, match="Objectives: auroc, log-loss"):
        tune(recipes[0], data, tmp_path / "a", objective="accuracy")
    assert not (tmp_path / "a").exists()


def test_every_fold_measures_the_same_findings(data: Path, tmp_path: Path) -> None:
    recipes = [make_recipe("one", *FINDINGS)]
    result = cross_validate(recipes, data, tmp_path / "cv", folds=2, device="cpu")
    assert result.findings == ("covid-19", "pneumonia")
    assert any(note.startswith("finding hernia is left out, too few: in repeat 1, fold ") for note in result.notes)
    for recipe in result.recipes:
        values = [fold.figures["macro/auroc"] for fold in recipe.folds]
        assert recipe.figures["macro/auroc"].value == pytest.approx(np.mean(values))
        assert list(recipe.folds[0].figures) == list(recipe.folds[1].figures)
        for fold in recipe.folds:
            parts = [fold.figures[f"{name}/auroc"] for name in result.findings]
            assert fold.figures["macro/auroc"] == pytest.approx(np.mean(parts))
    assert "AUROC, mean of the findings" in (tmp_path / "cv" / "cross-validation.html").read_text(encoding="utf-8")
    asked = make_recipe("asked", *FINDINGS).model_copy(update={"changes": ("task.classes=[covid-19, hernia]",)})
    with pytest.raises(RecipeError, match="hernia"):
        cross_validate([asked], data, tmp_path / "other", folds=2)
    with pytest.raises(UsageError, match="same findings"):
        cross_validate([recipes[0], make_recipe("less", "covid-19")], data, tmp_path / "other", folds=2)


def test_a_search_goes_by_the_mean_area_of_the_findings(data: Path, tmp_path: Path) -> None:
    space = tmp_path / "rates.yaml"
    space.write_text("parameters:\n  optimizer.lr: [0.001, 0.01]\n", encoding="utf-8")
    tuning = tune(
        make_recipe("searched", *FINDINGS), data, tmp_path / "t", search=str(space), trials=2, split="validation",
        sampler="grid", pruner="none", device="cpu",
    )  # fmt: skip
    summary = tuning.summary
    assert summary.objective_words == "mean AUROC of the findings"
    assert {trial.state for trial in summary.trials} == {"complete"}
    best = summary.trial(summary.best)
    assert best is not None and best.objective is not None
    assert best.objective.value == max(trial.objective.value for trial in summary.trials if trial.objective)
    assert set(best.figures) == {"auroc", "log-loss"}
    assert tuning.run is not None
    assert isinstance(tuning.run.evaluation, FindingsEvaluation)
    assert "mean AUROC of the findings" in (tmp_path / "t" / "study.html").read_text(encoding="utf-8")


def test_a_learning_curve_is_of_the_mean_area(data: Path, tmp_path: Path) -> None:
    curve = learning_curve(make_recipe("grown", *FINDINGS), data, tmp_path / "c", sizes=(0.5, 1.0), device="cpu")
    assert curve.metric == "macro/auroc"
    assert [point.share for point in curve.points] == [0.5, 1.0]
    for point in curve.points:
        assert point.figure.value == pytest.approx(point.repeats[0])
    page = (tmp_path / "c" / "learning-curve.html").read_text(encoding="utf-8")
    assert "AUROC, mean of the findings on the validation part" in page
