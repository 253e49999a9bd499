"""A finding is trained where enough groups of each part have it and enough are said not to; else it is named."""

from __future__ import annotations

import json

import pytest

from pneumoscope.core.errors import RecipeError
from pneumoscope.core.halves import in_first_half
from pneumoscope.data.fitting import count_stated, fit_recipe
from pneumoscope.data.label_rows import LabelRows
from pneumoscope.recipes.recipe import Recipe, load_recipe

BOTH = json.dumps({"mass": True, "nodule": True})
MASS, NEITHER = json.dumps({"mass": True, "nodule": False}), json.dumps({"mass": False, "nodule": False})


def make_recipe(*sets: str) -> Recipe:
    """Return a recipe of two findings that nobody asked for."""
    recipe = load_recipe("mobilenetv2-findings", ["task.classes=[mass, nodule]", *sets])
    return recipe.model_copy(update={"changes": ()})


def make_rows(with_nodule: int) -> LabelRows:
    """Return a manifest with 12 groups in each place that have a mass, and 12 that have none.

    The train part has ``with_nodule`` groups of two images each with a nodule, all other places have 5.
    """
    rows: list[tuple[str, str, str]] = []
    choosing = (name for name in map(str, range(1000)) if in_first_half(name))
    for part, nodules in (("train", with_nodule), ("validation", 5), ("calibration", 5)):
        for number in range(24):
            group = next(choosing) if part == "calibration" else f"{part}-{number}"
            rows += [(BOTH if number < nodules else MASS if number < 12 else NEITHER, part, group)] * 2
    cells, parts, groups = zip(*rows, strict=True)
    return LabelRows(["other"] * len(rows), list(parts), list(groups), findings=list(cells))


def test_groups_are_counted_and_not_images() -> None:
    stated = count_stated(make_recipe(), make_rows(9))
    assert stated["nodule"].present == (9 + 5 + 5) * 2
    assert {place.place: (place.present, place.absent, place.least) for place in stated["nodule"].places} == {
        "the train part": (9, 15, 10),
        "the validation part": (5, 19, 5),
        "the calibration part": (5, 19, 5),
        "the half of the calibration part that chooses thresholds": (5, 19, 5),
    }
    assert stated["mass"].shortage is None


def test_a_finding_of_too_few_groups_is_left_out_with_the_part_that_lacks_it() -> None:
    fitted = fit_recipe(make_recipe(), make_rows(9)).recipe
    assert fitted.task.classes == ("mass",)
    assert fitted.changes == (
        "finding nodule left out, too few: the train part has it in 9 groups and is said not to have it in 15, of at "
        "least 10 each (present in 38 images, absent in 106)",
    )
    assert fit_recipe(make_recipe(), make_rows(10)).recipe.task.classes == ("mass", "nodule")
    assert fit_recipe(make_recipe("training.fewest_groups=9"), make_rows(9)).recipe.task.classes == ("mass", "nodule")


def test_the_other_parts_need_half_as_many() -> None:
    recipe = make_recipe("training.fewest_groups=11")
    (line,) = fit_recipe(recipe, make_rows(12)).recipe.changes
    assert "too few: the validation part has it in 5 groups and is said not to have it in 19, of at least 6" in line


def test_a_finding_that_was_asked_for_is_an_error_with_the_ways_out() -> None:
    asked = load_recipe("mobilenetv2-findings", ["task.classes=[mass, nodule]"])
    with pytest.raises(RecipeError, match=r"nodule .*: the train part has it in 9 groups") as caught:
        fit_recipe(asked, make_rows(9))
    assert "training.fewest_groups=2" in str(caught.value)
    assert "task.classes=[mass]" in str(caught.value)
