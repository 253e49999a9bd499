"""The result of a search for settings: its trials, the best of them, and the comparison with the untuned recipe."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pneumoscope import __version__
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.stats.estimates import Estimate

Scalar = bool | int | float | str | None


class StudyTrial(Frozen):
    """One setting and its result."""

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
    difference: Estimate = Field(description="of the shares missed, after minus before")


class TuningComparison(Frozen):
    """The recipe as it stands against the tuned one, on predictions that did not choose the settings in this form."""

    how: str
    caution: str
    positives: int = Field(description="predictions of images of the primary class; of findings that are present")
    before: dict[str, Estimate]
    after: dict[str, Estimate]
    difference: Estimate = Field(description="of the objective, after minus before, paired by group")
    at_precision: tuple[AtPrecision, ...] = Field(description="empty for several findings an image")
    chosen: tuple[dict[str, Scalar], ...] = Field(default=(), description="nested: what each outer fold's search chose")


class StudySummary(Frozen):
    """A finished search, as ``study.json`` stores it."""

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
    comparison: TuningComparison | None = None
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
