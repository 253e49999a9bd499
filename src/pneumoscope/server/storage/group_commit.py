"""Many changes, one commit: while one commit is synced to the disk, the next changes gather and share the next commit.

A commit is durable only when the disk has confirmed it, which takes longer than the change itself, and SQLite has one
writer at a time. One thread therefore makes all frequent changes of a server, as many as wait in one transaction, and
tells the callers only after the commit. Where one of the changes fails, all of them are undone and made again one by
one, so that each gets the outcome that it would have had by itself.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, TypeAlias, TypeVar

from pneumoscope.server.storage.transaction import Transaction

T = TypeVar("T")
Begin: TypeAlias = Callable[[bool], AbstractContextManager[Transaction]]

_MOST = 64
"""Changes in one commit: the first of them waits for the last."""
_PACE = 0.02
"""Seconds from one commit to the next at least: on a busy server changes gather, and fewer commits are less work."""


@dataclass(frozen=True, slots=True)
class _Change:
    make: Callable[[Transaction], Any]
    exclusive: bool
    durable: bool
    outcome: Future[Any]


class GroupCommitter:
    """A thread that commits changes together; the first change starts it."""

    def __init__(self, begin: Begin, lock_exclusive: Callable[[Transaction], None]) -> None:
        """Set how a transaction begins and how it becomes exclusive.

        Args:
            begin: Begins a transaction that is committed where the block ends; True: it is durable by then.
            lock_exclusive: Lets one transaction at a time go on.
        """
        self._begin = begin
        self._lock_exclusive = lock_exclusive
        self._queue: queue.SimpleQueue[_Change | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._lock = threading.Lock()

    def submit(self, make: Callable[[Transaction], T], *, exclusive: bool = False, durable: bool = True) -> Future[T]:
        """Make a change soon; the future is done when the change is committed or has failed.

        Args:
            make: The change. It may be made twice (the first is undone), so it touches nothing but the transaction.
            exclusive: The change counts before it adds, so no other such change of any server may come between.
            durable: The change must survive a power cut from then on; if not, it does from the next durable change on.
        """
        outcome: Future[T] = Future()
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="commits", daemon=True)
                self._thread.start()
            self._queue.put(_Change(make, exclusive, durable, outcome))
        return outcome

    def close(self) -> None:
        """Finish the changes that wait, and end the thread."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
        if thread is not None:
            thread.join()

    def _run(self) -> None:
        ended = 0.0
        while True:
            batch, last = self._gather(ended + _PACE)
            if batch:
                self._commit(batch)
            if last:
                return
            ended = time.monotonic()

    def _gather(self, not_before: float) -> tuple[list[_Change], bool]:
        """Return the changes that wait, at least one; and whether no more will come."""
        change = self._queue.get()
        if change is not None:
            time.sleep(max(0.0, not_before - time.monotonic()))
        batch: list[_Change] = []
        while change is not None:
            if change.outcome.set_running_or_notify_cancel():
                batch.append(change)
            if len(batch) == _MOST:
                return batch, False
            try:
                change = self._queue.get_nowait()
            except queue.Empty:
                return batch, False
        return batch, True

    def _commit(self, batch: list[_Change]) -> None:
        try:
            with self._begin(any(change.durable for change in batch)) as session:
                if any(change.exclusive for change in batch):
                    # Before any row is locked: transactions that lock in this order can't wait in a ring.
                    self._lock_exclusive(session)
                values = [change.make(session) for change in batch]
        except BaseException as error:
            if len(batch) == 1:
                batch[0].outcome.set_exception(error)
                return
            for change in batch:
                self._commit([change])
            return
        for change, value in zip(batch, values, strict=True):
            change.outcome.set_result(value)
