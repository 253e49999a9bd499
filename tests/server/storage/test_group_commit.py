"""Changes that share a commit: each has the outcome that it would have by itself, and returns after the commit."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future

import pytest
from sqlalchemy import select, text

from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Event, StoreSetting
from pneumoscope.server.storage.transaction import Transaction


def setting(name: str) -> StoreSetting:
    return StoreSetting(name=name, value="x")


def names(store: Store) -> set[str]:
    with store.read() as session:
        return set(session.scalars(select(StoreSetting.name).where(StoreSetting.value == "x")))


def gathered(store: Store, count: int) -> list[Future[None]]:
    """Changes that wait together, since the first holds the writer up until all are there; number 3 fails."""
    go = threading.Event()
    first = store._committer.submit(lambda session: go.wait() and None)

    def change(session: Transaction, number: int) -> None:
        session.add(setting(str(number)))
        session.flush()
        if number == 3:
            raise ZeroDivisionError

    changes = [store._committer.submit(lambda session, n=n: change(session, n)) for n in range(count)]
    go.set()
    first.result(10)
    return changes


def test_a_failing_change_does_not_undo_the_others(store: Store) -> None:
    changes = gathered(store, 6)
    failed = [number for number, each in enumerate(changes) if isinstance(each.exception(10), ZeroDivisionError)]
    assert failed == [3]
    assert names(store) == {"0", "1", "2", "4", "5"}


def test_a_returned_commit_is_visible(store: Store) -> None:
    for number in range(5):
        store.commit(lambda session, n=number: session.add(setting(f"told {n}")))
        assert f"told {number}" in names(store)


def test_appended_rows_are_committed_with_the_change_or_not_at_all(store: Store) -> None:
    heard: list[frozenset[str]] = []
    store.listen(heard.append)

    def change(session: Transaction, fails: bool) -> None:
        session.append(Event, {"kind": "study", "study": "s", "subject": "s", "state": "received", "at": 1.0})
        if fails:
            raise ZeroDivisionError

    store.commit(lambda session: change(session, False))
    with pytest.raises(ZeroDivisionError):
        store.commit(lambda session: change(session, True))
    with store.read() as session:
        assert session.scalars(select(Event.state)).all() == ["received"]
    assert heard == [frozenset({"received"})]


def test_a_cancelled_change_is_settled_before_the_caller_goes_on(store: Store) -> None:
    begun, go = threading.Event(), threading.Event()

    def slow(session: Transaction) -> None:
        begun.set()
        go.wait(10)
        session.add(setting("slow"))

    async def cancel() -> None:
        task = asyncio.create_task(store.commit_async(slow))
        await asyncio.to_thread(begun.wait)
        threading.Timer(0.2, go.set).start()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "slow" in names(store)

    asyncio.run(cancel())


def test_only_durable_changes_wait_for_the_disk(store: Store) -> None:
    def level(session: Transaction) -> int:
        return int(session.execute(text("PRAGMA synchronous")).scalar_one())

    assert store.commit(level, durable=False) == 1  # NORMAL
    assert store.commit(level) == 2  # FULL
    with store.write() as session:
        assert level(session) == 2
