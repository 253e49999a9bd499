"""The pictures that `drawings` has not: score bands, net benefit, risk against coverage, training curves; inline SVG.

As there: no script, no network, colours by CSS class, pure functions that return safe markup.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from typing import NamedTuple

from markupsafe import Markup

from pneumoscope.stats.curve_points import ScoreBand
from pneumoscope.stats.decision import DecisionCurve
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.selective import RiskCoverage

Points = Sequence[tuple[float, float]]

LEFT, TOP, RIGHT, BOTTOM = 50, 12, 14, 44
STYLES = ("line", "line second", "line third")
"""CSS classes of several lines in one picture, told apart by dashes too: paper may be grey."""


class Axes(NamedTuple):
    """A plotting area in user units and what it spans."""

    x0: float
    x1: float
    y0: float
    y1: float
    width: int = 300
    height: int = 210

    def x(self, value: float) -> float:
        """Return the horizontal place of a value; outside the axis it sits on its end."""
        share = (min(max(value, self.x0), self.x1) - self.x0) / (self.x1 - self.x0)
        return round(LEFT + share * self.width, 2)

    def y(self, value: float) -> float:
        """Return the vertical place of a value."""
        share = (min(max(value, self.y0), self.y1) - self.y0) / (self.y1 - self.y0)
        return round(TOP + (1 - share) * self.height, 2)

    def path(self, points: Iterable[tuple[float, float]]) -> str:
        """Return the ``d`` of a line through points."""
        return "M" + "L".join(f"{self.x(x)} {self.y(y)}" for x, y in points)

    def whisker(self, x: float, estimate: Estimate) -> str:
        """Return an interval as a vertical stroke; empty where there is none."""
        if estimate.low is None or estimate.high is None:
            return ""
        return f'<path class="whisker" d="M{self.x(x)} {self.y(estimate.low)}V{self.y(estimate.high)}"/>'

    def draw(
        self, body: str, label: str, x_title: str, y_title: str, *, x_texts: Mapping[float, str] | None = None
    ) -> Markup:
        """Return the SVG: grid, ticks and titles around ``body``.

        Args:
            body: What is drawn.
            label: For those who can't see it.
            x_title: Under the axis.
            y_title: Beside it.
            x_texts: Place -> text under the horizontal axis, in place of round numbers.
        """
        bottom, middle = TOP + self.height, TOP + self.height / 2
        grid = []
        for tick in ticks(self.y0, self.y1):
            y = self.y(tick)
            grid.append(f'<path class="grid" d="M{LEFT} {y}H{LEFT + self.width}"/>')
            grid.append(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{tick:g}</text>')
        texts = x_texts if x_texts is not None else {tick: f"{tick:g}" for tick in ticks(self.x0, self.x1)}
        for place, text in texts.items():
            grid.append(f'<text x="{self.x(place)}" y="{bottom + 16}" text-anchor="middle">{escape(text)}</text>')
        titles = (
            f'<text class="title" x="{LEFT + self.width / 2}" y="{bottom + 38}" text-anchor="middle">'
            f'{escape(x_title)}</text><text class="title" transform="translate(12 {middle}) rotate(-90)" '
            f'text-anchor="middle">{escape(y_title)}</text>'
        )
        size = f"0 0 {LEFT + self.width + RIGHT} {bottom + BOTTOM}"
        return Markup(
            f'<svg class="plot" viewBox="{size}" role="img" aria-label="{escape(label)}">'
            f"{''.join(grid)}{titles}{body}</svg>"
        )


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers from ``low`` to ``high``, about so many steps."""
    if high <= low:
        return [low]
    raw = (high - low) / about
    power = 10.0 ** math.floor(math.log10(raw))
    step = power * next(factor for factor in (1, 2, 5, 10) if factor * power >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) + 0.0 for n in range(first, math.floor(high / step + 1e-9) + 1)]


def score_bands(bands: Sequence[ScoreBand]) -> Markup:
    """Return what the card's bands promise (boxes: interval and rate) and what was observed (dots with intervals)."""
    axes = Axes(0, max(len(bands), 1), 0, 1)
    body, texts = [], {}
    for place, band in enumerate(bands):
        texts[place + 0.5] = f"{band.low:.2f} to {band.high:.2f}"
        left, right = axes.x(place + 0.14), axes.x(place + 0.86)
        if band.promised.low is not None and band.promised.high is not None and band.promised.value is not None:
            top, bottom, level = (axes.y(v) for v in (band.promised.high, band.promised.low, band.promised.value))
            body.append(
                f'<rect class="promised" x="{left}" y="{top}" width="{right - left:.2f}" '
                f'height="{max(bottom - top, 1):.2f}"><title>promised: {escape(str(band.promised))}</title></rect>'
                f'<path class="line" d="M{left} {level}H{right}"/>'
            )
        if band.observed.value is not None:
            note = f"{band.images} images: observed {band.observed}"
            body.append(axes.whisker(place + 0.5, band.observed))
            body.append(
                f'<circle class="mark" cx="{axes.x(place + 0.5)}" cy="{axes.y(band.observed.value)}" r="4">'
                f"<title>{escape(note)}</title></circle>"
            )
    return axes.draw("".join(body), "Reliability by score band", "Score band", "Share of the class", x_texts=texts)


def net_benefit(curve: DecisionCurve) -> Markup:
    """Return net benefit over threshold probabilities: the model with its interval, treating all, treating no one."""
    known = [point for point in curve.points if point.model.value is not None]
    highest = max([curve.prevalence, *(point.model.high or point.model.value or 0.0 for point in known)])
    axes = Axes(0, 1, -0.25 * highest, 1.08 * highest)
    upper = [(p.threshold, p.model.high) for p in known if p.model.high is not None]
    lower = [(p.threshold, p.model.low) for p in known if p.model.low is not None]
    body = [f'<path class="zero" d="M{axes.x(0)} {axes.y(0)}H{axes.x(1)}"><title>acting on no one</title></path>']
    if upper and lower:
        body.append(f'<path class="band" d="{axes.path([*upper, *reversed(lower)])}Z"/>')
    every = [(p.threshold, p.treat_all) for p in curve.points if p.treat_all >= axes.y0]
    after = next((p for p in curve.points if p.treat_all < axes.y0), None)
    if every and after is not None:  # down to where it leaves the picture
        at = (curve.prevalence - axes.y0) / (1 - axes.y0)  # treat_all(t) = y0
        every.append((at, axes.y0))
    if every:
        body.append(f'<path class="chance" d="{axes.path(every)}"><title>acting on everyone</title></path>')
    if known:
        model = axes.path((p.threshold, p.model.value or 0.0) for p in known)
        body.append(f'<path class="line" d="{model}"><title>acting where the model says so</title></path>')
    return axes.draw("".join(body), "Decision curve", "Threshold probability", "Net benefit")


def risk_coverage(curves: Sequence[RiskCoverage]) -> Markup:
    """Return the share of wrong decisions against the share of images that are answered, one line an order."""
    highs = [p.risk.high if p.risk.high is not None else p.risk.value for c in curves for p in c.points]
    axes = Axes(0.45, 1.02, 0, max([0.01, *(value for value in highs if value is not None)]) * 1.05)
    body = []
    for style, curve in zip(STYLES, curves, strict=False):
        known = [point for point in curve.points if point.risk.value is not None]
        if known:
            line = axes.path((p.share, p.risk.value or 0.0) for p in known)
            body.append(f'<path class="{style}" d="{line}"><title>{escape(curve.by)}</title></path>')
        if style == STYLES[0]:
            body += [axes.whisker(point.share, point.risk) for point in known]
    return axes.draw("".join(body), "Risk against coverage", "Share of images answered", "Share wrong")


def curves(rows: Sequence[Mapping[str, float]], metric: str, title: str, kept: int | None) -> Markup:
    """Return a metric of training (dashed) and validation over the epochs, the kept epoch marked; empty without rows.

    Args:
        rows: One an epoch, as in ``metrics.csv``.
        metric: ``loss``, ``accuracy`` or ``auroc``.
        title: Of the vertical axis.
        kept: The epoch whose weights were kept.
    """
    lines = {
        part: [(row["epoch"], row[key]) for row in rows if math.isfinite(row.get(key, math.nan))]
        for part, key in ((name, f"{name}_{metric}") for name in ("validation", "train"))
    }  # fmt: skip
    values = [value for points in lines.values() for _, value in points]
    if not values:
        return Markup("")
    epochs = [row["epoch"] for row in rows]
    low, high = min(values), max(values)
    room = 0.06 * (high - low) or 0.05
    first, last = min(epochs), max(epochs)
    axes = Axes(first - (first == last), last + (first == last), low - room, high + room)
    body = []
    if kept is not None:
        x = axes.x(kept)
        upright = f"M{x} {TOP}V{TOP + axes.height}"
        body.append(f'<path class="threshold" d="{upright}"><title>kept: epoch {kept}</title></path>')
    for style, (part, points) in zip(STYLES, lines.items(), strict=False):
        if points:
            body.append(f'<path class="{style}" d="{axes.path(points)}"><title>{part}</title></path>')
            body += [
                f'<circle class="dot" cx="{axes.x(x)}" cy="{axes.y(y)}" r="2.5"><title>{part}, epoch {x:.0f}: {y:.4f}'
                "</title></circle>"
                for x, y in points
            ]
    whole = {float(n): str(n) for n in ticks(first, last) if n == int(n)}
    shown = {place: f"{place:.0f}" for place in whole} or {first: f"{first:.0f}"}
    return axes.draw("".join(body), f"{title} over the epochs", "Epoch", title, x_texts=shown)
