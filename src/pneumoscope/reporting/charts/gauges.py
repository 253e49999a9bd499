"""The small scales in the lines of a table: an estimate with its interval, and a score with its threshold.

They are HTML that ``style.css`` paints from custom properties, as it does the cells of a confusion matrix. A page may
hold hundreds of them, so a figure by matplotlib for each would make it slow and heavy.
"""

from __future__ import annotations

from markupsafe import Markup

from pneumoscope.stats.estimates import Estimate


def render_interval_gauge(estimate: Estimate, low: float = 0.0, high: float = 1.0) -> Markup:
    """Return an estimate and its interval on a small scale; empty where there is no value.

    Args:
        estimate: The table writes its numbers beside the scale, so that the scale is hidden from screen readers.
        low: Left end of the scale.
        high: Right end of the scale.
    """
    if estimate.value is None:
        return Markup("")

    def share(value: float) -> str:
        return f"{min(max((value - low) / (high - low), 0.0), 1.0):.3f}"

    style = f"--value:{share(estimate.value)}"
    marks = '<span class="point"></span>'
    if estimate.low is not None and estimate.high is not None:
        style += f";--low:{share(estimate.low)};--high:{share(estimate.high)}"
        marks = '<span class="range"></span>' + marks
    return Markup(f'<span class="gauge" style="{style}" aria-hidden="true">{marks}</span>')


def render_score_gauge(score: float, threshold: float) -> Markup:
    """Return a score from 0 to 1 on a line that shows where the default threshold stands."""
    style = f"--value:{min(max(score, 0.0), 1.0):.3f};--threshold:{min(max(threshold, 0.0), 1.0):.3f}"
    label = f"Score {score:.2f}, threshold {threshold:.2f}"
    return Markup(
        f'<span class="score-gauge" style="{style}" role="img" aria-label="{label}"><span class="range"></span>'
        '<span class="threshold"></span><span class="point"></span><small>0</small><small>1</small></span>'
    )
