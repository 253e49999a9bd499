"""Planning of a comparison: contradictions are errors before the first training."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pneumoscope.comparison import ranking  # noqa: E402
from pneumoscope.comparison.entries import (  # noqa: E402
    choose_recipes,
    fit_task,
    parse_grid,
    plan_entries,
    published_recipes,
    sets_for,
)
from pneumoscope.comparison.runs import EntryResult  # noqa: E402
from pneumoscope.core.errors import RecipeError, UsageError, WeightsError  # noqa: E402
from pneumoscope.data.manifest import Manifest  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe, with_changes  # noqa: E402

THREE = Counter({"covid-19": 5, "normal": 5, "viral-pneumonia": 5})


def test_a_grid_keeps_commas_inside_brackets_and_braces() -> None:
    grid = parse_grid(["optimizer.lr=1e-3, 1e-4", "augment=recipe,{rotation: 5, zoom: 0.1}", "head.hidden=[8],[8, 4]"])
    assert grid == {
        "optimizer.lr": ("1e-3", "1e-4"),
        "augment": ("recipe", "{rotation: 5, zoom: 0.1}"),
        "head.hidden": ("[8]", "[8, 4]"),
    }


@pytest.mark.parametrize(
    "text", ["optimizer.lr", "=1", "optimizer.lr=1,,2", "optimizer.lr=1,1", "lenet-*:optimizer.lr=1,2"]
)
def test_an_invalid_grid_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"the grid .*: (must be|names)"):
        parse_grid([text])


def test_a_change_may_apply_to_some_recipes_only() -> None:
    sets = ["training.epochs=2", "cnn-*:optimizer.lr=1e-4", "lenet-128:head.dropout[0]=0.1"]
    assert sets_for("cnn-299", sets) == ["training.epochs=2", "optimizer.lr=1e-4"]
    assert sets_for("lenet-128", sets) == ["training.epochs=2", "head.dropout[0]=0.1"]


def test_every_published_recipe_fits_the_task_of_the_comparison() -> None:
    """Binary recipes separate the target from normal, the others separate all classes; the target comes first."""
    for name in published_recipes():
        recipe = load_recipe(name)
        fitted = with_changes(recipe, fit_task(recipe, "covid-19", THREE)).task
        if fitted.kind == "binary":
            assert fitted.classes == ("covid-19", "normal"), name
            assert fitted.class_of("viral-pneumonia") is None, name
            assert fitted.sigmoid_of in (None, "covid-19", "normal"), name
        else:
            assert set(fitted.classes) == set(THREE), name
            assert fitted.classes[0] == "covid-19", name


def test_a_recipe_with_the_task_of_the_comparison_does_not_change() -> None:
    assert fit_task(load_recipe("mobilenetv2-flagship"), "covid-19", THREE) == []
    assert fit_task(load_recipe("cnn-224"), "covid-19", THREE) == []
    assert fit_task(load_recipe("cnn-150"), "pneumonia", Counter({"bacterial-pneumonia": 3, "normal": 3})) == []


def test_names_contain_the_setting_and_the_seed(phantom_set: Manifest) -> None:
    grid = parse_grid(["optimizer.lr=0.1,0.2"])
    planned = plan_entries(["lenet-128"], phantom_set, "covid-19", grid=grid, seeds=2)
    assert [(entry.name, entry.recipe.optimizer.lr, entry.recipe.training.seed) for entry in planned] == [
        ("lenet-128+lr=0.1", 0.1, 0),
        ("lenet-128+lr=0.1.seed1", 0.1, 1),
        ("lenet-128+lr=0.2", 0.2, 0),
        ("lenet-128+lr=0.2.seed1", 0.2, 1),
    ]


def test_an_unknown_recipe_suggests_the_nearest(phantom_set: Manifest) -> None:
    with pytest.raises(UsageError, match="lenet-128"):
        plan_entries(["lenet-129"], phantom_set, "covid-19")


def test_a_class_that_the_data_lack_is_an_error(phantom_set: Manifest) -> None:
    with pytest.raises(UsageError, match="no such image"):
        plan_entries(["lenet-128"], phantom_set, "lung-opacity")
    with pytest.raises(UsageError, match=r"means that nothing was found.*Say: `target='covid-19'`"):
        plan_entries(["lenet-128"], phantom_set, "normal")


def test_without_a_target_it_is_the_usual_one_or_the_only_one() -> None:
    """An error about `--target covid-19`, which nobody typed, said nothing of what was wrong."""
    assert choose_recipes(["lenet-128"], THREE, None)[0].recipe.task.classes[0] == "covid-19"
    [one] = choose_recipes(["lenet-128"], Counter({"normal": 3, "tuberculosis": 3}), None)
    assert one.recipe.task.classes == ("tuberculosis", "normal")
    with pytest.raises(UsageError, match=r"^`target`: is not given, .* such as `target='nodule'`"):
        choose_recipes(["lenet-128"], Counter({"normal": 3, "nodule": 3, "tuberculosis": 3}), None)


def test_the_error_of_an_impossible_size_names_the_network(phantom_set: Manifest) -> None:
    with pytest.raises(RecipeError) as caught:
        plan_entries(["cnn-150", "lenet-128"], phantom_set, "covid-19", sets=["lenet-128:input.size=32"])
    assert str(caught.value) == (
        "lenet-128: cannot take 32 x 32 pixels: they are too few for its layers. Choose a larger input.size."
    )


def test_a_change_for_no_recipe_is_an_error(phantom_set: Manifest) -> None:
    with pytest.raises(UsageError, match="none of the recipes"):
        plan_entries(["lenet-128"], phantom_set, "covid-19", sets=["vgg*:training.epochs=2"])


def test_a_manifest_without_parts_is_refused(phantom_set: Manifest) -> None:
    bare = Manifest(phantom_set.table.assign(split=None), phantom_set.roots, phantom_set.notes)
    with pytest.raises(UsageError, match="no parts"):
        plan_entries(["lenet-128"], bare, "covid-19")


def test_a_network_without_available_weights_is_left_out_with_the_reason(
    phantom_set: Manifest, monkeypatch: pytest.MonkeyPatch
) -> None:
    def offline(name: str) -> None:
        raise WeightsError(name, "its weights could not be fetched.")

    monkeypatch.setattr("pneumoscope.recipes.starting_weights.require_hub", offline)
    unavailable, available = plan_entries(["resnet18-pretrained", "lenet-128"], phantom_set, "covid-19")
    assert unavailable.plan is None
    assert "could not be fetched" in unavailable.problem
    assert available.plan is not None


def test_networks_with_the_same_classes_in_another_order_stand_in_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    def result(*classes: str) -> Any:
        part, task = SimpleNamespace(rows_hash=lambda: "rows"), SimpleNamespace(classes=classes, multilabel=False)
        plan: Any = SimpleNamespace(recipe=SimpleNamespace(task=task), manifest=SimpleNamespace(part=lambda _: part))
        return EntryResult(SimpleNamespace(plan=plan), "done", Path())  # type: ignore[arg-type]

    monkeypatch.setattr(ranking, "_table", lambda members, *_: SimpleNamespace(classes=(), rows=members))
    results = [result("a", "b", "c"), result("a", "c", "b"), result("b", "a", "c"), result("a", "b")]
    config: Any = None
    assert [len(table.rows) for table in ranking.rank_networks(results, Path(), config)] == [2, 1, 1]
