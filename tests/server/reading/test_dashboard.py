"""The dashboard: its figures, and that no sum tells an answer to someone who has yet to read the study."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pneumoscope.server.security.accounts import Accounts
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import open_store
from server.client import Client, predict_all, serve_client
from server.sample_files import png

PASSWORD = "correct horse battery"


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """Client of a server on which reads come first; each request is an admin's."""
    with serve_client(replace(settings, read_first=True)) as client:
        yield client


def tiny(client: Client) -> str:
    return next(str(model["id"]) for model in client.get("/api/models") if model["name"] == "tiny")


def upload(client: Client, *values: float) -> list[str]:
    """Studies of grey squares: above .46 the model says COVID-19, over .97 it keeps silent."""
    files = [png(value, 40 + number) for number, value in enumerate(values)]
    answer = client.upload(*files, models=(tiny(client),)).json()
    predict_all(client)
    return [file["study"] for file in answer["files"]]


def read(client: Client, study: str, conclusion: str, stage: str = "unaided") -> int:
    body = {"stage": stage, "state": "final", "conclusion": conclusion}
    return client("POST", f"/api/studies/{study}/reads", json=body).status_code


def test_it_counts_what_was_read_and_verified(client: Client) -> None:
    ill, well, odd, _ = upload(client, 0.8, 0.2, 1.0, 0.3)
    for study, label in [(ill, "normal"), (well, "normal"), (odd, "covid-19")]:
        assert read(client, study, label) == 201
        client.get(f"/api/studies/{study}/predictions")
        assert read(client, study, "covid-19" if study == ill else label, "aided") == 201
    reference = {"standard": "rt-pcr", "label": "covid-19", "date": "2024-05-07"}
    client("POST", f"/api/studies/{ill}/references", json=reference)
    response = client.get("/api/dashboard")
    figures = response["figures"]
    assert (response["counted"], response["not_counted"]) == (3, 1)
    assert response["model"] == {"id": tiny(client), "name": "tiny", "version": "1", "answers": 4}
    assert (figures["counts"]["answered"], figures["counts"]["refused"]) == (2, 1)
    assert figures["model_and_unaided"]["table"] == [[0, 1], [0, 1]]
    changes = figures["changes"]
    assert (changes["pairs"], changes["towards"], changes["better"], changes["worse"]) == (3, 1, 1, 0)
    assert (figures["verification"]["verified"], figures["accuracy"]["aided"]["hits"]) == (1, 1)
    assert figures["verification"]["after_answer"] == 1  # entered by the reader who had seen the answer
    assert response["refused"]["value"] == pytest.approx(1 / 3)
    assert response["operations"]["predictions"] == {"done": 4}
    assert response["operations"]["studies"] == 4


def test_a_study_counts_only_once_its_answer_can_sway_no_more(client: Client) -> None:
    """Whatever the model says of a study that the asker has yet to read, the figures are the same."""
    first, second = upload(client, 0.8, 0.2)
    assert read(client, first, "covid-19") == 201
    before = client.get("/api/dashboard")
    visible = {key: before[key] for key in ("figures", "refused", "counted")}
    assert (visible["counted"], visible["figures"]["counts"]["studies"]) == (1, 1)
    assert second not in json.dumps(before)
    for more in (0.9, 1.0, 0.1):  # called positive, refused, called negative
        client.upload(png(more, 60 + round(10 * more)), models=(tiny(client),))
        predict_all(client)
        after = client.get("/api/dashboard")
        assert {key: after[key] for key in visible} == visible
    client("POST", f"/api/studies/{second}/references",
           json={"standard": "ct", "label": "covid-19", "date": "2024-05-07"})  # fmt: skip
    after = client.get("/api/dashboard")
    assert {key: after[key] for key in visible} == visible


def test_where_answers_are_free_what_was_shown_counts(settings: Settings) -> None:
    with serve_client(settings) as free:
        first, second = upload(free, 0.8, 0.2)
        assert free.get("/api/dashboard")["counted"] == 0
        free.get(f"/api/studies/{first}/predictions")
        assert free.get("/api/dashboard")["counted"] == 1
        assert read(free, second, "normal") == 201
        assert free.get("/api/dashboard")["counted"] == 2


def test_asking_for_all_counts_as_having_been_shown(settings: Settings) -> None:
    with serve_client(settings) as free:
        (study,) = upload(free, 0.8)
        everything = free.get("/api/dashboard", params={"scope": "all"})
        assert everything["counted"] == 1
        assert read(free, study, "normal") == 409  # no unaided read any more
        assert free.get("/api/dashboard", params={"scope": "all"})["counted"] == 1


def test_readers_see_sums_and_admins_pseudonyms(settings: Settings) -> None:
    department = replace(settings, host="10.1.2.3", proxy="10.1.2.1")
    store = open_store(department)
    accounts = Accounts(store)
    for name, role in (("ann", "reader"), ("bob", "reader"), ("chief", "admin")):
        accounts.add(name, PASSWORD, "admin" if role == "admin" else "reader", sees_names=False)
    store.close()
    with serve_client(department) as client:
        client._base = "https://pneumo.example"
        assert client("GET", "/api/dashboard").status_code == 401

        def as_someone(name: str) -> Client:
            client.cookies.clear()
            client.headers.pop("X-CSRF-Token", None)
            assert client.login(name, PASSWORD).status_code == 200
            return client

        (study,) = upload(as_someone("ann"), 0.8)
        assert read(client, study, "covid-19") == 201
        own = client.get("/api/dashboard")
        assert own["figures"]["by_reader"] == []
        assert client("GET", "/api/dashboard", params={"scope": "all"}).status_code == 403
        assert as_someone("bob").get("/api/dashboard")["counted"] == 0
        dashboard = as_someone("chief").get("/api/dashboard", params={"scope": "all"})
        (reader,) = dashboard["figures"]["by_reader"]
        assert reader["reader"].startswith("reader-")
        text = json.dumps(dashboard)
        accounts = {row.id: row.name for row in client.app.state.context.accounts.list_all()}
        assert not any(number in text or f'"{name}"' in text for number, name in accounts.items())


def test_the_period_is_whole_days_of_receipt(client: Client) -> None:
    upload(client, 0.8)
    today = datetime.now(UTC).date()

    def studies(**period: Any) -> int:
        number: int = client.get("/api/dashboard", params=period)["operations"]["studies"]
        return number

    day = timedelta(days=1)
    assert studies(**{"from": today - day, "to": today + day}) == 1
    assert studies(**{"from": today - 3 * day, "to": today - 2 * day}) == 0
    assert studies(**{"from": today + 2 * day}) == 0
    assert client("GET", "/api/dashboard", params={"from": "yesterday"}).status_code == 422
    assert client("GET", "/api/dashboard", params={"model": "0123456789ab"}).status_code == 404


def test_postgresql_counts_the_same(settings: Settings, postgres: str) -> None:
    with serve_client(replace(settings, read_first=True, database=postgres)) as client:
        test_it_counts_what_was_read_and_verified(client)
