"""A learning curve of a recipe: its figures by the number of training patients, and what twice as many would bring.

These records are stored as ``learning-curve.json``.
"""

from __future__ import annotations

from matplotlib.figure import Figure
from pydantic import Field

from pneumoscope import __version__
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.core.notebook import html_disclaimer, html_table, html_text
from pneumoscope.reporting.charts.figure import (
    ACCENT,
    DASHED,
    MARK,
    SOFT,
    add_interval,
    add_mark,
    new_figure,
    styled,
    to_svg,
)
from pneumoscope.reporting.formatting import name_figure
from pneumoscope.reporting.pages.base import load_templates
from pneumoscope.stats.learning_curve import FARTHEST, CurvePoint, Forecast, PowerLaw
from pneumoscope.stats.metric_names import MEAN_AREA

CAUTION = (
    "The validation part also chose the epochs: expect slightly lower figures on new images. The curve is a guess "
    f"outside the measured sizes, and is not followed beyond {FARTHEST:g} times the largest."
)
ONE_REPEAT = (
    "One training of each size: the intervals leave out the chance of the training and of which patients were taken."
)


class LearningCurve(Frozen):
    """All of one learning curve."""

    schema_version: int = 1
    disclaimer: str = DISCLAIMER
    program: str = Field(default_factory=lambda: f"pneumoscope {__version__}")
    created: str
    command: str
    recipe: str
    changes: tuple[str, ...] = Field(description="changes of the published recipe")
    target: str = Field(description="the recipe's first class")
    metric: str
    seed: int
    images: int = Field(description="of the validation part, the same for all sizes")
    groups: int
    group_sentence: str
    data: str = Field(description="hash of the validation rows")
    points: tuple[CurvePoint, ...] = Field(description="the smallest size first")
    curve: PowerLaw | None = Field(description="None with fewer than 4 sizes")
    forecasts: tuple[Forecast, ...]
    notes: tuple[str, ...]

    def __repr__(self) -> str:
        """Return the smallest and the largest size with their figures."""
        first, last = self.points[0], self.points[-1]
        return (
            f"LearningCurve({self.recipe}, {self.metric}: {first.figure} of {first.patients} patients, "
            f"{last.figure} of {last.patients})"
        )

    def _repr_html_(self) -> str:
        """Return the table in short, for a notebook."""
        rows = [(f"{point.share:g}", point.patients, point.images, point.figure) for point in self.points]
        table = html_table(("share", "patients", "images", self.metric), rows)
        return "".join([table, *map(html_text, self.sentences()), html_disclaimer()])

    def sentences(self) -> tuple[str, ...]:
        """Return what the curve says about more patients, and what it leaves out.

        Returns:
            Sentences, those of the forecasts first.
        """
        said, last = [], self.points[-1]
        for one in self.forecasts:
            assert self.curve is not None  # it made the forecasts
            own, measured = self.curve.at(last.patients), last.figure.value
            low, high = one.gain.low, one.gain.high
            limits = "" if low is None or high is None else f" ({low:+.3f} to {high:+.3f})"
            said.append(
                f"With {one.times:g} times the patients ({one.patients:,}) the curve expects "
                f"{name_figure(self.metric)} {one.figure}. That is {one.gain.value:+.3f}{limits} against the curve's "
                f"own {own:.3f} at {last.patients:,} patients"
                f"{'' if measured is None else f', where {measured:.3f} was measured'}."
            )
        return (*said, *self.notes)

    def to_json(self) -> str:
        """Return the learning curve as JSON.

        Returns:
            Indented JSON with a line end, as in ``learning-curve.json``.
        """
        return self.model_dump_json(indent=2) + "\n"


def render_learning_curve_page(result: LearningCurve) -> str:
    """Return the self-contained HTML page of a learning curve."""
    return load_templates().get_template("learning_curve.html").render(
        title=f"Learning curve: {result.recipe}",
        c=result,
        target="" if result.metric == MEAN_AREA else f" of {display_name(result.target)}",
        figure=to_svg(draw_learning_curve(result, "Figure by the number of training patients")),
    )  # fmt: skip


@styled
def draw_learning_curve(result: LearningCurve, label: str) -> Figure:
    """Draw the figures with their intervals over the patients, the curve, and dashed what it expects of more patients.

    Args:
        result: The learning curve.
        label: What the figure shows, for people who can't see it.
    """
    figure, [axes] = new_figure(label, (900, 380), margins=(60, 30, 14, 46))
    for point in result.points:
        add_interval(axes, point.patients, point.figure, color=ACCENT, linewidth=2, alpha=1)
        if len(point.repeats) > 1:
            for value in point.repeats:
                add_mark(axes, point.patients, value, size=4, color=SOFT, alpha=0.7)
        if point.figure.value is not None:
            note = f"{point.patients} patients, {point.images} images: {point.figure}"
            add_mark(axes, point.patients, point.figure.value, note, color=ACCENT)
    if result.curve is not None:
        first, last = result.points[0].patients, result.points[-1].patients
        farthest = max([last, *(one.patients for one in result.forecasts)])
        for begin, end, style in ((first, last, "-"), (last, farthest, DASHED)):
            x = [begin + (end - begin) * step / 40 for step in range(41)]
            axes.plot(x, [result.curve.at(value) for value in x], color=MARK, linewidth=1.6, linestyle=style)
    for one in result.forecasts:
        add_interval(axes, one.patients, one.figure)
        if one.figure.value is not None:
            add_mark(axes, one.patients, one.figure.value, f"{one.patients} patients: {one.figure}", marker="D")
    axes.margins(x=0.06, y=0.1)
    axes.set(xlabel="Training patients", ylabel=f"{name_figure(result.metric)} on validation, 95% interval")
    return figure
