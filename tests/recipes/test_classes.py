"""Recipes fitted to the labels of the data: a class without images is left out, and the message names the option."""

from __future__ import annotations

import pytest

from pneumoscope.core.errors import RecipeError
from pneumoscope.recipes.classes import fit_classes
from pneumoscope.recipes.recipe import load_recipe, recipe_names

THREE = {"covid-19": 5, "normal": 6, "viral-pneumonia": 7}


@pytest.mark.parametrize("name", [n for n in recipe_names() if len(load_recipe(n).task.classes) == 4])
def test_a_recipe_of_four_classes_trains_on_three_and_says_so(name: str) -> None:
    fitted = fit_classes(load_recipe(name), THREE)
    assert set(fitted.recipe.task.classes) == set(THREE)
    assert fitted.recipe.outputs == 3
    assert fitted.recipe.expects is None
    assert fitted.recipe.changes == ("class lung-opacity left out: the data have no image of it",)
    assert not fitted.left_out
    assert fit_classes(fitted.recipe, THREE).recipe == fitted.recipe  # a resumed run finds the same recipe


def test_weights_of_the_loss_stay_with_their_classes() -> None:
    recipe = load_recipe("lenet-128", ["loss.class_weights=[1, 2, 3, 4]"])
    weight_of = dict(zip(recipe.task.classes, (1, 2, 3, 4), strict=True))
    fitted = fit_classes(recipe, THREE).recipe
    assert fitted.loss.class_weights == tuple(weight_of[name] for name in fitted.task.classes)


@pytest.mark.parametrize(
    ("name", "sets", "labels", "option"),
    [
        # the class that is looked for is absent: another class must not take its place silently
        ("lenet-128", [], {"normal": 5, "viral-pneumonia": 5}, "`sets='task.classes=[viral-pneumonia, normal]'`"),
        # the class to look for comes first, so that "none of these" and other findings come last
        ("lenet-128", [], {"other": 2, "normal": 5, "nodule": 5}, "`sets='task.classes=[nodule, other, normal]'`"),
        ("lenet-128", ["task.classes=[normal, covid-19]"], THREE, "`sets='task.classes=[covid-19, normal]'`"),
        (
            "lenet-128",
            ["task.classes=[clear, covid-19]", "task.map={normal: clear}"],
            THREE,
            "`sets='task.classes=[covid-19, clear]'`",
        ),
        # the user asked for the class
        (
            "lenet-128",
            ["task.classes=[covid-19, lung-opacity]"],
            THREE,
            "`sets='task.classes=[covid-19, viral-pneumonia, normal]'`",
        ),
        # a label that no class covers
        ("cnn-150", [], {"bacterial-pneumonia": 4, "normal": 4, "covid-19": 1}, "`sets='task.ignore=[covid-19]'`"),
        ("mobilenetv2-flagship", [], {**THREE, "other": 3}, "viral-pneumonia, other]'"),
        (
            "mobilenetv2-opacity",
            [],
            {"covid-19": 3, "normal": 3, "pneumonia": 3, "silicosis": 1},
            "nodule, other, sil",
        ),
    ],
)
def test_what_is_not_left_out_silently_is_an_error_with_the_option_to_paste(
    name: str, sets: list[str], labels: dict[str, int], option: str
) -> None:
    recipe = load_recipe(name, sets)
    with pytest.raises(RecipeError) as caught:
        fit_classes(recipe, labels)
    assert option in str(caught.value)


def test_the_option_of_the_message_works() -> None:
    labels = {"normal": 5, "viral-pneumonia": 5}
    fitted = fit_classes(load_recipe("lenet-128", ["task.classes=[viral-pneumonia, normal]"]), labels)
    assert fitted.recipe.task.classes == ("viral-pneumonia", "normal")
    ignoring = load_recipe("cnn-150", ["task.ignore=[covid-19]"])
    fitted = fit_classes(ignoring, {"bacterial-pneumonia": 4, "normal": 4, "covid-19": 1})
    assert fitted.left_out == {"covid-19"}
    assert fitted.notes == ("left out by the recipe: covid-19 (1)",)


def test_a_label_of_the_datas_own_is_a_class_like_any_other() -> None:
    recipe = load_recipe("cnn-150", ["task.classes=[Плеврит, normal]"])
    labels = {"Плеврит": 4, "normal": 4, "Fluid overload": 2}
    assert fit_classes(recipe, labels).recipe.task.members("Плеврит") == ("Плеврит",)
    mapped = load_recipe("lenet-128", ["task.map={Fluid overload: Плеврит}", "task.classes=[Плеврит, normal]"])
    assert fit_classes(mapped, labels).recipe.task.members("Плеврит") == ("Плеврит", "Fluid overload")


@pytest.mark.parametrize("change", ["task.ignore=[Fluid overlod]", "task.map={Fluid overlod: normal}"])
def test_a_label_that_exists_nowhere_is_misspelt(change: str) -> None:
    recipe = load_recipe("lenet-128", [change])
    with pytest.raises(RecipeError, match="Did you mean 'Fluid overload'"):
        fit_classes(recipe, {"covid-19": 4, "normal": 4, "Fluid overload": 2})
