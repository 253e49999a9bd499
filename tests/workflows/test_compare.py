"""A complete comparison on phantoms: the ranking agrees with scikit-learn, test is opened once, and it resumes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import pyarrow.parquet as pq  # noqa: E402
from sklearn.metrics import roc_auc_score  # noqa: E402

from pneumoscope.bundle import evidence  # noqa: E402
from pneumoscope.comparison.entries import ComparisonEntry, plan_entries  # noqa: E402
from pneumoscope.comparison.page import draw_figures, render_comparison_page  # noqa: E402
from pneumoscope.comparison.ranking import RankingConfig  # noqa: E402
from pneumoscope.comparison.result import Comparison  # noqa: E402
from pneumoscope.core.errors import RunError, UsageError, WeightsError  # noqa: E402
from pneumoscope.data.ledger import KnownOpening  # noqa: E402
from pneumoscope.data.manifest import Manifest  # noqa: E402
from pneumoscope.data.opened_images import OpenedImages  # noqa: E402
from pneumoscope.data.phantoms.dataset import write_set  # noqa: E402
from pneumoscope.data.splits import assign_parts  # noqa: E402
from pneumoscope.recipes.recipe import load_recipe  # noqa: E402
from pneumoscope.reporting.charts.figure import to_png  # noqa: E402
from pneumoscope.workflows.compare import CLOSED, compare, run_comparison  # noqa: E402


class Ledger:
    """A ledger in memory that records each opening."""

    def __init__(self) -> None:
        self.openings: list[tuple[list[str], str]] = []

    def __call__(self, images: OpenedImages, by: str, number: str) -> list[KnownOpening]:
        assert len(number) == 32
        self.openings.append((sorted(images.files), by))
        return [KnownOpening("", images)] * (len(self.openings) - 1)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """Phantoms of ten or more patients of each class in validation and in test."""
    folder = tmp_path_factory.mktemp("set")
    manifest = write_set(folder, 34, ("covid-19", "normal"), seed=1, size=64)
    return assign_parts(manifest, {"validation": 0.3, "calibration": 0.2, "test": 0.3}, seed=0)


def small(folder: Path, name: str, **training: float) -> str:
    recipe = load_recipe("cnn-150").model_dump(mode="json")
    recipe |= {"name": name, "split": None, "expects": None}
    recipe["task"] = {"kind": "binary", "classes": ["covid-19", "normal"]}
    recipe["input"]["size"] = 32
    recipe["head"]["hidden"] = [8]
    recipe["optimizer"]["lr"] = training.get("lr", 0.001)
    recipe["training"] |= {"epochs": int(training.get("epochs", 2)), "batch_size": 8}
    path = folder / f"{name}.yaml"
    path.write_text(yaml.safe_dump(recipe))
    return str(path)


@pytest.fixture(scope="module")
def networks(data: Manifest, tmp_path_factory: pytest.TempPathFactory) -> list[ComparisonEntry]:
    folder = tmp_path_factory.mktemp("recipes")
    names = [small(folder, "short"), small(folder, "long", epochs=4), small(folder, "wild", lr=1e30)]

    def offline(name: str) -> None:
        raise WeightsError(name, "its weights could not be fetched.")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("pneumoscope.recipes.starting_weights.require_hub", offline)
        return plan_entries([*names, "resnet18-pretrained"], data, "covid-19")


@pytest.fixture(scope="module")
def ledger() -> Ledger:
    return Ledger()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("out")


def run(
    networks: list[ComparisonEntry], data: Manifest, folder: Path, ledger: Ledger, finalists: int = 1
) -> Comparison:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PNEUMOSCOPE_CACHE", str(folder / "cache"))
        return run_comparison(
            networks,
            data,
            folder,
            target="covid-19",
            config=RankingConfig(),
            grid={},
            command="pneumoscope compare",
            device="cpu",
            allowed={},
            finalists=finalists,
            record=ledger,
        )


@pytest.fixture(scope="module")
def comparison(networks: list[ComparisonEntry], data: Manifest, folder: Path, ledger: Ledger) -> Comparison:
    return run(networks, data, folder, ledger)


def test_the_ranking_agrees_with_scikit_learn(comparison: Comparison, data: Manifest, folder: Path) -> None:
    (table,) = comparison.tables
    truth = (data.part("validation").table["label"] == "covid-19").to_numpy()
    expected = {}
    for name in ("short", "long"):
        scores = pq.read_table(folder / "runs" / name / "predictions.parquet").column("p_covid-19").to_numpy()
        expected[name] = roc_auc_score(truth, scores)
    assert [row.name for row in table.rows] == sorted(expected, key=lambda name: -expected[name])
    for row in table.rows:
        assert row.figures["auroc"].value == pytest.approx(expected[row.name], abs=1e-9)
    last = table.rows[-1]
    assert last.versus_best is not None
    difference = min(expected.values()) - max(expected.values())
    assert last.versus_best.difference.value == pytest.approx(difference, abs=1e-9)
    assert comparison.data == data.rows_hash()


def test_a_network_that_fails_or_lacks_its_weights_does_not_stop_the_others(comparison: Comparison) -> None:
    omitted = {row.name: row for row in comparison.not_run}
    assert omitted["wild"].status == "failed"
    assert "the loss is nan" in omitted["wild"].reason
    assert omitted["resnet18-pretrained"].status == "not run"
    assert omitted["resnet18-pretrained"].reported["accuracy"] == 0.95


def test_test_is_opened_once_for_the_finalists_and_a_second_run_reuses_all_results(
    comparison: Comparison, networks: list[ComparisonEntry], data: Manifest, folder: Path, ledger: Ledger
) -> None:
    test = data.part("test").table
    (hashes, by), *more = ledger.openings
    assert not more
    assert hashes == sorted(set(test["sha256"]))
    (table,) = comparison.tables
    assert all(final.name in by for final in table.finals)
    assert table.rows[0].name in [final.name for final in table.finals]
    final = table.finals[0]
    assert final.evaluation.part == "test"
    assert final.evaluation.figures.images == len(test)
    assert final.evaluation.earlier_openings == 0

    checkpoints = {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.ckpt")}
    resumed = run(networks, data, folder, ledger)
    assert len(ledger.openings) == 1
    assert {path: path.stat().st_mtime_ns for path in (folder / "runs").rglob("*.ckpt")} == checkpoints
    assert [row.figures for row in resumed.tables[0].rows] == [row.figures for row in table.rows]
    assert resumed.tables[0].finals == table.finals


def test_other_settings_in_the_same_folder_are_refused_before_anything_is_done(
    comparison: Comparison, data: Manifest, folder: Path, tmp_path: Path
) -> None:
    unused_ledger = Ledger()
    changed = plan_entries([small(tmp_path, "short", lr=0.5)], data, "covid-19")
    with pytest.raises(RunError, match=r"short: was started with something else: optimizer.lr was 0.001, is 0.5\."):
        run(changed, data, folder, unused_ledger)
    assert not unused_ledger.openings


def test_the_opening_is_in_the_evidence_and_on_the_card_of_each_finalist(
    comparison: Comparison, data: Manifest, folder: Path
) -> None:
    for final in comparison.tables[0].finals:
        bundle = folder / "runs" / final.name / "bundle"
        [opening] = evidence.openings(evidence.read(bundle, final.evaluation.identity))
        assert (opening.command, opening.images) == ("pneumoscope compare", len(data.part("test")))
        assert opening.headline["accuracy"] == final.evaluation.figures.overall["accuracy"]
        assert "Opened once with this model" in (bundle / "CARD.md").read_text()
        assert "Opened once with this model" in (bundle.parent / "report.html").read_text()


def test_compare_leaves_test_closed_unless_it_is_asked_to_open_it(
    networks: list[ComparisonEntry], data: Manifest, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Check the number of finalists and the ledger that `compare` passes on, by default and with ``open_test``."""
    finalists = []

    def pretend(*_: object, **options: object) -> None:
        finalists.append(options["finalists"])

    monkeypatch.setattr("pneumoscope.workflows.compare.run_comparison", pretend)
    file = tmp_path / "m.parquet"
    data.write(file)
    arguments: dict[str, Any] = {"sets": ["training.epochs=1"]}
    compare([small(tmp_path, "one")], file, tmp_path / "c", **arguments)
    compare([small(tmp_path, "one")], file, tmp_path / "c", open_test=True, **arguments)
    compare([small(tmp_path, "one")], data, tmp_path / "c", **arguments)  # closed: no ledger is needed
    assert finalists == [0, 2, 0]
    with pytest.raises(UsageError, match="in memory"):
        compare([small(tmp_path, "one")], data, tmp_path / "c", open_test=True, **arguments)


def test_too_few_groups_in_validation_give_no_recommendation_and_the_reason(
    comparison: Comparison, data: Manifest
) -> None:
    """Count by hand: 34 patients a class, three tenths of them in validation."""
    recommendation = comparison.tables[0].recommendation
    validation = data.part("validation").table
    groups = {label: rows.group.nunique() for label, rows in validation.groupby("label")}
    assert recommendation.chosen is None
    [sentence] = recommendation.sentences
    assert f"{groups['covid-19']} groups of COVID-19" in sentence
    assert "50 groups of each class" in sentence


def test_a_comparison_without_finals_does_not_open_test(
    comparison: Comparison, networks: list[ComparisonEntry], data: Manifest, folder: Path
) -> None:
    unused_ledger = Ledger()
    without_finals = run(networks, data, folder, unused_ledger, finalists=0)
    assert not unused_ledger.openings
    assert without_finals.test_note == CLOSED
    assert not without_finals.tables[0].finals


def test_the_files_agree_with_the_comparison(comparison: Comparison, folder: Path) -> None:
    written = Comparison.model_validate(json.loads((folder / "comparison.json").read_text()))
    assert written.tables[0].rows == comparison.tables[0].rows
    page = (folder / "comparison.html").read_text()
    assert "http:" not in page  # the page loads nothing from the network
    assert "https:" not in page
    for name in ("short", "long", "wild", "resnet18-pretrained"):
        assert name in page
    lines = (folder / "leaderboard.csv").read_text().splitlines()
    assert len(lines) == 1 + len(written.tables[0].rows) + len(written.tables[0].finals)


def test_latency_memory_and_operations_are_of_the_network(comparison: Comparison) -> None:
    """Count multiply-adds: 3x3 convolutions of 32, 64, 64, 128, 256 on 32, 16, 8, 4, 2 pixels, then 8 and 1 units."""
    by_hand = 9 * (32**2 * 32 + 16**2 * 32 * 64 + 8**2 * 64 * 64 + 4**2 * 64 * 128 + 2**2 * 128 * 256) + 256 * 8 + 8
    cost = comparison.tables[0].rows[0].cost
    assert cost.operations == by_hand
    assert cost.latency is not None
    assert np.isfinite(cost.latency)
    assert cost.latency_range is not None
    assert cost.latency_range[0] <= cost.latency <= cost.latency_range[1]
    assert cost.memory_bytes is not None
    assert cost.memory_bytes > cost.model_bytes


def test_an_experiment_has_a_picture_for_each_recipe_and_setting(comparison: Comparison) -> None:
    """Check that each recipe of a table has a picture and that the page shows it under its setting."""
    rows = tuple(
        row.model_copy(update={"recipe": "cnn-150", "settings": {"optimizer.lr": value}})
        for row, value in zip(comparison.tables[0].rows, ("0.1", "0.01"), strict=True)
    )
    table = comparison.tables[0].model_copy(update={"rows": rows})
    experiment = comparison.model_copy(update={"tables": (table,), "grid": {"optimizer.lr": ("0.1", "0.01")}})
    figures = draw_figures(experiment)
    assert to_png(figures["cnn-150-optimizer-lr-1"]).startswith(b"\x89PNG")
    page = render_comparison_page(experiment, figures)
    assert "Experiment: optimizer.lr" in page
    assert page.count('aria-label="cnn-150 by optimizer.lr"') == 1
