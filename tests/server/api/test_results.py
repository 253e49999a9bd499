"""DICOM objects of a study over HTTP: who may see them, and what is sent."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pneumoscope.server.dicom.results.making import make_results, read_result
from pneumoscope.server.security.audit_log import list_entries
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.tables import Display
from server.client import Client, predict_all, serve_client
from server.dicom.result_tools import node_of, receive
from server.sample_files import dicom

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")


def made(client: Client) -> tuple[str, str]:
    context = client.app.state.context
    study = receive(client, dicom()).study
    predict_all(client)
    (sop_uid,) = make_results(context.store, context.catalogue, study, ["report"])
    return study, sop_uid


def test_results_are_listed_and_sent_as_they_were_made(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        store = client.app.state.context.store
        study, sop_uid = made(client)
        (listed,) = client.get(f"/api/studies/{study}/results")
        assert (listed["sop_uid"], listed["kind"], listed["state"]) == (sop_uid, "report", "current")
        assert (listed["image"], listed["predecessor"]) == (None, None)
        sent = client("GET", f"/api/studies/{study}/results/{sop_uid}")
        assert sent.headers["content-type"] == "application/dicom"
        assert sent.content == read_result(store, sop_uid)
        with store.read() as session:
            assert session.query(Display).count() == 1
        entry = list_entries(store, subject=study)[0]
        assert (entry.action, entry.status) == ("GET /api/studies/{study}/results/{sop_uid}", 200)
        assert client("GET", f"/api/studies/{study}/results/2.25.1").status_code == 404
        assert client("GET", f"/api/studies/nosuchstudy/results/{sop_uid}").status_code == 404
        assert client("GET", "/api/studies/nosuchstudy/results").status_code == 404


def test_results_are_withheld_like_answers(settings: Settings) -> None:
    with serve_client(replace(node_of(settings), read_first=True)) as client:
        study, sop_uid = made(client)
        for path in ("results", f"results/{sop_uid}"):
            asked = client("GET", f"/api/studies/{study}/{path}")
            assert asked.status_code == 403
            assert "lock your own unaided read first" in asked.text
