"""Retention: old studies are erased by the given clock, others stay, and the audit log says so."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import select

from pneumoscope.core.errors import UsageError
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Image, Study
from pneumoscope.server.studies.retention import DAY, Retention, claim_turn, erase_old
from server.client import Client, serve_client
from server.sample_files import dicom, png


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serve_client(settings) as client:
        yield client


def test_only_the_older_study_is_erased_when_time_passes(client: Client) -> None:
    store: Store = client.app.state.context.store
    client.upload(png(0.5))
    client.upload(dicom())
    young, old = (study["id"] for study in client.get("/api/studies")["studies"])
    with store.write() as session:
        row = session.get_one(Study, old)
        row.received -= 5 * DAY
        begun = row.received
        image = session.scalars(select(Image.id).where(Image.study == old)).one()
    assert erase_old(store, 30, begun + 30 * DAY - 1) == 0
    assert erase_old(store, 30, begun + 30 * DAY + 1) == 1
    assert [study["id"] for study in client.get("/api/studies")["studies"]] == [young]
    assert not blobs.path_of(store.settings.files, image).exists()
    (line,) = client.get("/api/audit", params={"subject": old, "account": "retention"})
    assert (line["action"], line["status"]) == ("DELETE /api/studies/{study}", 200)
    assert erase_old(store, 30, begun + 36 * DAY) == 1
    assert client("POST", "/api/patients/find", json={"patient_id": "4711"}).status_code == 404


def test_servers_of_one_database_take_turns(store: Store) -> None:
    assert claim_turn(store, 30, 1000.0)
    assert not claim_turn(store, 30, 1001.0)
    assert claim_turn(store, 7, 1002.0)  # another rule
    assert claim_turn(store, 7, 1002.0 + 3600)


def test_retention_runs_when_the_server_starts(client: Client) -> None:
    store: Store = client.app.state.context.store
    client.upload(png(0.5))
    with store.write() as session:
        session.scalars(select(Study)).one().received -= 2 * DAY
    retention = Retention(store, 1)
    retention.start()
    end = time.monotonic() + 120
    while client.get("/api/studies")["studies"] and time.monotonic() < end:
        time.sleep(0.05)
    retention.stop()
    assert client.get("/api/studies")["studies"] == []


@pytest.mark.parametrize("days", [0.0, -1.0, float("nan")])
def test_an_impossible_number_of_days_is_refused(settings: Settings, days: float) -> None:
    with pytest.raises(UsageError, match="`retention`"):
        replace(settings, retention=days).validate()
