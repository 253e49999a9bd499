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


def add_studies(store: Store, *received: float) -> None:
    with store.write() as session:
        for number, moment in enumerate(received):
            session.add(Study(id=f"s{number}", key=None, patient=None, received=moment, received_by="a"))


def count(store: Store) -> int:
    with store.read() as session:
        return len(session.scalars(select(Study.id)).all())


def set_clock(monkeypatch: pytest.MonkeyPatch, moment: float) -> None:
    monkeypatch.setattr(time, "time", lambda: moment)


def test_a_clock_that_jumped_erases_nothing_until_it_is_confirmed(
    store: Store, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    begun = time.time()
    add_studies(store, begun - 40 * DAY, begun)
    set_clock(monkeypatch, begun + 400 * DAY)
    assert Retention(store, 30).look() == 0
    assert "400.0 days ahead" in caplog.text
    assert "--retention-confirm" in caplog.text
    assert count(store) == 2
    assert Retention(store, 30, confirmed=True).look() == 2


def test_a_clock_that_jumps_while_the_server_runs_is_noticed_though_rows_are_written_by_it(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = time.time()
    add_studies(store, begun - 40 * DAY, begun)
    retention = Retention(store, 30)
    assert retention.look() == 1
    set_clock(monkeypatch, begun + 31 * DAY)
    with store.write() as session:  # a request at the wrong time
        session.add(Study(id="new", key=None, patient=None, received=time.time(), received_by="a"))
    assert retention.look() == 0
    assert count(store) == 2


def test_a_clock_that_is_right_needs_no_confirmation(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that ran until yesterday, and one without any row."""
    begun = time.time()
    assert Retention(store, 30).look() == 0
    add_studies(store, begun - 40 * DAY, begun)
    set_clock(monkeypatch, begun + 0.9 * DAY)
    assert Retention(store, 30).look() == 1


def test_the_last_look_counts_as_a_row(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """A server that runs for months without an upload or a reader."""
    begun = time.time()
    add_studies(store, begun)
    retention = Retention(store, 30)
    for day in range(1, 40):
        steps = day * DAY
        monkeypatch.setattr(
            "pneumoscope.server.studies.retention.monotonic", lambda steps=steps: time.monotonic() + steps
        )
        set_clock(monkeypatch, begun + steps)
        retention.look()
    assert count(store) == 0
    assert Retention(store, 30).look() == 0
