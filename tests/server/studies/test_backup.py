"""A server can start on a backup, and an altered file is reported instead of copied."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pneumoscope.core.errors import RunError, UsageError
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.studies.backup import back_up
from server.client import predict_all, serve_client
from server.sample_files import dicom, png


def test_a_server_starts_on_a_backup(settings: Settings, tmp_path: Path) -> None:
    with serve_client(settings) as client:
        model = next(model["id"] for model in client.get("/api/models") if model["name"] == "tiny")
        study = client.upload(dicom(), png(0.7), models=(model,)).json()["files"][0]["study"]
        predict_all(client)
        answers = client.get(f"/api/studies/{study}/predictions")
        assert back_up(client.app.state.context.store, tmp_path / "copy") == 2
    assert not (tmp_path / "copy" / "secret.key").exists()
    copy = replace(settings, home=tmp_path / "copy", secret=settings.secret_file)
    with serve_client(copy) as client:
        assert client.get(f"/api/studies/{study}/predictions") == answers
        assert client.get(f"/api/studies/{study}/identity")["patient"]["patient_name"] == "Doe^Jane"
        image = client.get(f"/api/studies/{study}")["images"][0]["id"]
        assert client("GET", f"/api/images/{image}/pixels").status_code == 200
    with pytest.raises(UsageError, match="not the secret"):
        serve_client(replace(copy, secret=None)).__enter__()
    assert not (tmp_path / "copy" / "secret.key").exists()


def test_altered_files_are_reported_and_no_backup_is_replaced(settings: Settings, tmp_path: Path) -> None:
    with serve_client(settings) as client:
        image = client.upload(png(0.7)).json()["files"][0]["image"]
        store = client.app.state.context.store
        blobs.path_of(settings.files, image).write_bytes(png(0.1))
        with pytest.raises(RunError, match="altered"):
            back_up(store, tmp_path / "copy")
        with pytest.raises(UsageError, match="not empty"):
            back_up(store, tmp_path / "copy")


def test_results_are_in_a_backup_and_altered_ones_are_reported(settings: Settings, tmp_path: Path) -> None:
    pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")
    from pneumoscope.server.dicom.results.making import make_results, read_result
    from pneumoscope.server.storage.tables import ResultObject
    from server.dicom.result_tools import node_of, receive

    with serve_client(node_of(settings)) as client:
        context = client.app.state.context
        study = receive(client, dicom()).study
        predict_all(client)
        (sop_uid,) = make_results(context.store, context.catalogue, study, ["report"])
        data = read_result(context.store, sop_uid)
        back_up(context.store, tmp_path / "copy")
        with context.store.read() as session:
            blob = session.get_one(ResultObject, sop_uid).blob
        blobs.path_of(settings.files, blob, blobs.SEALED).write_bytes(b"altered, and longer than a nonce")
        with pytest.raises(RunError, match="gone or altered"):
            back_up(context.store, tmp_path / "second")
    with serve_client(replace(settings, home=tmp_path / "copy", secret=settings.secret_file)) as client:
        assert read_result(client.app.state.context.store, sop_uid) == data
