"""Server-sent events: what changed, for pages that watch, from the same table on every server.

Numbers are given when a row is written and seen when it is committed, so on PostgreSQL a lower one may appear after a
higher one: a window behind the last number is read again, and what was sent is remembered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from sqlalchemy import delete, func, select
from starlette.concurrency import run_in_threadpool

from pneumoscope.serve.auth import Accounts, Principal
from pneumoscope.serve.problems import ProblemError
from pneumoscope.serve.store import Store, now
from pneumoscope.serve.tables import Event

KEPT = 24 * 3600.0
"""Seconds that an event is kept for those who come back."""
_EVERY = 0.5
_WINDOW = 200
_AT_ONCE = 1000
_SIGN_OF_LIFE = 15.0
_RIGHTS_EVERY = 30.0


class Streams:
    """The open streams of one server, which are counted."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0
        self._stopping: Callable[[], bool] = lambda: False

    def end_when(self, stopping: Callable[[], bool]) -> None:
        """End all streams once ``stopping`` says so: a server that is told to stop waits for its open answers."""
        self._stopping = stopping

    def open(self, store: Store, since: int | None, still_there: Callable[[], bool]) -> AsyncIterator[str]:
        """Return the text of a stream that begins after event ``since`` (None: now).

        Raises:
            ProblemError: Too many are open (503).
        """
        if self._open >= self._most:
            raise ProblemError(
                503, "the stream", f"is one too many: {self._most} are open.", "Ask now and then instead."
            )
        return self._run(store, since, still_there)

    async def _run(self, store: Store, since: int | None, still_there: Callable[[], bool]) -> AsyncIterator[str]:
        self._open += 1
        try:
            async for piece in stream(store, since, still_there, self._stopping):
                yield piece
        finally:
            self._open -= 1


async def stream(
    store: Store, since: int | None, still_there: Callable[[], bool], stopping: Callable[[], bool]
) -> AsyncIterator[str]:
    """Yield events as text, and a comment now and then, until ``still_there`` says no or ``stopping`` yes."""
    last = await run_in_threadpool(newest, store) if since is None else since
    begin, sent = last, set[int]()
    quiet = watched = 0.0
    yield "retry: 3000\n\n"
    while not stopping():
        rows = await run_in_threadpool(after, store, max(begin, last - _WINDOW))
        fresh = [row for row in rows if row.id not in sent]
        for row in fresh:
            yield as_text(row)
        sent |= {row.id for row in fresh}
        last = max([last, *(row.id for row in fresh)])
        sent = {number for number in sent if number > last - 2 * _WINDOW}
        quiet = 0.0 if fresh else quiet + _EVERY
        if quiet >= _SIGN_OF_LIFE:
            quiet = 0.0
            yield ": still here\n\n"
        watched += _EVERY
        if watched >= _RIGHTS_EVERY:
            watched = 0.0
            if not await run_in_threadpool(still_there):
                return
        if len(rows) < _AT_ONCE:
            await asyncio.sleep(_EVERY)


def rights(accounts: Accounts, cookie: str | None, who: Principal) -> Callable[[], bool]:
    """Return a check whether someone may go on watching: a stream must not outlive its session."""

    def still_there() -> bool:
        if who.via != "session":
            return True
        return cookie is not None and accounts.by_session(cookie, counts=False) is not None

    return still_there


def newest(store: Store) -> int:
    """Return the number of the newest event; 0 where there is none."""
    with store.reading() as session:
        return session.scalar(select(func.max(Event.id))) or 0


def after(store: Store, number: int) -> Sequence[Event]:
    """Return the events after one, in order."""
    with store.reading() as session:
        return session.scalars(select(Event).where(Event.id > number).order_by(Event.id).limit(_AT_ONCE)).all()


def as_text(row: Event) -> str:
    """Return an event as it is sent."""
    data: dict[str, Any] = {"study": row.study, "id": row.subject, "state": row.state}
    return f"id: {row.id}\nevent: {row.kind}\ndata: {json.dumps(data)}\n\n"


def forget_old(store: Store) -> None:
    """Remove events that nobody will come back for."""
    with store.writing() as session:
        session.execute(delete(Event).where(Event.at < now() - KEPT))
