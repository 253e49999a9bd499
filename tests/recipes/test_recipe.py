"""Recipes: refusals, suggestions and changes."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from pneumoscope.core.errors import RecipeError, UsageError
from pneumoscope.recipes.recipe import load_recipe, parse_recipe, recipe_names, with_changes
from pneumoscope.recipes.selection import Selection


@pytest.mark.parametrize("name", recipe_names())
def test_a_shipped_recipe_survives_its_own_yaml(name: str) -> None:
    recipe = load_recipe(name)
    assert recipe.name == name
    assert parse_recipe(yaml.safe_load(recipe.to_yaml()), name) == recipe


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("optimizer.lrr=3", ["optimizer.lrr", "Did you mean 'lr'"]),
        ("optimizer.kind=sdg", ["optimizer.kind", "sdg", "rmsprop"]),
        ("training.epochs=0", ["training.epochs", "0"]),
        ("task.classes=['cat/dog', normal]", ["cat/dog", "cannot name a label or class", "'/'"]),
        ("head.dropout=[0.1]", ["dropout", "2 rates"]),
        ("split={train: 0.5, test: 0.1}", ["0.6, not 1"]),
        ("head.dropout[1]=1.5", ["head.dropout", "1.5", "less than or equal to 1"]),
        ("training[0]=5", ["unknown key 'training.0'", "epochs"]),
        ("optimiser.lr=0.1", ["optimiser", "Did you mean 'optimizer'"]),
    ],
)
def test_a_wrong_change_names_key_value_and_rule(change: str, words: list[str]) -> None:
    recipe = load_recipe("cnn-150")
    with pytest.raises(RecipeError) as error_info:
        with_changes(recipe, [change])
    for word in words:
        assert word in str(error_info.value)


def test_an_unknown_recipe_suggests_the_nearest() -> None:
    with pytest.raises(UsageError, match="Did you mean 'cnn-150'"):
        load_recipe("cnn-15")


def test_a_change_is_recorded_and_removes_the_expected_count() -> None:
    recipe = with_changes(
        load_recipe("mobilenetv2-flagship"), ["optimizer.lr=1e-4", "head.kind=mlp", "head.hidden=[64]"]
    )
    assert recipe.optimizer.lr == 1e-4
    assert recipe.changes == ("optimizer.lr=1e-4", "head.kind=mlp", "head.hidden=[64]")
    assert recipe.expects is None


@pytest.mark.parametrize("form", ["network.dropout[1]=0.5", "network.dropout.1=5e-1"])
def test_one_entry_of_a_list_can_be_set(form: str) -> None:
    recipe = with_changes(load_recipe("cnn-224"), [form, "head.dropout[1]=0.2", "head.hidden[0]=128"])
    assert recipe.network.dropout == (0.3, 0.5, 0.3)
    assert recipe.head.dropout == (0, 0.2)
    assert recipe.head.hidden == (128,)
    assert recipe.changes[0] == form
    assert recipe.expects is None


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("cnn-224", "network.dropout[3]=0.5", ["network.dropout has 3 entries, numbered 0 to 2"]),
        ("mobilenetv2-flagship", "network.dropout[0]=0.5", ["network.dropout is empty", "network.dropout=[...]"]),
        ("cnn-224", "optimizer.lr[0]=0.5", ["optimizer.lr is 0.001, not a list"]),
        ("cnn-224", "head.dropout.rate=0.5", ["head.dropout has 2 entries, numbered 0 to 1"]),
        ("cnn-224", "head..dropout=0.5", ["key.inner[0]"]),
    ],
)
def test_an_absent_entry_is_an_error(name: str, change: str, words: list[str]) -> None:
    recipe = load_recipe(name)
    with pytest.raises(UsageError) as error_info:
        with_changes(recipe, [change])
    for word in (f"`sets={change!r}`", *words):
        assert word in str(error_info.value)


def test_small_numbers_inside_a_list_are_numbers() -> None:
    assert with_changes(load_recipe("cnn-224"), ["network.dropout=[1e-1, 2e-1, 0.3]"]).network.dropout == (
        0.1,
        0.2,
        0.3,
    )


def test_a_key_that_stands_twice_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = load_recipe("cnn-150").to_yaml()
    for at in ("", "training: {epochs: 1, epochs: 2}\n"):
        path.write_text(f"summary: mine\nextends: cnn-150\n{at}" if at else f"{text}name: other\n", encoding="utf-8")
        with pytest.raises(RecipeError, match="stands twice, in line"):
            load_recipe(str(path))


def test_a_file_may_extend_a_shipped_recipe(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    text = "extends: mobilenetv2-flagship\nname: mine\ntraining: {epochs: 3}\n"
    path.write_text(text)
    with pytest.raises(RecipeError, match="extends mobilenetv2-flagship and has no summary of its own"):
        load_recipe(str(path))
    path.write_text(f"{text}summary: The flagship for three epochs.\n")
    recipe = load_recipe(str(path))
    assert recipe.summary == "The flagship for three epochs."
    assert (recipe.name, recipe.training.epochs, recipe.training.batch_size) == ("mine", 3, 32)


def test_a_binary_task_needs_two_classes_and_a_binary_loss() -> None:
    recipe = load_recipe("cnn-150")
    with pytest.raises(RecipeError, match="2 classes, not 3"):
        with_changes(recipe, ["task.classes=[pneumonia, normal, covid-19]"])
    with pytest.raises(RecipeError, match="one sigmoid output"):
        with_changes(recipe, ["loss.kind=nll"])


def _row(epoch: int, accuracy: float, loss: float) -> dict[str, float]:
    return {"epoch": epoch, "validation_accuracy": accuracy, "validation_loss": loss}


@pytest.mark.parametrize(
    ("metric", "rows", "expected"),
    [
        ("validation_accuracy", [_row(1, 0.9, 0.5), _row(2, 0.9, 0.3), _row(3, 0.9, 0.4)], 2),  # ties: the lower loss
        ("validation_accuracy", [_row(1, 0.9, 0.3), _row(2, 0.9, 0.3)], 1),  # ties in both: the first
        ("validation_accuracy", [_row(1, 0.9, 0.3), _row(2, 0.91, 0.9)], 2),  # the metric decides before the loss
        ("validation_accuracy", [_row(1, 0.9, float("nan")), _row(2, 0.9, 0.9)], 2),
        ("validation_accuracy", [_row(1, 0.9, 0.9), _row(2, 0.9, float("nan"))], 1),
        ("validation_loss", [_row(1, 0.9, 0.5), _row(2, 0.1, 0.4)], 2),
        ("last", [_row(1, 0.9, 0.1), _row(2, 0.1, 0.4)], 2),
        ("validation_accuracy", [_row(1, float("nan"), 0.1)], None),
    ],
)
def test_the_kept_epoch_is_the_best_and_of_equals_the_one_of_lower_loss(
    metric: str, rows: list[dict[str, float]], expected: int | None
) -> None:
    assert Selection.model_validate({"metric": metric}).best_epoch(rows) == expected


@pytest.mark.parametrize(
    ("change", "hint"),
    [
        ("epochs=1", "Did you mean 'training.epochs'?"),
        ("epoch=1", "Did you mean 'training.epochs'?"),
        ("lr=1", "Did you mean 'optimizer.lr'?"),
        ("dropout=0.1", "Did you mean 'network.dropout' or 'head.dropout'?"),
        ("optimizer.epochs=1", "Did you mean 'training.epochs'?"),
        ("optimizer.lrr=1", "Did you mean 'lr'?"),
        ("trainig.epochs=1", "Did you mean 'training'?"),
        ("zzz=1", "unknown key 'zzz'. Keys there"),
    ],
)
def test_an_unknown_key_suggests_the_nearest_of_any_section(change: str, hint: str) -> None:
    with pytest.raises(RecipeError, match=re.escape(hint)):
        load_recipe("cnn-150", [change])
