"""The finalists on test: the test part is opened once, for the networks that validation chose, and on the record."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np

from pneumoscope.bundle.evidence import append
from pneumoscope.bundle.prediction import Prediction
from pneumoscope.bundle.runtime import load
from pneumoscope.comparison.finding_figures import figures_of, scores_of
from pneumoscope.comparison.ranking import RankingConfig
from pneumoscope.comparison.result import FinalistResult, RankedTable, select_figures
from pneumoscope.comparison.runs import EntryResult, read_card_of
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import write_json
from pneumoscope.data.finding_cases import manifest_targets
from pneumoscope.data.ledger import KnownOpening, new_number
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.opened_images import OpenedImages, read_opened_images
from pneumoscope.inference.evaluate import evaluate
from pneumoscope.inference.evaluation import Evaluation, FindingsEvaluation
from pneumoscope.inference.opening import build_opening
from pneumoscope.reporting.pages.run_report import rewrite_reports
from pneumoscope.stats.comparison.paired import Scores, compare_all_paired
from pneumoscope.stats.comparison.paired_findings import compare_all_findings

FILE = "finals.json"

Record = Callable[[OpenedImages, str, str], Sequence[KnownOpening]]
"""Called once with all test images, what opens them and the number of the opening; returns the earlier openings that
saw any."""


def choose_finalists(table: RankedTable, count: int) -> list[str]:
    """Return the names that go to the test part: the recommended one, the best one, then by rank up to ``count``."""
    chosen = table.recommendation.chosen
    order = [*([chosen] if chosen else []), *(row.name for row in table.rows)]
    return list(dict.fromkeys(order))[: max(count, len({chosen, table.rows[0].name} - {None}))]


def open_test(
    tables: Sequence[RankedTable],
    results: Sequence[EntryResult],
    folder: Path,
    config: RankingConfig,
    *,
    count: int,
    record: Record,
    command: str,
    callbacks: Callbacks = SILENT,
) -> tuple[list[RankedTable], str]:
    """Measure the finalists of all tables on test, after one opening for them all.

    The results are stored in the folder, so that the same finalists do not open the part again. Each finalist's bundle
    gets the opening as evidence, and its card and report show it.

    Returns:
        The tables with their finals, and a sentence on what was opened.
    """
    runs = {result.entry.name: result for result in results}
    names = [name for table in tables for name in choose_finalists(table, count)]
    identities = {name: next(r.identity for t in tables for r in t.rows if r.name == name) for name in names}
    path = folder / FILE
    record_of_test = json.loads(path.read_text(encoding="utf-8")) if path.is_file() else {}
    if record_of_test.get("identities") == identities:
        callbacks.message("test: measured before, for the same finalists; not opened again")
    else:
        callbacks.message(f"test: opened for {', '.join(names)}")
        parts = {name: _manifest_of(runs[name]) for name in names}
        tests = {name: part.part("test") for name, part in parts.items()}
        opened = {key: read_opened_images(test) for key, test in {t.rows_hash(): t for t in tests.values()}.items()}
        images = OpenedImages.union(opened.values())
        number = new_number()
        earlier = record(images, "finalists " + ", ".join(f"{name} {identities[name][:12]}" for name in names), number)
        measured = {}
        for name, manifest in parts.items():
            answers: list[Prediction] = []
            with callbacks.counting(f"measuring {name} on test"):
                evaluation = evaluate(
                    load(runs[name].folder / "bundle"),
                    manifest,
                    "test",
                    record=lambda *_, known=earlier: known,
                    keep=answers.append,
                )
            bundle = runs[name].folder / "bundle"
            card, seen = read_card_of(runs[name].folder)[0], opened[tests[name].rows_hash()]
            append(bundle, build_opening(evaluation, card, seen, command, number))
            rewrite_reports(bundle)
            measured[name] = {
                "evaluation": evaluation.model_dump(mode="json"),
                "probabilities": [list(answer.probabilities) for answer in answers],
            }
        counts = {"images": len(images), "earlier": len(earlier)}
        record_of_test = {"identities": identities, **counts, "measured": measured}
        write_json(path, record_of_test)
    times = int(record_of_test["earlier"])
    before = f"earlier openings of these images: {times}" if times else "the first opening of these images"
    what = "1 finalist" if len(names) == 1 else f"{len(names)} finalists"
    note = f"Test was opened once, for {what}, {record_of_test['images']} images; {before}."
    return [_with_finals(table, record_of_test["measured"], runs, config, count) for table in tables], note


def _manifest_of(result: EntryResult) -> Manifest:
    assert result.entry.plan is not None  # finalists have runs, so they had plans
    return result.entry.plan.manifest


def _with_finals(
    table: RankedTable,
    measured: Mapping[str, dict[str, object]],
    runs: Mapping[str, EntryResult],
    config: RankingConfig,
    count: int,
) -> RankedTable:
    names = choose_finalists(table, count)
    plan = runs[names[0]].entry.plan
    assert plan is not None
    if plan.recipe.task.multilabel:
        return _with_finals_of_findings(table, measured, runs, names)
    evaluations = {name: Evaluation.model_validate(measured[name]["evaluation"]) for name in names}
    test = plan.manifest.part("test").table
    own = list(plan.recipe.task.classes)
    truth = np.array([table.classes.index(own[target]) for target in plan.targets("test")], np.int64)
    cards = {name: read_card_of(runs[name].folder)[0] for name in names}
    # A network may have learnt the same classes in another order than the first one.
    places = {name: [card.label_names.index(label) for label in table.classes] for name, card in cards.items()}
    scores = {
        name: Scores(
            np.array(measured[name]["probabilities"], dtype=np.float64)[:, places[name]],
            cards[name].operating_point.threshold,
        )
        for name in names
    }
    complete = all(not evaluation.failures for evaluation in evaluations.values())
    tested = (
        compare_all_paired(
            scores,
            names[0],
            truth,
            test["group"].to_numpy(dtype=str),
            config.metric,
            rng=np.random.default_rng(0),
            design=plan.manifest.design,
        )
        if complete and len(names) > 1
        else {}
    )
    finals = tuple(
        FinalistResult(
            name=name,
            evaluation=evaluations[name],
            figures=select_figures(evaluations[name].figures, cards[name].default_operating_point),
            versus_first=tested.get(name),
        )
        for name in names
    )
    return table.model_copy(update={"finals": finals})


def _with_finals_of_findings(
    table: RankedTable,
    measured: Mapping[str, dict[str, object]],
    runs: Mapping[str, EntryResult],
    names: Sequence[str],
) -> RankedTable:
    evaluations = {name: FindingsEvaluation.model_validate(measured[name]["evaluation"]) for name in names}
    part = _manifest_of(runs[names[0]]).part("test")
    scores = {}
    for name in names:
        card, _ = read_card_of(runs[name].folder)
        # A network may have learnt the same findings in another order than the first one.
        places = [card.label_names.index(label) for label in table.classes]
        probabilities = np.array(measured[name]["probabilities"], dtype=np.float64)[:, places]
        scores[name] = scores_of(card, probabilities, table.classes)
    tested = {}
    if len(names) > 1 and all(not evaluation.failures for evaluation in evaluations.values()):
        tested = compare_all_findings(
            scores,
            names[0],
            manifest_targets(part, table.classes),
            part.table["group"].to_numpy(dtype=str),
            rng=np.random.default_rng(0),
        )
    finals = tuple(
        FinalistResult(
            name=name,
            evaluation=evaluations[name],
            figures=figures_of(evaluations[name], table.classes),
            versus_first=tested.get(name),
        )
        for name in names
    )
    return table.model_copy(update={"finals": finals})
