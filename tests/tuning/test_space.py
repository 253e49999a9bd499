"""Search files: what is refused before the first trial, and what the samplers draw from a space."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("optuna")
pytestmark = pytest.mark.torch

from pneumoscope.core.errors import RecipeError, UsageError  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe, recipe_names, with_changes  # noqa: E402
from pneumoscope.tuning.sampling import make_pruner, plan_points  # noqa: E402
from pneumoscope.tuning.search_files import (  # noqa: E402
    check_networks,
    check_settings,
    load_search,
    parse_search,
    search_names,
)
from pneumoscope.tuning.space import SearchSpace, changes_of, identity_of  # noqa: E402


def space(**parameters: Any) -> SearchSpace:
    return parse_search({"parameters": {key.replace("__", "."): value for key, value in parameters.items()}}, "s")


def test_the_space_of_cnn_224_is_that_of_its_source() -> None:
    recipe = load_recipe("cnn-224")
    search = load_search(None, recipe)
    assert (search.name, search.trials) == ("cnn-224", 50)
    assert search.size == 2 * 4**4 * 3  # dense, four dropout rates, learning rate
    # The recipe's dense 64 is the source's count; its unstated rates were assumed inside the space.
    assert search.own_point(recipe) == {
        "head.hidden[0]": 64,
        "network.dropout[0]": 0.3,
        "network.dropout[1]": 0.3,
        "network.dropout[2]": 0.3,
        "head.dropout[1]": 0.3,
        "optimizer.lr": 0.001,
    }


def test_a_point_becomes_the_changes_that_set_takes() -> None:
    recipe = load_recipe("cnn-224")
    point = {"head.hidden[0]": 128, "network.dropout[2]": 0.5, "optimizer.lr": 1e-05, "optimizer.kind": "sgd"}
    changed = with_changes(recipe, changes_of(point))
    assert (changed.head.hidden, changed.network.dropout) == ((128,), (0.3, 0.3, 0.5))
    assert (changed.optimizer.lr, changed.optimizer.kind) == (1e-05, "sgd")


@pytest.mark.parametrize("name", [name for name in recipe_names() if name not in ("cnn-224",)][:3])
def test_every_recipe_has_a_space(name: str) -> None:
    assert load_search(None, load_recipe(name)).name == "general"


def test_shipped_searches_are_found_by_name() -> None:
    assert search_names() == ["cnn-224", "general"]
    with pytest.raises(UsageError, match="Did you mean 'cnn-224'"):
        load_search("cnn-22", load_recipe("cnn-224"))


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"optimizer.lrr": [0.1]}, ["optimizer.lrr", "Did you mean 'lr'"]),
        ({"optimizer.kind": ["adam", "sdg"]}, ["optimizer.kind=sdg", "rmsprop"]),
        ({"head.dropout[1]": [0.2, 1.5]}, ["head.dropout[1]=1.5", "less than or equal to 1"]),
        ({"network.dropout[7]": [0.2]}, ["network.dropout has 3 entries"]),
        ({"training.epochs": {"low": 0, "high": 9}}, ["training.epochs=0"]),
        ({"training.seed": [1, 2]}, ["luckiest seed"]),
        ({"task.classes": [["normal", "covid-19"]]}, ["task.classes", "unlike things"]),
        ({"input.size": [16, 224]}, ["input.size=16"]),
    ],
)
def test_values_that_the_recipe_refuses_are_errors_before_the_first_trial(
    parameters: dict[str, Any], words: list[str]
) -> None:
    search = parse_search({"parameters": parameters}, "s")
    with pytest.raises(RecipeError) as caught:
        check_settings(search, load_recipe("cnn-224"))
        check_networks(search, load_recipe("cnn-224"))
    for word in words:
        assert word in str(caught.value)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        ({"parametres": {"optimizer.lr": [1]}}, ["unknown key 'parametres'", "Did you mean 'parameters'"]),
        ({"parameters": {"optimizer.lr": {"low": 1, "hihg": 2}}}, ["optimizer.lr", "high"]),
        ({"parameters": {"optimizer.lr": {"low": "1e-1", "high": "1e-4"}}}, ["optimizer.lr", "0.1 must be less"]),
        ({"parameters": {"optimizer.lr": {"low": 0, "high": 1, "log": True}}}, ["log needs a low over 0"]),
        ({"parameters": {"training.epochs": {"low": 1, "high": 10, "step": 4}}}, ["do not reach 10"]),
        ({"parameters": {"optimizer.lr": {"low": 1e-5, "high": float("inf")}}}, ["optimizer.lr", "finite numbers"]),
        ({"parameters": {"training.batch_size": {"low": 1, "high": 10**12}}}, ["over 1,000,000 values", "step"]),
        ({"parameters": {"optimizer.lr": []}}, ["optimizer.lr", "at least 1"]),
        ({"parameters": {"optimizer.lr": ["1e-3", 0.001]}}, ["comes twice"]),
        ({"parameters": {"optimizer.lr": 0.1}}, ["optimizer.lr", "list of values"]),
        ({"parameters": {}}, ["parameters"]),
        ([], ["YAML mapping"]),
    ],
)
def test_an_invalid_search_file_is_refused_by_name(data: Any, words: list[str]) -> None:
    with pytest.raises(RecipeError) as caught:
        parse_search(data, "s")
    for word in words:
        assert word in str(caught.value)


def test_a_space_for_another_recipe_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecipeError, match="belongs to cnn-224, not to lenet-128"):
        load_search("cnn-224", load_recipe("lenet-128"))


def test_a_grid_holds_every_setting_once_the_recipe_first() -> None:
    recipe = load_recipe("cnn-224")
    search = space(optimizer__lr=["1e-4", "1e-3"], training__epochs={"low": 10, "high": 20, "step": 5})
    points = plan_points(search, recipe, "grid", 99, seed=0)
    assert points[0] == {"optimizer.lr": 0.001, "training.epochs": 20}
    assert {(p["optimizer.lr"], p["training.epochs"]) for p in points} == {
        (a, b) for a in (1e-4, 1e-3) for b in (10, 15, 20)
    }
    assert len(points) == 6
    assert plan_points(search, recipe, "grid", 3, seed=0) == points[:3]  # a longer search goes on with a shorter one


def test_a_grid_without_steps_is_refused() -> None:
    with pytest.raises(UsageError, match=r"optimizer\.lr .* has no step"):
        plan_points(space(optimizer__lr={"low": 0.1, "high": 1.0}), load_recipe("cnn-224"), "grid", 5, seed=0)


def test_a_grid_that_no_memory_holds_is_refused_and_tpe_needs_none() -> None:
    names = ("optimizer__lr", "optimizer__eps", "optimizer__weight_decay", "training__epochs")
    large = space(**{key: {"low": 1, "high": 1000} for key in names})
    with pytest.raises(UsageError, match="has 1,000,000,000,000 settings, and a grid holds 1,000,000"):
        plan_points(large, load_recipe("cnn-224"), "grid", 5, seed=0)
    assert plan_points(large, load_recipe("cnn-224"), "tpe", 5, seed=0) == [{}] * 5


def test_random_settings_come_once_and_a_longer_search_begins_alike() -> None:
    recipe, search = load_recipe("cnn-224"), load_search(None, load_recipe("cnn-224"))
    points = plan_points(search, recipe, "random", 200, seed=3)
    assert len({identity_of(point) for point in points}) == 200
    assert plan_points(search, recipe, "random", 40, seed=3) == points[:40]
    assert plan_points(search, recipe, "random", 40, seed=4)[1:] != points[1:40]
    small = space(optimizer__lr=[0.1, 0.001], head__hidden=[[64], [128, 32]])
    assert len(plan_points(small, recipe, "random", 50, seed=0)) == 4  # a small space is tried whole


def test_a_range_draws_its_exponent_evenly() -> None:
    search = space(optimizer__lr={"low": "1e-5", "high": "1e-1", "log": True})
    rng = np.random.default_rng(0)
    drawn = np.array([float(str(search.draw(rng)["optimizer.lr"])) for _ in range(2000)])
    assert drawn.min() >= 1e-5
    assert drawn.max() <= 1e-1
    assert 0.45 < np.mean(drawn < 1e-3) < 0.55  # 2,000 draws at one half: sd .011


def test_an_unknown_sampler_or_pruner_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'random'"):
        plan_points(space(optimizer__lr=[1]), load_recipe("cnn-224"), "randon", 5, seed=0)
    with pytest.raises(UsageError, match="Did you mean 'median'"):
        make_pruner("medain", 5)
