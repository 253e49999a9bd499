"""Figures by subgroup are those of the subgroup's images alone, against the other images whose value is known."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

from pneumoscope.inference.subgroups import measure_subgroups

N = 240


@pytest.fixture(scope="module")
def study() -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return rows, scores and truth: women's scores say nothing, and a fifth of the sexes is unknown."""
    rng = np.random.default_rng(2)
    sex = rng.choice(np.array(["F", "M", None], dtype=object), N, p=[0.4, 0.4, 0.2])
    positive = rng.random(N) < 0.5
    score = np.where(sex == "F", rng.random(N), np.where(positive, 0.5, 0.0) + 0.5 * rng.random(N))
    table = pd.DataFrame({"sex": sex, "age": np.nan, "view": "PA", "source": "here", "manufacturer": None})
    return table, score, positive


def test_a_subgroup_has_the_figures_of_its_own_images(study) -> None:
    table, score, positive = study
    (women, men) = measure_subgroups(table, score, positive, np.arange(N), 0.5)
    assert (women.name, men.name) == ("sex: F", "sex: M")
    inside = (table.sex == "F").to_numpy()
    assert women.images == inside.sum()
    assert women.positives == (positive & inside).sum()
    expected = roc_auc_score(positive[inside], score[inside])
    others = (table.sex == "M").to_numpy()  # the unknown ones are no others
    assert women.auroc.value == pytest.approx(expected)
    assert women.difference.value == pytest.approx(expected - roc_auc_score(positive[others], score[others]))
    assert women.sensitivity.value == pytest.approx((score[inside & positive] >= 0.5).mean())
    assert women.specificity.value == pytest.approx((score[inside & ~positive] < 0.5).mean())
    assert women.p_value is not None
    assert women.p_value < 0.001


def test_what_all_images_share_is_no_subgroup(study) -> None:
    table, score, positive = study
    assert measure_subgroups(table.assign(sex="F"), score, positive, np.arange(N), 0.5) == ()


def test_a_small_subgroup_has_no_p_and_costs_the_others_none(study) -> None:
    table, score, positive = study
    few = table.assign(view=["AP"] * 6 + ["PA"] * (N - 6))
    names = {one.name: one for one in measure_subgroups(few, score, positive, np.arange(N), 0.5)}
    assert names["view: AP"].p_value is None
    alone = measure_subgroups(table, score, positive, np.arange(N), 0.5)
    assert names["sex: F"].p_value == pytest.approx(alone[0].p_value)


def test_makers_are_subgroups_and_two_rows_of_one_comparison_count_once(study) -> None:
    """With Holm over three comparisons the smallest p is multiplied by three, though there are six rows."""
    table, score, positive = study
    maker = np.array(["Agfa", "Fuji", None], dtype=object)[np.arange(N) % 3]
    ages = np.where(np.arange(N) % 2, 30.0, 50.0)
    rows = {
        row.name: row
        for row in measure_subgroups(table.assign(manufacturer=maker, age=ages), score, positive, np.arange(N), 0.5)
    }
    assert set(rows) == {
        "age: 18 to 39 years", "age: 40 to 64 years", "sex: F", "sex: M", "manufacturer: Agfa", "manufacturer: Fuji",
    }  # fmt: skip
    assert rows["manufacturer: Agfa"].images == (maker == "Agfa").sum()
    assert rows["sex: F"].p_value == rows["sex: M"].p_value
    (alone, _) = measure_subgroups(table, score, positive, np.arange(N), 0.5)
    assert alone.p_value is not None  # of one comparison: not adjusted
    assert rows["sex: F"].p_value == pytest.approx(3 * alone.p_value)


def test_ap_views_are_one_subgroup_where_there_are_two_kinds(study) -> None:
    table, score, positive = study
    for views, names in ((["AP", "PA"], {"view: AP", "view: PA"}),
                         (["AP", "PA", "AP Supine"],
                          {"view: AP", "view: PA", "view: AP Supine", "view: AP, upright or supine"})):  # fmt: skip
        some = table.assign(view=np.resize(np.array(views, dtype=object), N), sex=None)
        assert {row.name for row in measure_subgroups(some, score, positive, np.arange(N), 0.5)} == names
