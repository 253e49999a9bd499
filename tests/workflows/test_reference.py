"""A bundle against a reference: the claim stands in ledger and evidence, and an afterthought is said to be one."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("onnx")
bundles = pytest.importorskip("bundles")

from pneumoscope.bundle import evidence  # noqa: E402
from pneumoscope.bundle.runtime import load  # noqa: E402
from pneumoscope.core.errors import UsageError  # noqa: E402
from pneumoscope.core.files import sha256_of  # noqa: E402
from pneumoscope.data.ledger import ledger_path  # noqa: E402
from pneumoscope.data.manifest import Manifest, write_manifest  # noqa: E402
from pneumoscope.workflows.evaluate import evaluate  # noqa: E402

GREYS = {"covid-19": (120, 250), "normal": (10, 150), "viral-pneumonia": (70, 170)}


@pytest.fixture
def study(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> tuple[Path, Path, Path]:
    """Return the manifest's file, of 14 test images of each class and two sources, and two bundles of one graph."""
    monkeypatch.setenv("PNEUMOSCOPE_HOME", str(tmp_path / "home"))
    rng, rows = np.random.default_rng(5), []
    for label, greys in GREYS.items():
        for number in range(28):
            name = f"{label}-{number}.png"
            # Each image has its own look: the ledger knows images by their pixels.
            pixels = np.clip(rng.integers(*greys) + rng.integers(-9, 10, (20, 24)), 0, 255).astype(np.uint8)
            Image.fromarray(pixels).save(tmp_path / name)
            rows.append(
                {
                    "image": name,
                    "source": "site-a" if number % 2 else "site-b",
                    "label": label,
                    "raw_label": label,
                    "group": f"{label}-{number}",
                    "split": "test",
                    "width": 24,
                    "height": 20,
                    "bits": 8,
                    "sha256": sha256_of(tmp_path / name),
                    "phash": f"{len(rows):016x}",
                }
            )
    path = tmp_path / "m.parquet"
    write_manifest(Manifest.from_rows(rows, {"site-a": tmp_path, "site-b": tmp_path}), path)
    return path, bundles.write_bundle(tmp_path / "new"), bundles.write_bundle(tmp_path / "old", name="old")


def test_the_claim_is_written_first_and_a_later_margin_is_called_an_afterthought(study, tmp_path) -> None:
    data, new, old = study
    page = tmp_path / "page.html"
    first = evaluate(
        new, data, "test", reference=old, non_inferiority_margin=["0.1"], resamples=200, html=page
    ).non_inferiority
    # The same graph under another name: every difference is 0.
    assert [one.difference.value for one in first.results] == [0, 0, 0, 0]
    assert [one.verdict for one in first.results] == ["non-inferior", "no margin", "no margin", "no margin"]
    assert first.before is True
    assert first.reference == "old 1"
    lines = [json.loads(line) for line in ledger_path(data).read_text().splitlines()]
    assert [line["claim"] for line in lines] == [first.claim]  # one opening, though it measured two models
    assert (lines[0]["by"], lines[0]["reference"]) == (load(new).identity, load(old).identity)
    for folder in (new, old):
        model = load(folder)
        (opening,) = evidence.openings(evidence.read(folder, model.identity))
        assert opening.claim == first.claim
        assert (opening.opening, opening.earlier_openings) == (lines[0]["opening"], 0)
        assert model.identity in opening.claim
    assert "Against old 1" in page.read_text()
    same = evaluate(new, data, "test", reference=old, non_inferiority_margin=["0.1"], resamples=200).non_inferiority
    assert same.before is True
    wider = evaluate(new, data, "test", reference=old, non_inferiority_margin=["0.2"], resamples=200).non_inferiority
    assert wider.before is False
    assert "2 times" in wider.stated
    # Without a ledger the evidence of both bundles counts each opening once.
    for path in (ledger_path(data), tmp_path / "home" / "openings.ledger.jsonl"):
        path.unlink()
    again = evaluate(new, data, "test", reference=old, resamples=200)
    assert again.earlier_openings == 3


def test_sources_are_pooled_and_the_page_draws_them(study, tmp_path) -> None:
    data, new, _ = study
    page = tmp_path / "page.html"
    evaluation = evaluate(new, data, "test", resamples=200, html=page)
    auroc, slope, ratio = evaluation.by_site
    assert set(auroc.sites) == set(slope.sites) == set(ratio.sites) == {"site-a", "site-b"}
    for name, site in auroc.sites.items():
        assert site.value == pytest.approx(evaluation.by_source[name].metrics["covid-19/auroc"].value)
    assert auroc.mean.low < auroc.mean.value < auroc.mean.high
    assert auroc.prediction.low is None  # two sites say nothing about a third
    assert "AUROC by source" in page.read_text()


def test_a_margin_without_a_reference_and_a_reference_that_is_the_bundle_are_refused(study) -> None:
    data, new, _ = study
    with pytest.raises(UsageError, match="needs a model"):
        evaluate(new, data, "test", non_inferiority_margin=["0.02"])
    with pytest.raises(UsageError, match="is the bundle itself"):
        evaluate(new, data, "test", reference=new, non_inferiority_margin=["0.02"])
    assert not ledger_path(data).exists()


def test_a_reference_of_other_classes_is_refused(study, tmp_path) -> None:
    data, new, _ = study
    other = bundles.write_bundle(tmp_path / "binary", ("covid-19", "normal"))
    with pytest.raises(UsageError, match="answers another question"):
        evaluate(new, data, "test", reference=other)
