"""The page of a comparison: the ranked networks, their differences with intervals, and their costs."""

from __future__ import annotations

import csv
import io
from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from pneumoscope.comparison import charts
from pneumoscope.comparison.result import Comparison, NetworkRow, RankedTable, name_question
from pneumoscope.core.counts import format_count
from pneumoscope.core.labels import display_name
from pneumoscope.reporting import formatting
from pneumoscope.reporting.charts.figure import to_svg
from pneumoscope.reporting.pages.base import load_templates
from pneumoscope.stats.comparison.paired import Paired

REPORTED = ("part", "epoch", "accuracy", "loss", "f1", "precision", "recall", "seconds")
"""Those of a source's figures that the page shows; the recipe holds the rest."""


def draw_figures(comparison: Comparison) -> dict[str, Figure]:
    """Return the figures of a comparison by the names of their files, without ending."""
    figures: dict[str, Figure] = {}
    for number, table in enumerate(comparison.tables, start=1):
        metric = comparison.metric
        figures[f"curves-{number}"] = charts.draw_learning_curves(table.rows, "Learning curves")
        figures[f"ranking-{number}"] = charts.draw_ranking(table, metric, "Ranking with intervals")
        figures[f"price-{number}"] = charts.draw_cost(table, metric, "Metric against latency")
        for key, values in comparison.grid.items():
            by_recipe: dict[str, list[NetworkRow]] = defaultdict(list)
            for row in table.rows:
                by_recipe[row.recipe].append(row)
            for recipe, rows in by_recipe.items():
                name = f"{recipe}-{key.replace('.', '-')}-{number}"
                figures[name] = charts.draw_setting(rows, key, list(values), metric, f"{recipe} by {key}")
    return figures


def render_comparison_page(comparison: Comparison, figures: Mapping[str, Figure]) -> str:
    """Return the self-contained HTML page of a comparison.

    Args:
        comparison: The ranked networks.
        figures: Its figures, as `draw_figures` returns them.
    """
    return load_templates().get_template("comparison.html").render(
        title=f"Comparison: {name_target(comparison)}",
        c=comparison,
        target=name_target(comparison),
        figures={name: to_svg(figure) for name, figure in figures.items()},
        question=name_question,
        difference=format_difference,
        p_value=format_p_value,
        reported=describe_reported,
        common_changes=find_common_changes,
        cost=describe_cost,
        final=lambda table, name: next((f for f in table.finals if f.name == name), None),
    )  # fmt: skip


def name_target(comparison: Comparison) -> str:
    """Return what the networks look for, in a few words."""
    table = comparison.tables[0]
    if table.kind == "multilabel":
        return format_count(len(table.classes), "finding")
    return display_name(comparison.target)


def format_difference(paired: Paired | None) -> str:
    """Return a difference with its interval; words where it has none."""
    if paired is None:
        return "reference"
    estimate = paired.difference
    if estimate.value is None:
        return f"not estimable: {estimate.note or paired.note}"
    if estimate.low is None or estimate.high is None:
        return f"{estimate.value:+.3f} (interval not estimable)"
    return f"{estimate.value:+.3f} ({estimate.low:+.3f} to {estimate.high:+.3f})"


def format_p_value(paired: Paired | None) -> str:
    """Return the p-value after Holm's adjustment, three digits."""
    p = None if paired is None else paired.adjusted if paired.adjusted is not None else paired.p_value
    return "" if p is None else "< .001" if p < 0.001 else f"{p:.3f}"


def describe_reported(reported: Mapping[str, Any], classes: Sequence[str] = ()) -> str:
    """Return in one line what a recipe's source reports; an AUROC of each finding as the mean over those of the table.

    Args:
        reported: As in `pneumoscope.recipes.recipe.Recipe`.
        classes: The classes or findings of the table.
    """
    figures = [f"{key} {reported[key]}" for key in REPORTED if key in reported]
    by_finding = reported.get("auroc", {})
    if shared := [by_finding[name] for name in classes if name in by_finding]:
        told = f", {reported['auroc_is']}" if "auroc_is" in reported else ""
        figures.append(f"AUROC, mean of {len(shared)} of these findings, {fmean(shared):.3f}{told}")
    return ", ".join(figures) or "nothing"


def find_common_changes(table: RankedTable) -> list[str]:
    """Return the changes that all networks of a table have, in the order of the first; none of a single network."""
    first, *others = table.rows
    return [change for change in first.changes if others and all(change in row.changes for row in others)]


def describe_cost(row: NetworkRow) -> dict[str, str]:
    """Return the costs of a network, in words."""
    cost = row.cost
    return {
        "training": _format_duration(cost.training_seconds),
        "epochs": f"{cost.epochs}, kept {row.kept_epoch}",
        "parameters": f"{cost.parameters:,}",
        "operations": "" if cost.operations is None else f"{cost.operations / 1e6:,.0f} M",
        "size": formatting.format_bytes(cost.model_bytes),
        "latency": "" if cost.latency is None else f"{1000 * cost.latency:.1f} ms",
        "memory": "" if cost.memory_bytes is None else f"{cost.memory_bytes / 1e6:.0f} MB",
    }  # fmt: skip


def _format_duration(seconds: float | None) -> str:
    return "unknown" if seconds is None else formatting.format_duration(seconds, 1)


def render_leaderboard(comparison: Comparison) -> str:
    """Return all networks of all tables as CSV, one row each: figures with their intervals, cost, test."""
    file = io.StringIO()
    heads = ["question", "name", "recipe", "seed", "changes", "part", "images"]
    for name in dict.fromkeys(name for table in comparison.tables for name in table.figure_names):
        heads += [name, f"{name}_low", f"{name}_high"]
    heads += ["difference", "adjusted_p", "recommended", "training_seconds", "parameters", "operations"]
    heads += ["model_bytes", "latency", "memory_bytes", "identity"]
    writer = csv.DictWriter(file, heads, lineterminator="\n")
    writer.writeheader()
    for table in comparison.tables:
        for row in table.rows:
            writer.writerow(_line(table, row, "validation", table.images, row.figures, row.versus_best))
        rows = {row.name: row for row in table.rows}
        for final in table.finals:
            writer.writerow(_line(table, rows[final.name], "test", final.images, final.figures, final.versus_first))
    return file.getvalue()


def _line(
    table: RankedTable, row: NetworkRow, part: str, images: int, figures: Mapping[str, Any], paired: Paired | None
) -> dict[str, Any]:
    line: dict[str, Any] = {
        "question": name_question(table),
        "name": row.name,
        "recipe": row.recipe,
        "seed": row.seed,
        "changes": "; ".join(row.changes),
        "part": part,
        "images": images,
        "difference": None if paired is None else paired.difference.value,
        "adjusted_p": None if paired is None else paired.adjusted,
        "recommended": row.name == table.recommendation.chosen,
        "identity": row.identity,
    }
    for name in table.figure_names:
        line |= {name: figures[name].value, f"{name}_low": figures[name].low, f"{name}_high": figures[name].high}
    cost = row.cost
    return line | {
        "training_seconds": cost.training_seconds,
        "parameters": cost.parameters,
        "operations": cost.operations,
        "model_bytes": cost.model_bytes,
        "latency": cost.latency,
        "memory_bytes": cost.memory_bytes,
    }
