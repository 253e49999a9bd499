"""The page of a cross-validation: each recipe's figures over the folds, and the corrected tests between recipes."""

from __future__ import annotations

from matplotlib.figure import Figure

from pneumoscope.comparison.cross_validation import CrossValidation
from pneumoscope.comparison.page import format_difference, format_p_value
from pneumoscope.core.counts import format_count
from pneumoscope.core.labels import display_name
from pneumoscope.reporting.charts.figure import ACCENT, SOFT, add_interval, add_mark, new_figure, styled, to_svg
from pneumoscope.reporting.formatting import name_figure
from pneumoscope.reporting.pages.base import load_templates


def render_cross_validation_page(result: CrossValidation) -> str:
    """Return the self-contained HTML page of a cross-validation."""
    target = format_count(len(result.findings), "finding") if result.findings else display_name(result.target)
    return load_templates().get_template("cross_validation.html").render(
        title=f"Cross-validation: {target}",
        c=result,
        target=target,
        ranking=tuple(result.recipes[0].figures),
        figure=to_svg(draw_folds(result, "Figures of the folds")),
        difference=format_difference,
        p_value=format_p_value,
    )  # fmt: skip


@styled
def draw_folds(result: CrossValidation, label: str) -> Figure:
    """Draw the ranking metric of every fold as a dot, and each recipe's mean with its interval, the best on top.

    Args:
        result: The cross-validation.
        label: What the figure shows, for people who can't see it.
    """
    names = [one.name for one in result.recipes]
    left = 16 + 7 * max(map(len, names))
    figure, [axes] = new_figure(label, (900, 40 * len(names) + 60), margins=(left, 30, 10, 50))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.05)
    for place, one in enumerate(result.recipes):
        for fold in one.folds:
            value = fold.figures[result.metric]
            if value is not None:
                note = f"{one.name}, repeat {fold.repeat}, fold {fold.fold}: {value:.3f}"
                add_mark(axes, value, place + 0.2, note, size=5, color=SOFT, alpha=0.7)
        mean = one.figures[result.metric]
        if mean.value is not None:
            add_interval(axes, place - 0.15, mean, across=True, color=ACCENT, linewidth=2, alpha=1)
            add_mark(axes, mean.value, place - 0.15, f"{one.name}: {mean}", color=ACCENT)
    axes.set_xlabel(f"{name_figure(result.metric)} on images held out: folds, and mean with its 95% interval")
    return figure
