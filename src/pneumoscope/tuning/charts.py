"""The figures of a search: its history, the importance of the parameters, and parallel coordinates of the settings."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from pneumoscope.reporting.charts.figure import (
    ACCENT,
    INK,
    MARK,
    SOFT,
    add_interval,
    add_mark,
    add_note,
    new_figure,
    set_range,
    set_whole_number_ticks,
    spread,
    styled,
)

if TYPE_CHECKING:
    from pneumoscope.tuning.result import Scalar, StudyTrial

_WIDTH = 900


@styled
def draw_history(trials: Sequence[StudyTrial], goal: str, objective_words: str) -> Figure | None:
    """Draw the objective of each trial with its interval, the best so far as a line, and which trials ended early.

    Args:
        trials: All of the search.
        goal: ``maximize`` or ``minimize``.
        objective_words: The objective's name on screen.

    Returns:
        The figure, or None without a complete trial.
    """
    complete = _complete_trials(trials)
    if not complete:
        return None
    estimates = [trial.objective for trial, _ in complete if trial.objective is not None]
    ends = [end for e in estimates for end in (e.value, e.low, e.high) if end is not None]
    low, high = min(ends), max(ends)
    low, high = (low - 0.01, high + 0.01) if high - low < 1e-6 else (low, high)
    count = max(trial.number for trial in trials)
    figure, [axes] = new_figure(f"{objective_words} of each trial", (_WIDTH, 260), margins=(60, 14, 16, 44))
    set_range(axes, x=(0.5, count + 0.5), y=(low, high))
    set_whole_number_ticks(axes)
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="Trial", ylabel=objective_words if len(objective_words) < 32 else "Objective")
    better = max if goal == "maximize" else min
    best_so_far: list[tuple[float, float]] = []
    for trial, value in sorted(complete, key=lambda pair: pair[0].number):
        best_so_far.append((trial.number, better(best_so_far[-1][1], value) if best_so_far else value))
    best_so_far.append((count, best_so_far[-1][1]))
    [line] = axes.step(*spread(best_so_far), where="post", color=ACCENT)
    add_note(line, "best so far")
    for trial, value in complete:
        if trial.objective is not None:
            add_interval(axes, trial.number, trial.objective)
        add_mark(axes, trial.number, value, f"trial {trial.number}: {trial.objective}")
    for trial in trials:
        if trial.state in ("pruned", "failed"):
            note = f"trial {trial.number}: {trial.state} {trial.why}".strip()
            bottom = low + 0.025 * (high - low)
            add_mark(axes, trial.number, bottom, note, marker="x", color=SOFT, markeredgewidth=1)
    return figure


@styled
def draw_importance(shares: Mapping[str, float]) -> Figure | None:
    """Draw how much of the objective's variance each parameter explains, as bars from 0 to 1; None without shares."""
    if not shares:
        return None
    ranking = sorted(shares.items(), key=lambda pair: -pair[1])
    size = (760, 12 + 26 * len(ranking))
    figure, [axes] = new_figure("Importance of the parameters", size, margins=(190, 50, 6, 6))
    axes.set(xlim=(0, 1), ylim=(len(ranking) - 0.5, -0.5))
    axes.set_yticks(range(len(ranking)), [name for name, _ in ranking])
    axes.set_xticks([])
    axes.grid(visible=False)
    for place, (_, share) in enumerate(ranking):
        axes.barh(place, max(share, 0.002), height=0.62, color=ACCENT, alpha=0.75)
        axes.annotate(f"{share:.2f}", (share, place), (6, 0), textcoords="offset points", va="center")
    return figure


@styled
def draw_parallel_coordinates(
    trials: Sequence[StudyTrial], keys: Sequence[str], goal: str, best: int | None, objective_words: str
) -> Figure | None:
    """Draw an axis for each parameter and one for the objective, and a line for each complete trial.

    The better the trial, the stronger its line; the best one has a colour of its own.

    Args:
        trials: All of the search.
        keys: The parameters, one axis each.
        goal: ``maximize`` or ``minimize``.
        best: The number of the best trial.
        objective_words: The objective's name on screen.

    Returns:
        The figure, or None for fewer than two complete trials.
    """
    complete = _complete_trials(trials)
    if len(complete) < 2:
        return None
    figure, [axes] = new_figure("Settings and objective of each trial", (_WIDTH, 310), margins=(50, 70, 58, 24))
    axes.set(xlim=(0, len(keys)), ylim=(0, 1))
    axes.set_axis_off()
    positions = {key: _positions([trial.settings.get(key) for trial, _ in complete]) for key in keys}
    values = [value for _, value in complete]
    low, high = min(values), max(values)
    for order, (trial, value) in enumerate(sorted(complete, key=lambda pair: pair[1], reverse=goal == "minimize")):
        heights = [positions[key][_value_text(trial.settings.get(key))] for key in keys]
        look: dict[str, Any] = {"color": ACCENT, "alpha": round(0.08 + 0.6 * (order / len(complete)) ** 2, 2)}
        if trial.number == best:
            look = {"color": MARK, "linewidth": 3}
        [line] = axes.plot(range(len(keys) + 1), [*heights, _share(value, low, high)], **look)
        add_note(line, f"trial {trial.number}")
    for number, key in enumerate(keys):
        _add_axis(axes, number, key, dict(_axis_labels(positions[key])))
    ticks = [tick for tick in MaxNLocator(4, steps=[1, 2, 5, 10]).tick_values(low, high) if low <= tick <= high]
    title = objective_words if len(objective_words) < 18 else "objective"
    _add_axis(axes, len(keys), title, {f"{tick:g}": _share(tick, low, high) for tick in ticks})
    return figure


def _complete_trials(trials: Sequence[StudyTrial]) -> list[tuple[StudyTrial, float]]:
    """Return the complete trials that have a value, each with it."""
    return [
        (trial, trial.objective.value)
        for trial in trials
        if trial.state == "complete" and trial.objective is not None and trial.objective.value is not None
    ]


def _share(value: float, low: float, high: float) -> float:
    """Return where a value lies between two others, 0 to 1; halfway where they are equal."""
    return (value - low) / (high - low) if high > low else 0.5


def _add_axis(axes: Axes, number: int, title: str, labels: Mapping[str, float]) -> None:
    """Add an upright axis; every other title stands higher, so that long names do not meet."""
    axes.plot([number, number], [0, 1], color=SOFT, linewidth=1)
    offset = (0, 36 if number % 2 else 20)
    axes.annotate(title, (number, 1), offset, textcoords="offset points", ha="center", size=12, color=INK)
    for text, height in labels.items():
        axes.annotate(text, (number, height), (5, 4), textcoords="offset points")


def _value_text(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _positions(values: Sequence[Scalar]) -> dict[str, float]:
    """Return where each value stands on its axis, 0 to 1: few values evenly in their order, many numbers by size."""
    distinct = sorted(set(values), key=lambda v: (isinstance(v, str), v if isinstance(v, int | float) else 0, str(v)))
    numbers = [float(value) for value in distinct if isinstance(value, int | float)]
    if len(distinct) > 8 and len(numbers) == len(distinct) and min(numbers) > 0:
        logs = [math.log(number) for number in numbers]
        return {_value_text(v): _share(n, logs[0], logs[-1]) for v, n in zip(distinct, logs, strict=True)}
    last = max(1, len(distinct) - 1)
    return {_value_text(v): 0.5 if len(distinct) == 1 else n / last for n, v in enumerate(distinct)}


def _axis_labels(positions: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the values to write on an axis: all if they are few, else the ends."""
    labels = list(positions.items())
    return labels if len(labels) <= 8 else [labels[0], labels[-1]]
