"""The pictures of a search as inline SVG: history, importance of the parameters, parallel coordinates.

As in ``drawings.py`` the colours are CSS classes, so that light, dark and print need no second picture.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import TYPE_CHECKING

from markupsafe import Markup

if TYPE_CHECKING:
    from pneumoscope.tuning.result import Scalar, StudyTrial

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 900, 260, 60, 16, 40


def _measured(trials: Sequence[StudyTrial]) -> list[tuple[StudyTrial, float]]:
    return [
        (trial, trial.objective.value)
        for trial in trials
        if trial.state == "complete" and trial.objective is not None and trial.objective.value is not None
    ]


def ticks(low: float, high: float, about: int = 5) -> list[float]:
    """Return round numbers that lie between ``low`` and ``high``, about so many."""
    if not high > low:
        return [low]
    raw = (high - low) / about
    power = 10 ** math.floor(math.log10(raw))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= raw * 0.999)
    first = math.ceil(low / step - 1e-9)
    return [round(n * step, 10) for n in range(first, math.floor(high / step + 1e-9) + 1)]


def history(trials: Sequence[StudyTrial], goal: str, words: str) -> Markup:
    """Return the objective of each trial with its interval, the best so far as a line, and what ended early."""
    measured = _measured(trials)
    if not measured:
        return Markup("")
    ends = [
        end for t, v in measured if t.objective for end in (v, t.objective.low, t.objective.high) if end is not None
    ]
    low, high = min(ends), max(ends)
    low, high = (low - 0.01, high + 0.01) if high - low < 1e-6 else (low, high)
    count = max(trial.number for trial in trials)
    inner_w, inner_h = _WIDTH - _LEFT - 14, _HEIGHT - _TOP - _BOTTOM

    def x(number: float) -> float:
        return round(_LEFT + (number - 0.5) / count * inner_w, 2)

    def y(value: float) -> float:
        return round(_TOP + (high - value) / (high - low) * inner_h, 2)

    body = []
    for tick in ticks(low, high):
        body.append(f'<path class="grid" d="M{_LEFT} {y(tick)}H{_WIDTH - 14}"/>')
        body.append(f'<text x="{_LEFT - 6}" y="{y(tick) + 4}" text-anchor="end">{tick:g}</text>')
    step = max(1, round(count / 10))
    body += [
        f'<text x="{x(number)}" y="{_TOP + inner_h + 16}" text-anchor="middle">{number}</text>'
        for number in range(step, count + 1, step)
    ]
    better = max if goal == "maximize" else min
    so_far, path = None, ""
    for trial, value in sorted(measured, key=lambda pair: pair[0].number):
        so_far = value if so_far is None else better(so_far, value)
        path += f"H{x(trial.number)}V{y(so_far)}" if path else f"M{x(trial.number)} {y(so_far)}"
    body.append(f'<path class="line" d="{path}H{x(count)}"/>')
    for trial, value in measured:
        estimate = trial.objective
        if estimate is not None and estimate.low is not None and estimate.high is not None:
            body.append(f'<path class="whisker" d="M{x(trial.number)} {y(estimate.low)}V{y(estimate.high)}"/>')
        note = f"trial {trial.number}: {estimate}"
        body.append(
            f'<circle class="mark" cx="{x(trial.number)}" cy="{y(value)}" r="4"><title>{escape(note)}</title></circle>'
        )
    for trial in trials:
        if trial.state in ("pruned", "failed"):
            cx, cy = x(trial.number), _TOP + inner_h - 5
            note = f"trial {trial.number}: {trial.state} {trial.why}"
            body.append(
                f'<path class="chance" style="stroke-dasharray:none" d="M{cx - 4} {cy - 4}l8 8m0 -8l-8 8">'
                f"<title>{escape(note)}</title></path>"
            )
    body.append(
        f'<text class="title" x="{_LEFT + inner_w / 2}" y="{_HEIGHT - 6}" text-anchor="middle">Trial</text>'
        f'<text class="title" transform="translate(12 {_TOP + inner_h / 2}) rotate(-90)" text-anchor="middle">'
        f"{escape(words)}</text>"
    )
    return _svg("".join(body), _WIDTH, _HEIGHT, f"{words} of each trial")


def bars(shares: Mapping[str, float]) -> Markup:
    """Return how much of the objective's variance each parameter explains, as bars from 0 to 1."""
    if not shares:
        return Markup("")
    left, row, width = 190, 26, 520
    body = []
    for index, (name, share) in enumerate(sorted(shares.items(), key=lambda pair: -pair[1])):
        top = 8 + index * row
        body.append(f'<text x="{left - 8}" y="{top + 14}" text-anchor="end">{escape(name)}</text>')
        body.append(f'<rect class="bar" x="{left}" y="{top + 2}" width="{max(1.0, share * width):.1f}" height="16"/>')
        body.append(f'<text x="{left + share * width + 6:.1f}" y="{top + 14}">{share:.2f}</text>')
    return _svg("".join(body), left + width + 50, 12 + len(shares) * row, "Importance of the parameters")


def parallel(trials: Sequence[StudyTrial], keys: Sequence[str], goal: str, best: int | None, words: str) -> Markup:
    """Return one axis for each parameter and one for the objective, and one line for each finished trial.

    The better the trial, the stronger its line; the best one has a colour of its own.
    """
    measured = _measured(trials)
    if len(measured) < 2:
        return Markup("")
    width, height, top, bottom = 900, 310, 54, 24
    gap = (width - 120) / len(keys)
    places = {key: _axis([trial.settings.get(key) for trial, _ in measured]) for key in keys}
    low, high = min(v for _, v in measured), max(v for _, v in measured)

    def y(share: float) -> float:
        return round(height - bottom - share * (height - top - bottom), 2)

    body = []
    ranked = sorted(measured, key=lambda pair: pair[1], reverse=goal == "minimize")
    for order, (trial, value) in enumerate(ranked):
        points = [(50 + n * gap, y(places[key][_text(trial.settings.get(key))])) for n, key in enumerate(keys)]
        points.append((50 + len(keys) * gap, y((value - low) / (high - low) if high > low else 0.5)))
        own = trial.number == best
        look = "stroke:var(--mark);stroke-width:3" if own else f"opacity:{0.08 + 0.6 * (order / len(ranked)) ** 2:.2f}"
        line = "L".join(f"{px:.1f} {py}" for px, py in points)
        body.append(f'<path class="line" style="{look}" d="M{line}"><title>trial {trial.number}</title></path>')
    for n, key in enumerate(keys):
        at = 50 + n * gap
        body.append(f'<path class="grid" style="stroke:var(--soft)" d="M{at:.1f} {top}V{height - bottom}"/>')
        body.append(_axis_title(at, key, n))
        for text, share in _labels(places[key]):
            body.append(f'<text x="{at + 5:.1f}" y="{y(share) - 4}">{escape(text)}</text>')
    at = 50 + len(keys) * gap
    body.append(f'<path class="grid" style="stroke:var(--soft)" d="M{at:.1f} {top}V{height - bottom}"/>')
    body.append(_axis_title(at, words if len(words) < 18 else "objective", len(keys)))
    for tick in ticks(low, high, 4):
        share = (tick - low) / (high - low) if high > low else 0.5
        body.append(f'<text x="{at + 6:.1f}" y="{y(share) + 4}">{tick:g}</text>')
    return _svg("".join(body), width, height, "Settings and objective of each trial")


def _axis_title(at: float, text: str, number: int) -> str:
    """Return the title of an axis; every other one stands higher, so that long names do not meet."""
    return f'<text class="title" x="{at:.1f}" y="{14 if number % 2 else 30}" text-anchor="middle">{escape(text)}</text>'


def _text(value: Scalar) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _axis(values: Sequence[Scalar]) -> dict[str, float]:
    """Return where each value stands on its axis, 0 to 1: in order, evenly (few) or by size (many numbers)."""
    distinct = sorted(set(values), key=lambda v: (isinstance(v, str), v if isinstance(v, int | float) else 0, str(v)))
    spread = len(distinct) > 8 and all(isinstance(v, int | float) and v > 0 for v in distinct)
    if spread:
        numbers = [math.log(float(v)) for v in distinct if isinstance(v, int | float)]
        return {_text(v): (n - numbers[0]) / (numbers[-1] - numbers[0]) for v, n in zip(distinct, numbers, strict=True)}
    last = max(1, len(distinct) - 1)
    return {_text(v): 0.5 if len(distinct) == 1 else n / last for n, v in enumerate(distinct)}


def _labels(places: Mapping[str, float]) -> list[tuple[str, float]]:
    """Return the values to write on an axis: all if they are few, else the ends."""
    found = list(places.items())
    return found if len(found) <= 8 else [found[0], found[-1]]


def _svg(body: str, width: float, height: float, label: str) -> Markup:
    size = f'style="width:100%" viewBox="0 0 {width:g} {height:g}"'
    return Markup(f'<svg {size} role="img" aria-label="{escape(label)}">{body}</svg>')
