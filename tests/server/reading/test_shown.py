"""The record of what was shown: one row stands for all answers of a sum, and for no other."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import func, select

from pneumoscope.server.reading import dashboard
from pneumoscope.server.reading.period import Period
from pneumoscope.server.reading.shown import find_first_shown, find_readers, find_shown, record_sum
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store, open_store
from pneumoscope.server.storage.tables import Display, Image, StoredPrediction, Study, SumDisplay
from server.client import Client, predict_all, serve_client
from server.reading.test_dashboard import read, tiny, upload
from server.sample_files import png

EVERYTHING = {"scope": "all"}


@pytest.fixture(params=["sqlite", "postgresql"])
def either(settings: Settings, request: pytest.FixtureRequest) -> Settings:
    """Of a server that withholds no answers, on each database."""
    if request.param == "sqlite":
        return settings
    return replace(settings, database=request.getfixturevalue("postgres"))


@pytest.fixture
def rows(either: Settings) -> Iterator[Store]:
    """Studies received at 1, 2 and 3, which the models ``a`` and ``b`` have answered at 11, 12 and 13."""
    store = open_store(either)
    for number in (1, 2, 3):
        add_study(store, number)
        for model in "ab":
            add_answer(store, f"{model}{number}", number, model, finished=10 + number)
    yield store
    store.close()


def add_study(store: Store, number: int) -> None:
    with store.write() as session:
        session.add(Study(id=f"s{number}", key=None, patient=None, received=float(number), received_by="x"))
        session.flush()
        session.add(
            Image(id=f"i{number}", study=f"s{number}", source=f"x{number}", sha256="0", format="png", bits=8, width=1,
                  height=1, facts={}, received=float(number))
        )  # fmt: skip


def add_answer(store: Store, name: str, study: int, model: str, finished: float | None, state: str = "done") -> None:
    with store.write() as session:
        session.add(
            StoredPrediction(id=name, image=f"i{study}", study=f"s{study}", model=model, state=state, asked=1.0,
                             asked_by="x", attempts=0, finished=finished, result=None)
        )  # fmt: skip


def shown(store: Store, reader: str = "ann") -> set[str]:
    with store.read() as session:
        return find_shown(session, ["s1", "s2", "s3", "s4"], reader)


def number_of(store: Store, table: type[Display | SumDisplay]) -> int:
    with store.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


@pytest.mark.parametrize(
    ("period", "named"),
    [
        (Period(), {"a1", "a2", "a3"}),
        (Period(start=2.0), {"a2", "a3"}),
        (Period(end=2.0), {"a1"}),
        (Period(start=2.0, end=3.0), {"a2"}),
        (Period(start=4.0), set()),
    ],
)
def test_a_sum_names_the_answers_of_its_model_and_period(rows: Store, period: Period, named: set[str]) -> None:
    record_sum(rows, period, "a", "ann")
    assert shown(rows) == named
    assert shown(rows, "bob") == set()
    with rows.read() as session:
        assert find_readers(session, ["a1", "a2", "b2"]) == {name: {"ann"} for name in named & {"a1", "a2"}}
        assert {study for study, _ in find_first_shown(session, ["s1", "s2", "s3"])} == {
            f"s{name[1]}" for name in named
        }


def test_what_is_answered_after_a_sum_was_not_shown(rows: Store) -> None:
    add_study(rows, 4)
    add_answer(rows, "waits", 4, "a", finished=None, state="queued")
    record_sum(rows, Period(), "a", "ann")
    add_answer(rows, "later", 4, "a", finished=14.0)
    add_answer(rows, "again", 1, "a", finished=15.0)
    add_answer(rows, "failed", 4, "a", finished=12.5, state="failed")
    assert shown(rows) == {"a1", "a2", "a3"}


def test_many_answers_are_one_row_and_none_where_nothing_is_new(rows: Store) -> None:
    for _ in range(3):
        record_sum(rows, Period(), "a", "ann")
    assert (number_of(rows, SumDisplay), number_of(rows, Display)) == (1, 0)
    with rows.read() as session:
        first = find_first_shown(session, ["s1"])["s1", "ann"]
    add_answer(rows, "again", 1, "a", finished=15.0)
    record_sum(rows, Period(), "a", "ann")
    assert number_of(rows, SumDisplay) == 2
    assert "again" in shown(rows)
    with rows.read() as session:
        assert find_first_shown(session, ["s1"])["s1", "ann"] == first  # the sum that first told of it


def test_each_answer_of_all_studies_counts_as_shown_and_no_later_one(either: Settings) -> None:
    with serve_client(either) as client:
        first, second = upload(client, 0.8, 0.2)
        reference = {"standard": "ct", "label": "covid-19", "date": "2024-05-07"}
        client("POST", f"/api/studies/{second}/references", json=reference)
        assert client.get("/api/dashboard", params=EVERYTHING)["counted"] == 2
        client("POST", f"/api/studies/{first}/references", json=reference)
        (later,) = upload_one(client, 0.3)
        progress = {row["id"]: row["own_read"] for row in client.get("/api/studies")["studies"]}
        assert progress == {first: "shown", second: "shown", later: "none"}
        assert (read(client, first, "normal"), read(client, later, "normal")) == (409, 201)
        for study in (first, second):
            assert read(client, study, "covid-19", "aided") == 201
        (version,) = client.get(f"/api/studies/{first}/reads")
        assert version["displayed"] == [client.get(f"/api/studies/{first}/predictions")[0]["id"]]
        own = client.get("/api/dashboard")
        assert own["counted"] == 3
        assert own["figures"]["verification"]["after_answer"] == 1  # of the two references the one after the sum
        assert own["figures"]["counts"]["aided"] == 2
        recalled = client.get(f"/api/models/{tiny(client)}/answered")
        assert {row["study"]: row["shown_to"] for row in recalled} == {first: ["local"], second: ["local"], later: []}


def test_a_period_tells_of_no_other_study(either: Settings) -> None:
    with serve_client(either) as client:
        (study,) = upload_one(client, 0.8)
        today = datetime.now(UTC).date()
        for end in (today - timedelta(days=1), today + timedelta(days=1)):
            assert client.get(f"/api/studies/{study}")["own_read"] == "none"
            client.get("/api/dashboard", params={**EVERYTHING, "to": end})
        assert client.get(f"/api/studies/{study}")["own_read"] == "shown"


def test_what_is_answered_while_the_sum_is_made_counts_as_shown(
    either: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A later query of the same dashboard may have read it."""
    with serve_client(either) as client:
        upload(client, 0.8, 0.2)
        late: list[str] = []
        measure = dashboard.measure_operations

        def measure_after_an_upload(*arguments: Any) -> dashboard.Operations:
            late.extend(upload_in_thread(client, 0.3))
            return measure(*arguments)

        monkeypatch.setattr(dashboard, "measure_operations", measure_after_an_upload)
        client.get("/api/dashboard", params=EVERYTHING)
        assert client.get(f"/api/studies/{late[0]}")["own_read"] == "shown"
        assert read(client, late[0], "normal") == 409


def test_the_monitor_counts_as_shown(either: Settings) -> None:
    with serve_client(either) as client:
        (study,) = upload_one(client, 0.8)
        with client.app.state.context.store.write() as session:
            session.get_one(Study, study).received -= 7 * 24 * 3600
        client.get(f"/api/monitor/{tiny(client)}")
        assert client.get(f"/api/studies/{study}")["own_read"] == "shown"


def test_a_refused_dashboard_is_not_recorded(settings: Settings) -> None:
    with serve_client(settings) as client:
        upload_one(client, 0.8)
        assert client("GET", "/api/dashboard", params={**EVERYTHING, "model": "0123456789ab"}).status_code == 404
        assert number_of(client.app.state.context.store, SumDisplay) == 0


def upload_one(client: Client, value: float) -> list[str]:
    answer = client.upload(png(value, 64), models=(tiny(client),)).json()
    predict_all(client)
    return [file["study"] for file in answer["files"]]


def upload_in_thread(client: Client, value: float) -> list[str]:
    """Upload from a thread of its own: the caller's runs the event loop of a request."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(upload_one, client, value).result()
