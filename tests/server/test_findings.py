"""A multi-label model on the server: what it says of each finding, in answers, questions, reads, figures and tables."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bundles import FINDING_THRESHOLDS, FINDINGS, write_bundle, write_findings_bundle
from pneumoscope.cli.main import app
from pneumoscope.core.labels import absent_name
from pneumoscope.data.findings import parse_findings
from pneumoscope.data.manifest import read_manifest
from pneumoscope.server.reading.queries import combine_decisions
from pneumoscope.server.settings import Settings
from server.client import Client, predict_all, serve_client
from server.sample_files import png

NAMED = {0.8: "pneumonia; nodule", 0.6: "pneumonia", 0.44: "normal", 0.2: "pleural-effusion"}
"""Grey value of an image -> what the bundle `FINDINGS` names on it."""


@pytest.fixture
def findings_models(tmp_path: Path) -> Path:
    """A folder with the bundles ``findings``, which is multi-label, and ``tiny``, which is not."""
    pytest.importorskip("onnx", reason="no onnx: pip install 'pneumoscope[dev]'")
    write_findings_bundle(tmp_path / "models" / "findings")
    write_bundle(tmp_path / "models" / "tiny")
    return tmp_path / "models"


@pytest.fixture
def client(tmp_path: Path, findings_models: Path) -> Iterator[Client]:
    with serve_client(Settings(home=tmp_path / "home", models=findings_models)) as client:
        yield client


def number_of(client: Client, name: str = "findings") -> str:
    return next(str(model["id"]) for model in client.get("/api/models") if model["name"] == name)


def answers(client: Client, *values: float, model: str = "findings") -> list[dict[str, Any]]:
    """Upload an image of each grey value, ask a model, and return its answers."""
    files = [png(value, 40 + place) for place, value in enumerate(values)]
    studies = [one["study"] for one in client.upload(*files, models=(number_of(client, model),)).json()["files"]]
    predict_all(client)
    return [client.get(f"/api/studies/{study}/predictions")[0] for study in studies]


def read(client: Client, study: str, stage: str, conclusion: str, **more: Any) -> Any:
    body = {"stage": stage, "state": "final", "conclusion": conclusion, **more}
    return client("POST", f"/api/studies/{study}/reads", json=body)


def test_an_answer_says_of_each_finding_what_it_found(client: Client) -> None:
    for (value, decision), answer in zip(NAMED.items(), answers(client, *NAMED), strict=True):
        result = answer["result"]
        assert result["decision"] == decision, value
        assert [one["label"] for one in result["findings"]] == list(FINDINGS)
        assert [one["operating_point"]["threshold"] for one in result["findings"]] == list(FINDING_THRESHOLDS)
        for one in result["findings"]:
            assert one["probability"] == result["probabilities"][one["label"]]
            assert one["named"] is (one["probability"] >= one["operating_point"]["threshold"])
            assert one["band"]["low"] <= one["probability"] <= one["band"]["high"]
            # The card's set: each side whose probability is at least 0.3.
            sides = {one["label"]: one["probability"], absent_name(one["label"]): 1 - one["probability"]}
            assert one["prediction_set"]["labels"] == [side for side, p in sides.items() if p >= 0.3]
        assert (result["band"], result["operating_point"], result["prediction_set"]) == (None, None, None)
    maps = client.get(f"/api/predictions/{answer['id']}/heatmap")
    assert maps["labels"] == list(FINDINGS) and len(maps["values"]) == 3


def test_a_refusal_has_no_band_and_names_nothing(client: Client) -> None:
    (answer,) = answers(client, 1.0)
    result = answer["result"]
    assert (result["refused"], result["decision"]) == (True, None)
    assert [(one["named"], one["band"], one["prediction_set"]) for one in result["findings"]] == [
        (False, None, None)
    ] * 3


def test_a_prior_is_about_one_finding(client: Client) -> None:
    (answer,) = answers(client, 0.8)
    path, prior = f"/api/predictions/{answer['id']}/posterior", {"probability": 0.1, "source": "the ward"}
    posterior = client("POST", path, json={**prior, "finding": "pneumonia"}).json()
    assert posterior["label"] == "pneumonia"
    assert [posterior[key] for key in ("probability", "low", "high")] == pytest.approx([0.5, 0.25, 0.75])
    assert set(posterior["moved"]) == {"pneumonia", "not pneumonia"}
    # At another band of another finding: odds 1/9 * 1/4.
    posterior = client("POST", path, json={**prior, "finding": "pleural-effusion"}).json()
    assert posterior["probability"] == pytest.approx(1 / 37)
    for wrong, word in [(prior, "Send one as finding"), ({**prior, "finding": "mass"}, "does not know this finding")]:
        refused = client("POST", path, json=wrong)
        assert refused.status_code == 422 and word in refused.json()["detail"]
    (other,) = answers(client, 0.7, model="tiny")
    refused = client("POST", f"/api/predictions/{other['id']}/posterior", json={**prior, "finding": "covid-19"})
    assert refused.status_code == 422 and "one answer about an image" in refused.json()["detail"]


def test_a_reader_concludes_several_findings(client: Client) -> None:
    (answer,) = answers(client, 0.8)
    study = answer["study"]
    likelihoods = {"pneumonia": 0.9, "nodule": 0.6, "pleural-effusion": 0.1}
    assert read(client, study, "aided", "nodule; pneumonia", likelihoods=likelihoods).status_code == 201
    (row,) = client.get(f"/api/studies/{study}/reads")
    assert (row["conclusion"], row["likelihoods"]) == ("nodule; pneumonia", likelihoods)
    for wrong in ("nodule; normal", "nodule; nodule", "nodule; nonsense", "nodule;pneumonia"):
        assert read(client, study, "aided", wrong).status_code == 422, wrong
    reference = {"standard": "ct", "label": "pneumonia; nodule", "date": "2024-05-07"}
    assert client("POST", f"/api/studies/{study}/references", json=reference).status_code == 201
    assert client.get(f"/api/studies/{study}/references")[0]["label"] == "pneumonia; nodule"
    refused = client("POST", f"/api/studies/{study}/references", json={**reference, "label": "normal; mass"})
    assert refused.status_code == 422


def test_figures_are_about_one_finding(client: Client) -> None:
    given = answers(client, 0.8, 0.6, 0.44, 0.2)
    conclusions = ["nodule; pneumonia", "viral-pneumonia", "pleural-effusion; nodule", "pleural-effusion"]
    for answer, conclusion in zip(given, conclusions, strict=True):
        assert read(client, answer["study"], "aided", conclusion).status_code == 201
        reference = {"standard": "ct", "label": conclusion, "date": "2024-05-07"}
        client("POST", f"/api/studies/{answer['study']}/references", json=reference)
    expected = {  # (hits, positives, false alarms, negatives) of the model against what was entered
        "pneumonia": (2, 2, 0, 2),  # viral pneumonia is a pneumonia
        "pleural-effusion": (1, 2, 0, 2),
        "nodule": (1, 2, 0, 2),
    }
    for finding, counts in expected.items():
        report = client.get(f"/api/dashboard?finding={finding}")
        figures = report["figures"]
        accuracy = figures["accuracy"]["model"]
        assert figures["primary"] == finding and report["findings"] == list(FINDINGS)
        keys = ("hits", "positives", "false_alarms", "negatives")
        assert tuple(accuracy[key] for key in keys) == counts, finding
    by_finding = {row["label"]: row for row in client.get("/api/dashboard")["figures"]["by_finding"]}
    assert {name: row["answers"] for name, row in by_finding.items()} == {
        "pneumonia": 2, "pleural-effusion": 1, "nodule": 1,
    }  # fmt: skip
    assert (by_finding["nodule"]["aided"], by_finding["nodule"]["verified"]) == (2, 2)
    for path in ("/api/dashboard?finding=mass", f"/api/monitor/{number_of(client)}?finding=mass"):
        refused = client("GET", path)
        assert refused.status_code == 422 and "pleural-effusion" in refused.json()["detail"], path


def test_the_monitor_watches_one_finding(client: Client) -> None:
    answers(client, 0.8, 0.2)
    model = number_of(client)
    first = client.get(f"/api/monitor/{model}")
    assert (first["finding"], first["findings"]) == ("pneumonia", list(FINDINGS))
    assert {measure["name"] for measure in first["weeks"][-1]["measures"]} == {"refusals", "scores", "agreement"}
    assert client.get(f"/api/monitor/{model}?finding=nodule")["finding"] == "nodule"
    assert client("GET", f"/api/monitor/{number_of(client, 'tiny')}?finding=covid-19").status_code == 422


def test_the_answer_about_a_study_names_what_any_image_shows() -> None:
    results = [
        {"labels": list(FINDINGS), "findings": [], "decision": decision, "probabilities": {}}
        for decision in ("nodule", "normal", "pneumonia; nodule", None)
    ]
    assert combine_decisions(results) == "pneumonia; nodule"
    assert combine_decisions(results[1:2]) == "normal"
    assert combine_decisions(results[3:]) is None


def test_results_have_a_row_for_each_finding(client: Client) -> None:
    given = answers(client, 0.8)
    read(client, given[0]["study"], "aided", "nodule; pneumonia")
    text = client("GET", "/api/results.csv").text
    rows = list(csv.DictReader(io.StringIO(text.partition("\r\n")[2])))
    assert [row["label"] for row in rows] == list(FINDINGS)
    assert {row["decision"] for row in rows} == {"pneumonia; nodule"}
    assert {row["own_final"] for row in rows} == {"nodule; pneumonia"}
    scores = given[0]["result"]["probabilities"]
    assert [float(row["score"]) for row in rows] == [scores[name] for name in FINDINGS]
    assert [float(row["threshold"]) for row in rows] == list(FINDING_THRESHOLDS)


def test_lists_and_models_say_what_they_are(client: Client) -> None:
    (answer,) = answers(client, 0.8)
    read(client, answer["study"], "aided", "nodule; pneumonia")
    (study,) = client.get("/api/studies")["studies"]
    assert study["predictions"][0]["decision"] == "pneumonia; nodule"
    kinds = {model["name"]: model["kind"] for model in client.get("/api/models")}
    assert (kinds["findings"], kinds["tiny"]) == ("multilabel", "multiclass")
    detail = client.get(f"/api/models/{number_of(client)}")
    assert [finding["name"] for finding in detail["card"]["findings"]] == list(FINDINGS)
    (recalled,) = client.get(f"/api/models/{number_of(client)}/answered")
    assert recalled["decision"] == "pneumonia; nodule"


def test_commands_report_and_export_findings(tmp_path: Path, findings_models: Path) -> None:
    home = tmp_path / "home"
    with serve_client(Settings(home=home, models=findings_models)) as client:
        studies = [one["study"] for one in client.upload(png(0.8), png(0.2, 41)).json()["files"]]
        for study, conclusion in zip(studies, ("pneumonia; nodule", "pleural-effusion"), strict=True):
            assert read(client, study, "unaided", conclusion).status_code == 201
            client("POST", f"/api/studies/{study}/predictions", json={"models": [number_of(client)]})
        predict_all(client)
    options = ["--home", str(home), "--models", str(findings_models)]
    report = CliRunner().invoke(app, ["reads", "report", "--finding", "nodule", *options])
    assert report.exit_code == 0, report.output
    assert "Positive: Lung nodule" in report.output
    assert "Pleural effusion: 1, 1, 0, 0" in report.output
    watched = CliRunner().invoke(app, ["monitor", "--finding", "nodule", *options])
    assert watched.exit_code == 0 and "Finding: Lung nodule." in watched.output
    page = tmp_path / "report.html"
    assert CliRunner().invoke(app, ["reads", "report", "-o", str(page), *options]).exit_code == 0
    assert "not Pneumonia" in page.read_text() and "<h2>Every finding</h2>" in page.read_text()
    exported = CliRunner().invoke(app, ["reads", "export", str(tmp_path / "export"), "--home", str(home)])
    assert exported.exit_code == 0, exported.output
    assert "Lung nodule, Pneumonia: 1" in exported.output
    manifest = read_manifest(tmp_path / "export" / "manifest.parquet")
    table = manifest.table.set_index("label")
    assert sorted(table.index) == ["other", "pleural-effusion"]
    cell = str(table.loc["other", "findings"])
    assert parse_findings(cell, "the export", manifest.labels) == {"nodule": True, "pneumonia": True}
