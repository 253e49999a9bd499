"""A plan names each aim with its patients; the largest number is the study's."""

from __future__ import annotations

import pytest

from pneumoscope.core.errors import UsageError
from pneumoscope.workflows.study_plan import plan_study


def test_a_plan_has_the_published_numbers() -> None:
    """Riley 2021, 4.6: a prevalence of 1.8% and an AUROC of .8 need 4,252 patients for the AUROC."""
    plan = plan_study(auroc=0.8, prevalence=0.018)
    needed = {aim.aim: aim.needed for aim in plan.aims}
    assert needed["an interval of the AUROC 0.1 wide around 0.8"] == 4252
    assert needed["an interval of observed over expected cases .2 wide"] == 20_975
    assert plan.total == max(aim.total or 0 for aim in plan.aims) >= 20_975


def test_patients_with_the_disease_are_a_share_of_all() -> None:
    plan = plan_study(auroc=0.85, prevalence=0.25, sensitivity=0.95, least_sensitivity=0.9)
    aim = plan.aims[-1]
    assert (aim.of, aim.total) == ("with", 4 * (aim.needed or 0))
    assert plan.to_json()["patients"] == plan.total


def test_what_cannot_be_met_has_no_number() -> None:
    plan = plan_study(auroc=0.8, prevalence=0.5, least_auroc=0.85)
    assert plan.aims[-1].needed is None
    assert plan.total is None


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"auroc": 0.5}, "above 0.5"),
        ({"prevalence": 20.0}, "below 1"),
        ({"least_specificity": 0.6}, "needs the expected specificity"),
    ],
)
def test_a_value_out_of_range_is_named(values: dict[str, float], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        plan_study(**{"auroc": 0.8, "prevalence": 0.5, **values})
