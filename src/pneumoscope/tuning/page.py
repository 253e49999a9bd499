"""The page of a search for settings: the trials, the best one, and how much of its figure is chance.

The best of many trials is the best partly by chance, because its figure comes from the images that chose it. The page
says so beside the figure. It also shows the comparison on other divisions of the data, where there is one.
"""

from __future__ import annotations

from markupsafe import Markup
from matplotlib.figure import Figure

from pneumoscope.core.labels import display_name
from pneumoscope.reporting import formatting
from pneumoscope.reporting.charts.figure import to_svg
from pneumoscope.reporting.charts.gauges import render_interval_gauge
from pneumoscope.reporting.pages.base import load_templates
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.metric_table import TITLES
from pneumoscope.tuning import charts
from pneumoscope.tuning.result import Scalar, StudySummary, StudyTrial


def render_search_page(summary: StudySummary) -> str:
    """Return the page of a search."""
    best, own = summary.trial(summary.best), summary.trial(summary.own)
    ranked = sorted(summary.trials, key=lambda trial: _rank(summary, trial))
    keys = list(summary.space)
    page: str = load_templates().get_template("search.html").render(
        title=f"Search: {summary.name}",
        s=summary,
        best=best,
        own=own,
        ranked=ranked,
        keys=keys,
        history=_svg(charts.draw_history(summary.trials, summary.goal, summary.objective_words)),
        importance=_svg(charts.draw_importance(summary.importance)),
        parallel=_svg(
            charts.draw_parallel_coordinates(
                summary.trials, keys, summary.goal, summary.best, summary.objective_words
            )
        ),
        display=display_name,
        value=formatting.format_value,
        interval=formatting.format_interval,
        when=formatting.format_time,
        gauge=_gauge,
        difference=lambda estimate: render_interval_gauge(estimate, -1.0, 1.0),
        sentence=lambda text: text[:1].upper() + text[1:],
        name_of=_name_figure,
        setting=format_setting,
    )  # fmt: skip
    return page


def _rank(summary: StudySummary, trial: StudyTrial) -> tuple[int, float, int]:
    order = ("complete", "pruned", "failed", "running", "waiting").index(trial.state)
    value = trial.objective.value if trial.objective is not None and trial.objective.value is not None else 0.0
    return order, -value if summary.goal == "maximize" else value, trial.number


def _svg(figure: Figure | None) -> Markup:
    return Markup("") if figure is None else to_svg(figure)


def _gauge(estimate: Estimate) -> Markup:
    """Return an estimate on the scale from 0 to 1; nothing for one that may lie outside it, such as a log-loss."""
    ends = [end for end in (estimate.value, estimate.low, estimate.high) if end is not None]
    return render_interval_gauge(estimate) if ends and min(ends) >= 0 and max(ends) <= 1 else Markup("")


def _name_figure(key: str) -> str:
    return TITLES.get(key.replace("-", "_"), key.replace("-at-", " at ").replace("-", " ").capitalize())


def format_setting(value: Scalar) -> str:
    """Return a setting's value in a short form for the page."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
