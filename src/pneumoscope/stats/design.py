"""The design of a study: what decided how many patients of each class there are.

In a case-control study somebody chose the numbers, so that only the images of a class vary from study to study. In a
cohort (consecutive patients, an external validation) each patient's class is chance as well. Accuracy, losses,
calibration and all figures that mix classes then vary more, and intervals for fixed numbers are too short: those of a
perfectly calibrated model held its accuracy 42 to 93 times in 100. Where nobody stated the design, a figure gets the
wider of the two intervals.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, TypeAlias, get_args

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError
from pneumoscope.core.registry import suggestion
from pneumoscope.stats.estimates import Estimate

LEAST_RESAMPLES = 200
"""Fewer draws of the bootstrap leave the ends of a 95% interval to a handful of them."""

Design: TypeAlias = Literal["case-control", "cohort"]
DESIGNS: tuple[Design, ...] = get_args(Design)

NOT_STATED = "design not stated"


def check_design(name: str | None) -> Design | None:
    """Return a design by its name; None where it is not stated.

    Raises:
        UsageError: There is no such design.
    """
    for design in DESIGNS:
        if name == design:
            return design
    if name is None:
        return None
    raise UsageError(
        argument("design", name),
        f"is unknown.{suggestion(name, DESIGNS)}",
        "case-control: somebody chose how many images of each class there are. "
        "cohort: patients came as they came, each with the class that chance gave.",
    )


def designs_of(design: Design | None) -> tuple[Design, ...]:
    """Return the designs that intervals must hold for: the stated one, else both."""
    return DESIGNS if design is None else (design,)


def design_sentence(design: Design | None) -> str:
    """Return the meaning of a design for the intervals, as a sentence."""
    if design == "case-control":
        return "Case-control design: intervals hold for the numbers of each class that these data have."
    if design == "cohort":
        return "Cohort design: intervals hold for patients who come by chance, whatever their class."
    return "Design not stated: each interval is the wider of those for a case-control study and for a cohort."


def wider(estimates: Sequence[Estimate], designs: Sequence[Design]) -> Estimate:
    """Return the estimate of one figure with the wider interval; its method names the design.

    An estimate without an interval is the widest, since it claims nothing.

    Args:
        estimates: One figure, computed for each of the designs.
        designs: Their designs; a single one was stated.
    """

    def width(estimate: Estimate) -> float:
        missing = estimate.low is None or estimate.high is None
        return float("inf") if missing else float(estimate.high) - float(estimate.low)  # type: ignore[arg-type]

    widest = max(range(len(estimates)), key=lambda k: width(estimates[k]))
    name = designs[widest] if len(designs) == 1 else f"{NOT_STATED}, the wider: {designs[widest]}"
    return with_design(estimates[widest], name)


def with_design(estimate: Estimate, name: str) -> Estimate:
    """Return an estimate whose method names a design; one without a method stays as it is."""
    return estimate.model_copy(update={"method": f"{estimate.method}; {name}"}) if estimate.method else estimate


EITHER = "holds for either design"
"""What the method says of figures within one class, whose interval is the same for both designs."""
