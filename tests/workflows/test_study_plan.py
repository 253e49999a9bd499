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
    assert aim.aim == "a sensitivity surely above 0.9, power .8 where it is 0.95"
    assert (aim.needed or 0) > 139  # with which the lower limit is reached every other time
    assert plan.to_json()["patients"] == plan.total


def test_what_cannot_be_met_has_no_number() -> None:
    plan = plan_study(auroc=0.8, prevalence=0.5, least_auroc=0.85)
    assert plan.aims[-1].needed is None
    assert plan.total is None


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"auroc": 0.5}, "must be 0.501 to 0.9999"),
        ({"prevalence": 20.0}, "must be 0.0001 to 0.9999"),
        ({"width": 1e-6}, "must be 0.001"),
        ({"sensitivity": float("nan")}, "must be 0.001"),
        ({"least_specificity": 0.6}, "needs the expected specificity"),
    ],
)
def test_a_value_out_of_range_is_named(values: dict[str, float], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        plan_study(**{"auroc": 0.8, "prevalence": 0.5, **values})


@pytest.mark.parametrize("auroc", [0.501, 0.85, 0.995, 0.9999])
@pytest.mark.parametrize("prevalence", [0.0001, 0.3, 0.9999])
@pytest.mark.parametrize("width", [0.001, 0.2, 0.999])
def test_every_value_in_range_has_a_number(auroc: float, prevalence: float, width: float) -> None:
    plan = plan_study(auroc=auroc, prevalence=prevalence, width=width, sensitivity=0.999, specificity=0.001)
    assert plan.total is not None
    assert plan.total >= 100 / min(prevalence, 1 - prevalence)
    assert all(aim.needed is not None and aim.needed >= 1 for aim in plan.aims)
