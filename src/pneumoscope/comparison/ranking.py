"""From finished runs to ranked tables: figures on validation, paired tests against the best, a recommendation.

Networks are compared, not recipes, unless five or more seeds of each entered. The test part is not touched here.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.comparison.result import Row, Seeds, Table, figures_of
from pneumoscope.comparison.runs import (
    Outcome,
    cost_of,
    read_card_of,
    read_curve,
    read_probabilities,
)
from pneumoscope.core.errors import UsageError
from pneumoscope.inference.evaluate import group_sentence
from pneumoscope.recipes.recipe import Recipe
from pneumoscope.stats.comparison.paired import Paired, Scores, paired_all
from pneumoscope.stats.comparison.recommendation import Candidate, Recommendation, recommend
from pneumoscope.stats.comparison.seeds import across_seeds_all
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.figures import evaluate_predictions
from pneumoscope.stats.metric_table import compared_metric


@dataclass(frozen=True)
class RankingConfig:
    """How to rank and what to recommend.

    Args:
        metric: One of `pneumoscope.stats.comparison.paired.METRICS`.
        margin: How much worse than the best a recommended network may be, in the metric's unit.
        minimum_sensitivity: What the recommended network must reach at its default threshold, or None.
        latency_budget: Seconds for one image that it may take, or None.
    """

    metric: str = "auroc"
    margin: float = 0.01
    minimum_sensitivity: float | None = None
    latency_budget: float | None = None


@dataclass(frozen=True)
class Part:
    """The images of one part that a table's networks answered: truth [N] (0 is the target) and groups [N]."""

    truth: NDArray[np.intp]
    groups: NDArray[np.str_]


def tables(outcomes: Sequence[Outcome], root: Path, config: RankingConfig, seed: int = 0) -> list[Table]:
    """Return one table for each question that the finished runs answer, the largest one first.

    Args:
        outcomes: Of all entries; those without a finished run are passed over.
        root: The comparison's folder.
        config: Metric, margin, limits.
        seed: Of the resampling.
    """
    by_question: dict[tuple[tuple[str, ...], str], list[Outcome]] = defaultdict(list)
    for outcome in outcomes:
        if outcome.status == "done" and outcome.entry.plan is not None:
            part = outcome.entry.plan.manifest.part("validation")
            by_question[outcome.entry.plan.recipe.task.classes, part.rows_hash()].append(outcome)
    made = [_table(members, root, config, seed) for members in by_question.values()]
    return sorted(made, key=lambda table: (-len(table.classes), -len(table.rows)))


def _kept_epoch(recipe: Recipe, curve: Sequence[Mapping[str, float]]) -> int:
    metric = recipe.selection.metric
    if metric == "last":
        return int(curve[-1]["epoch"])
    known = [row for row in curve if metric in row]
    choose = min if recipe.selection.mode == "min" else max
    return int(choose(known, key=lambda row: row[metric])["epoch"])


def _table(members: Sequence[Outcome], root: Path, config: RankingConfig, seed: int) -> Table:
    first = members[0].entry.plan
    assert first is not None  # `tables` passes finished runs only
    part = first.manifest.part("validation")
    side = int(np.median(np.maximum(part.table["width"], part.table["height"])))
    known = Part(first.targets("validation"), part.table["group"].to_numpy(dtype=str))
    hashes = [str(value) for value in part.table["sha256"]]
    scores: dict[str, Scores] = {}
    rows: dict[str, Row] = {}
    for outcome in members:
        card, identity = read_card_of(outcome.folder)
        entry, recipe, curve = outcome.entry, outcome.entry.recipe, read_curve(outcome.folder)
        probabilities = read_probabilities(outcome.folder, card.label_names, hashes)
        scores[entry.name] = Scores(probabilities, card.operating_point.threshold)
        # Anew for all, not as each run left them: one version of the statistics for the whole table.
        figures = evaluate_predictions(
            probabilities,
            known.truth,
            known.groups,
            card.label_names,
            thresholds={point.name: point.threshold for point in card.operating_points},
            rng=np.random.default_rng(seed),
        )
        rows[entry.name] = Row(
            name=entry.name,
            recipe=recipe.name,
            settings=dict(entry.settings),
            seed=recipe.training.seed,
            changes=recipe.changes,
            identity=identity,
            run=outcome.folder.relative_to(root).as_posix(),
            kept_epoch=_kept_epoch(recipe, curve),
            figures=figures_of(figures, card.default_operating_point),
            confusion=figures.confusion,
            classes=figures.classes,
            cost=cost_of(outcome, side),
            curve=curve,
            reported=dict(recipe.reported),
            versus_best=None,
        )
    order = ranked({name: row.figures for name, row in rows.items()}, config.metric)
    rng = np.random.default_rng(seed)
    tested = paired_all(scores, order[0], known.truth, known.groups, config.metric, rng=rng)
    rows = {name: rows[name].model_copy(update={"versus_best": tested.get(name)}) for name in order}
    return Table(
        classes=first.recipe.task.classes,
        kind=first.recipe.task.kind,
        images=len(part),
        groups=len(np.unique(known.groups)),
        class_images={name: int((known.truth == k).sum()) for k, name in enumerate(first.recipe.task.classes)},
        data=part.rows_hash(),
        group_sentence=group_sentence(part.group_kind),
        rows=tuple(rows.values()),
        recommendation=_recommendation(rows, order[0], config),
        seeds=tuple(_seeds(rows, scores, known, config.metric)),
        finals=(),
    )


def ranked(figures: Mapping[str, Mapping[str, Estimate]], metric: str) -> list[str]:
    """Return the names, the best first; one without a value comes last.

    Raises:
        UsageError: No figure has a value.
    """

    def key(name: str) -> tuple[bool, float]:
        value = figures[name][metric].value
        if value is None:
            return True, 0.0
        return False, value if compared_metric(metric).smaller_is_better else -value

    order = sorted(figures, key=key)
    if figures[order[0]][metric].value is None:
        note = figures[order[0]][metric].note
        raise UsageError(f"--metric {metric}", f"cannot be estimated on validation: {note}.", "Choose another.")
    return order


def _recommendation(rows: Mapping[str, Row], best: str, config: RankingConfig) -> Recommendation:
    candidates = [
        Candidate(
            name=row.name,
            size=row.cost.model_bytes,
            latency=row.cost.latency,
            sensitivity=row.figures["sensitivity"],
            versus_best=row.versus_best or _itself(config.metric),
        )
        for row in rows.values()
    ]
    return recommend(
        candidates,
        best=best,
        metric=config.metric,
        margin=config.margin,
        minimum_sensitivity=config.minimum_sensitivity,
        latency_budget=config.latency_budget,
    )


def _itself(metric: str) -> Paired:
    return Paired(metric=metric, difference=Estimate(value=0.0, low=0.0, high=0.0), lower=0.0, upper=0.0)


def _seeds(rows: Mapping[str, Row], scores: Mapping[str, Scores], part: Part, metric: str) -> list[Seeds]:
    """Return each recipe (with its settings) over its seeds; tested against the best one from five seeds on."""
    families: dict[str, list[str]] = defaultdict(list)
    for name, row in rows.items():
        settings = "".join(f"+{key}={value}" for key, value in row.settings.items())
        families[row.recipe + settings].append(name)
    repeated = {family: names for family, names in families.items() if len(names) > 1}
    values = {
        family: np.array([value for name in names if (value := rows[name].figures[metric].value) is not None])
        for family, names in repeated.items()
    }
    sign = 1 if compared_metric(metric).smaller_is_better else -1
    order = sorted((family for family in repeated if len(values[family])), key=lambda f: sign * values[f].mean())
    if not order:
        return []
    of_family = {family: [scores[name] for name in repeated[family]] for family in order}
    tested = across_seeds_all(of_family, order[0], part.truth, part.groups, metric)
    return [
        Seeds(
            name=family,
            seeds=len(repeated[family]),
            mean=float(values[family].mean()),
            low=float(values[family].min()),
            high=float(values[family].max()),
            versus_best=tested.get(family),
        )
        for family in order
    ]


def sources_of(outcomes: Sequence[Outcome]) -> dict[str, int]:
    """Return images by source over all that any network was given."""
    counts: Counter[str] = Counter()
    for outcome in outcomes:
        if outcome.entry.plan is not None:
            here = Counter(str(source) for source in outcome.entry.plan.manifest.table["source"])
            counts |= here
    return dict(counts)
