"""The figures of a comparison: learning curves, the ranking with its intervals, and what a better figure costs."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from pneumoscope.comparison.result import NetworkRow, RankedTable
from pneumoscope.reporting.charts.figure import (
    ACCENT,
    MARK,
    SERIES,
    add_interval,
    add_mark,
    new_figure,
    set_whole_number_ticks,
    spread,
    styled,
)
from pneumoscope.reporting.formatting import name_figure

_LINE_STYLES = ("-", "--", ":", "-.")
_WIDTH = 900
_KEPT_SHARE = 0.97
"""Of the points of a loss that its axis shows."""


@styled
def draw_learning_curves(rows: Sequence[NetworkRow], label: str) -> Figure:
    """Draw training and validation accuracy and loss of all networks over their epochs; a dot is the kept epoch.

    Args:
        rows: The networks of one table.
        label: What the figure shows, for people who can't see it.
    """
    legend_lines = -(-len(rows) // 2)
    figure, panels = new_figure(
        label, (_WIDTH, 580 + 18 * legend_lines), rows=2, columns=2, margins=(50, 14, 32, 60 + 18 * legend_lines)
    )
    names = [(part, metric) for part in ("train", "validation") for metric in ("accuracy", "loss")]
    for axes, (part, metric) in zip(panels, names, strict=True):
        key = f"{part}_{metric}"
        lines = [[(point["epoch"], point[key]) for point in row.curve if key in point] for row in rows]
        values = sorted(value for line in lines for _, value in line)
        # One loss that explodes must not flatten all others.
        top = 1.15 * values[int(_KEPT_SHARE * (len(values) - 1))] if values and metric == "loss" else None
        for number, (row, points) in enumerate(zip(rows, lines, strict=True)):
            style, colour = _LINE_STYLES[number // len(SERIES) % len(_LINE_STYLES)], SERIES[number % len(SERIES)]
            shown = points if top is None else _cut_off(points, top)
            axes.plot(*spread(shown), style, color=colour, label=row.name, linewidth=1.6)
            if part == "validation":
                for epoch, value in points:
                    if epoch == row.kept_epoch and (top is None or value <= top):
                        add_mark(axes, epoch, value, f"{row.name}, kept: epoch {epoch:.0f}", size=5, color=colour)
        axes.set(title=f"{part}: {metric}")
        if top is not None:
            axes.set_ylim(0, top)
        set_whole_number_ticks(axes)
    for axes in panels[2:]:
        axes.set_xlabel("Epoch")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="lower center", ncols=2)
    return figure  # fmt: skip


def _cut_off(points: Sequence[tuple[float, float]], top: float) -> list[tuple[float, float]]:
    """Return a line that breaks off where it would leave the figure at its top; points above it become gaps."""
    line = [(x, y if y <= top else float("nan")) for x, y in points[:1]]
    for (x0, y0), (x1, y1) in pairwise(points):
        if (y0 > top) != (y1 > top):
            edge = (x0 + (x1 - x0) * (top - y0) / (y1 - y0), top)
            line.append(edge)
        line.append((x1, y1 if y1 <= top else float("nan")))
    return line


@styled
def draw_ranking(table: RankedTable, metric: str, label: str) -> Figure:
    """Draw the ranking metric of all networks with its interval, the best on top; a diamond is the recommended one.

    Args:
        table: Its networks are drawn in their order.
        metric: The ranking metric.
        label: What the figure shows, for people who can't see it.
    """
    names = [row.name for row in table.rows]
    left = 16 + 7 * max(map(len, names))
    figure, [axes] = new_figure(label, (_WIDTH, 26 * len(names) + 60), margins=(left, 30, 10, 50))
    axes.set_yticks(range(len(names)), names)
    axes.set_ylim(len(names) - 0.5, -0.5)
    axes.margins(x=0.05)
    for place, row in enumerate(table.rows):
        estimate = row.figures[metric]
        if estimate.value is None:
            continue
        chosen = row.name == table.recommendation.chosen
        colour = MARK if chosen else ACCENT
        add_interval(axes, place, estimate, across=True, color=colour, linewidth=2, alpha=1)
        add_mark(axes, estimate.value, place, f"{row.name}: {estimate}", color=colour, marker="D" if chosen else "o")
    axes.set_xlabel(f"{name_figure(metric)} on validation, 95% interval (diamond: recommended)")
    return figure


@styled
def draw_cost(table: RankedTable, metric: str, label: str) -> Figure:
    """Draw the ranking metric against latency; the area of a dot is the model's size.

    Args:
        table: Networks without a latency are left out.
        metric: The ranking metric.
        label: What the figure shows, for people who can't see it.
    """
    figure, [axes] = new_figure(label, (_WIDTH, 360), margins=(60, 30, 14, 46))
    axes.set_xscale("log")
    latencies = [row.cost.latency for row in table.rows if row.cost.latency]
    decades = len(latencies) > 1 and max(latencies) > 10 * min(latencies)
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)) if decades else MaxNLocator(5, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.xaxis.set_minor_locator(NullLocator())
    for number, row in enumerate(sorted(table.rows, key=lambda row: row.cost.latency or 0)):
        estimate, latency = row.figures[metric], row.cost.latency
        if estimate.value is None or latency is None:
            continue
        colour = MARK if row.name == table.recommendation.chosen else ACCENT
        place, diameter = (1000 * latency, estimate.value), (12 + 6 * row.cost.model_bytes / 1e6) ** 0.5
        add_mark(axes, *place, f"{row.name}: {estimate}", size=diameter, color=colour, alpha=0.6)
        offset = (6, 6 if number % 2 else -13)  # in turns above and below: neighbours hide each other's names
        axes.annotate(row.name, place, offset, textcoords="offset points", size=10)
    axes.margins(x=0.25, y=0.15)
    axes.set(xlabel="Milliseconds for one image, one thread (area: size of the model)", ylabel=name_figure(metric))
    return figure


@styled
def draw_setting(rows: Sequence[NetworkRow], key: str, values: Sequence[str], metric: str, label: str) -> Figure:
    """Draw validation accuracy over the epochs and the ranking metric, by the values of one setting of a grid.

    Args:
        rows: The networks of one recipe.
        key: The setting.
        values: Its values, in the grid's order.
        metric: The ranking metric.
        label: What the figure shows, for people who can't see it.
    """
    figure, [left, right] = new_figure(label, (_WIDTH, 330), columns=2, margins=(56, 14, 30, 46))
    shown = set()
    for row in rows:
        value = row.settings[key]
        place = values.index(value)
        colour = SERIES[place % len(SERIES)]
        points = [(p["epoch"], p["validation_accuracy"]) for p in row.curve if "validation_accuracy" in p]
        left.plot(*spread(points), color=colour, label="_" if value in shown else value, linewidth=1.6)
        shown.add(value)
        estimate = row.figures[metric]
        if estimate.value is not None:
            add_interval(right, place, estimate, color=colour, linewidth=1.6, alpha=0.6)
            add_mark(right, place, estimate.value, f"{row.name}: {estimate}", size=6, color=colour)
    left.legend(title=key, title_fontsize=11)
    left.set(xlabel="Epoch", ylabel="Validation accuracy")
    set_whole_number_ticks(left)
    right.set_xticks(range(len(values)), values)
    right.set(xlabel=key, ylabel=f"{name_figure(metric)}, 95% interval", xlim=(-0.5, len(values) - 0.5))
    return figure
