"""The worker processes of a server: keeps them alive and busy, hands them tasks and writes their results down.

One thread does this, with one transaction a round: it finishes the results that have come, and claims predictions for
the free places. A worker has several places, so that the next image is there when the last is done; it runs one at a
time. The server holds the leases of the claims that its workers have, and renews them while it lives. When a worker
ends in the middle of its work, only the image that it was working on has lost an attempt. When a server is killed, no
image has.

A question about a covered image (`occlusion`) is a task too. It is in no table: the request waits for its answer, for a
limited time.
"""

from __future__ import annotations

import logging
import multiprocessing
import threading
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from time import monotonic
from typing import Any

from pneumoscope.server.errors import UnavailableError
from pneumoscope.server.inference import queue
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.occlusion import Occlusion, OcclusionAnswer
from pneumoscope.server.inference.queue import Claim, FinishedClaim
from pneumoscope.server.inference.worker import Reply, Task, TaskStart, Worker, run_worker
from pneumoscope.server.processes import start
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.transaction import Transaction

_LOG = logging.getLogger(__name__)
_PLACES = 6
"""Claims that a worker has at most, the running one included: as many as it finishes while one commit lasts."""
_POLL = 0.5
"""Seconds between two looks at the queue without a wake-up: for uploads to other servers, and for leases."""
_STOP_SECONDS = 5.0
"""Seconds that a worker gets to stop before it is killed."""
PREDICTION_SECONDS = 600.0
"""Seconds that one prediction may take; a worker that takes longer hangs, and is killed."""
OCCLUSION_SECONDS = 60.0
"""Seconds that one question about a covered image may take; a worker that takes longer is killed."""


@dataclass(frozen=True, slots=True, eq=False)
class _PendingOcclusion:
    """A question, and the request that waits for its answer."""

    question: Occlusion
    answer: Future[OcclusionAnswer] = field(default_factory=Future)

    def set_reply(self, reply: OcclusionAnswer | BaseException) -> None:
        """End the request's wait."""
        with suppress(InvalidStateError):  # the request has waited long enough and has cancelled it
            if isinstance(reply, BaseException):
                self.answer.set_exception(reply)
            else:
                self.answer.set_result(reply)


@dataclass(slots=True, eq=False)
class _WorkerHandle:
    """A worker process as its server sees it."""

    name: str
    process: BaseProcess
    connection: Connection[Task, Reply]
    tasks: deque[Claim | _PendingOcclusion] = field(default_factory=deque)
    """The tasks that the worker has, the running one first."""
    task_start: float = 0.0
    """Time (monotonic) when the running task began."""
    has_begun: bool = False
    """Whether the worker has begun with the first of its tasks; it may have ended before, for reasons of its own."""

    def give(self, task: Claim | _PendingOcclusion) -> None:
        """Send the worker a task."""
        if not self.tasks:
            self.task_start = monotonic()
        self.tasks.append(task)
        with suppress(OSError):  # the worker has ended, and is replaced in the next round
            self.connection.send(task if isinstance(task, Claim) else task.question)

    def receive(self) -> list[FinishedClaim]:
        """Return the finished claims that have come, also those that came before the worker's end."""
        finished: list[FinishedClaim] = []
        with suppress(EOFError, OSError):
            while self.connection.poll():
                reply = self.connection.recv()
                self.task_start = monotonic()
                self.has_begun = isinstance(reply, TaskStart)
                if isinstance(reply, TaskStart):
                    continue
                task = self.tasks.popleft()
                if isinstance(reply, FinishedClaim):
                    finished.append(reply)
                elif isinstance(task, _PendingOcclusion):
                    task.set_reply(reply)
        return finished

    def hangs(self) -> bool:
        """Return whether the running task has taken longer than it may."""
        if not self.tasks:
            return False
        limit = PREDICTION_SECONDS if isinstance(self.tasks[0], Claim) else OCCLUSION_SECONDS
        return monotonic() - self.task_start > limit

    def claims(self) -> list[Claim]:
        """Return the predictions among the worker's tasks."""
        return [task for task in self.tasks if isinstance(task, Claim)]

    def fail_occlusions(self) -> None:
        """End the wait of those whose questions the worker has not answered."""
        for task in self.tasks:
            if isinstance(task, _PendingOcclusion):
                task.set_reply(_worker_ended())


class WorkerPool:
    """The worker processes of one server.

    With no workers in the settings it makes no predictions, and starts one process when the first question about a
    covered image comes. Before `start`, questions are answered in this process, as tests and tools do.
    """

    def __init__(self, store: Store, settings: Settings, catalogue: Catalogue) -> None:
        self._store = store
        self._settings = settings
        self._local = Worker(settings.files, catalogue)
        self._workers: list[_WorkerHandle] = []
        self._finished: list[FinishedClaim] = []
        """Results that have come and are not yet written down."""
        self._questions: deque[_PendingOcclusion] = deque()
        """Questions that no worker has yet."""
        self._started = False
        self._stop = threading.Event()
        self._wake_receiver, self._wake_sender = multiprocessing.Pipe(duplex=False)
        self._woken = threading.Event()
        self._no_start_before = 0.0
        self._renewed = 0.0
        self._thread = threading.Thread(target=self._run, name="worker pool", daemon=True)

    def start(self) -> None:
        """Start the worker processes and keep them busy; with no workers in the settings none is started yet."""
        if self._settings.workers:
            queue.requeue_running(self._store)
        for _ in range(self._settings.workers):
            self._start_worker()
        self._stop_listening = self._store.listen(self._on_events)
        self._started = True
        self._thread.start()

    def stop(self) -> None:
        """Stop the workers; their unfinished predictions wait in the queue again."""
        if not self._started:
            return
        self._started = False
        self._stop_listening()
        self._stop.set()
        self._wake()
        self._thread.join()
        for worker in self._workers:
            worker.process.terminate()
        for worker in self._workers:
            worker.process.join(_STOP_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            self._finished += worker.receive()
            worker.fail_occlusions()
        while self._questions:
            self._questions.popleft().set_reply(_worker_ended())
        claims = [claim for worker in self._workers for claim in worker.claims()]
        self._store.commit(lambda session: self._finish_and_release(session, claims))
        self._workers.clear()

    def occlude(self, question: Occlusion) -> OcclusionAnswer:
        """Answer a question about an image of which a part is covered; the caller's thread waits for the answer.

        Raises:
            UnavailableError: No worker answered in time, or the worker ended.
            PneumoscopeError: As `occlusion.answer_occlusion`.
        """
        if not self._started:
            return self._local.occlude(question)
        pending = _PendingOcclusion(question)
        self._questions.append(pending)
        self._wake()
        try:
            return pending.answer.result(OCCLUSION_SECONDS)
        except TimeoutError as error:
            pending.answer.cancel()
            problem = f"did not answer within {OCCLUSION_SECONDS:.0f} seconds."
            raise UnavailableError("this model", problem, "Ask again later.") from error

    def _finish_and_release(self, session: Transaction, claims: Sequence[Claim]) -> None:
        for finished in self._finished:
            queue.finish(session, finished)
        queue.release(session, claims, counted=False)

    def _on_events(self, states: frozenset[str]) -> None:
        if "queued" in states:
            self._wake()

    def _wake(self) -> None:
        if not self._woken.is_set():
            self._woken.set()
            self._wake_sender.send_bytes(b"")

    def _run(self) -> None:
        self._wake()
        while not self._stop.is_set():
            try:
                self._run_round()
            except Exception as error:  # no memory, no database: the next round tries again; leases run out
                _LOG.error("workers: %s", type(error).__name__)
                self._stop.wait(_POLL)
                self._wake()

    def _run_round(self) -> None:
        """Wait until something happens, then do what has to be done.

        The queue is read after a wake-up, when a place has become free, and from time to time.
        """
        watched: list[Any] = [self._wake_receiver, *(worker.connection for worker in self._workers)]
        ready = wait([*watched, *(worker.process.sentinel for worker in self._workers)], _POLL)
        woken = self._wake_receiver in ready
        if woken:
            self._woken.clear()  # before the pipe is emptied: a wake-up from now on is sent again
            while self._wake_receiver.poll():
                self._wake_receiver.recv_bytes()
        for worker in self._workers:
            self._finished += worker.receive()
        self._remove_ended()
        self._start_missing()
        self._give_questions()
        predictors = self._workers if self._settings.workers else ()
        free = [worker for place in range(_PLACES) for worker in predictors if len(worker.tasks) <= place]
        look = free and (woken or self._finished or (not ready and queue.has_claimable(self._store)))
        by_name = {worker.name: worker for worker in self._workers}
        for claim in self._exchange([worker.name for worker in free] if look else []):
            by_name[claim.worker].give(claim)
        self._renew_leases()

    def _give_questions(self) -> None:
        """Give each question to the worker with the fewest tasks; one whose request has ended is dropped."""
        while self._questions and self._workers:
            question = self._questions.popleft()
            if question.answer.set_running_or_notify_cancel():
                min(self._workers, key=lambda worker: len(worker.tasks)).give(question)

    def _exchange(self, places: Sequence[str]) -> list[Claim]:
        """Write results down and claim predictions, in one transaction."""
        if not places and not self._finished:
            return []
        results = tuple(self._finished)

        def change(session: Transaction) -> list[Claim]:
            for finished in results:
                queue.finish(session, finished)
            return queue.claim(self._store, session, places)

        # What a power cut takes of this is claimed and made again; what was shown was committed durably after it.
        claims = self._store.commit(change, durable=False)
        del self._finished[: len(results)]
        return claims

    def _renew_leases(self) -> None:
        if monotonic() - self._renewed > self._settings.lease / 3:
            self._renewed = monotonic()
            names = [worker.name for worker in self._workers if worker.claims()]
            if names:
                self._store.commit(lambda session: queue.renew(self._store, session, names), durable=False)

    def _remove_ended(self) -> None:
        """Kill workers that hang, and put the claims of workers that have ended back into the queue."""
        for worker in tuple(self._workers):
            if worker.hangs():
                _LOG.error("worker %s hangs at one image and is killed", worker.name)
                worker.process.kill()
                worker.process.join()
            if worker.process.is_alive():
                continue
            self._finished += worker.receive()  # results that the worker sent before its end
            _LOG.error("worker %s ended with code %s; another takes its place", worker.name, worker.process.exitcode)
            self._workers.remove(worker)
            worker.connection.close()
            worker.fail_occlusions()
            self._no_start_before = monotonic() + _POLL  # a worker that ends at once must not be started in a loop
            begun = int(worker.has_begun)
            running = [task for task in list(worker.tasks)[:begun] if isinstance(task, Claim)]
            waiting = [task for task in list(worker.tasks)[begun:] if isinstance(task, Claim)]

            def change(session: Transaction, running: list[Claim] = running, waiting: list[Claim] = waiting) -> None:
                queue.release(session, running, counted=True)
                queue.release(session, waiting, counted=False)

            self._store.commit(change)

    def _start_missing(self) -> None:
        wanted = self._settings.workers or len(self._questions)  # without workers: for questions alone
        while len(self._workers) < min(wanted, max(1, self._settings.workers)) and monotonic() >= self._no_start_before:
            self._start_worker()

    def _start_worker(self) -> None:
        self._workers.append(_WorkerHandle(new_id(), *start(run_worker, self._settings)))


def _worker_ended() -> UnavailableError:
    return UnavailableError("this model", "gave no answer: its worker ended.", "Ask again later.")
