"""The page of an acceptance: the verdict, the plan that was stated before, and every figure with its interval."""

from __future__ import annotations

from pneumoscope.acceptance.requirements import SAMPLINGS
from pneumoscope.acceptance.result import Acceptance, SampleSize
from pneumoscope.core.labels import display_name
from pneumoscope.reporting.charts import performance as charts
from pneumoscope.reporting.charts.figure import to_svg
from pneumoscope.reporting.pages.base import load_templates

_WHICH = {"all": "patients", "with": "patients with disease", "without": "patients without disease"}


def render_acceptance_page(acceptance: Acceptance) -> str:
    """Return the self-contained HTML page of an acceptance.

    Args:
        acceptance: What was found.
    """
    points = {
        "refitted threshold": (
            acceptance.refitted_figures.sensitivity_answered,
            acceptance.refitted_figures.specificity_answered,
        ),
        "the card's threshold": (
            acceptance.card_figures.sensitivity_answered,
            acceptance.card_figures.specificity_answered,
        ),
    }
    thresholds = {"card": acceptance.card_threshold}
    if acceptance.threshold is not None:
        thresholds["refitted"] = acceptance.threshold
    columns = {display_side(name): counts for name, counts in acceptance.plots.histogram.items()}
    page: str = load_templates().get_template("acceptance.html").render(
        title=f"Site acceptance of {acceptance.model}: {acceptance.verdict}",
        a=acceptance,
        target=display_name(acceptance.classes[0]),
        others=", ".join(display_name(name) for name in acceptance.classes[1:]),
        sampling=SAMPLINGS[acceptance.plan.sampling],
        number_of=describe_size,
        roc=to_svg(charts.draw_roc(acceptance.plots.roc, points)),
        reliability=to_svg(charts.draw_reliability(acceptance.plots.reliability)),
        histogram=to_svg(charts.draw_score_histogram(columns, thresholds)),
    )  # fmt: skip
    return page


def display_side(name: str) -> str:
    """Return the words for a class on one side of the question.

    Args:
        name: A label, or "others".
    """
    return "without" if name == "others" else f"with {display_name(name)}"


def describe_size(size: SampleSize) -> str:
    """Return how many patients an aim needs, and how many there are.

    Args:
        size: Of one aim.
    """
    have = f"here {size.have:,}"
    if size.needed is None:
        return f"no number of patients suffices ({have})"
    short = "" if size.have >= size.needed else f", {size.needed - size.have:,} too few"
    return f"{size.needed:,} {_WHICH[size.of]} ({have}{short})"
