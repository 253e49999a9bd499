"""How many patients a study of a model needs, before anybody collects them: one answer for each aim.

The formulas are those of `stats.sample_size`. Each aim is named with what its number rests on and its source, and the
largest number is the study's. All count independent patients.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from pneumoscope.core.arguments import argument, check_arguments
from pneumoscope.core.errors import UsageError
from pneumoscope.stats.sample_size import (
    COLLINS,
    LEAST_PATIENTS,
    OBUCHOWSKI,
    RILEY,
    WILSON,
    WILSON_BINOMIAL,
    cases_for_least_auroc,
    expected_linear_predictor,
    patients_for_auroc,
    patients_for_least_share,
    patients_for_oe,
    patients_for_share,
    patients_for_slope,
)


@dataclass(frozen=True, slots=True)
class StudyAim:
    """An aim of a study, and the patients that it needs.

    Args:
        aim: In words.
        needed: Patients; None where no number suffices.
        of: Whom ``needed`` counts: patients "with" the disease, "without" it, or "all".
        total: Patients in all, at the stated prevalence; None where no number suffices.
        source: Of the formula.
    """

    aim: str
    needed: int | None
    of: Literal["with", "without", "all"]
    total: int | None
    source: str


@dataclass(frozen=True, slots=True)
class StudyPlan:
    """The patients that a study needs.

    Args:
        prevalence: Share of patients with the disease, as they are recruited.
        aims: Each with its number.
    """

    prevalence: float
    aims: tuple[StudyAim, ...]

    @property
    def total(self) -> int | None:
        """Patients that meet all aims; None where one of them needs more than any number."""
        totals = [aim.total for aim in self.aims]
        return None if None in totals else max(total for total in totals if total is not None)

    def to_json(self) -> dict[str, Any]:
        """Return the plan as plain values.

        Returns:
            What ``pneumoscope plan --json`` prints.
        """
        aims = [{name: getattr(aim, name) for name in StudyAim.__slots__} for aim in self.aims]
        return {"prevalence": self.prevalence, "patients": self.total, "aims": aims}


@check_arguments
def plan_study(
    *,
    auroc: float,
    prevalence: float,
    sensitivity: float | None = None,
    specificity: float | None = None,
    width: float = 0.1,
    least_auroc: float | None = None,
    least_sensitivity: float | None = None,
    least_specificity: float | None = None,
) -> StudyPlan:
    """Say how many patients a validation of a model needs.

    Args:
        auroc: What is expected, .501 to .9999.
        prevalence: Share of patients with the disease as they will be recruited, .0001 to .9999; .5 for a study of as
            many with as without.
        sensitivity: What is expected at the threshold; None: no aim for it.
        specificity: What is expected at the threshold; None: no aim for it.
        width: Of the 95% intervals of AUROC, sensitivity and specificity, from end to end, from .001 on.
        least_auroc: What the lower limit of the AUROC must exceed, with a power of 80%; None: no such aim.
        least_sensitivity: What the lower limit of the sensitivity must reach, with a power of 80%; None: no such aim.
        least_specificity: The same of the specificity.

    Returns:
        The plan: patients by aim and in all.

    Raises:
        UsageError: A value is out of its range, or a least value has no expected one.

    Example:
        >>> ps.plan_study(auroc=0.85, prevalence=0.2, sensitivity=0.95, least_sensitivity=0.9).total
        2185
    """
    ranges = {
        "auroc": (auroc, 0.501, 0.9999),
        "prevalence": (prevalence, 0.0001, 0.9999),
        "width": (width, 0.001, 0.999),
        "sensitivity": (sensitivity, 0.001, 0.999),
        "specificity": (specificity, 0.001, 0.999),
        "least_auroc": (least_auroc, 0.5, 0.9999),
        "least_sensitivity": (least_sensitivity, 0.001, 0.999),
        "least_specificity": (least_specificity, 0.001, 0.999),
    }
    for name, (value, low, high) in ranges.items():
        if value is not None and not low <= value <= high:
            raise UsageError(argument(name, value), f"must be {low:g} to {high:g}.", "Write a share, such as 0.9.")

    def aim(words: str, needed: int | None, of: Literal["with", "without", "all"], source: str) -> StudyAim:
        share = {"with": prevalence, "without": 1 - prevalence, "all": 1.0}[of]
        return StudyAim(words, needed, of, None if needed is None else math.ceil(needed / share - 1e-9), source)

    se = width / (2 * 1.96)
    aims = [
        aim("any figure at all, with disease", LEAST_PATIENTS, "with", COLLINS),
        aim("any figure at all, without disease", LEAST_PATIENTS, "without", COLLINS),
        aim(
            f"an interval of the AUROC {width:g} wide around {auroc:g}",
            patients_for_auroc(auroc, prevalence, se),
            "all",
            RILEY,
        ),
        aim("an interval of observed over expected cases .2 wide", patients_for_oe(prevalence), "all", RILEY),
        aim(
            "an interval of the calibration slope .2 wide",
            patients_for_slope(*expected_linear_predictor(auroc, prevalence)),
            "all",
            RILEY,
        ),
    ]
    if least_auroc is not None:
        ratio = (1 - prevalence) / prevalence
        cases = cases_for_least_auroc(auroc, least_auroc, ratio)
        aims.append(
            aim(f"an AUROC surely above {least_auroc:g}, power .8 where it is {auroc:g}", cases, "with", OBUCHOWSKI)
        )
    shares: tuple[tuple[str, float | None, float | None, Literal["with", "without"]], ...] = (
        ("sensitivity", sensitivity, least_sensitivity, "with"),
        ("specificity", specificity, least_specificity, "without"),
    )
    for name, expected, least, of in shares:
        if expected is None:
            if least is not None:
                problem = f"needs the expected {name} beside it."
                likely = round((1 + least) / 2, 3)
                raise UsageError(argument(f"least_{name}", least), problem, f"For example {argument(name, likely)}.")
            continue
        words = f"an interval of the {name} {width:g} wide around {expected:g}"
        aims.append(aim(words, patients_for_share(expected, width), of, WILSON))
        if least is not None:
            words = f"a {name} surely above {least:g}, power .8 where it is {expected:g}"
            aims.append(aim(words, patients_for_least_share(expected, least), of, WILSON_BINOMIAL))
    return StudyPlan(prevalence, tuple(aims))
