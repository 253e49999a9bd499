"""A pre-test probability meets a likelihood ratio: worked by hand, and refused where the card can't carry it."""

from __future__ import annotations

from pathlib import Path

import pytest

from bundles import write_bundle
from pneumoscope.bundle import evidence
from pneumoscope.bundle.card import read_card
from pneumoscope.server.settings import Settings
from pneumoscope.stats.estimates import Estimate, LikelihoodBand
from server.client import Client, predict_all, serve_client
from server.sample_files import png

RATIOS = (
    LikelihoodBand(low=0, high=0.5, ratio=Estimate(value=0.25, low=0.1, high=0.6), positives=10, negatives=40),
    LikelihoodBand(low=0.5, high=1, ratio=Estimate(value=9.0, low=3.0, high=27.0), positives=40, negatives=5),
)


def answer_score(client: Client, value: float) -> str:
    model = next(model["id"] for model in client.get("/api/models") if not model["builtin"])
    study = client.upload(png(value), models=(model,)).json()["files"][0]["study"]
    predict_all(client)
    return str(client.get(f"/api/studies/{study}/predictions")[0]["id"])


def test_odds_times_ratio(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    write_bundle(tmp_path / "models" / "rated", likelihood_ratios=RATIOS)
    with serve_client(Settings(home=tmp_path / "home", models=tmp_path / "models")) as client:
        prediction = answer_score(client, 0.8)
        prior = {"probability": 0.1, "source": "prevalence in the ward"}
        posterior = client("POST", f"/api/predictions/{prediction}/posterior", json=prior).json()
        # Odds 1/9 times 9 are 1; times 3: 1/3; times 27: 3.
        assert [posterior[key] for key in ("probability", "low", "high")] == pytest.approx([0.5, 0.25, 0.75])
        assert sum(posterior["moved"].values()) == pytest.approx(1)
        refusal = answer_score(client, 1.0)  # out of distribution: no answer
        assert client("POST", f"/api/predictions/{refusal}/posterior", json=prior).status_code == 409
        for wrong in (0, 1, 1.2):
            body = {**prior, "probability": wrong}
            assert client("POST", f"/api/predictions/{prediction}/posterior", json=body).status_code == 422


def test_a_card_without_ratios_is_refused(settings: Settings) -> None:
    with serve_client(settings) as client:
        prediction = answer_score(client, 0.8)
        answer = client(
            "POST", f"/api/predictions/{prediction}/posterior", json={"probability": 0.1, "source": "a guess"}
        )
        assert answer.status_code == 409
        assert "no likelihood ratio" in answer.json()["detail"]


def test_a_failed_audit_ends_it_until_a_later_one_passes(tmp_path: Path) -> None:
    pytest.importorskip("onnx")
    folder = write_bundle(tmp_path / "models" / "rated", likelihood_ratios=RATIOS, stamps=("not audited", "confounded"))
    with serve_client(Settings(home=tmp_path / "home", models=tmp_path / "models")) as client:
        prediction = answer_score(client, 0.8)
        prior = {"probability": 0.1, "source": "prevalence in the ward"}

        def verdict_and_answer() -> tuple[str, list[str], int]:
            (model,) = (model for model in client.get("/api/models") if not model["builtin"])
            answer = client("POST", f"/api/predictions/{prediction}/posterior", json=prior)
            return model["audit"], model["stamps"], answer.status_code

        assert verdict_and_answer() == ("not audited", ["not audited", "confounded"], 200)
        audited(folder, "2025-03-01T00:00:00Z", False)
        assert verdict_and_answer() == ("failed", ["failed its audit", "confounded"], 409)
        audited(folder, "2025-02-01T00:00:00Z", True)  # an older one, found later
        assert verdict_and_answer()[0] == "failed"
        audited(folder, "2025-04-01T00:00:00Z", None)  # without a verdict
        assert verdict_and_answer()[0] == "failed"
        audited(folder, "2025-05-01T00:00:00Z", True)
        assert verdict_and_answer() == ("passed", ["confounded"], 200)
        # A failure that was rewritten, or evidence about another model, is no silence; and the other models stay.
        altered = next(path for path in (folder / "evidence").iterdir() if '"passed": false' in path.read_text())
        altered.write_text(altered.read_text().replace('"passed": false', '"passed": true'))
        assert verdict_and_answer() == ("unreadable", ["its evidence was altered", "confounded"], 409)
        assert {model["audit"] for model in client.get("/api/models") if model["builtin"]}.isdisjoint({"unreadable"})
        (model,) = (model["id"] for model in client.get("/api/models") if not model["builtin"])
        assert client.get(f"/api/models/{model}")["evidence"] == []


def audited(folder: Path, time: str, passed: bool | None) -> None:
    identity = read_card(folder)[1]
    evidence.append(
        folder, evidence.Fact.model_validate({"bundle": identity, "kind": "audit", "time": time, "passed": passed})
    )
