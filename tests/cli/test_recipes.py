"""`pneumoscope recipes`: the table is whole in a pipe of 80 columns, and a recipe can be read."""

from __future__ import annotations

import json
from typing import Any

import pytest
from typer.testing import CliRunner

from pneumoscope.cli.main import app
from pneumoscope.recipes.recipe import load_recipe, recipe_names


@pytest.fixture(autouse=True)
def _eighty_columns(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def recipes(*arguments: str) -> Any:
    done = CliRunner().invoke(app, ["recipes", *arguments])
    assert done.exit_code == 0, done.output
    return done


def test_list_has_every_name_and_count_whole_in_80_columns() -> None:
    lines = recipes("list").stdout.splitlines()
    assert max(map(len, lines)) <= 80
    for name in recipe_names():
        expects = load_recipe(name).expects
        assert expects is not None
        [line] = [line for line in lines if line.split()[:1] == [name]]
        assert line.split()[-1] == f"{expects.parameters:,}"


def test_a_narrow_terminal_cuts_no_name(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    words = recipes("list").stdout.split()
    assert {"transfer-inception-resnet-v2", "79,599,908"} <= set(words)


@pytest.mark.torch
def test_list_as_json_counts_what_the_networks_have() -> None:
    pytest.importorskip("torch")
    rows = {row["name"]: row for row in json.loads(recipes("list", "--json").stdout)}
    assert list(rows) == recipe_names()
    flagship, frozen, cnn = rows["mobilenetv2-flagship"], rows["transfer-vgg16"], rows["cnn-150"]
    assert (flagship["parameters"], flagship["trainable"], flagship["buffers"]) == (2_227_715, 2_227_715, 34_112)
    assert (cnn["parameters"], cnn["trainable"], cnn["buffers"]) == (1_246_401, 1_246_401 - 1_088, 1_088)
    assert frozen["trainable"] == frozen["parameters"] - 14_714_688


@pytest.mark.torch
def test_show_tells_layers_figures_and_what_was_assumed() -> None:
    pytest.importorskip("torch")
    text = recipes("show", "cnn-299").stdout
    assert max(map(len, text.splitlines())) <= 80
    said = " ".join(text.split())
    for words in (
        "dense 156,800 to 256 256 40,141,056",
        "40,235,344 parameters as keras counts; 40,235,338 trainable; 6 batch-norm statistics.",
        "by epoch: loss 0.5499 0.7722",
        "Batch size 128, Adam at .001",
        "The source's validation part is its test part.",
        "Classes that the data lack are left out",
    ):
        assert words in said
    assert "{" not in text


@pytest.mark.torch
def test_show_as_json_follows_a_change() -> None:
    pytest.importorskip("torch")
    facts = json.loads(recipes("show", "lenet-128", "--set", "head.hidden=[10]", "--json").stdout)
    assert facts["parameters"] == 456 + 2_416 + (16 * 10 + 10) + (10 * 4 + 4)
    assert sum(layer["parameters"] for layer in facts["layers"]) == facts["parameters"]
    assert facts["recipe"]["changes"] == ["head.hidden=[10]"]
