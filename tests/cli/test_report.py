"""`pneumoscope report`, and what an opening of test images leaves behind: ledger, evidence, card, page."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bundles import write_bundle
from inference.test_evaluate import draw
from pneumoscope.bundle import evidence
from pneumoscope.bundle.card import read_card
from pneumoscope.bundle.prediction import columns
from pneumoscope.bundle.runtime import load
from pneumoscope.cli.main import app
from pneumoscope.core.files import write_json, write_text
from pneumoscope.core.tables import write_table
from pneumoscope.data.manifest import write_manifest
from pneumoscope.inference.evaluate import evaluate
from pneumoscope.recipes.recipe import load_recipe

pytest.importorskip("onnx")


def call(*arguments: object) -> Any:
    return CliRunner().invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run's folder as a training leaves it, around the tiny bundle, on 42 drawn images in two parts."""
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / "home"))
    folder, images = tmp_path / "run", tmp_path / "images"
    images.mkdir()
    recipe = load_recipe("lenet-128")
    write_bundle(folder / "bundle", recipe_hash=recipe.hash())
    write_text(folder / "bundle" / "recipe.yaml", recipe.to_yaml())
    write_text(folder / "recipe.yaml", recipe.to_yaml())
    environment = {key: key for key in ("processor", "device", "precision", "system")} | {"packages": {"torch": "2"}}
    write_json(folder / "environment.json", environment)
    write_json(folder / "timing.json", {"epoch_seconds": [2.0, 3.0]})
    losses = "epoch,train_loss,validation_loss,validation_accuracy\n1,1.0,0.9,0.7\n2,0.8,0.7,0.8\n3,0.6,0.9,0.8\n"
    write_text(folder / "metrics.csv", losses)
    manifest = draw(images)
    table = manifest.table.assign(split=["test" if n % 3 == 0 else "validation" for n in range(len(manifest))])
    manifest = replace(manifest, table=table)
    write_manifest(manifest, folder / "manifest.parquet")
    model, kept = load(folder), []
    measured = evaluate(model, manifest, resamples=200, keep=kept.append)
    write_text(folder / "evaluation.json", measured.to_json())
    write_table((p.row(model.labels) for p in kept), folder / "predictions.parquet", columns(model.labels), {})
    return folder


def test_the_report_of_a_run_holds_every_section(run: Path) -> None:
    done = call("report", run)
    assert done.exit_code == 0, done.output
    page = (run / "report.html").read_text()
    anchors = re.findall(r'<section id="([a-z]+)"', page)
    assert anchors == [
        "question", "data", "training", "results", "calibration", "use", "limits", "openings", "model", "intervals",
        "checklists",
    ]  # fmt: skip
    assert set(re.findall(r'href="#([a-z]+)"', page)) <= set(anchors)
    assert "<dd>3, 5 s; kept: 2</dd>" in page  # epochs run; the least loss on validation was in the second
    assert "No opening of test images is on record for this model." in page
    assert "data:image" not in page
    assert "<script" not in page


def test_examples_come_only_by_the_flag_and_say_what_they_are(run: Path, tmp_path: Path) -> None:
    done = call("report", run, "--examples", 1, "-o", tmp_path / "page.html")
    assert done.exit_code == 0, done.output
    assert "It shows patients' radiographs." in done.output
    page = (tmp_path / "page.html").read_text()
    shown = page[page.index('<section id="examples"') :]
    assert "These pictures are patients" in shown
    assert re.findall(r"<h3 class=\"above\">(\w[\w ]+) <span", shown)[:4] == [
        "Right", "Wrong", "Most uncertain", "No answer",
    ]  # fmt: skip
    assert shown.count('<article class="sheet study') == 4
    counts = [int(n) for n in re.findall(r"\((\d+) of 28\)", shown)]
    assert counts[0] + counts[1] + counts[3] == 28  # each image is right, wrong or without an answer


def test_an_opening_of_test_is_in_the_ledger_the_evidence_the_card_and_the_page(run: Path, tmp_path: Path) -> None:
    call("report", run)
    data = run / "manifest.parquet"
    for earlier in (0, 1):
        done = call("evaluate", run, "--data", data, "--split", "test", "--resamples", 200, "--json")
        assert done.exit_code == 0, done.output
        assert f"earlier openings: {earlier}." in done.stderr
    lines = (run / "manifest.ledger.jsonl").read_text().splitlines()
    _, identity = read_card(run / "bundle")
    known = evidence.openings(evidence.read(run / "bundle", identity))
    assert [opening.earlier_openings for opening in known] == [0, 1]
    assert [opening.images for opening in known] == [len(json.loads(line)["images"]) for line in lines] == [14, 14]
    measured = json.loads(done.stdout)
    assert known[1].headline["accuracy"].value == measured["figures"]["overall"]["accuracy"]["value"]
    assert known[1].data == measured["data"]
    said = "Opened 2 times with this model, first on"
    assert said in (run / "bundle" / "CARD.md").read_text()
    assert said in (run / "report.html").read_text()
    assert said in call("models", "show", run).stdout
    assert call("models", "verify", run).exit_code == 0
    assert read_card(run / "bundle")[1] == identity


def test_validation_leaves_no_opening(run: Path) -> None:
    done = call("report", run, "--data", run / "manifest.parquet")
    assert done.exit_code == 0, done.output
    assert not (run / "manifest.ledger.jsonl").exists()
    assert not (run / "bundle" / "evidence").exists()


def test_the_report_of_the_built_in_model_needs_no_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path))
    done = call("report", "builtin", "-o", tmp_path / "builtin.html")
    assert done.exit_code == 0, done.output
    page = (tmp_path / "builtin.html").read_text()
    assert "Opened 1 times" not in page
    assert "Opened once with this model" in page
    assert "Figures on the validation part, from the card" in page


def test_what_needs_images_says_so(run: Path, tmp_path: Path) -> None:
    done = call("report", run, "--split", "test")
    assert done.exit_code == 2
    assert "needs the images. Name their manifest with --data." in done.output


def test_predictions_of_another_bundle_are_not_shown(run: Path) -> None:
    (run / "predictions.parquet").unlink()
    model, kept = load(run), []
    manifest = draw(run.parent / "images", each=3)
    evaluate(model, manifest, resamples=200, keep=kept.append)
    write_table((p.row(model.labels) for p in kept), run / "predictions.parquet", columns(model.labels), {})
    done = call("report", run, "--examples", 1)
    assert done.exit_code == 1
    assert "is not of this bundle and its validation images." in done.output
