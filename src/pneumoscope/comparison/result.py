"""A comparison: networks on the same images, ranked on validation, each difference with its test.

These records are stored as ``comparison.json``. Networks are in one table only if they answer the same question on the
same images: a binary network is not ranked against one of four classes.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from pneumoscope import __version__
from pneumoscope.core.frozen import Frozen
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.core.notebook import html_disclaimer, html_heading, html_table, html_text
from pneumoscope.inference.evaluation import Evaluation, FindingsEvaluation
from pneumoscope.stats.comparison.paired import Paired
from pneumoscope.stats.comparison.recommendation import Recommendation
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.figures import Figures
from pneumoscope.stats.metric_table import CLASS_METRICS, COMPARED, THRESHOLD_METRICS


class Cost(Frozen):
    """What a network costs."""

    training_seconds: float | None = Field(description="all epochs, validation included, and a frozen backbone's pass")
    epochs: int
    device: str = Field(description="device, precision, processor")
    parameters: int
    operations: int | None = Field(description="multiply-adds of the network for one image")
    model_bytes: int
    latency: float | None = Field(description="median seconds for one image, one thread, the graph alone")
    latency_range: tuple[float, float] | None = Field(description="10th and 90th percentile of it")
    memory_bytes: int | None = Field(description="memory that the graph adds to a process, at its peak")


class NetworkRow(Frozen):
    """One network: a recipe with its settings and seed."""

    name: str
    recipe: str
    settings: dict[str, str] = Field(description="settings that --grid set")
    seed: int
    changes: tuple[str, ...] = Field(description="changes of the published recipe")
    identity: str = Field(description="of the bundle")
    run: str = Field(description="folder, relative to the comparison's")
    kept_epoch: int
    figures: dict[str, Estimate] = Field(description="on validation; see ``select_figures``")
    confusion: tuple[tuple[int, ...], ...] = Field(description="empty for several findings an image")
    classes: tuple[str, ...]
    cost: Cost
    curve: tuple[dict[str, float], ...] = Field(description="metrics.csv, a row an epoch")
    reported: dict[str, Any] = Field(description="figures that the recipe's source reports, of its own data")
    versus_best: Paired | None = Field(description="this network minus the best one; None for the best itself")


class FinalistResult(Frozen):
    """A finalist on the test part."""

    name: str
    evaluation: Evaluation | FindingsEvaluation
    figures: dict[str, Estimate]
    versus_first: Paired | None = Field(description="this finalist minus the first one; None for that one")

    @property
    def images(self) -> int:
        """The images that were measured."""
        evaluation = self.evaluation
        return evaluation.images if isinstance(evaluation, FindingsEvaluation) else evaluation.figures.images


class SeedSummary(Frozen):
    """A recipe over its seeds."""

    name: str
    seeds: int
    mean: float
    low: float = Field(description="the least of them")
    high: float = Field(description="the largest of them")
    versus_best: Paired | None


class RankedTable(Frozen):
    """Networks that answer one question on the same images, the best first."""

    classes: tuple[str, ...]
    kind: Literal["binary", "multiclass", "multilabel"]
    images: int
    groups: int
    class_images: dict[str, int] = Field(description="of several findings an image: images that have the finding")
    data: str = Field(description="hash of the validation rows")
    group_sentence: str
    rows: tuple[NetworkRow, ...]
    recommendation: Recommendation
    seeds: tuple[SeedSummary, ...]
    finals: tuple[FinalistResult, ...]

    @property
    def second_figure(self) -> str:
        """The figure that stands beside the one that ranks, in a short table."""
        return "macro/f1" if self.kind == "multilabel" else "accuracy"

    @property
    def figure_names(self) -> tuple[str, ...]:
        """The figures that a long table shows, in their order."""
        return tuple(self.rows[0].figures) if self.kind == "multilabel" else RANKING


class NotRun(Frozen):
    """A network that has no figures, and why."""

    name: str
    recipe: str
    status: Literal["not run", "failed"]
    reason: str
    reported: dict[str, Any]


class Comparison(Frozen):
    """All of one comparison."""

    schema_version: int = 1
    disclaimer: str = DISCLAIMER
    program: str = Field(default_factory=lambda: f"pneumoscope {__version__}")
    created: str
    command: str
    target: str = Field(description="the class that is looked for; of several findings an image, the first one")
    metric: str
    data: str = Field(description="hash of the manifest's rows")
    split: str = Field(description="hash of their division into parts")
    sources: dict[str, int]
    notes: tuple[str, ...]
    grid: dict[str, tuple[str, ...]]
    tables: tuple[RankedTable, ...]
    not_run: tuple[NotRun, ...]
    test_note: str

    def __repr__(self) -> str:
        """Return how many networks were compared, and the best of each table."""
        networks = sum(len(table.rows) for table in self.tables)
        best = "; ".join(f"{table.rows[0].name} {table.rows[0].figures[self.metric]}" for table in self.tables)
        return f"Comparison({networks} networks by {self.metric}: {best}; not run: {len(self.not_run)})"

    def _repr_html_(self) -> str:
        """Return the tables in short, for a notebook: figures on validation, differences, recommendations."""
        parts = []
        for table in self.tables:
            classes = name_question(table)
            rows = [
                (
                    row.name,
                    row.figures[self.metric],
                    row.figures[table.second_figure],
                    "reference" if row.versus_best is None else row.versus_best.difference,
                    f"{row.cost.model_bytes / 1e6:.1f} MB",
                )
                for row in table.rows
            ]
            parts.append(html_heading(f"{classes}: validation, {table.images} images"))
            heads = ("network", self.metric, table.second_figure, "minus the best", "model")
            parts.append(html_table(heads, rows))
            parts += [html_text(sentence) for sentence in table.recommendation.sentences]
        parts += [html_text(f"{entry.name}: {entry.status}. {entry.reason}") for entry in self.not_run]
        return "".join([*parts, html_text(self.test_note), html_disclaimer()])

    def to_json(self) -> str:
        """Return the comparison as JSON.

        Returns:
            Indented JSON with a line end, as in ``comparison.json``.
        """
        return self.model_dump_json(indent=2) + "\n"


def name_question(table: RankedTable) -> str:
    """Return the question that a table's networks answer."""
    names = [display_name(name) for name in table.classes]
    return ", ".join(names) if table.kind == "multilabel" else " or ".join(names)


RANKING = tuple(COMPARED)
"""Names of the figures of a network, as the metric table declares them."""


def select_figures(figures: Figures, default_point: str) -> dict[str, Estimate]:
    """Return the figures by which networks are compared.

    Args:
        figures: On one part.
        default_point: Name of the operating point whose threshold gives sensitivity and specificity.

    Returns:
        Metric -> figure: of the target against the rest, of all classes together, or at the threshold, as the metric
        table has it.
    """
    point = next(point for point in figures.operating if point.name == default_point)
    selected = {}
    for name, metric in COMPARED.items():
        if metric in tuple(CLASS_METRICS):
            selected[name] = figures.by_class[figures.classes[0]][name]
        elif metric in tuple(THRESHOLD_METRICS):
            selected[name] = getattr(point, name)
        else:
            selected[name] = figures.overall[name]
    return selected
