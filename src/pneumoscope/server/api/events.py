"""Server-sent events: pages that watch learn what changed, from the same table on every server.

One task of a server reads the table for all its streams, and for requests that wait for answers: when this server
committed something, and every half second for what other servers committed. A row gets its number when it is written
and can be seen when it is committed, so on PostgreSQL a lower number may appear after a higher one. There the task
reads a window behind the last number again, and remembers what it sent.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import Row, delete, func, select
from sqlalchemy.exc import SQLAlchemyError
from starlette.concurrency import run_in_threadpool

from pneumoscope.server.errors import UnavailableError
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Event

_LOG = logging.getLogger(__name__)

EVENT_LIFETIME = 24 * 3600.0
"""Seconds that an event stays for clients that reconnect."""
_EVERY = 0.5
"""Seconds between two reads where this server committed nothing."""
_GAP = 0.025
"""Seconds between two reads at least: what happens in between is sent together."""
_WINDOW = 200
"""Numbers behind the last one that are read again on PostgreSQL."""
_AT_ONCE = 1000
"""Events that one read returns at most."""
_BEHIND = 200
"""Batches of events that a slow client may be behind; it is then cut off, and may reconnect with the last number."""
_KEEP_ALIVE_EVERY = 15.0
"""Seconds without an event after which a comment is sent."""
_CHECK_ACCESS_EVERY = 2.0
"""Seconds after which the client's session or token is checked again; one that was ended gets no more than this."""

Batch = Sequence[tuple[int, str]]
"""Numbers and texts of events that were read together."""


class Waiter:
    """A request that waits for predictions."""

    def __init__(self, stopping: Callable[[], bool]) -> None:
        self._stopping = stopping
        self._finished: set[str] = set()
        self._news = asyncio.Event()

    def add_finished(self, finished: Collection[str]) -> None:
        """Note predictions that are finished."""
        self._finished.update(finished)
        self._news.set()

    async def wait_for(self, wanted: Collection[str], seconds: float) -> None:
        """Return when these predictions are finished, the time is over or the server stops."""
        end = asyncio.get_running_loop().time() + seconds
        while not self._finished.issuperset(wanted) and not self._stopping():
            self._news.clear()
            remaining = end - asyncio.get_running_loop().time()
            if remaining <= 0:
                return
            with suppress(TimeoutError):
                await asyncio.wait_for(self._news.wait(), min(remaining, _EVERY))


class Streams:
    """The open streams of one server, which are limited, and the requests that wait for predictions."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._open = 0
        self._readers: set[asyncio.Queue[Batch]] = set()
        self._waiters: set[Waiter] = set()
        self._reading = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping: Callable[[], bool] = lambda: False

    def end_when(self, stopping: Callable[[], bool]) -> None:
        """End all streams once ``stopping`` returns True: a server that stops waits for its open answers."""
        self._stopping = stopping

    def open(self, store: Store, since: int | None, may_go_on: Callable[[], bool]) -> AsyncIterator[str]:
        """Return the text of a stream that begins after event ``since`` (None: now).

        Raises:
            UnavailableError: Too many are open.
        """
        if self._open >= self._limit:
            raise UnavailableError(
                "the stream", f"is one too many: {self._limit} are open.", "Ask now and then instead."
            )
        return self._run(store, since, may_go_on)

    async def _run(self, store: Store, since: int | None, may_go_on: Callable[[], bool]) -> AsyncIterator[str]:
        self._open += 1
        batches: asyncio.Queue[Batch] = asyncio.Queue(_BEHIND)
        self._readers.add(batches)
        self._start(store)
        try:
            async for piece in self._follow(store, since, may_go_on, batches):
                yield piece
        finally:
            self._open -= 1
            self._readers.discard(batches)

    @asynccontextmanager
    async def waiting(self, store: Store) -> AsyncIterator[Waiter]:
        """Yield a waiter that learns of every prediction that is finished from now on."""
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
        self, store: Store, since: int | None, may_go_on: Callable[[], bool], batches: asyncio.Queue[Batch]
    ) -> AsyncIterator[str]:
        """Yield the events since the last number, then the new ones, and a comment after a while without events."""
        yield "retry: 3000\n\n"
        sent: set[int] = set()
        while since is not None and (rows := await run_in_threadpool(read_after, store, since)):
            yield "".join(format_event(row) for row in rows)
            since = rows[-1].id
            sent = {number for number in sent if number > since - 2 * _WINDOW} | {row.id for row in rows}
        clock = asyncio.get_running_loop().time
        quiet, checked = 0.0, clock()
        while not self._stopping() and batches in self._readers:
            batch: Batch = ()
            with suppress(TimeoutError):
                batch = await asyncio.wait_for(batches.get(), _EVERY)
            if clock() - checked >= _CHECK_ACCESS_EVERY:  # also where events come without a pause
                checked = clock()
                try:
                    if not await run_in_threadpool(may_go_on):
                        return
                except SQLAlchemyError:  # nobody knows: the client comes again with the last number
                    return
            if text := "".join(text for number, text in batch if number not in sent):
                quiet = 0.0
                yield text
            elif not batch:
                quiet += _EVERY
            if quiet >= _KEEP_ALIVE_EVERY:
                quiet = 0.0
                yield ": still here\n\n"

    async def _read(self, store: Store) -> None:
        """Read new events for all streams and waiters, until there are none.

        A database that is away for a while takes no event from a stream: the next read begins where the last one ended.
        """
        loop, news = asyncio.get_running_loop(), asyncio.Event()
        window = _WINDOW if store.is_postgres else 0
        try:
            begin = last = await run_in_threadpool(newest_number, store)
        except SQLAlchemyError as error:
            _LOG.warning("no events can be read: %s", error)
            self._readers.clear()  # the streams end, and their clients come again with the last number
            return
        finally:
            self._reading.set()  # also where the database does not answer: no request may wait for this task forever
        sent: set[int] = set()
        stop_listening = store.listen(lambda _: loop.call_soon_threadsafe(news.set))
        is_away = False
        try:
            while self._readers or self._waiters:
                news.clear()
                try:
                    rows = await run_in_threadpool(read_after, store, max(begin, last - window))
                except SQLAlchemyError as error:
                    if not is_away:  # once, and not twice a second
                        _LOG.warning("no events can be read: %s", error)
                    is_away = True
                    await asyncio.sleep(_EVERY)
                    continue
                is_away = False
                fresh = [row for row in rows if row.id not in sent]
                sent = {number for number in sent if number > last - 2 * window} | {row.id for row in fresh}
                last = max([last, *(row.id for row in fresh)])
                self._publish(fresh)
                await asyncio.sleep(_GAP)
                with suppress(TimeoutError):
                    if len(rows) < _AT_ONCE:
                        await asyncio.wait_for(news.wait(), _EVERY)
        finally:
            stop_listening()

    def _publish(self, rows: Sequence[Row[int, str, str, str, str]]) -> None:
        if finished := {row.subject for row in rows if row.kind == "prediction" and row.state in ("done", "failed")}:
            for waiter in self._waiters:
                waiter.add_finished(finished)
        batch = [(row.id, format_event(row)) for row in rows] if self._readers else []
        for batches in tuple(self._readers) if batch else ():
            try:
                batches.put_nowait(batch)
            except asyncio.QueueFull:
                self._readers.discard(batches)


def access_check(find: Callable[[], Principal | None], user: Principal) -> Callable[[], bool]:
    """Return a function that checks whether a user may go on: a stream must not outlive its session or token.

    Args:
        find: Returns the account that the sender's session or token has now, without keeping a session alive.
        user: The account that the stream was opened for.
    """

    def may_go_on() -> bool:
        if user.via == "local":
            return True
        current = find()
        return current is not None and (current.id, current.role) == (user.id, user.role)

    return may_go_on


def newest_number(store: Store) -> int:
    """Return the number of the newest event; 0 where there is none."""
    with store.read() as session:
        return session.scalar(select(func.max(Event.id))) or 0


def read_after(store: Store, number: int) -> Sequence[Row[int, str, str, str, str]]:
    """Return the events after a number, in order."""
    columns = Event.id, Event.kind, Event.study, Event.subject, Event.state
    with store.read() as session:
        return session.execute(select(*columns).where(Event.id > number).order_by(Event.id).limit(_AT_ONCE)).all()


def format_event(row: Row[int, str, str, str, str]) -> str:
    """Return an event as it is sent over the stream."""
    data: dict[str, Any] = {"study": row.study, "id": row.subject, "state": row.state}
    return f"id: {row.id}\nevent: {row.kind}\ndata: {json.dumps(data)}\n\n"


def delete_old(store: Store) -> None:
    """Delete events that are older than `EVENT_LIFETIME`."""
    with store.write() as session:
        session.execute(delete(Event).where(Event.at < now() - EVENT_LIFETIME))
