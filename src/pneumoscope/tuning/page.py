"""The page of a search for settings: what was tried, what was best, how much of it is luck.

The best of many trials is the best partly by chance: its figure is of the very images that chose it. The page says so
beside the figure, and gives the comparison that was made on other divisions of the data, where one was made.
"""

from __future__ import annotations

from typing import Any, Literal

from markupsafe import Markup
from pydantic import Field

from pneumoscope import __version__
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.reporting import formatting
from pneumoscope.reporting.charts import drawings
from pneumoscope.reporting.pages.page import environment
from pneumoscope.stats.estimates import Estimate
from pneumoscope.tuning import charts

Scalar = bool | int | float | str | None


class StudyTrial(Frozen):
    """One setting and what came of it."""

    number: int = Field(description="from 1, in the order planned")
    state: Literal["complete", "pruned", "failed", "running", "waiting"]
    settings: dict[str, Scalar]
    objective: Estimate | None = None
    figures: dict[str, Estimate] = Field(default_factory=dict)
    epochs: tuple[int, ...] = Field(default=(), description="the kept epoch of each fold")
    seconds: float | None = None
    host: str = ""
    attempts: int = 1
    why: str = ""


class AtPrecision(Frozen):
    """Missed images of the primary class where both settings have at least the same precision."""

    precision: float
    before: int | None = Field(description="false negatives; None where no threshold has that precision")
    after: int | None
    difference: Estimate = Field(description="of the shares missed, after less before")


class Comparison(Frozen):
    """The recipe as it stands against the tuned one, on predictions that the search did not see as they are here."""

    how: str
    caution: str
    positives: int = Field(description="predictions of images of the primary class")
    before: dict[str, Estimate]
    after: dict[str, Estimate]
    difference: Estimate = Field(description="of the objective, after less before, paired by group")
    at_precision: tuple[AtPrecision, ...]
    chosen: tuple[dict[str, Scalar], ...] = Field(default=(), description="nested: what each outer fold's search chose")


class StudySummary(Frozen):
    """All that is known of a search."""

    schema_version: int = 1
    disclaimer: str = DISCLAIMER
    program: str = f"pneumoscope {__version__}"
    created: str
    name: str
    recipe: str
    search: str
    objective: str
    objective_words: str
    goal: Literal["maximize", "minimize"]
    measured: str
    sampler: str
    pruner: str
    seed: int
    data: str
    split: str
    images: int
    groups: int
    class_images: dict[str, int]
    class_sources: dict[str, dict[str, int]]
    group_sentence: str
    stamps: tuple[str, ...]
    space: dict[str, str]
    trials: tuple[StudyTrial, ...]
    best: int | None
    own: int | None = Field(description="the trial of the recipe as it stands")
    importance: dict[str, float]
    changes: tuple[str, ...]
    comparison: Comparison | None = None
    machine: dict[str, Any] = Field(default_factory=dict)

    def trial(self, number: int | None) -> StudyTrial | None:
        """Return a trial by its number."""
        return next((trial for trial in self.trials if trial.number == number), None)

    def count(self, state: str) -> int:
        """Return how many trials are in a state."""
        return sum(trial.state == state for trial in self.trials)

    def to_json(self) -> str:
        """Return the summary as indented JSON."""
        return self.model_dump_json(indent=2) + "\n"


def study_page(summary: StudySummary) -> str:
    """Return the page of a search."""
    best, own = summary.trial(summary.best), summary.trial(summary.own)
    ranked = sorted(summary.trials, key=lambda trial: _rank(summary, trial))
    keys = list(summary.space)
    page: str = environment().get_template("study.html").render(
        title=f"Search: {summary.name}",
        s=summary,
        best=best,
        own=own,
        ranked=ranked,
        keys=keys,
        history=charts.history(summary.trials, summary.goal, summary.objective_words),
        importance=charts.bars(summary.importance),
        parallel=charts.parallel(summary.trials, keys, summary.goal, summary.best, summary.objective_words),
        display=display_name,
        value=formatting.value,
        interval=formatting.interval,
        when=formatting.moment,
        whisker=_whisker,
        difference=lambda estimate: drawings.whisker(estimate, -1.0, 1.0),
        sentence=lambda text: text[:1].upper() + text[1:],
        name_of=_figure_name,
        setting=setting_words,
    )  # fmt: skip
    return page


def _rank(summary: StudySummary, trial: StudyTrial) -> tuple[int, float, int]:
    order = ("complete", "pruned", "failed", "running", "waiting").index(trial.state)
    value = trial.objective.value if trial.objective is not None and trial.objective.value is not None else 0.0
    return order, -value if summary.goal == "maximize" else value, trial.number


def _whisker(estimate: Estimate) -> Markup:
    """Return a figure on the scale from 0 to 1; nothing for one that may lie outside it, such as a log-loss."""
    ends = [end for end in (estimate.value, estimate.low, estimate.high) if end is not None]
    return drawings.whisker(estimate) if ends and min(ends) >= 0 and max(ends) <= 1 else Markup("")


def _figure_name(key: str) -> str:
    return formatting.FIGURES.get(key.replace("-", "_"), key.replace("-at-", " at ").replace("-", " ").capitalize())


def setting_words(value: Scalar) -> str:
    """Return a setting's value as a person writes it."""
    return f"{value:.4g}" if isinstance(value, float) else str(value)
