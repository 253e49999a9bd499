"""The queue of earlier studies is exact under several servers, on either database."""

from __future__ import annotations

import threading

from sqlalchemy import select, update

from pneumoscope.server.dicom.calling import prior_queue
from pneumoscope.server.dicom.calling.prior_queue import PriorClaim, PriorTarget
from pneumoscope.server.dicom.routing.routes import RetryRule
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import PriorFetch, Study
from pneumoscope.server.studies.priors import find_unneeded, promote

TARGET = PriorTarget("1.2.3", ("1.2.3.4",))
RETRY = RetryRule(first_seconds=60, longest_seconds=60, dead_after_hours=1)


def add_studies(store: Store, *numbers: str, prior: bool = False) -> None:
    with store.write() as session:
        session.add_all(Study(id=number, received=now(), received_by="x", prior=prior) for number in numbers)


def claim(store: Store, worker: str = "w") -> PriorClaim | None:
    return store.commit(lambda session: prior_queue.claim(session, worker), exclusive=True)


def change(store: Store, **values: object) -> None:
    with store.write() as session:
        session.execute(update(PriorFetch).values(values))


def test_each_row_is_claimed_once_and_a_study_is_searched_once(shared_store: Store) -> None:
    studies = [f"s{number}" for number in range(12)]
    add_studies(shared_store, *studies)
    for _ in range(2):
        for study in studies:
            shared_store.commit(lambda session, study=study: prior_queue.ask_for(session, study), exclusive=True)
    claims: list[PriorClaim] = []

    def work(number: int) -> None:
        while (claimed := claim(shared_store, f"w{number}")) is not None:
            claims.append(claimed)
            assert shared_store.commit(lambda session, one=claimed: prior_queue.finish(session, one, found=1))

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(one.study for one in claims) == sorted(studies)
    with shared_store.read() as session:
        assert prior_queue.count_fetches(session) == {"done": len(studies)}


def test_what_a_server_left_is_taken_over_and_its_word_counts_no_more(shared_store: Store) -> None:
    add_studies(shared_store, "s")
    secret = shared_store.secret
    assert shared_store.commit(lambda session: prior_queue.add_fetch(session, "s", "k", TARGET, secret), exclusive=True)
    first = claim(shared_store)
    assert first is not None
    assert claim(shared_store) is None
    with shared_store.read() as session:
        assert prior_queue.find_running(session, first.message) is not None
        assert prior_queue.is_running_for(session, "k")
    change(shared_store, lease=now() - 1)  # the server is dead
    with shared_store.read() as session:
        assert prior_queue.find_running(session, first.message) is None
    second = claim(shared_store)
    assert second is not None and second.sealed is not None
    assert prior_queue.read_target(secret, second.id, second.sealed) == TARGET
    change(shared_store, message=(first.message % 65535) + 1)
    assert not shared_store.commit(lambda session: prior_queue.finish(session, first))


def test_what_fails_waits_and_is_given_up_in_the_end(shared_store: Store) -> None:
    add_studies(shared_store, "s")
    shared_store.commit(lambda session: prior_queue.ask_for(session, "s"), exclusive=True)
    first = claim(shared_store)
    assert first is not None
    assert not shared_store.commit(lambda session: prior_queue.fail(session, first, "is away.", RETRY, pause=60))
    assert claim(shared_store) is None
    change(shared_store, next_attempt=now(), queued=now() - 3601)
    second = claim(shared_store)
    assert second is not None and second.attempts == 1
    assert shared_store.commit(lambda session: prior_queue.fail(session, second, "is away.", RETRY, pause=60))
    with shared_store.read() as session:
        (row,) = prior_queue.list_fetches(session, state="failed")
    assert (row.attempts, row.last_error) == (2, "is away.")


def test_a_fetched_study_is_needed_until_its_last_study_is_gone(shared_store: Store) -> None:
    add_studies(shared_store, "a", "b")
    add_studies(shared_store, "p", "q", prior=True)
    for study in ("a", "b"):
        shared_store.commit(lambda session, study=study: prior_queue.link(session, study, "k", "p"), exclusive=True)
    with shared_store.write() as session:
        assert find_unneeded(session) == ["q"]
        assert find_unneeded(session, ["a"]) == []
        assert find_unneeded(session, ["a", "b"]) == ["p"]
        assert promote(session, ["a", "p"], "x") == ["p"]
        assert find_unneeded(session, ["a", "b"]) == []
        assert session.scalar(select(Study.received_by).where(Study.id == "p")) == "x"
