"""The names of a search's objectives, without SciPy: a wrong one is refused at once.

An objective is a metric of the metric table by which predictions without a frozen threshold can be compared, written
with hyphens, the area under the precision-recall curve, or a sensitivity at a specificity and the other way round.
"""

from __future__ import annotations

import re

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError
from pneumoscope.core.registry import check_name
from pneumoscope.stats.metric_names import compared_names

AT = re.compile(r"(sensitivity-at-specificity|specificity-at-sensitivity)-(\d\d)")
AUPRC = "auprc"
OF_FINDINGS = ("auroc", "log-loss")
"""Objectives of recipes of several findings an image: the mean AUROC, and the mean loss of all stated answers."""

_NEED_A_THRESHOLD = ("sensitivity", "specificity")


def objective_names() -> tuple[str, ...]:
    """Return the names of all objectives; the last two stand for any two digits from 01."""
    names = [name for name in compared_names() if name not in _NEED_A_THRESHOLD]
    named = [names[0], AUPRC, *names[1:]]
    examples = ("sensitivity-at-specificity-90", "specificity-at-sensitivity-95")
    return (*(name.replace("_", "-") for name in named), *examples)


def check_objective(name: str, *, multilabel: bool = False) -> None:
    """Check the name of an objective.

    Args:
        name: As the option takes it.
        multilabel: Whether the recipe answers about several findings an image.

    Raises:
        UsageError: There is none of that name, or none of several findings.
    """
    if multilabel and name not in OF_FINDINGS:
        raise UsageError(
            argument("objective", name),
            "is of one answer an image; a search for several findings goes by a mean over them.",
            f"Objectives: {', '.join(OF_FINDINGS)}.",
        )
    match = AT.fullmatch(name)
    if match is None or match[2] == "00":
        check_name(name, objective_names(), "objective", "objective")
