"""Server-sent events: what changed, for pages that watch, from the same table on every server.

One task of a server reads the table for all its streams, and for requests that wait for answers: when something was
committed here, and now and then for what other servers committed. Numbers are given when a row is written and seen when
it is committed, so on PostgreSQL a lower one may appear after a higher one: there a window behind the last number is
read again, and what was sent is remembered.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import Row, delete, func, select
from starlette.concurrency import run_in_threadpool

from pneumoscope.server.errors import UnavailableError
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.security.sessions import Sessions
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Event

KEPT = 24 * 3600.0
"""Seconds that an event is kept for those who come back."""
_EVERY = 0.5
"""Seconds between two looks where nothing was committed here."""
_GAP = 0.025
"""Seconds between two looks at least: what happens in between is told at once."""
_WINDOW = 200
_AT_ONCE = 1000
_BEHIND = 200
"""Lots of events that a slow reader may be behind; it is then cut off, and may come back with the last number."""
_SIGN_OF_LIFE = 15.0
_RIGHTS_EVERY = 30.0

Lot = Sequence[tuple[int, str]]
"""Numbers and texts of events that were found together."""


class Waiter:
    """A request that waits for predictions."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._finished: set[str] = set()
        self._news = asyncio.Event()

    def saw(self, finished: Collection[str]) -> None:
        """Note predictions that are finished."""
        self._finished.update(finished)
        self._news.set()

    async def until(self, wanted: Collection[str], seconds: float) -> None:
        """Return when these predictions are finished, the time is over or the server is told to stop."""
        end = asyncio.get_running_loop().time() + seconds
        while not self._finished.issuperset(wanted) and not self._stopping():
            self._news.clear()
            left = end - asyncio.get_running_loop().time()
            if left <= 0:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(left, _EVERY))


class Streams:
    """The open streams of one server, which are counted, and the requests that wait for predictions."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._open = 0
        self._readers: set[asyncio.Queue[Lot]] = set()
        self._waiters: set[Waiter] = set()
        self._reading = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping: Callable[[], bool] = lambda: False

    def end_when(self, stopping: Callable[[], bool]) -> None:
        """End all streams once ``stopping`` says so: a server that is told to stop waits for its open answers."""
        self._stopping = stopping

    def open(self, store: Store, since: int | None, still_there: Callable[[], bool]) -> AsyncIterator[str]:
        """Return the text of a stream that begins after event ``since`` (None: now).

        Raises:
            UnavailableError: Too many are open.
        """
        if self._open >= self._most:
            raise UnavailableError(
                "the stream", f"is one too many: {self._most} are open.", "Ask now and then instead."
            )
        return self._run(store, since, still_there)

    async def _run(self, store: Store, since: int | None, still_there: Callable[[], bool]) -> AsyncIterator[str]:
        self._open += 1
        lots: asyncio.Queue[Lot] = asyncio.Queue(_BEHIND)
        self._readers.add(lots)
        self._start(store)
        try:
            async for piece in self._follow(store, since, still_there, lots):
                yield piece
        finally:
            self._open -= 1
            self._readers.discard(lots)

    @asynccontextmanager
    async def waiting(self, store: Store) -> AsyncIterator[Waiter]:
        """Yield what sees every prediction that is finished from now on."""
        waiter = Waiter(lambda: self._stopping())
        self._waiters.add(waiter)
        try:
            self._start(store)
            await self._reading.wait()
            yield waiter
        finally:
            self._waiters.discard(waiter)

    def _start(self, store: Store) -> None:
        if self._task is None or self._task.done():
            self._reading = asyncio.Event()
            self._task = asyncio.create_task(self._read(store))

    async def _follow(
        self, store: Store, since: int | None, still_there: Callable[[], bool], lots: asyncio.Queue[Lot]
    ) -> AsyncIterator[str]:
        """Yield what was missed, then what is read for all, and a comment now and then."""
        yield "retry: 3000\n\n"
        told: set[int] = set()
        while since is not None and (rows := await run_in_threadpool(after, store, since)):
            yield "".join(as_text(row) for row in rows)
            since = rows[-1].id
            told = {number for number in told if number > since - 2 * _WINDOW} | {row.id for row in rows}
        quiet = watched = 0.0
        while not self._stopping() and lots in self._readers:
            lot: Lot = ()
            with suppress(TimeoutError):
                lot = await asyncio.wait_for(lots.get(), _EVERY)
            if text := "".join(text for number, text in lot if number not in told):
                quiet = 0.0
                yield text
            elif not lot:
                quiet, watched = quiet + _EVERY, watched + _EVERY
            if quiet >= _SIGN_OF_LIFE:
                quiet = 0.0
                yield ": still here\n\n"
            if watched >= _RIGHTS_EVERY:
                watched = 0.0
                if not await run_in_threadpool(still_there):
                    return

    async def _read(self, store: Store) -> None:
        """Read new events for all who follow, until nobody does."""
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        window = _WINDOW if store.is_postgres else 0
        try:
            begin = last = await run_in_threadpool(newest, store)
        finally:
            self._reading.set()  # also where the database does not answer: who waits for us must not do so for good
        sent: set[int] = set()
        silence = store.listen(lambda _: loop.call_soon_threadsafe(news.set))
        try:
            while self._readers or self._waiters:
                news.clear()
                rows = await run_in_threadpool(after, store, max(begin, last - window))
                fresh = [row for row in rows if row.id not in sent]
                sent = {number for number in sent if number > last - 2 * window} | {row.id for row in fresh}
                last = max([last, *(row.id for row in fresh)])
                self._tell(fresh)
                await asyncio.sleep(_GAP)
                with suppress(TimeoutError):
                    if len(rows) < _AT_ONCE:
                        await asyncio.wait_for(news.wait(), _EVERY)
        finally:
            silence()

    def _tell(self, rows: Sequence[Row[int, str, str, str, str]]) -> None:
        if finished := {row.subject for row in rows if row.kind == "prediction" and row.state in ("done", "failed")}:
            for waiter in self._waiters:
                waiter.saw(finished)
        lot = [(row.id, as_text(row)) for row in rows] if self._readers else []
        for lots in tuple(self._readers) if lot else ():
            try:
                lots.put_nowait(lot)
            except asyncio.QueueFull:
                self._readers.discard(lots)


def rights(sessions: Sessions, cookie: str | None, who: Principal) -> Callable[[], bool]:
    """Return a check whether someone may go on watching: a stream must not outlive its session."""

    def still_there() -> bool:
        if who.via != "session":
            return True
        return cookie is not None and sessions.find(cookie, keep_alive=False) is not None

    return still_there


def newest(store: Store) -> int:
    """Return the number of the newest event; 0 where there is none."""
    with store.read() as session:
        return session.scalar(select(func.max(Event.id))) or 0


def after(store: Store, number: int) -> Sequence[Row[int, str, str, str, str]]:
    """Return the events after one, in order."""
    columns = Event.id, Event.kind, Event.study, Event.subject, Event.state
    with store.read() as session:
        return session.execute(select(*columns).where(Event.id > number).order_by(Event.id).limit(_AT_ONCE)).all()


def as_text(row: Row[int, str, str, str, str]) -> str:
    """Return an event as it is sent."""
    data: dict[str, Any] = {"study": row.study, "id": row.subject, "state": row.state}
    return f"id: {row.id}\nevent: {row.kind}\ndata: {json.dumps(data)}\n\n"


def forget_old(store: Store) -> None:
    """Remove events that nobody will come back for."""
    with store.write() as session:
        session.execute(delete(Event).where(Event.at < now() - KEPT))
