"""A cross-validation of recipes: figures of images that no fold's network has met, over folds and repeats.

These records are stored as ``cross-validation.json``. A comparison judges networks on one validation part, which also
chose their epochs. Here each recipe is trained in each fold, with its own validation and calibration images, and
measured on the images that were held out; so that recipes are judged, over the chance of the division and the seed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from pydantic import Field

from pneumoscope import __version__
from pneumoscope.comparison.result import NotRun
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.core.notebook import html_disclaimer, html_table, html_text
from pneumoscope.stats.comparison.paired import Paired, adjust
from pneumoscope.stats.comparison.ranked_figures import is_better_smaller
from pneumoscope.stats.comparison.resampled import compare_resampled, corrected_mean
from pneumoscope.stats.estimates import Estimate


class FoldResult(Frozen):
    """One network on the images that its fold held out."""

    repeat: int = Field(description="from 1")
    fold: int = Field(description="from 1")
    run: str = Field(description="folder, relative to the cross-validation's")
    identity: str = Field(description="of the bundle")
    images: int = Field(description="held out and measured")
    groups: int
    learnt: int = Field(description="images that trained, chose the epoch or calibrated")
    figures: dict[str, float | None] = Field(description="metric -> value on the images held out")


class CrossValidatedRecipe(Frozen):
    """A recipe over all folds and repeats."""

    name: str
    recipe: str
    changes: tuple[str, ...] = Field(description="changes of the published recipe")
    folds: tuple[FoldResult, ...]
    figures: dict[str, Estimate] = Field(description="metric -> mean over the folds, corrected interval")
    versus_best: Paired | None = Field(description="this recipe minus the best one; None for the best itself")


class CrossValidation(Frozen):
    """All of one cross-validation."""

    schema_version: int = 1
    disclaimer: str = DISCLAIMER
    program: str = Field(default_factory=lambda: f"pneumoscope {__version__}")
    created: str
    command: str
    target: str = Field(description="the class that is looked for; of several findings an image, the first one")
    findings: tuple[str, ...] = Field(default=(), description="of recipes of several findings an image")
    metric: str
    folds: int
    repeats: int
    seed: int
    data: str = Field(description="hash of the rows that were dealt into folds")
    images: int
    groups: int
    group_sentence: str
    closed: int = Field(description="images of the manifest's test part, which no fold used")
    ratio: float = Field(description="images held out over images learnt from, mean over the folds")
    recipes: tuple[CrossValidatedRecipe, ...] = Field(description="the best first")
    notes: tuple[str, ...]
    not_run: tuple[NotRun, ...]

    @property
    def second_figure(self) -> str:
        """The figure that stands beside the one that ranks, in a short table."""
        return "macro/f1" if self.findings else "accuracy"

    def __repr__(self) -> str:
        """Return how many recipes were compared, and the best."""
        best = f"{self.recipes[0].name} {self.recipes[0].figures[self.metric]}"
        what = f"{len(self.recipes)} recipes, {self.folds} folds, {self.repeats} repeats"
        return f"CrossValidation({what} by {self.metric}: best {best}; not run: {len(self.not_run)})"

    def _repr_html_(self) -> str:
        """Return the table in short, for a notebook."""
        rows = [
            (
                one.name,
                one.figures[self.metric],
                one.figures[self.second_figure],
                "reference" if one.versus_best is None else one.versus_best.difference,
            )
            for one in self.recipes
        ]
        table = html_table(("recipe", self.metric, self.second_figure, "minus the best"), rows)
        return "".join([table, *(html_text(sentence) for sentence in self.notes), html_disclaimer()])

    def to_json(self) -> str:
        """Return the cross-validation as JSON.

        Returns:
            Indented JSON with a line end, as in ``cross-validation.json``.
        """
        return self.model_dump_json(indent=2) + "\n"


def mean_ratio(folds: Sequence[FoldResult]) -> float:
    """Return the images held out over the images learnt from, the mean over folds."""
    return float(np.mean([fold.images / fold.learnt for fold in folds]))


def rank_recipes(
    folds: Mapping[str, Sequence[FoldResult]], facts: Mapping[str, tuple[str, tuple[str, ...]]], metric: str
) -> list[CrossValidatedRecipe]:
    """Return the recipes, the best first, each with its mean figures and its difference from the best.

    Args:
        folds: Recipe -> its folds, all recipes' in the same order.
        facts: Recipe -> name of the recipe it changes, and the changes.
        metric: The figure to rank by.
    """
    ratio = mean_ratio([fold for many in folds.values() for fold in many])

    def values(name: str, key: str) -> list[float]:
        return [np.nan if (value := fold.figures[key]) is None else value for fold in folds[name]]

    means = {
        name: {key: corrected_mean(values(name, key), ratio, **_range(key)) for key in many[0].figures}
        for name, many in folds.items()
    }
    sign = 1 if is_better_smaller(metric) else -1

    def rank(name: str) -> float:
        value = means[name][metric].value
        return np.inf if value is None else sign * value

    order = sorted(folds, key=rank)
    best = order[0]
    pairs = {name: compare_resampled(values(name, metric), values(best, metric), ratio, metric) for name in order[1:]}
    tested = adjust(pairs)
    return [
        CrossValidatedRecipe(
            name=name,
            recipe=facts[name][0],
            changes=facts[name][1],
            folds=tuple(folds[name]),
            figures=means[name],
            versus_best=tested.get(name),
        )
        for name in order
    ]


def _range(metric: str) -> dict[str, float]:
    """Return the least and the largest value that a metric can have; a loss has no largest one."""
    return {"least": 0.0} if is_better_smaller(metric) else {"least": 0.0, "most": 1.0}
