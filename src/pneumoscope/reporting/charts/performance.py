"""The figures of an evaluation: discrimination, calibration, net benefit, and what refusing buys."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from pneumoscope.reporting.charts.figure import (
    ACCENT,
    CHANCE,
    DASHED,
    DOTTED,
    MARK,
    SOFT,
    add_interval,
    add_mark,
    add_note,
    new_figure,
    set_range,
    spread,
    styled,
)
from pneumoscope.stats.curve_points import Band, ScoreBand
from pneumoscope.stats.decision import DecisionCurve
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.selective import RiskCoverage

_SQUARE = (370, 360)
_LINES: tuple[dict[str, Any], ...] = (
    {"color": ACCENT},
    {"color": SOFT, "linestyle": DASHED, "linewidth": 1.8},
    {"color": MARK, "linestyle": DOTTED},
)
"""Several lines in one figure differ in their dashes too, because paper may be grey."""


@styled
def draw_roc(points: Sequence[tuple[float, float]], marks: Mapping[str, tuple[Estimate, Estimate]]) -> Figure:
    """Draw the ROC curve with the operating points and their intervals as crosses.

    Args:
        points: (1 - specificity, sensitivity), rising; empty where undefined.
        marks: Name of an operating point -> its sensitivity and specificity.
    """
    figure, axes = _unit_square("ROC curve", "1 − specificity", "Sensitivity")
    axes.plot(*spread(points), color=ACCENT)
    for name, (sensitivity, specificity) in marks.items():
        if sensitivity.value is None or specificity.value is None:
            continue
        x, y = 1 - specificity.value, sensitivity.value
        add_interval(axes, x, sensitivity)
        add_interval(axes, y, _complement(specificity), across=True)
        add_mark(axes, x, y, name)
    return figure


@styled
def draw_reliability(bands: Sequence[Band]) -> Figure:
    """Draw the stated probability against the observed share, with intervals; a dot grows with its images."""
    figure, axes = _unit_square("Reliability diagram", "Stated probability", "Observed share")
    most = max((band.images for band in bands), default=1)
    for band in bands:
        if band.observed.value is not None:
            add_interval(axes, band.stated, band.observed)
            note = f"{band.images} images: stated {band.stated:.3f}, observed {band.observed}"
            add_mark(axes, band.stated, band.observed.value, note, size=5 + 6 * (band.images / most) ** 0.5)
    return figure


@styled
def draw_score_histogram(columns: Mapping[str, Sequence[int]], thresholds: Mapping[str, float]) -> Figure:
    """Draw a strip of columns for each true class, over the primary score from 0 to 1, with the thresholds.

    Each strip has its own scale, set by its highest column, so that a small class can be seen.

    Args:
        columns: Name of a true class -> images in equal columns of the score.
        thresholds: Name of an operating point -> its threshold.
    """
    strip = 68
    figure, [axes] = new_figure(
        "Scores by true class", (480, strip * len(columns) + 32), margins=(14, 14, 0, 32)
    )  # fmt: skip
    set_range(axes, x=(0, 1), y=(-len(columns), 0))
    axes.set_yticks([])
    axes.grid(visible=False)
    for place, (name, counts) in enumerate(columns.items(), start=1):
        axes.axhline(-place, color=axes.spines["left"].get_edgecolor(), linewidth=1)
        axes.text(0, 0.74 - place, f"{name}: {sum(counts)} images", verticalalignment="bottom")
        width, most = 1 / len(counts), max(*counts, 1)
        filled = [(column * width, count) for column, count in enumerate(counts) if count]
        heights = [0.68 * count / most for _, count in filled]
        bars = axes.bar(
            [low + 0.0015 for low, _ in filled], heights, width - 0.003, -place, align="edge", color=ACCENT, alpha=0.75
        )
        for bar, (low, count) in zip(bars, filled, strict=True):
            add_note(bar, f"{count} images from {low:.2f} to {low + width:.2f}")
        for point, threshold in thresholds.items():
            ends = [-place, 0.68 - place]
            [line] = axes.plot([threshold] * 2, ends, color=MARK, linewidth=1.5, linestyle=(0, (4, 3)))
            add_note(line, point)
    return figure


@styled
def draw_score_bands(bands: Sequence[ScoreBand]) -> Figure:
    """Draw what the card's score bands promise (boxes: rate and interval) and what was observed (dots)."""
    figure, [axes] = new_figure("Reliability by score band")
    set_range(axes, x=(0, max(len(bands), 1)), y=(0, 1))
    axes.set_xticks([place + 0.5 for place in range(len(bands))], [f"{b.low:.2f} to {b.high:.2f}" for b in bands])
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="Score band", ylabel="Share of the class")
    for place, band in enumerate(bands):
        promised, ends = band.promised, (place + 0.14, place + 0.86)
        if promised.value is not None and promised.low is not None and promised.high is not None:
            height = max(promised.high - promised.low, 0.005)
            [box] = axes.bar(ends[0], height, ends[1] - ends[0], promised.low, align="edge", color=ACCENT, alpha=0.2)
            add_note(box, f"promised: {promised}")
            axes.plot(ends, [promised.value] * 2, color=ACCENT)
        if band.observed.value is not None:
            add_interval(axes, place + 0.5, band.observed)
            add_mark(axes, place + 0.5, band.observed.value, f"{band.images} images: observed {band.observed}")
    return figure


@styled
def draw_net_benefit(curve: DecisionCurve) -> Figure:
    """Draw net benefit over threshold probabilities: the model with its interval, acting on everyone, on no one."""
    points = [point for point in curve.points if point.model.value is not None]
    highest = max([curve.prevalence, *(point.model.high or point.model.value or 0.0 for point in points)])
    low, high = -0.25 * highest, 1.08 * highest
    figure, [axes] = new_figure("Decision curve")
    set_range(axes, x=(0, 1), y=(low, high))
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="Threshold probability", ylabel="Net benefit")
    [zero] = axes.plot([0, 1], [0, 0], color=SOFT, linewidth=1.2)
    add_note(zero, "acting on no one")
    limits = [
        (point.threshold, min(max(point.model.low, low), high), min(max(point.model.high, low), high))
        for point in points
        if point.model.low is not None and point.model.high is not None
    ]
    if limits:
        thresholds, lower, upper = zip(*limits, strict=True)
        axes.fill_between(thresholds, lower, upper, color=ACCENT, alpha=0.16, linewidth=0)
    everyone = [(p.threshold, p.treat_all) for p in curve.points if p.treat_all >= low]
    if everyone and len(everyone) < len(curve.points):
        # The line ends at the edge of the figure: treat_all(t) = low.
        everyone.append(((curve.prevalence - low) / (1 - low), low))
    if everyone:
        [line] = axes.plot(*spread(everyone), **CHANCE)
        add_note(line, "acting on everyone")
    if points:
        model = [(p.threshold, min(max(p.model.value or 0.0, low), high)) for p in points]
        [line] = axes.plot(*spread(model), color=ACCENT)
        add_note(line, "acting where the model says so")
    return figure


@styled
def draw_risk_coverage(curves: Sequence[RiskCoverage]) -> Figure:
    """Draw the share of wrong decisions against the share of answered images, one line for each order of refusal."""
    highs = [p.risk.high if p.risk.high is not None else p.risk.value for curve in curves for p in curve.points]
    figure, [axes] = new_figure("Risk against coverage")
    set_range(axes, x=(0.45, 1.02), y=(0, max([0.01, *(value for value in highs if value is not None)]) * 1.05))
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="Share of images answered", ylabel="Share wrong")
    for number, (look, curve) in enumerate(zip(_LINES, curves, strict=False)):
        points = [(point.share, point.risk.value, point) for point in curve.points if point.risk.value is not None]
        if points:
            [line] = axes.plot(*spread([(x, y) for x, y, _ in points]), **look)
            add_note(line, curve.by)
        if number == 0:
            for share, _, point in points:
                add_interval(axes, share, point.risk)
    return figure


def _unit_square(label: str, x_title: str, y_title: str) -> tuple[Figure, Axes]:
    """Return a square from 0 to 1 with quarters and its diagonal."""
    figure, [axes] = new_figure(label, _SQUARE, margins=(56, 14, 14, 46))
    axes.set(xlim=(0, 1), ylim=(0, 1), xlabel=x_title, ylabel=y_title)
    quarters = [0.0, 0.25, 0.5, 0.75, 1.0]
    axes.set_xticks(quarters, [f"{tick:g}" for tick in quarters])
    axes.set_yticks(quarters, [f"{tick:g}" for tick in quarters])
    axes.plot([0, 1], [0, 1], **CHANCE)
    return figure, axes


def _complement(estimate: Estimate) -> Estimate:
    """Return 1 - estimate, with its interval."""
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return Estimate(value=None)
    return Estimate(value=1 - estimate.value, low=1 - estimate.high, high=1 - estimate.low)
