"""Results go out: what a complete study has is routed and queued, and senders bring it to the archives.

Each destination has a thread of its own, so that an archive that does not answer keeps no other one waiting.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, get_args

from sqlalchemy import select

from pneumoscope.server.dicom.calling import commitment, outbound_queue
from pneumoscope.server.dicom.calling.association import ArchiveAssociation, NoAssociationError, associate, read_report
from pneumoscope.server.dicom.calling.outbound_queue import OutboundClaim, QueuedResult
from pneumoscope.server.dicom.calling.unsent import route_result
from pneumoscope.server.dicom.objects.place import derive_uid
from pneumoscope.server.dicom.results.making import make_results, read_result
from pneumoscope.server.dicom.results.plans import ResultKind
from pneumoscope.server.dicom.routing.dry_run import OF_MODELS, read_facts
from pneumoscope.server.dicom.routing.routes import Destination, Routes
from pneumoscope.server.errors import RefusalError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import ResultObject
from pneumoscope.server.storage.transaction import Transaction

if TYPE_CHECKING:
    from pynetdicom.events import Event

_LOOK_SECONDS = 1.0
"""Between two looks whether anything is due."""
_ERROR_SECONDS = 10.0
"""Before the next look where the database or the files do not answer."""
_ASK_EVERY = 10
"""Associations after which an archive is asked to commit itself although more waits."""
_SUCCESS, _UNKNOWN_EVENT = 0x0000, 0x0113


class Outbound:
    """Routes results and sends them, from `start` until `stop`."""

    def __init__(self, store: Store, catalogue: Catalogue, routes: Routes, title: str) -> None:
        """Create the threads.

        Args:
            store: Of the server.
            catalogue: Its models.
            routes: Destinations and rules.
            title: AE title of the server.
        """
        self.routes = routes
        self._store, self._catalogue, self._title = store, catalogue, title
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._watch, args=(name,), name=f"to {name}", daemon=True)
            for name in routes.destinations
        ]

    def start(self) -> None:
        """Start to send."""
        outbound_queue.requeue_sending(self._store)
        self._store.commit(commitment.ask_again)
        self._store.commit(partial(outbound_queue.give_up, destinations=list(self.routes.destinations)))
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Stop after the objects that are being sent."""
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def hand_on(self, study: str) -> None:
        """Make the results of a complete study that rules ask for, and queue them for where they go.

        Args:
            study: Its number.

        Raises:
            NotFoundError: There is no such study, or none of its images came as a DICOM object.
            ConflictError: An answer is not there yet.
        """
        kinds = [kind for kind in get_args(ResultKind) if kind in self.routes.kinds]
        self.route(study, make_results(self._store, self._catalogue, study, kinds))

    def route(self, study: str, made: Sequence[str]) -> None:
        """Queue results for where rules send them.

        Args:
            study: Number of the study.
            made: Its results that count now, by their UIDs.

        Raises:
            NotFoundError: There is no such study.
        """
        with self._store.read() as session:
            facts = read_facts(session, study)
            rows = session.scalars(select(ResultObject).where(ResultObject.sop_uid.in_(made))).all()
        models = self._catalogue.list_models()
        queued: list[QueuedResult] = []
        for row in rows:
            model = models.get(row.model) if row.kind in OF_MODELS else None
            queued += route_result(self.routes, facts, row, model)
        if queued:
            self._store.commit(partial(outbound_queue.enqueue, results=queued), exclusive=True)

    def take_report(self, event: Event) -> int:
        """Take an archive's word on what it keeps (N-EVENT-REPORT); return the status of the answer."""
        request, kept, failed = read_report(event.event_information)
        if event.event_type not in (1, 2):
            return _UNKNOWN_EVENT
        self._store.commit(
            partial(commitment.write_report, request=request, kept=kept, failed=failed, retry=self.routes.retry)
        )
        return _SUCCESS

    def _watch(self, name: str) -> None:
        log, sent = logging.getLogger(__name__), 0
        while not self._stop.is_set():
            try:
                busy = self._send_due(name) > 0
                sent = sent + 1 if busy else 0
                if not busy or sent % _ASK_EVERY == 0:  # what waits goes first
                    busy = self._ask_commitments(name) > 0 or busy
            except Exception as error:  # a database that does not answer for a while; nothing is lost
                log.error("sending to an archive: %s", type(error).__name__)
                busy = self._stop.wait(_ERROR_SECONDS)
            if not busy:
                self._stop.wait(_LOOK_SECONDS)

    def _send_due(self, name: str) -> int:
        """Send what is due at a destination, in one association; return how many objects the archive took."""
        with self._store.read() as session:
            if not outbound_queue.has_due(session, name):
                return 0
        self._store.check_files()  # results that can't be read now are not lost
        worker = new_id()
        claims = self._store.commit(lambda session: outbound_queue.claim(session, name, worker))
        if not claims:
            return 0
        try:
            with self._associate(name, {each.sop_class for each in claims}) as association:
                return self._send(name, association, claims)
        except NoAssociationError as error:
            self._postpone(name, claims, error.problem)
        except Exception as error:  # such as a certificate that was replaced by something else
            self._postpone(name, claims, f"could not be sent: {type(error).__name__}")
        return 0

    def _associate(self, name: str, classes: set[str]) -> Any:
        return associate(self.routes.destinations[name], self._title, sorted(classes), self.take_report)

    def _send(self, name: str, association: ArchiveAssociation, claims: list[OutboundClaim]) -> int:
        destination, sent = self.routes.destinations[name], 0
        for place, claim in enumerate(claims):
            if self._stop.is_set():
                self._store.commit(lambda session: outbound_queue.release(session, claims[0].worker))
                break
            problem, for_good = self._send_one(association, claim, destination)
            if problem is None:
                sent += 1
            elif association.is_open:
                self._fail(claim, destination, problem, for_good)
            else:
                self._postpone(name, claims[place:], problem)
                break
        if sent:
            logging.getLogger(__name__).info("%s results were sent to an archive", sent)
        return sent

    def _send_one(
        self, association: ArchiveAssociation, claim: OutboundClaim, destination: Destination
    ) -> tuple[str | None, bool]:
        """Send an object and write down its success; return why it is not there, if so, and whether for good."""
        try:
            data = read_result(self._store, claim.sop_uid)
        except RefusalError as error:  # it is erased, or its file is damaged
            return error.problem, True
        outcome = association.store(data)
        if outcome.stored:
            self._store.commit(partial(outbound_queue.finish, claim=claim, destination=destination))
            return None, False
        return outcome.problem, outcome.for_good

    def _fail(self, claim: OutboundClaim, destination: Destination, problem: str, for_good: bool) -> None:
        pause = self.routes.retry.pause_after(claim.attempts + 1)
        write = partial(
            outbound_queue.fail,
            claim=claim,
            destination=destination,
            error=problem,
            pause=pause,
            retry=self.routes.retry,
            for_good=for_good,
        )
        if self._store.commit(write):
            words = "a result could not be sent to %s and is not tried again: %s"
            logging.getLogger(__name__).error(words, destination.title, problem)

    def _postpone(self, name: str, claims: list[OutboundClaim], problem: str) -> None:
        """Let all that waits for an archive wait, since it does not answer."""
        destination, retry = self.routes.destinations[name], self.routes.retry
        pause = retry.pause_after(1 + max(each.attempts for each in claims))

        def write(session: Transaction) -> None:
            for claim in claims:
                outbound_queue.fail(session, claim, destination, problem, pause=pause, retry=retry)
            outbound_queue.hold(session, name, now() + pause)

        self._store.commit(write)
        logging.getLogger(__name__).warning("%s gets results again in %.0f seconds: %s", name, pause, problem)

    def _ask_commitments(self, name: str) -> int:
        """Ask a destination to commit itself to what it was sent; return how many objects it was asked about."""
        destination = self.routes.destinations[name]
        if not destination.commit:
            return 0
        with self._store.read() as session:
            if not commitment.has_unasked(session, name):
                return 0
        request = derive_uid(new_id())
        retry = self.routes.retry
        objects = self._store.commit(lambda session: commitment.begin_request(session, name, request, retry))
        if not objects:
            return 0
        try:
            with self._associate(name, set()) as association:
                outcome = association.ask_commitment(request, objects)
        except NoAssociationError as error:
            problem = error.problem
        else:
            if outcome.stored:
                return len(objects)
            problem = outcome.problem
        pause = retry.longest_seconds
        self._store.commit(
            lambda session: commitment.postpone_request(session, request, pause, f"not asked to keep it: {problem}")
        )
        return 0
