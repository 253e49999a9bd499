"""The pictures of a page as inline SVG, written by hand: no script, no network, colours that follow the page's theme.

Colours are CSS classes of ``style.css`` (``line``, ``grid``, ``ink`` ...), so that light, dark and print need no second
picture. All functions are pure and return markup that is safe to embed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from markupsafe import Markup

from pneumoscope.stats.curve_points import Band
from pneumoscope.stats.estimates import Estimate

_SIDE = 300  # of the plotting square
_LEFT, _TOP, _RIGHT, _BOTTOM = 46, 12, 14, 44
_TICKS = (0.0, 0.25, 0.5, 0.75, 1.0)


def _x(value: float, width: int = _SIDE) -> float:
    return round(_LEFT + value * width, 2)


def _y(value: float, height: int = _SIDE) -> float:
    return round(_TOP + (1 - value) * height, 2)


def _frame(body: str, label: str, x_title: str, y_title: str, width: int = _SIDE, height: int = _SIDE) -> Markup:
    """Return an SVG with ticks from 0 to 1 on both axes around ``body``."""
    total_w, total_h = _LEFT + width + _RIGHT, _TOP + height + _BOTTOM
    grid = []
    for tick in _TICKS:
        x, y = _x(tick, width), _y(tick, height)
        grid.append(f'<path class="grid" d="M{x} {_TOP}V{_TOP + height}M{_LEFT} {y}H{_LEFT + width}"/>')
        grid.append(f'<text x="{x}" y="{_TOP + height + 16}" text-anchor="middle">{tick:g}</text>')
        grid.append(f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
    middle = _TOP + height / 2
    titles = (
        f'<text class="title" x="{_LEFT + width / 2}" y="{total_h - 6}" text-anchor="middle">{escape(x_title)}</text>'
        f'<text class="title" transform="translate(12 {middle}) rotate(-90)" text-anchor="middle">'
        f"{escape(y_title)}</text>"
    )
    return Markup(
        f'<svg class="plot" viewBox="0 0 {total_w} {total_h}" role="img" aria-label="{escape(label)}">'
        f"{''.join(grid)}{titles}{body}</svg>"
    )


def roc(points: Sequence[tuple[float, float]], marks: Mapping[str, tuple[Estimate, Estimate]]) -> Markup:
    """Return the ROC curve with the operating points (sensitivity, specificity) and their intervals as crosses."""
    path = "M" + "L".join(f"{_x(x)} {_y(y)}" for x, y in points) if points else ""
    body = [f'<path class="chance" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>', f'<path class="line" d="{path}"/>']
    for name, (sensitivity, specificity) in marks.items():
        if sensitivity.value is None or specificity.value is None:
            continue
        x, y = _x(1 - specificity.value), _y(sensitivity.value)
        if sensitivity.low is not None and sensitivity.high is not None:
            body.append(f'<path class="whisker" d="M{x} {_y(sensitivity.low)}V{_y(sensitivity.high)}"/>')
        if specificity.low is not None and specificity.high is not None:
            body.append(f'<path class="whisker" d="M{_x(1 - specificity.low)} {y}H{_x(1 - specificity.high)}"/>')
        body.append(f'<circle class="mark" cx="{x}" cy="{y}" r="4"><title>{escape(name)}</title></circle>')
    return _frame("".join(body), "ROC curve", "1 − specificity", "Sensitivity")


def reliability(bands: Sequence[Band]) -> Markup:
    """Return stated against observed share, with intervals; the area of a point grows with its images."""
    most = max((band.images for band in bands), default=1)
    body = [f'<path class="chance" d="M{_x(0)} {_y(0)}L{_x(1)} {_y(1)}"/>']
    for band in bands:
        if band.observed.value is None:
            continue
        x, y = _x(band.stated), _y(band.observed.value)
        if band.observed.low is not None and band.observed.high is not None:
            body.append(f'<path class="whisker" d="M{x} {_y(band.observed.low)}V{_y(band.observed.high)}"/>')
        radius = round(2.5 + 3 * (band.images / most) ** 0.5, 2)
        note = f"{band.images} images: stated {band.stated:.3f}, observed {band.observed}"
        body.append(f'<circle class="mark" cx="{x}" cy="{y}" r="{radius}"><title>{escape(note)}</title></circle>')
    return _frame("".join(body), "Reliability diagram", "Stated probability", "Observed share")


def histogram(columns: Mapping[str, Sequence[int]], thresholds: Mapping[str, float]) -> Markup:
    """Return one strip of columns for each true class, over the primary score from 0 to 1, with the thresholds.

    Each strip is scaled to its own highest column, so that a small class can be seen.
    """
    width, strip, gap = 560, 46, 22
    bottom = _TOP + len(columns) * (strip + gap)
    left = 14
    body = []
    for index, (name, counts) in enumerate(columns.items()):
        top = _TOP + index * (strip + gap) + gap - 6
        step, most = width / len(counts), max(max(counts), 1)
        body.append(f'<text x="{left}" y="{top - 5}">{escape(name)}: {sum(counts)} images</text>')
        body.append(f'<path class="grid" d="M{left} {top + strip}H{left + width}"/>')
        for point, threshold in thresholds.items():
            x = left + threshold * width
            body.append(
                f'<path class="threshold" d="M{x:.2f} {top}V{top + strip}"><title>{escape(point)}</title></path>'
            )
        for column, count in enumerate(counts):
            if count:
                height = max(1.0, count / most * strip)
                note = f"{count} images from {column / len(counts):.2f} to {(column + 1) / len(counts):.2f}"
                body.append(
                    f'<rect class="bar" x="{left + column * step + 0.75:.2f}" y="{top + strip - height:.2f}" '
                    f'width="{step - 1.5:.2f}" height="{height:.2f}"><title>{note}</title></rect>'
                )
    for tick in _TICKS:
        x = left + tick * width
        body.append(f'<text x="{x}" y="{bottom + 14}" text-anchor="middle">{tick:g}</text>')
    return Markup(
        f'<svg class="plot wide" viewBox="0 0 {left + width + 14} {bottom + 22}" role="img" '
        f'aria-label="Scores by true class">{"".join(body)}</svg>'
    )


def whisker(estimate: Estimate, low: float = 0.0, high: float = 1.0) -> Markup:
    """Return a figure and its interval on a small scale from ``low`` to ``high``; empty where there is no figure."""
    if estimate.value is None:
        return Markup("")
    width = 120

    def at(value: float) -> float:
        return round(4 + min(max((value - low) / (high - low), 0.0), 1.0) * (width - 8), 2)

    body = f'<path class="grid" d="M4 8H{width - 4}"/>'
    if estimate.low is not None and estimate.high is not None:
        body += f'<path class="whisker thick" d="M{at(estimate.low)} 8H{at(estimate.high)}"/>'
    body += f'<path class="mark" d="M{at(estimate.value)} 2V14"/>'
    return Markup(f'<svg class="whiskers" viewBox="0 0 {width} 16" aria-hidden="true">{body}</svg>')


def scale(score: float, threshold: float) -> Markup:
    """Return a score from 0 to 1 on a line that shows where the default threshold stands."""
    width = 240

    def at(value: float) -> float:
        return round(6 + min(max(value, 0.0), 1.0) * (width - 12), 2)

    return Markup(
        f'<svg class="scale" viewBox="0 0 {width} 30" role="img" '
        f'aria-label="Score {score:.2f}, threshold {threshold:.2f}">'
        f'<path class="grid" d="M6 12H{width - 6}"/><path class="above" d="M{at(threshold)} 12H{width - 6}"/>'
        f'<path class="threshold" d="M{at(threshold)} 5V19"/><circle class="mark" cx="{at(score)}" cy="12" r="5"/>'
        f'<text x="6" y="29">0</text><text x="{width - 6}" y="29" text-anchor="end">1</text></svg>'
    )
