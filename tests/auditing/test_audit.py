"""Planted effects: models whose answers rest on a known place are seen to do so, and others are cleared.

The tiny bundle answers by the brightness of the whole picture, so that the picture decides what it rests on.
"""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from bundles import write_bundle
from pneumoscope.auditing.result import Audit, AuditVerdict
from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.files import sha256_of
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.masks import write_mask
from pneumoscope.data.phantoms.files import write_png
from pneumoscope.workflows.audit import audit, why_no_evidence

SIDE = 40
LUNGS = (slice(10, 30), slice(8, 32))
CORNER = (slice(0, 8), slice(0, 8))


def write_manifest(folder: Path, bright: tuple[slice, slice], images: int = 60, split: str = "validation") -> Manifest:
    """Write pictures of which every other one, COVID-19, is brighter in one place; every picture is a patient."""
    rng = np.random.default_rng(0)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[LUNGS] = True
    write_mask(folder / "mask.png", mask)
    rows = []
    for number in range(images):
        pixels = rng.uniform(0.3, 0.34, (SIDE, SIDE))
        if number % 2 == 0:
            pixels[bright] += 0.5
        name = f"{number}.png"
        write_png(folder / name, pixels.astype(np.float32))
        rows.append(
            {
                "image": name, "source": "here", "label": "normal" if number % 2 else "covid-19", "raw_label": "x",
                "group": str(number), "patient_id": str(number), "lung_mask": "mask.png", "lung_definition": "lungs",
                "split": split, "width": SIDE, "height": SIDE, "bits": 8, "sha256": sha256_of(folder / name),
                "phash": f"{number:016x}", "sex": "F" if number % 4 < 2 else "M",
            }
        )  # fmt: skip
    return Manifest.from_rows(rows, {"here": folder})


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_bundle(tmp_path_factory.mktemp("bundle"), ("covid-19", "normal"))


@pytest.fixture(scope="module")
def marked(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """The audit of a model that reads a bright corner."""
    manifest = write_manifest(tmp_path_factory.mktemp("marked"), CORNER)
    return audit(bundle, manifest, tmp_path_factory.mktemp("out"), workers=1, keep_evidence=False)


@pytest.fixture(scope="module")
def clean(bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Audit:
    """The audit of a model that reads the lungs."""
    return audit(
        bundle, write_manifest(tmp_path_factory.mktemp("clean"), LUNGS, images=160), workers=1, keep_evidence=False
    )


def verdict_of(audited: Audit, name: str) -> str:
    test = audited.test(name)
    assert test is not None
    return test.verdict


def test_a_marker_in_the_corner_fails_the_model_and_is_named(marked: Audit) -> None:
    assert marked.verdict == "fail"
    assert "top, left" in marked.reason
    for name in ("lungs-blacked-out", "boxes-blacked-out", "border-only", "corners-exchanged"):
        assert verdict_of(marked, name) == "fail", name


def test_corners_of_the_other_class_turn_every_answer_round(marked: Audit) -> None:
    """The corner is all that the answer rests on: from 1 with corners of the same class to 0."""
    test = marked.test("corners-exchanged")
    assert test is not None
    assert test.effect.value == pytest.approx(-1)


def test_a_model_that_reads_the_lungs_passes_what_takes_the_lungs_away(clean: Audit) -> None:
    assert clean.intact.value == 1
    for name in ("lungs-blacked-out", "boxes-blacked-out", "border-only", "lungs-only", "mirrored"):
        assert verdict_of(clean, name) == "pass", name
    assert verdict_of(clean, "marker") != "fail"
    assert clean.verdict != "fail"


def test_one_source_says_nothing_about_another_site(clean: Audit) -> None:
    assert verdict_of(clean, "new-site") == "not identifiable"
    assert verdict_of(clean, "source-probe") == "not identifiable"
    test = clean.test("source-probe")
    assert test is not None
    assert "AUROC" not in test.sentence
    assert "one source" in test.sentence
    assert clean.verdict == "caution"


def test_the_part_test_is_never_used(bundle: Path, tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, LUNGS, split="test")
    with pytest.raises(ManifestError, match="no image of this model's classes for an audit"):
        audit(bundle, manifest, part="all")


def test_a_limit_keeps_classes_even(bundle: Path, tmp_path: Path) -> None:
    audited = audit(bundle, write_manifest(tmp_path, LUNGS, images=100), images=40, workers=1, keep_evidence=False)
    assert audited.class_images == {"covid-19": 20, "normal": 20}


def test_too_few_images_are_refused(bundle: Path, tmp_path: Path) -> None:
    manifest = write_manifest(tmp_path, LUNGS, images=4)
    with pytest.raises(UsageError, match="images"):
        audit(bundle, manifest, images=20)


def test_an_audit_that_was_stopped_goes_on(bundle: Path, tmp_path: Path) -> None:
    """Answers on disk are used: a changed one changes the figure."""
    manifest, out = write_manifest(tmp_path / "set", LUNGS), tmp_path / "out"
    audit(bundle, manifest, out, workers=1, keep_evidence=False)
    (stored,) = (out / "answers").glob("mirrored-*.npy")
    np.save(stored, 1 - np.load(stored))
    assert verdict_of(audit(bundle, manifest, out, workers=1, keep_evidence=False), "mirrored") == "caution"
    value = json.loads((out / "audit.json").read_text())
    assert next(test for test in value["tests"] if test["name"] == "mirrored")["effect"]["value"] == pytest.approx(-1)


def test_the_verdict_is_shown_where_the_model_is_used(tmp_path: Path) -> None:
    """Evidence, card, list of models, prediction and server say that the model failed, and why."""
    from pneumoscope.bundle.evidence import latest_audit, list_stamps
    from pneumoscope.bundle.runtime import load
    from pneumoscope.cli.prediction_output import describe_model
    from pneumoscope.core.callbacks import Callbacks
    from pneumoscope.workflows.predict import predict

    folder = write_bundle(tmp_path / "bundle", ("covid-19", "normal"), stamps=("not audited", "confounded"))
    manifest = write_manifest(tmp_path / "set", CORNER)
    before = load(folder)
    assert list_stamps(folder, before.card, before.identity) == ("not audited", "confounded")
    audited = audit(folder, manifest, workers=1, command="by hand")
    assert list_stamps(folder, before.card, before.identity) == ("confounded",)
    assert "Stamped: confounded" in describe_model(before)
    assert "not audited" not in describe_model(before)
    fact = latest_audit(folder, load(folder).identity)
    assert fact is not None
    assert (fact.verdict, fact.passed, fact.reason) == ("fail", False, audited.reason)
    assert fact.tests["corners-exchanged"] == "fail"
    card = (folder / "CARD.md").read_text()
    assert "not audited" not in card
    assert "> **Audit: fail. The answers follow a sign in the border cell 'top, left'" in card

    class Lines(Callbacks):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def message(self, text: str) -> None:
            self.lines.append(text)

    heard = Lines()
    predict([tmp_path / "set" / "0.png"], folder, callbacks=heard)
    assert any(line.startswith("Audit: fail.") for line in heard.lines)


def test_an_audit_that_cannot_judge_and_one_of_drawn_images_are_no_evidence(clean: Audit, tmp_path: Path) -> None:
    """Kept, they would be the newest verdict and hide an earlier fail."""
    real = write_manifest(tmp_path / "real", LUNGS, images=4)
    drawn = Manifest.from_rows(
        [row | {"source": "synthetic-1"} for row in real.table.to_dict("records")], {"synthetic-1": tmp_path / "real"}
    )
    failed = clean.model_copy(update={"verdict": "fail"})
    unclear = clean.model_copy(update={"verdict": "not identifiable"})
    assert why_no_evidence(failed, real) == ""
    assert "could not judge" in why_no_evidence(unclear, real)
    assert "drawn images" in why_no_evidence(failed, drawn)


def test_no_test_passes_a_model_that_does_not_beat_chance(bundle: Path, tmp_path: Path) -> None:
    """Labels are exchanged in half of the pictures; nothing is kept as evidence."""
    from pneumoscope.bundle.evidence import latest_audit
    from pneumoscope.bundle.runtime import load
    from pneumoscope.core.callbacks import Callbacks

    class Lines(Callbacks):
        def __init__(self) -> None:
            self.lines: list[str] = []

        def message(self, text: str) -> None:
            self.lines.append(text)

    heard = Lines()
    manifest = write_manifest(tmp_path, LUNGS)
    table = manifest.table.copy()
    number = table["group"].astype(int)
    table["label"] = ["normal" if (each // 2) % 2 else "covid-19" for each in number]
    audited = audit(bundle, replace(manifest, table=table), workers=1, callbacks=heard)
    assert audited.verdict == "not identifiable"
    assert {test.verdict for test in audited.tests if test.name not in ("external", "new-site")} == {"not identifiable"}
    assert any(line.startswith("No evidence about this model is kept") for line in heard.lines)
    assert latest_audit(bundle, load(bundle).identity) is None


@pytest.mark.parametrize(
    ("verdicts", "status"),
    [((), "not audited"), (("pass",), "passed"), (("fail", "pass"), "passed"), (("pass", "caution"), "caution")],
)
def test_the_server_shows_the_newest_verdict(verdicts: tuple[AuditVerdict, ...], status: str) -> None:
    from pneumoscope.bundle.evidence import AuditFact
    from pneumoscope.server.inference.models import find_audit_status

    facts = [
        AuditFact(
            bundle="0" * 64, time=f"2026-01-0{day}T00:00:00", verdict=verdict, passed=verdict == "pass", reason="",
            data="", part="validation", images=1, command="",
        )
        for day, verdict in enumerate(verdicts, start=1)
    ]  # fmt: skip
    assert find_audit_status(facts) == status


def test_the_page_says_the_verdict_in_light_and_dark(marked: Audit) -> None:
    from pneumoscope.auditing.page import render_audit_page

    page = render_audit_page(marked)
    assert '<span class="verdict fail">fail</span>' in page
    assert "prefers-color-scheme: dark" in page
    assert "<script" not in page
    assert marked.disclaimer in page


def test_an_outline_that_follows_the_disease_is_caution_where_boxes_hide_it(bundle: Path, tmp_path: Path) -> None:
    """The outline leaves the middle of a sick lung out, so that black lungs leave it bright; its box does not."""
    manifest = write_manifest(tmp_path, LUNGS, images=160)
    mask = np.zeros((SIDE, SIDE), np.bool_)
    mask[LUNGS] = True
    mask[15:25, 13:27] = False
    write_mask(tmp_path / "sick.png", mask)
    table = manifest.table
    table.loc[table["label"] == "covid-19", "lung_mask"] = "sick.png"
    audited = audit(bundle, Manifest(table, manifest.roots), workers=1, keep_evidence=False)
    outlined, boxed = audited.test("lungs-blacked-out"), audited.test("boxes-blacked-out")
    assert outlined is not None and boxed is not None
    assert outlined.effect.value == 1
    assert (outlined.verdict, boxed.verdict) == ("caution", "pass")
    assert "outline of the lungs, which follows the disease" in outlined.sentence
