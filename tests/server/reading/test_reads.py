"""The reader first: an unaided read is locked before the model speaks, and no version is ever changed."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import update

from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.server.reading import results
from pneumoscope.server.reading.reads import list_versions
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store, open_store
from pneumoscope.server.storage.tables import Read, StoredPrediction, Study
from server.client import Client, predict_all, serve_client
from server.sample_files import png


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    """Of a server on which reads come first."""
    with serve_client(replace(settings, read_first=True)) as client:
        yield client


@pytest.fixture
def study(client: Client) -> str:
    """A study that a model has answered."""
    model = next(model["id"] for model in client.get("/api/models") if model["name"] == "tiny")
    number: str = client.upload(png(0.8), models=(model,)).json()["files"][0]["study"]
    predict_all(client)
    return number


def read(client: Client, study: str, stage: str, state: str, **more: Any) -> int:
    body = {"stage": stage, "state": state, "likelihoods": {"covid-19": 0.3}, "text": "Clear.", **more}
    return client("POST", f"/api/studies/{study}/reads", json=body).status_code


def test_the_models_answer_waits_for_the_reader(client: Client, study: str) -> None:
    (before,) = client.get(f"/api/studies/{study}/predictions")
    assert (before["state"], before["result"]) == ("done", None)
    assert "unaided read" in before["withheld"]
    assert client("GET", f"/api/predictions/{before['id']}/heatmap").status_code == 403
    assert read(client, study, "unaided", "draft") == 201
    assert client.get(f"/api/studies/{study}/predictions")[0]["result"] is None
    assert read(client, study, "unaided", "final") == 201
    (after,) = client.get(f"/api/studies/{study}/predictions")
    assert after["result"]["decision"] == "covid-19"


def test_the_worklist_says_how_far_ones_own_report_is(client: Client, study: str) -> None:
    steps = [("unaided", "draft", "draft"), ("unaided", "final", "unaided"), ("aided", "draft", "unaided")]
    assert client.get(f"/api/studies/{study}")["own_read"] == "none"
    for stage, state, progress in [*steps, ("aided", "final", "final"), ("aided", "addendum", "final")]:
        assert read(client, study, stage, state) == 201
        assert client.get(f"/api/studies/{study}")["own_read"] == progress
    assert [one["own_read"] for one in client.get("/api/studies")["studies"]] == ["final"]


@pytest.mark.parametrize(("code", "before_read"), [("lateral", "lateral"), ("unlike-training", None)])
def test_the_worklist_says_why_a_model_gave_no_answer(
    client: Client, settings: Settings, study: str, code: str, before_read: str | None
) -> None:
    """Before the own read only a reason that lies in the picture is shown: the other one is a score of the model."""
    refused = {"labels": ["covid-19"], "probabilities": {}, "decision": None, "refused": True, "codes": [code]}
    with closing(open_store(settings)) as store, store.write() as session:
        session.execute(update(StoredPrediction).values(result=refused))
    row = client.get("/api/studies")["studies"][0]["predictions"][0]
    assert (row["refusal"], row["decision"]) == (before_read, None)
    assert client.get(f"/api/studies/{study}")["predictions"][0]["refusal"] == before_read
    assert read(client, study, "unaided", "final") == 201
    assert client.get("/api/studies")["studies"][0]["predictions"][0]["refusal"] == code
    assert client.get(f"/api/studies/{study}/predictions")[0]["refusal"] == code


def test_the_table_of_results_holds_only_answers_that_were_shown(client: Client, study: str) -> None:
    """The table is no way around one's own read; a study without answers has a row too."""

    def rows() -> list[dict[str, str]]:
        lines = client("GET", "/api/results.csv").text.splitlines()
        assert lines[0] == f"# {DISCLAIMER}"
        return list(csv.DictReader(lines[1:]))

    client.upload(png(0.4))
    assert [(row["study"] == study, row["shown"], row["decision"]) for row in rows()] == [
        (False, "", ""), (True, "no", ""),
    ]  # fmt: skip
    assert read(client, study, "unaided", "final", conclusion="normal") == 201
    (answer,) = client.get(f"/api/studies/{study}/predictions")
    row = rows()[1]
    assert (row["shown"], row["decision"], row["own_unaided"], row["own_final"]) == ("yes", "covid-19", "normal", "")
    assert float(row["score"]) == answer["result"]["probabilities"]["covid-19"]
    assert (row["model"], row["identity"]) == ("tiny", answer["model"])
    assert len(client("GET", "/api/results.csv", params={"state": "failed"}).text.splitlines()) == 2


def test_the_table_of_results_holds_every_study_once(
    client: Client, study: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is written page by page, as long as there are studies."""
    studies = {study, *(client.upload(png(0.1 * number)).json()["files"][0]["study"] for number in range(1, 5))}
    for size in (1, 2, 5, 200):
        monkeypatch.setattr(results, "PAGE", size)
        lines = client("GET", "/api/results.csv").text.splitlines()
        assert sorted(row["study"] for row in csv.DictReader(lines[1:])) == sorted(studies)


def test_the_worklist_has_an_answers_word_once_it_was_shown_and_the_report_is_final(client: Client, study: str) -> None:
    def decision() -> Any:
        return client.get("/api/studies")["studies"][0]["predictions"][0]["decision"]

    def unread() -> int:
        return client.get("/api/studies", params={"unread": True})["total"]

    assert read(client, study, "unaided", "final") == 201
    client.get(f"/api/studies/{study}/predictions")
    assert (decision(), unread()) == (None, 1)
    assert read(client, study, "aided", "final") == 201
    assert (decision(), unread()) == ("covid-19", 0)
    assert client.get(f"/api/studies/{study}")["predictions"][0]["decision"] == "covid-19"


def test_the_worklist_says_where_an_answer_was_shown_before_any_report(settings: Settings) -> None:
    with serve_client(settings) as client:  # for this machine alone: answers do not wait
        model = next(model["id"] for model in client.get("/api/models") if not model["builtin"])
        study: str = client.upload(png(0.8), models=(model,)).json()["files"][0]["study"]
        predict_all(client)
        assert client.get(f"/api/studies/{study}")["own_read"] == "none"
        client.get(f"/api/studies/{study}/predictions")
        assert client.get(f"/api/studies/{study}")["own_read"] == "shown"
        assert read(client, study, "aided", "draft") == 201
        assert client.get(f"/api/studies/{study}")["own_read"] == "draft"


def test_versions_stand_beside_each_other_and_say_what_was_shown(client: Client, study: str) -> None:
    for stage, state, text in [
        ("unaided", "draft", "a"), ("unaided", "final", "b"),
    ]:  # fmt: skip
        assert read(client, study, stage, state, text=text) == 201
    (shown,) = client.get(f"/api/studies/{study}/predictions")
    for state, text in [("draft", "c"), ("final", "d"), ("addendum", "e")]:
        assert read(client, study, "aided", state, text=text) == 201
    rows = client.get(f"/api/studies/{study}/reads")
    assert [(row["version"], row["text"]) for row in rows] == list(zip([1, 2, 3, 4, 5], "abcde", strict=True))
    assert [row["displayed"] for row in rows] == [[], [], *[[shown["id"]]] * 3]


def test_a_draft_is_its_readers_alone(store: Store) -> None:
    """Others see final reports and addenda after their own unaided read, and a draft never."""
    with store.write() as session:
        session.add(Study(id="s", key=None, patient=None, received=0.0, received_by="a"))
        session.flush()
        for reader, version, stage, state in [
            ("a", 1, "unaided", "draft"), ("a", 2, "unaided", "final"), ("a", 3, "aided", "draft"),
            ("b", 1, "unaided", "draft"), ("b", 2, "unaided", "final"),
        ]:  # fmt: skip
            session.add(
                Read(
                    id=f"{reader}{version}", study="s", reader=reader, version=version, stage=stage, state=state,
                    content={}, displayed=[], at=float(version),
                )
            )  # fmt: skip
    assert {row.id for row in list_versions(store, "s", "b")} == {"a2", "b1", "b2"}
    assert {row.id for row in list_versions(store, "s", "a")} == {"a1", "a2", "a3", "b2"}
    assert {row.id for row in list_versions(store, "s", "c")} == {"a2", "b2"}  # a server that withholds nothing


@pytest.mark.parametrize(
    ("earlier", "stage", "state"),
    [
        ([], "aided", "final"),
        ([], "unaided", "addendum"),
        ([("unaided", "final")], "unaided", "draft"),
        ([("unaided", "final")], "unaided", "final"),
        ([("unaided", "final")], "aided", "addendum"),
        ([("unaided", "final"), ("aided", "final")], "aided", "draft"),
        ([("unaided", "final"), ("aided", "final")], "aided", "final"),
    ],
)
def test_what_breaks_the_order_is_refused(
    client: Client, study: str, earlier: list[tuple[str, str]], stage: str, state: str
) -> None:
    for before in earlier:
        assert read(client, study, *before) == 201
    assert read(client, study, stage, state) == 409


def test_who_has_seen_the_answer_can_read_unaided_no_more(settings: Settings) -> None:
    with serve_client(settings) as free:
        model = next(model["id"] for model in free.get("/api/models") if model["name"] == "tiny")
        number = free.upload(png(0.8), models=(model,)).json()["files"][0]["study"]
        free.get(f"/api/studies/{number}/predictions")  # nothing to show yet
        predict_all(free)
        assert read(free, number, "unaided", "draft") == 201
        assert free.get(f"/api/studies/{number}/predictions")[0]["result"] is not None
        assert read(free, number, "unaided", "final") == 409
        assert read(free, number, "aided", "final") == 201


def test_a_label_outside_the_vocabulary_is_refused(client: Client, study: str) -> None:
    assert read(client, study, "unaided", "final", conclusion="covid") == 422
    assert read(client, study, "unaided", "final", likelihoods={"covid-19": 1.2}) == 422


def test_the_reference_is_entered_apart_and_shown_after_the_read(client: Client, study: str) -> None:
    entered = {"standard": "rt-pcr", "label": "covid-19", "date": "2024-05-07"}
    assert client("POST", f"/api/studies/{study}/references", json=entered).status_code == 201
    assert client("GET", f"/api/studies/{study}/references").status_code == 403
    read(client, study, "unaided", "final")
    (shown,) = client.get(f"/api/studies/{study}/references")
    assert (shown["standard"], shown["label"], shown["date"]) == ("rt-pcr", "covid-19", "2024-05-07")
