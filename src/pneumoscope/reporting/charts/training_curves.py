"""The curves of a training: did the network learn, did it overfit, was the kept epoch a good one."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pneumoscope.core.files import atomic_path
from pneumoscope.reporting.charts.figure import (
    ACCENT,
    DASHED,
    DOTTED,
    MARK,
    SOFT,
    add_mark,
    add_note,
    new_figure,
    set_range,
    set_whole_number_ticks,
    spread,
    styled,
    to_png,
)

PANELS: Mapping[str, tuple[str, ...]] = {"Loss": ("loss",), "Accuracy and AUROC": ("accuracy", "auroc")}
_PARTS: Mapping[str, dict[str, Any]] = {
    "validation": {"color": ACCENT},
    "train": {"color": SOFT, "linestyle": DASHED, "linewidth": 1.8},
}


@styled
def draw_training_curve(
    rows: Sequence[Mapping[str, float]], metric: str, title: str, kept_epoch: int | None
) -> Figure | None:
    """Draw one metric of training (dashed) and validation over the epochs; None without a value.

    Args:
        rows: One an epoch, as in ``metrics.csv``.
        metric: ``loss``, ``accuracy`` or ``auroc``.
        title: Of the vertical axis.
        kept_epoch: The epoch whose weights were kept.
    """
    lines = {part: _points(rows, f"{part}_{metric}") for part in _PARTS}
    values = [value for points in lines.values() for _, value in points]
    if not values:
        return None
    figure, [axes] = new_figure(f"{title} over the epochs")
    margin = 0.06 * (max(values) - min(values)) or 0.05
    set_range(axes, x=_epoch_range(rows), y=(min(values) - margin, max(values) + margin))
    set_whole_number_ticks(axes)
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="Epoch", ylabel=title)
    if kept_epoch is not None:
        line = axes.axvline(kept_epoch, color=MARK, linewidth=1.5, linestyle=(0, (4, 3)))
        add_note(line, f"kept: epoch {kept_epoch}")
    for part, points in lines.items():
        if points:
            [line] = axes.plot(*spread(points), **_PARTS[part])
            add_note(line, part)
        for epoch, value in points:
            add_mark(axes, epoch, value, f"{part}, epoch {epoch:.0f}: {value:.4f}", size=5, color=_PARTS[part]["color"])
    return figure


@styled
def draw_training_curves(
    rows: Sequence[Mapping[str, Any]], *, kept_epoch: int | None = None, title: str = ""
) -> Figure:
    """Draw loss, accuracy and AUROC of training and validation over the epochs.

    Args:
        rows: One an epoch, as in ``metrics.csv``: ``epoch`` and any of ``train_`` and ``validation_`` with ``loss``,
            ``accuracy``, ``auroc``; values may be text, and empty where unknown.
        kept_epoch: The epoch whose weights were kept; it is marked.
        title: Above the panels.
    """
    figure, panels = new_figure(
        title or "Training curves", (720, 300), columns=len(PANELS), margins=(56, 14, 56 if title else 32, 44)
    )
    for axes, (name, metrics) in zip(panels, PANELS.items(), strict=True):
        for metric in metrics:
            for part, look in _PARTS.items():
                _add_curve(axes, rows, part, metric, look)
        if kept_epoch is not None:
            axes.axvline(kept_epoch, color=MARK, linewidth=1, linestyle=DOTTED, label=f"kept: epoch {kept_epoch}")
        axes.set(title=name, xlabel="Epoch")
        set_whole_number_ticks(axes)
        if axes.get_legend_handles_labels()[0]:
            axes.legend()
    if title:
        figure.suptitle(title)
    return figure  # fmt: skip


def write_training_curves(
    rows: Sequence[Mapping[str, Any]], path: Path, *, kept_epoch: int | None = None, title: str = ""
) -> None:
    """Write the figure of `draw_training_curves` as PNG."""
    with atomic_path(Path(path)) as temporary:
        temporary.write_bytes(to_png(draw_training_curves(rows, kept_epoch=kept_epoch, title=title)))


def _add_curve(axes: Axes, rows: Sequence[Mapping[str, Any]], part: str, metric: str, look: dict[str, Any]) -> None:
    points = _points(rows, f"{part}_{metric}")
    if points:
        changes: dict[str, Any] = {"linestyle": DOTTED} if metric == "auroc" else {}
        if len(points) < 3:
            changes["marker"] = "o"
        label = f"{part} {metric.replace('auroc', 'AUROC')}"
        axes.plot(*spread(points), **look | changes, label=label)


def _points(rows: Sequence[Mapping[str, Any]], column: str) -> list[tuple[float, float]]:
    """Return the epochs and values of a column, without those that are unknown or not finite."""
    pairs = [(float(row["epoch"]), float(row[column])) for row in rows if row.get(column) not in (None, "")]
    return [(epoch, value) for epoch, value in pairs if math.isfinite(value)]


def _epoch_range(rows: Sequence[Mapping[str, float]]) -> tuple[float, float]:
    first, last = min(row["epoch"] for row in rows), max(row["epoch"] for row in rows)
    return first - (first == last), last + (first == last)
