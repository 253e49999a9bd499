"""Keeps a server's workers alive and busy: hands them claims, writes down their answers, replaces the dead.

One thread does it, and one transaction a round: the answers that have come are finished, and what waits is claimed for
the free places. A worker has several places, so that the next image is there when the last is done; it infers one at
a time. The server holds the leases of what its workers are at, and renews them while it lives. Of a worker that ends in
the middle only the image that it was at has lost an attempt.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from time import monotonic
from typing import Any

from pneumoscope.server.inference import queue
from pneumoscope.server.inference.queue import Answer, Claim
from pneumoscope.server.inference.worker import work
from pneumoscope.server.processes import start
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.transaction import Transaction

_PLACES = 6
"""For images that a worker was given, the one that it is at among them: as many as it makes while a commit lasts."""
_LOOK = 0.5
"""Seconds between two looks at the queue where nothing rang: for what other servers took in, and for leases."""
_PATIENCE = 5.0
"""Seconds that a worker which is told to stop gets to do so."""
LONGEST = 600.0
"""Seconds that one image may take; a worker that is at one for longer hangs, and is killed."""


@dataclass(slots=True, eq=False)
class _Hand:
    """A worker process."""

    name: str
    process: SpawnProcess
    connection: Connection[Claim, Answer]
    held: deque[Claim] = field(default_factory=deque)
    """What it was given, the one that it is at first."""
    since: float = 0.0
    """When it began with that."""


class Supervisor:
    """Worker processes of one server."""

    def __init__(self, store: Store, settings: Settings) -> None:
        self._store = store
        self._settings = settings
        self._hands: list[_Hand] = []
        self._answers: list[Answer] = []
        """Come in, not yet written down."""
        self._stop = threading.Event()
        self._bell, self._rope = multiprocessing.Pipe(duplex=False)
        self._rung = threading.Event()
        self._not_before = 0.0
        self._renewed = 0.0
        self._thread = threading.Thread(target=self._run, name="supervisor", daemon=True)

    def start(self) -> None:
        """Start the workers and keep them busy."""
        queue.take_back(self._store)
        for _ in range(self._settings.workers):
            self._start_one()
        self._stop_listening = self._store.listen(self._heard)
        self._thread.start()

    def stop(self) -> None:
        """Stop the workers; what they were at waits in the queue again."""
        self._stop_listening()
        self._stop.set()
        self._ring()
        self._thread.join()
        for hand in self._hands:
            hand.process.terminate()
        for hand in self._hands:
            hand.process.join(_PATIENCE)
            if hand.process.is_alive():
                hand.process.kill()
                hand.process.join()
            self._collect(hand)
        held = [claim for hand in self._hands for claim in hand.held]
        self._store.commit(lambda session: self._leave(session, held))
        self._hands.clear()

    def _leave(self, session: Transaction, held: Sequence[Claim]) -> None:
        for answer in self._answers:
            queue.finish(session, answer)
        queue.release(session, held, counted=False)

    def _heard(self, states: frozenset[str]) -> None:
        if "queued" in states:
            self._ring()

    def _ring(self) -> None:
        if not self._rung.is_set():
            self._rung.set()
            self._rope.send_bytes(b"")

    def _run(self) -> None:
        log = logging.getLogger(__name__)
        self._ring()
        while not self._stop.is_set():
            try:
                self._round(log)
            except Exception as error:  # no memory, no database: look again; leases run out by themselves
                log.error("workers: %s", type(error).__name__)
                self._stop.wait(_LOOK)
                self._ring()

    def _round(self, log: logging.Logger) -> None:
        """Wait until something happens, and do what is to be done then.

        The queue is looked at when an upload rings, when a place has become free, and now and then.
        """
        watched: list[Any] = [self._bell, *(hand.connection for hand in self._hands)]
        ready = wait([*watched, *(hand.process.sentinel for hand in self._hands)], _LOOK)
        rung = self._bell in ready
        if rung:
            self._rung.clear()  # before the bell is emptied: who rings now rings once more
            while self._bell.poll():
                self._bell.recv_bytes()
        for hand in self._hands:
            self._collect(hand)
        self._bury(log)
        self._replace()
        free = [hand for place in range(_PLACES) for hand in self._hands if len(hand.held) <= place]
        look = free and (rung or self._answers or (not ready and queue.any_waits(self._store)))
        for claim in self._exchange([hand.name for hand in free] if look else []):
            self._give(claim)
        self._renew()

    def _exchange(self, places: Sequence[str]) -> list[Claim]:
        """Write answers down and claim, in one transaction."""
        if not places and not self._answers:
            return []
        answers = tuple(self._answers)

        def change(session: Transaction) -> list[Claim]:
            for answer in answers:
                queue.finish(session, answer)
            return queue.claim(self._store, session, places)

        # What a power cut takes of this is claimed and answered again; what was shown was committed durably after it.
        found = self._store.commit(change, durable=False)
        del self._answers[: len(answers)]
        return found

    def _give(self, claim: Claim) -> None:
        hand = next(hand for hand in self._hands if hand.name == claim.worker)
        if not hand.held:
            hand.since = monotonic()
        hand.held.append(claim)
        with suppress(OSError):  # it has ended, and is buried in the next round
            hand.connection.send(claim)

    def _collect(self, hand: _Hand) -> None:
        """Take in what a worker has answered; after its end too, as far as it came."""
        with suppress(EOFError, OSError):
            while hand.connection.poll():
                self._answers.append(hand.connection.recv())
                hand.held.popleft()
                hand.since = monotonic()

    def _renew(self) -> None:
        if monotonic() - self._renewed > self._settings.lease / 3:
            self._renewed = monotonic()
            names = [hand.name for hand in self._hands if hand.held]
            if names:
                self._store.commit(lambda session: queue.renew(self._store, session, names), durable=False)

    def _bury(self, log: logging.Logger) -> None:
        for hand in tuple(self._hands):
            if hand.held and monotonic() - hand.since > LONGEST:
                log.error("worker %s hangs at one image and is killed", hand.name)
                hand.process.kill()
                hand.process.join()
            if hand.process.is_alive():
                continue
            self._collect(hand)  # what it sent before its end
            log.error("worker %s ended with code %s; another takes its place", hand.name, hand.process.exitcode)
            self._hands.remove(hand)
            hand.connection.close()
            self._not_before = monotonic() + _LOOK  # one that ends at once must not be started a thousand times
            at, waiting = list(hand.held)[:1], list(hand.held)[1:]

            def change(session: Transaction, at: list[Claim] = at, waiting: list[Claim] = waiting) -> None:
                queue.release(session, at, counted=True)
                queue.release(session, waiting, counted=False)

            self._store.commit(change)

    def _replace(self) -> None:
        while len(self._hands) < self._settings.workers and monotonic() >= self._not_before:
            self._start_one()

    def _start_one(self) -> None:
        self._hands.append(_Hand(new_id(), *start(work, self._settings)))
