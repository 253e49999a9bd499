"""Exports to retrain from: which label a study gets, what stays out, and that erasing a patient reaches the copies."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from typer.testing import CliRunner

from pneumoscope.cli.main import app
from pneumoscope.core.errors import ManifestError, RunError, UsageError
from pneumoscope.core.files import write_json
from pneumoscope.data.manifest import read_manifest, write_manifest
from pneumoscope.data.splits import assign_parts
from pneumoscope.imaging.read import read as read_image
from pneumoscope.server.reading.exports import (
    AIDED,
    NO_CONCLUSION,
    NOTHING,
    READERS,
    REFERENCES,
    FinalReads,
    StudyLabel,
    choose_label,
    export_reads,
)
from pneumoscope.server.reading.figures import ReferenceRow
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import export_ledger
from pneumoscope.server.storage.database import Store
from server.client import Client, predict_all, serve_client
from server.sample_files import dicom, png

COVID, NORMAL = "covid-19", "normal"


def references(**labels: str) -> dict[str, ReferenceRow]:
    named = {name.replace("_", "-"): label for name, label in labels.items()}
    return {standard: ReferenceRow("s", standard, label, 1) for standard, label in named.items()}


@pytest.mark.parametrize(
    ("reads", "entered", "expected"),
    [
        (FinalReads([NORMAL], 1), references(rt_pcr=COVID), StudyLabel(COVID, "reference: rt-pcr")),
        (FinalReads(), references(ct=COVID, rt_pcr=COVID), StudyLabel(COVID, "reference: rt-pcr + ct")),
        (FinalReads([COVID]), references(ct=NORMAL, rt_pcr=COVID), REFERENCES),
        (FinalReads([COVID], 1), {}, StudyLabel(COVID, "reader: unaided read, 1 reader")),
        (FinalReads([COVID, None, COVID]), {}, StudyLabel(COVID, "reader: unaided read, 2 readers")),
        (FinalReads([COVID, NORMAL]), {}, READERS),
        (FinalReads([None]), {}, NO_CONCLUSION),
        (FinalReads((), 2), {}, AIDED),
        (FinalReads(), {}, NOTHING),
    ],
)
def test_a_label_is_the_references_else_unaided_readers(
    reads: FinalReads, entered: dict[str, ReferenceRow], expected: StudyLabel | str
) -> None:
    assert choose_label(reads, entered) == expected


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serve_client(settings) as client:
        yield client


@pytest.fixture
def store(client: Client) -> Store:
    store = client.app.state.context.store
    assert isinstance(store, Store)
    return store


def picture(seed: int) -> bytes:
    """An image that resembles no other."""
    from io import BytesIO

    from PIL import Image

    buffer = BytesIO()
    values = np.random.default_rng(seed).integers(0, 256, (8, 8), np.uint8).repeat(8, 0).repeat(8, 1)
    Image.fromarray(values).save(buffer, "PNG")
    return buffer.getvalue()


def send_images(client: Client, *files: bytes, **options: Any) -> list[str]:
    return [file["study"] for file in client.upload(*files, **options).json()["files"]]


def post_read(client: Client, study: str, conclusion: str, stage: str = "unaided") -> None:
    body = {"stage": stage, "state": "final", "conclusion": conclusion}
    assert client("POST", f"/api/studies/{study}/reads", json=body).status_code == 201


def post_reference(client: Client, study: str, label: str, standard: str = "rt-pcr") -> None:
    body = {"standard": standard, "label": label, "date": "2024-05-07"}
    assert client("POST", f"/api/studies/{study}/references", json=body).status_code == 201


def test_what_saw_the_model_is_no_label(client: Client, store: Store, tmp_path: Path) -> None:
    model = next(model["id"] for model in client.get("/api/models") if model["name"] == "tiny")
    unaided, aided, silent = send_images(client, picture(1), picture(2), picture(3), models=(model,))
    (named,) = send_images(client, dicom({"PatientSex": "F", "ViewPosition": "PA"}))
    predict_all(client)
    post_read(client, unaided, NORMAL)
    client.get(f"/api/studies/{unaided}/predictions")
    post_read(client, unaided, COVID, "aided")  # a change of mind after the answer changes no label
    client.get(f"/api/studies/{aided}/predictions")
    post_read(client, aided, COVID, "aided")
    post_reference(client, named, COVID)
    post_reference(client, named, NORMAL)  # corrects
    export = export_reads(store, tmp_path / "export")
    assert (export.images, export.studies, export.labels) == (2, 2, {NORMAL: 2})
    assert export.left_out == {AIDED: 1, NOTHING: 1}
    manifest = read_manifest(tmp_path / "export" / "manifest.parquet")
    rows = {row["study_id"]: row for row in manifest.table.to_dict("records")}
    assert rows[unaided]["label_provenance"] == "reader: unaided read, 1 reader"
    assert rows[named]["label_provenance"] == "reference: rt-pcr"
    patient = client.get(f"/api/studies/{named}")["patient"]
    assert (rows[named]["patient_id"], rows[named]["group"]) == (patient, f"patient:reads/{patient}")
    assert (rows[named]["sex"], rows[named]["view"], rows[named]["age"]) == ("F", "PA", 90.0)
    account = json.loads((tmp_path / "export" / "export.json").read_text())
    assert {row["study"]: row["reason"] for row in account["left_out"]} == {aided: AIDED, silent: NOTHING}
    raw = b"".join(path.read_bytes() for path in sorted((tmp_path / "export").rglob("*")) if path.is_file())
    assert not any(word in raw for word in (b"4711", b"Jane", b"20240506"))


def test_the_pixels_are_those_that_were_stored(client: Client, store: Store, tmp_path: Path) -> None:
    study = send_images(client, dicom(value=1234))[0]
    post_reference(client, study, COVID)
    export_reads(store, tmp_path / "export")
    manifest = read_manifest(tmp_path / "export" / "manifest.parquet")
    image = client.get(f"/api/studies/{study}")["images"][0]["id"]
    (tmp_path / "served.png").write_bytes(client("GET", f"/api/images/{image}/pixels").content)
    (path,) = manifest.paths()
    assert np.array_equal(read_image(path).pixels, read_image(tmp_path / "served.png").pixels)
    assert manifest.table.bits.tolist() == [16]
    shutil.move(tmp_path / "export", tmp_path / "elsewhere")  # the manifest's paths are relative
    assert read_manifest(tmp_path / "elsewhere" / "manifest.parquet").paths()[0].is_file()


def test_a_full_folder_and_an_empty_export_are_refused(client: Client, store: Store, tmp_path: Path) -> None:
    study = send_images(client, picture(1))[0]
    with pytest.raises(RunError, match="would be empty"):
        export_reads(store, tmp_path / "export")
    post_reference(client, study, COVID)
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="not empty"):
        export_reads(store, tmp_path / "full")
    (tmp_path / "export").mkdir()
    export_reads(store, tmp_path / "export")
    with pytest.raises(UsageError, match="not empty"):
        export_reads(store, tmp_path / "export")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["export", "full", "home"]


def test_an_export_that_fails_leaves_nothing(
    client: Client, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    post_reference(client, send_images(client, picture(1))[0], COVID)
    monkeypatch.setattr(Path, "replace", _no_room)
    with pytest.raises(ManifestError, match="no room"):
        export_reads(store, tmp_path / "export")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["home"]
    with store.read() as session:
        assert export_ledger.list_exports(session) == []


def _no_room(self: Path, target: Path) -> Path:
    if target.name == "manifest.parquet":
        raise OSError("no room")
    os.replace(self, target)  # noqa: PTH105  # this stands for the method
    return target


def test_erasing_a_patient_reaches_the_exports(client: Client, store: Store, tmp_path: Path) -> None:
    named, other, third = send_images(client, dicom(), *(picture(n) for n in (1, 2)))
    for study in (named, other):
        post_reference(client, study, COVID)
    folder = tmp_path / "export"
    number = export_reads(store, folder).export
    manifest = read_manifest(folder / "manifest.parquet")
    write_json(folder / "mine.json", {"kept": True})
    write_manifest(assign_parts(manifest, {"test": 0.5}, seed=0), folder / "split.parquet")
    image = client.get(f"/api/studies/{named}")["images"][0]["id"]
    assert (folder / "images" / f"{image}.png").is_file()
    patient = client.get(f"/api/studies/{named}")["patient"]
    erased = client("DELETE", f"/api/patients/{patient}").json()
    assert (erased["exports_cleared"], erased["exports_unreached"]) == ([number], [])
    assert len(list((folder / "images").iterdir())) == 1
    for name in ("manifest.parquet", "split.parquet"):
        manifest = read_manifest(folder / name)
        assert manifest.table.study_id.tolist() == [other]
        assert manifest.paths()[0].is_file()
    raw = b"".join(path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file())
    assert not any(word.encode() in raw for word in (named, image, patient))
    assert json.loads((folder / "export.json").read_text())["erased"] == 1
    client("DELETE", f"/api/studies/{other}")  # the last one: a manifest without rows is none
    client("DELETE", f"/api/studies/{third}")  # manifest out, and named in the account
    assert sorted(path.name for path in folder.iterdir()) == ["export.json", "images", "mine.json"]
    account = json.loads((folder / "export.json").read_text())
    assert (account["erased"], account["studies"], account["left_out"]) == (2, {}, [])


def test_what_can_not_be_reached_is_said_and_tried_again(
    client: Client, store: Store, settings: Settings, tmp_path: Path
) -> None:
    study, other = send_images(client, picture(1), picture(2))
    for one in (study, other):
        post_reference(client, one, COVID)
    folder, away = tmp_path / "export", tmp_path / "away"
    number = export_reads(store, folder).export
    folder.rename(away)
    erased = client("DELETE", f"/api/studies/{study}").json()
    assert (erased["exports_cleared"], erased["exports_unreached"]) == ([], [number])
    runner, home = CliRunner(), ("--home", str(settings.home))
    waiting = runner.invoke(app, ["reads", "exports", *home])
    assert waiting.exit_code == 1
    assert "erased studies still to be removed: 1; the folder is not there" in waiting.output
    away.rename(folder)
    back = runner.invoke(app, ["reads", "exports", "--json", *home])
    assert back.exit_code == 0
    (row,) = json.loads(back.output)
    assert (row["studies"], row["there"], row["erased_but_not_reached"]) == (1, True, 0)
    assert read_manifest(folder / "manifest.parquet").table.study_id.tolist() == [other]
    assert "No exports" in runner.invoke(app, ["reads", "exports", "--forget", number, *home]).output


def test_another_export_at_the_same_place_is_left_alone(client: Client, store: Store, tmp_path: Path) -> None:
    study, other = send_images(client, picture(1), picture(2))
    for one in (study, other):
        post_reference(client, one, COVID)
    first = export_reads(store, tmp_path / "export").export
    shutil.rmtree(tmp_path / "export")
    second = export_reads(store, tmp_path / "export").export
    erased = client("DELETE", f"/api/studies/{study}").json()
    assert (erased["exports_cleared"], erased["exports_unreached"]) == ([second], [first])


def test_erased_while_it_is_exported(
    client: Client, store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    study, other = send_images(client, picture(1), picture(2))
    for one in (study, other):
        post_reference(client, one, COVID)
    enter = export_ledger.register

    def erase_then_enter(*arguments: Any) -> set[str]:
        client("DELETE", f"/api/studies/{study}")
        return enter(*arguments)

    monkeypatch.setattr(export_ledger, "register", erase_then_enter)
    with pytest.raises(RunError, match="erased during the export"):
        export_reads(store, tmp_path / "export")
    assert not (tmp_path / "export").exists()


def test_the_report_and_the_export_at_the_command_line(client: Client, settings: Settings, tmp_path: Path) -> None:
    model = next(model["id"] for model in client.get("/api/models") if model["name"] == "tiny")
    ill, well = send_images(client, png(0.8), png(0.2, 50), models=(model,))
    predict_all(client)
    for study in (ill, well):
        post_read(client, study, NORMAL)
    post_reference(client, ill, COVID)
    home = ("--home", str(settings.home))
    runner, page = CliRunner(), tmp_path / "report.html"
    report = runner.invoke(app, ["reads", "report", "--models", str(settings.models), "-o", str(page), *home])
    assert report.exit_code == 0, report.output
    assert "unaided: sensitivity 0.000 [interval not estimable] (0 of 1)" in report.output
    assert "Not a medical device" in report.output
    text = page.read_text()
    assert "partial verification bias" in text
    assert "<script" not in text
    as_json = runner.invoke(app, ["reads", "report", "--json", *home])
    assert json.loads(as_json.output)["figures"]["model_and_unaided"]["table"] == [[0, 1], [0, 1]]
    export = runner.invoke(app, ["reads", "export", str(tmp_path / "export"), "--json", *home])
    assert json.loads(export.output)["label_provenance"] == {
        "reference: rt-pcr": 1, "reader: unaided read, 1 reader": 1,
    }  # fmt: skip
    actions = [(line["who"], line["action"]) for line in client.get("/api/audit") if line["who"] == "console"]
    assert actions == [("console", "reads export"), ("console", "reads report"), ("console", "reads report")]
    wrong = runner.invoke(app, ["reads", "report", "--home", str(tmp_path / "nowhere")])
    assert wrong.exit_code == 2
    assert not (tmp_path / "nowhere").exists()


def test_postgresql_keeps_the_ledger_too(settings: Settings, postgres: str, tmp_path: Path) -> None:
    with serve_client(replace(settings, database=postgres)) as client:
        test_erasing_a_patient_reaches_the_exports(client, client.app.state.context.store, tmp_path)
