"""No command or setting lets the choice of an epoch, of settings or of a network use the test part."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from typing import Any

import pytest

from pneumoscope.core.errors import RecipeError
from pneumoscope.recipes.recipe import load_recipe


@pytest.mark.parametrize("metric", ["test_accuracy", "test_loss", "test_auroc"])
def test_an_epoch_cannot_be_selected_on_the_test_part(metric: str) -> None:
    with pytest.raises(RecipeError, match="selection"):
        load_recipe("lenet-128", [f"selection.metric={metric}"])


@pytest.mark.parametrize("monitor", ["test_accuracy", "test_loss", "train_loss"])
def test_the_learning_rate_cannot_follow_the_test_part(monitor: str) -> None:
    with pytest.raises(RecipeError, match=r"schedule\.monitor"):
        load_recipe("cnn-150", [f"schedule.monitor={monitor}"])


@pytest.mark.torch
def test_training_does_not_decode_the_test_part() -> None:
    pytest.importorskip("torch")
    from pneumoscope.training.plan import LEARNING_PARTS

    assert LEARNING_PARTS == ("train", "validation", "calibration")


def options(place: str) -> dict[str, inspect.Parameter]:
    module, name = place.split(":")
    command: Callable[..., Any] = getattr(import_module(module), name)
    return dict(inspect.signature(command).parameters)


@pytest.mark.parametrize("place", ["pneumoscope.cli.train:train", "pneumoscope.cli.compare:compare"])
def test_no_option_of_train_or_compare_names_a_part(place: str) -> None:
    names = set(options(place))
    assert not names & {"split", "part", "parts", "select_on", "rank_on", "validation"}


def test_a_search_refuses_the_test_part() -> None:
    from pneumoscope.core.errors import UsageError
    from pneumoscope.tuning.options import check_part

    with pytest.raises(UsageError, match="is not for choosing"):
        check_part("test", None)
