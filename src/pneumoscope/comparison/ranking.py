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

from pneumoscope.comparison.finding_figures import measure_findings, scores_of
from pneumoscope.comparison.result import NetworkRow, RankedTable, SeedSummary, select_figures
from pneumoscope.comparison.runs import (
    EntryResult,
    measure_cost,
    read_card_of,
    read_curve,
    read_probabilities,
)
from pneumoscope.core.arguments import argument
from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import UsageError
from pneumoscope.core.labels import absent_name, display_name
from pneumoscope.data.finding_cases import manifest_targets
from pneumoscope.data.manifest import Manifest
from pneumoscope.inference.evaluation import group_sentence
from pneumoscope.stats.comparison.paired import Paired, Scores, compare_all_paired
from pneumoscope.stats.comparison.paired_findings import FindingScores, compare_all_findings
from pneumoscope.stats.comparison.ranked_figures import is_better_smaller
from pneumoscope.stats.comparison.recommendation import Candidate, Recommendation, recommend
from pneumoscope.stats.comparison.seeds import compare_all_across_seeds
from pneumoscope.stats.estimates import Estimate
from pneumoscope.stats.figures import evaluate_predictions
from pneumoscope.training.plan import Plan

FEWEST_GROUPS = 50
"""Groups that each class needs in the validation part for a recommendation: with fewer, chance decides the ranking."""


@dataclass(frozen=True)
class RankingConfig:
    """How to rank and what to recommend.

    Args:
        metric: One of `pneumoscope.stats.comparison.paired.METRICS`; ``macro/auroc`` of several findings an image.
        margin: How much worse than the best a recommended network may be, in the metric's unit.
        minimum_sensitivity: What the recommended network must reach at its default threshold, or None.
        latency_budget: Seconds for one image that it may take, or None.
    """

    metric: str = "auroc"
    margin: float = 0.01
    minimum_sensitivity: float | None = None
    latency_budget: float | None = None


@dataclass(frozen=True)
class ValidationTruth:
    """The images of one part that a table's networks answered: ``classes`` [N] (0 is the target) and ``groups`` [N]."""

    classes: NDArray[np.intp]
    groups: NDArray[np.str_]


def rank_networks(
    results: Sequence[EntryResult], root: Path, config: RankingConfig, seed: int = 0
) -> list[RankedTable]:
    """Return one table for each question that the finished runs answer, the largest one first.

    Args:
        results: Of all entries; those without a finished run are left out.
        root: The comparison's folder.
        config: Metric, margin, limits.
        seed: Of the resampling.
    """
    # Recipes may name the same classes in another order: behind the target it makes no other question.
    by_question: dict[tuple[str, frozenset[str], str], list[EntryResult]] = defaultdict(list)
    for result in results:
        if result.status == "done" and result.entry.plan is not None:
            part = result.entry.plan.manifest.part("validation")
            classes = result.entry.plan.recipe.task.classes
            first = "" if result.entry.plan.recipe.task.multilabel else classes[0]  # no finding is the primary one
            by_question[first, frozenset(classes), part.rows_hash()].append(result)
    tables = [
        (_findings_table if _plan_of(members[0]).recipe.task.multilabel else _table)(members, root, config, seed)
        for members in by_question.values()
    ]
    return sorted(tables, key=lambda table: (-len(table.classes), -len(table.rows)))


def _plan_of(result: EntryResult) -> Plan:
    assert result.entry.plan is not None  # `rank_networks` passes finished runs only
    return result.entry.plan


def _side(part: Manifest) -> int:
    """Return the side of a usual image, in pixels."""
    return int(np.median(np.maximum(part.table["width"], part.table["height"])))


def _table(members: Sequence[EntryResult], root: Path, config: RankingConfig, seed: int) -> RankedTable:
    first = _plan_of(members[0])
    part = first.manifest.part("validation")
    side, classes = _side(part), first.recipe.task.classes
    truth = ValidationTruth(first.targets("validation"), part.table["group"].to_numpy(dtype=str))
    hashes = [str(value) for value in part.table["sha256"]]
    scores: dict[str, Scores] = {}
    rows: dict[str, NetworkRow] = {}
    for result in members:
        card, _ = read_card_of(result.folder)
        entry = result.entry
        probabilities = read_probabilities(result.folder, classes, hashes)
        scores[entry.name] = Scores(probabilities, card.operating_point.threshold)
        # Computed again for all networks, not read from each run: one version of the statistics for the whole table.
        figures = evaluate_predictions(
            probabilities,
            truth.classes,
            truth.groups,
            classes,
            thresholds={point.name: point.threshold for point in card.operating_points},
            rng=np.random.default_rng(seed),
            design=part.design,
        )
        rows[entry.name] = _row(result, root, side, select_figures(figures, card.default_operating_point)).model_copy(
            update={"confusion": figures.confusion, "classes": figures.classes}
        )
    order = rank_names({name: row.figures for name, row in rows.items()}, config.metric)
    rng = np.random.default_rng(seed)
    tested = compare_all_paired(
        scores, order[0], truth.classes, truth.groups, config.metric, rng=rng, design=part.design
    )
    rows = {name: rows[name].model_copy(update={"versus_best": tested.get(name)}) for name in order}
    return RankedTable(
        classes=classes,
        kind=first.recipe.task.kind,
        images=len(part),
        groups=len(np.unique(truth.groups)),
        class_images={name: int((truth.classes == k).sum()) for k, name in enumerate(classes)},
        data=part.rows_hash(),
        group_sentence=group_sentence(part.group_kind),
        rows=tuple(rows.values()),
        recommendation=_recommendation(
            rows,
            order[0],
            config,
            {name: len(np.unique(truth.groups[truth.classes == k])) for k, name in enumerate(classes)},
        ),
        seeds=tuple(_seeds(rows, scores, truth, config.metric)),
        finals=(),
    )


def _row(result: EntryResult, root: Path, side: int, figures: Mapping[str, Estimate]) -> NetworkRow:
    """Return the row of a finished run, without its comparison with the best."""
    entry, recipe, curve = result.entry, result.entry.recipe, read_curve(result.folder)
    return NetworkRow(
        name=entry.name,
        recipe=recipe.name,
        settings=dict(entry.settings),
        seed=recipe.training.seed,
        changes=recipe.changes,
        identity=read_card_of(result.folder)[1],
        run=result.folder.relative_to(root).as_posix(),
        kept_epoch=recipe.selection.best_epoch(curve) or 0,
        figures=dict(figures),
        confusion=(),
        classes=recipe.task.classes,
        cost=measure_cost(result, side),
        curve=curve,
        reported=dict(recipe.reported),
        versus_best=None,
    )


def _findings_table(members: Sequence[EntryResult], root: Path, config: RankingConfig, seed: int) -> RankedTable:
    """Return the table of networks that answer about several findings, ranked by the mean AUROC."""
    first = _plan_of(members[0])
    part = first.manifest.part("validation")
    findings, groups = first.recipe.task.classes, part.table["group"].to_numpy(dtype=str)
    stated, side = manifest_targets(part, findings), _side(part)
    hashes = [str(value) for value in part.table["sha256"]]
    scores: dict[str, FindingScores] = {}
    rows: dict[str, NetworkRow] = {}
    for result in members:
        name, (card, _) = result.entry.name, read_card_of(result.folder)
        scores[name] = scores_of(card, read_probabilities(result.folder, findings, hashes), findings)
        figures = measure_findings(scores[name], stated, groups, findings, seed=seed)
        rows[name] = _row(result, root, side, figures)
    order = rank_names({name: row.figures for name, row in rows.items()}, config.metric)
    tested = compare_all_findings(scores, order[0], stated, groups, rng=np.random.default_rng(seed))
    rows = {name: rows[name].model_copy(update={"versus_best": tested.get(name)}) for name in order}
    sides = {
        name_of(finding): len(np.unique(groups[stated[:, k] == value]))
        for k, finding in enumerate(findings)
        for name_of, value in ((str, 1), (absent_name, 0))
    }
    return RankedTable(
        classes=findings,
        kind="multilabel",
        images=len(part),
        groups=len(np.unique(groups)),
        class_images={name: int((stated[:, k] == 1).sum()) for k, name in enumerate(findings)},
        data=part.rows_hash(),
        group_sentence=group_sentence(part.group_kind),
        rows=tuple(rows.values()),
        recommendation=_recommendation(rows, order[0], config, sides),
        seeds=tuple(_seeds_of_findings(rows, config.metric)),
        finals=(),
    )


def rank_names(figures: Mapping[str, Mapping[str, Estimate]], metric: str) -> list[str]:
    """Return the names, the best first; one without a value comes last.

    Raises:
        UsageError: No figure has a value.
    """

    def key(name: str) -> tuple[bool, float]:
        value = figures[name][metric].value
        if value is None:
            return True, 0.0
        return False, value if is_better_smaller(metric) else -value

    order = sorted(figures, key=key)
    if figures[order[0]][metric].value is None:
        note = figures[order[0]][metric].note
        reason = f": {note}" if note else ""
        raise UsageError(argument("metric", metric), f"cannot be estimated on validation{reason}.", "Choose another.")
    return order


def _recommendation(
    rows: Mapping[str, NetworkRow], best: str, config: RankingConfig, groups: Mapping[str, int]
) -> Recommendation:
    """Return which network to take, if each class, or finding and its absence, has enough groups."""
    few = [
        f"{format_count(count, 'group')} of {display_name(name)}"
        for name, count in groups.items()
        if count < FEWEST_GROUPS
    ]
    if few:
        sentence = (
            f"No network is recommended: the validation part has {', '.join(few)}, and a recommendation needs "
            f"{FEWEST_GROUPS} groups of each class. With fewer, chance decides which network comes first."
        )
        return Recommendation(
            chosen=None, best=best, margin=config.margin, metric=config.metric, sentences=(sentence,), why_not={}
        )
    candidates = [
        Candidate(
            name=row.name,
            size=row.cost.model_bytes,
            latency=row.cost.latency,
            sensitivity=row.figures.get("sensitivity"),
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


def _seeds(
    rows: Mapping[str, NetworkRow], scores: Mapping[str, Scores], truth: ValidationTruth, metric: str
) -> list[SeedSummary]:
    """Return each recipe (with its settings) over its seeds; tested against the best one from five seeds on."""
    repeated = _families(rows)
    summaries = _summarise_seeds(rows, repeated, metric)
    if not summaries:
        return []
    best = summaries[0].name
    of_family = {one.name: [scores[name] for name in repeated[one.name]] for one in summaries}
    tested = compare_all_across_seeds(of_family, best, truth.classes, truth.groups, metric)
    return [one.model_copy(update={"versus_best": tested.get(one.name)}) for one in summaries]


def _seeds_of_findings(rows: Mapping[str, NetworkRow], metric: str) -> list[SeedSummary]:
    """Return each recipe over its seeds, with the difference from the best one, which is not tested."""
    summaries = _summarise_seeds(rows, _families(rows), metric)
    note = "recipes of several findings are not tested across seeds; `cross-validate` tests them"
    return [
        one
        if place == 0
        else one.model_copy(
            update={
                "versus_best": Paired(
                    metric=metric, difference=Estimate(value=one.mean - summaries[0].mean, note=note), note=note
                )
            }
        )
        for place, one in enumerate(summaries)
    ]


def _families(rows: Mapping[str, NetworkRow]) -> dict[str, list[str]]:
    """Return each recipe with its settings that came with several seeds, and the names of its networks."""
    families: dict[str, list[str]] = defaultdict(list)
    for name, row in rows.items():
        settings = "".join(f"+{key}={value}" for key, value in row.settings.items())
        families[row.recipe + settings].append(name)
    return {family: names for family, names in families.items() if len(names) > 1}


def _summarise_seeds(
    rows: Mapping[str, NetworkRow], families: Mapping[str, Sequence[str]], metric: str
) -> list[SeedSummary]:
    """Return each recipe over its seeds, the best first, without tests; one without any value is left out."""
    values = {
        family: np.array([value for name in names if (value := rows[name].figures[metric].value) is not None])
        for family, names in families.items()
    }
    sign = 1 if is_better_smaller(metric) else -1
    order = sorted((family for family in families if len(values[family])), key=lambda f: sign * values[f].mean())
    return [
        SeedSummary(
            name=family,
            seeds=len(families[family]),
            mean=float(values[family].mean()),
            low=float(values[family].min()),
            high=float(values[family].max()),
            versus_best=None,
        )
        for family in order
    ]


def count_sources(results: Sequence[EntryResult]) -> dict[str, int]:
    """Return the number of images by source, over the data of all networks."""
    counts: Counter[str] = Counter()
    for result in results:
        if result.entry.plan is not None:
            here = Counter(str(source) for source in result.entry.plan.manifest.table["source"])
            counts |= here
    return dict(counts)
