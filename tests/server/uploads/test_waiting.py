"""Uploads that wait for their answers (`Prefer: wait`, RFC 7240)."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from sqlalchemy.exc import OperationalError

from pneumoscope.server.api import events
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store
from server.client import Client, predict_all, serve_client
from server.sample_files import dicom, png


@contextmanager
def working(client: Client) -> Iterator[None]:
    """A worker beside the app for as long as the block lasts."""
    ended = threading.Event()

    def work() -> None:
        while not ended.is_set():
            predict_all(client)
            time.sleep(0.02)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        yield
    finally:
        ended.set()
        worker.join()


def upload(client: Client, prefer: str, *files: bytes) -> httpx.Response:
    model = next(model["id"] for model in client.get("/api/models") if model["name"] == "tiny")
    parts = [("files", ("x.png", data)) for data in files]
    return client("POST", "/api/studies", files=parts, data={"models": [model]}, headers={"Prefer": prefer})


def test_the_answers_come_with_the_upload(settings: Settings) -> None:
    with serve_client(settings) as client, working(client):
        sent = upload(client, "respond-async, wait=20", png(0.2), png(0.9))
        again = upload(client, "wait=20", png(0.9))
        assert (sent.status_code, sent.headers["preference-applied"]) == (201, "wait=20")
        for answer in (sent, again):
            images = [file["image"] for file in answer.json()["files"]]
            assert [one["image"] for one in answer.json()["answers"]] == images
            for one in answer.json()["answers"]:
                assert [one] == client.get(f"/api/studies/{one['study']}/predictions")
                assert one["result"]["probabilities"]
        assert again.json()["files"][0]["status"] == "duplicate"


def test_an_upload_waits_no_longer_than_asked_and_only_for_answers(settings: Settings) -> None:
    with serve_client(settings) as client:
        begun = time.monotonic()
        late = upload(client, "wait=1", png(0.2), png(0.4))  # one alone is answered where it is decoded
        assert 0.9 < time.monotonic() - begun < 10
        assert [one["state"] for one in late.json()["answers"]] == ["queued", "queued"]
        assert upload(client, "return=minimal", png(0.3)).json()["answers"] is None
        with working(client):  # the same file again: asked before, and answered only now
            (done,) = upload(client, "wait=20", png(0.2)).json()["answers"]
        assert done["state"] == "done"


@pytest.mark.parametrize("data", [png(0.7), dicom(value=1234)])
def test_an_immediate_answer_equals_a_workers_answer(settings: Settings, data: bytes) -> None:
    with serve_client(settings) as client:
        (once,) = upload(client, "wait=20", data).json()["answers"]
        response = client("POST", f"/api/studies/{once['study']}/predictions", json={"models": [once["model"]]})
        predict_all(client)
        later = client.get(f"/api/predictions/{response.json()[0]['id']}")
        assert once["state"] == later["state"] == "done"
        for answer in (once, later):
            del answer["result"]["seconds"]
        assert once["result"] == later["result"]
        first, second = (client.get(f"/api/predictions/{one['id']}/heatmap") for one in (once, later))
        assert first == second
        (study,) = client.get("/api/studies")["studies"]
        assert [row["state"] for row in study["predictions"]] == ["done", "done"]


def test_a_switched_off_model_gives_no_immediate_answer(settings: Settings) -> None:
    with serve_client(settings) as client:
        model = next(model["id"] for model in client.get("/api/models") if model["name"] == "tiny")
        client("POST", f"/api/models/{model}/switch", json={"on": False, "reason": "recalled"})
        assert upload(client, "wait=20", png(0.2)).status_code == 409
        assert client.get("/api/studies")["studies"] == []
        assert not list(settings.files.glob("*/*"))


def test_waiting_shows_nothing_that_is_withheld(settings: Settings) -> None:
    with serve_client(replace(settings, read_first=True)) as client, working(client):
        (one,) = upload(client, "wait=20", png(0.2)).json()["answers"]
        assert (one["state"], one["result"]) == ("done", None)
        assert "read" in one["withheld"]


@pytest.mark.parametrize("prefer", ["wait=", "wait=-5", "await=20", "wait=9999999999"])
def test_an_invalid_preference_is_ignored(settings: Settings, prefer: str) -> None:
    with serve_client(settings) as client:
        assert upload(client, prefer, png(0.2)).json()["answers"] is None


def test_no_upload_waits_forever_for_a_database_that_does_not_answer(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(_: object) -> int:
        raise OperationalError("select", {}, Exception("away"))

    monkeypatch.setattr(events, "newest_number", fail)
    with serve_client(settings) as client:
        (one, _) = upload(client, "wait=1", png(0.2), png(0.4)).json()["answers"]
        assert one["state"] == "queued"


def test_an_answer_arrives_though_the_database_was_away_meanwhile(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    read, failed = events.read_after, list[int]()

    def fail_twice(store: Store, number: int) -> Any:
        if len(failed) < 2:
            failed.append(number)
            raise OperationalError("select", {}, Exception("away"))
        return read(store, number)

    monkeypatch.setattr(events, "read_after", fail_twice)
    with serve_client(settings) as client, working(client):
        answers = upload(client, "wait=20", png(0.2), png(0.4)).json()["answers"]
    assert ([one["state"] for one in answers], len(failed)) == (["done", "done"], 2)
