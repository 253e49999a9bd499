"""Pictures of a comparison: learning curves of all networks, figures with their intervals, what accuracy costs."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from io import BytesIO
from typing import Any

from pneumoscope.comparison.result import Row, Table
from pneumoscope.reporting.formatting import figure_name

_LINES = ("-", "--", ":", "-.")


def _draw(size: tuple[float, float], paint: Callable[[Any], None]) -> bytes:
    """Return a figure as PNG; ``paint`` is given it empty."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot: nothing global is touched

    figure = Figure(figsize=size, layout="constrained")
    FigureCanvasAgg(figure)
    paint(figure)
    for axes in figure.axes:
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(visible=True, linewidth=0.4, alpha=0.5)
    data = BytesIO()
    figure.savefig(data, dpi=120)
    return data.getvalue()


def curves(rows: Sequence[Row]) -> bytes:
    """Draw training and validation accuracy and loss of all networks over their epochs; a dot is the kept epoch."""

    def paint(figure: Any) -> None:
        panels = figure.subplots(2, 2, sharex=True)
        for line, part in zip(panels, ("train", "validation"), strict=True):
            for axes, metric in zip(line, ("accuracy", "loss"), strict=True):
                for number, row in enumerate(rows):
                    key = f"{part}_{metric}"
                    points = [(point["epoch"], point[key]) for point in row.curve if key in point]
                    style, colour = _LINES[number // 10 % len(_LINES)], f"C{number % 10}"
                    axes.plot(*zip(*points, strict=True), style, color=colour, label=row.name, linewidth=1.4)
                    if part == "validation":
                        kept = [(x, y) for x, y in points if x == row.kept_epoch]
                        axes.plot(*zip(*kept, strict=True), "o", color=colour, markersize=4)
                axes.set(title=f"{part}: {metric}")
                axes.xaxis.get_major_locator().set_params(integer=True)
        for axes in panels[:, 1]:
            # One loss that explodes must not flatten all others.
            top = sorted(y for line in axes.lines for y in line.get_ydata())
            axes.set_ylim(0, 1.15 * top[int(0.97 * (len(top) - 1))])
        for axes in panels[1]:
            axes.set_xlabel("epoch")
        figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=8)

    return _draw((9, 7 + 0.1 * len(rows)), paint)


def intervals(table: Table, metric: str) -> bytes:
    """Draw the ranking metric of all networks with its interval, the best on top."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for place, row in enumerate(table.rows):
            estimate = row.figures[metric]
            if estimate.value is None:
                continue
            chosen = row.name == table.recommendation.chosen
            colour = "#b3541e" if chosen else "#0b63a5"
            if estimate.low is not None and estimate.high is not None:
                axes.plot([estimate.low, estimate.high], [place, place], color=colour, linewidth=2)
            axes.plot(estimate.value, place, "D" if chosen else "o", color=colour)
        axes.set_yticks(range(len(table.rows)), [row.name for row in table.rows], fontsize=8)
        axes.invert_yaxis()
        axes.set_xlabel(f"{figure_name(metric)} on validation, 95% interval (diamond: recommended)")

    return _draw((8, 1.2 + 0.32 * len(table.rows)), paint)


def price(table: Table, metric: str) -> bytes:
    """Draw the ranking metric against latency; the area of a dot is the model's size."""

    def paint(figure: Any) -> None:
        axes = figure.subplots()
        for number, row in enumerate(sorted(table.rows, key=lambda row: row.cost.latency or 0)):
            estimate, latency = row.figures[metric], row.cost.latency
            if estimate.value is None or latency is None:
                continue
            chosen = row.name == table.recommendation.chosen
            area = 12 + 6 * row.cost.model_bytes / 1e6
            axes.scatter(1000 * latency, estimate.value, s=area, alpha=0.6, color="#b3541e" if chosen else "#0b63a5")
            offset = (4, 4 if number % 2 else -10)  # in turns above and below: neighbours hide each other's names
            axes.annotate(row.name, (1000 * latency, estimate.value), offset, textcoords="offset points", fontsize=7)
        axes.set_xscale("log")
        axes.margins(x=0.18, y=0.12)
        axes.set(xlabel="milliseconds for one image, one thread (area: size of the model)", ylabel=figure_name(metric))

    return _draw((8, 4), paint)


def experiment(rows: Sequence[Row], key: str, values: Sequence[str], metric: str) -> bytes:
    """Draw validation accuracy over the epochs and the ranking metric, by the values of one setting of a grid.

    Args:
        rows: Of one recipe.
        key: The setting.
        values: Its values, in the grid's order.
        metric: The ranking metric.
    """

    def paint(figure: Any) -> None:
        left, right = figure.subplots(1, 2)
        for row in rows:
            place = values.index(row.settings[key])
            colour = f"C{place % 10}"
            points = [(p["epoch"], p["validation_accuracy"]) for p in row.curve if "validation_accuracy" in p]
            left.plot(*zip(*points, strict=True), color=colour, label=row.settings[key], linewidth=1.3)
            estimate = row.figures[metric]
            if estimate.value is not None:
                if estimate.low is not None and estimate.high is not None:
                    right.plot([place, place], [estimate.low, estimate.high], color=colour, linewidth=1.6, alpha=0.6)
                right.plot(place, estimate.value, "o", color=colour, markersize=5)
        found = dict(zip(*reversed(left.get_legend_handles_labels()), strict=True))
        left.legend(list(found.values()), list(found), frameon=False, fontsize=8, title=key, title_fontsize=8)
        left.set(xlabel="epoch", ylabel="validation accuracy")
        left.xaxis.get_major_locator().set_params(integer=True)
        right.set_xticks(range(len(values)), values, fontsize=8)
        right.set(xlabel=key, ylabel=f"{figure_name(metric)}, 95% interval")
        right.margins(x=0.2)

    return _draw((9, 3.4), paint)
