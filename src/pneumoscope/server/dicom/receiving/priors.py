"""Earlier studies are fetched: when a study came from a peer, its archive is asked for those of the same patient.

One thread asks one archive, so that neither C-STORE nor the results of a study wait for it. What fails is tried again
after growing pauses, and given up after the time that the file of routes gives for all archives.
"""

from __future__ import annotations

import logging
import threading
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from sqlalchemy import Row, select

from pneumoscope.server.dicom.calling import prior_queue
from pneumoscope.server.dicom.calling.association import NoAssociationError
from pneumoscope.server.dicom.calling.prior_queue import PriorClaim
from pneumoscope.server.dicom.calling.query_retrieve import ArchiveQuery, QueryError, ask_archive
from pneumoscope.server.dicom.receiving.prior_receive import PriorReceiver, read_in_hand
from pneumoscope.server.dicom.receiving.receive import Sender
from pneumoscope.server.dicom.routing.prior_rule import PriorRule
from pneumoscope.server.dicom.routing.routes import RetryRule
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Event, PriorFetch, Study
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies.erasure import erase
from pneumoscope.server.studies.priors import PRIORS, find_unneeded

if TYPE_CHECKING:
    from pynetdicom.events import Event as NetworkEvent

_LOOK_SECONDS = 1.0
"""Between two looks whether anything is due."""
_ERROR_SECONDS = 10.0
"""Before the next look where the database or the files do not answer."""
_SWEEP_SECONDS = 600.0
"""Between two looks for fetched studies that nobody needs."""
_AT_ONCE = 100
"""Studies that are erased in one transaction."""
_DONE, _PARTLY, _GIVEN_UP = 200, 207, 502
"""Statuses in the audit log: done; done, and something that was not asked for was dropped; given up."""
_SEARCH, _FETCH = "C-FIND of earlier studies", "C-MOVE of an earlier study"


class Priors:
    """Asks an archive for earlier studies, from `start` until `stop`."""

    def __init__(
        self, store: Store, rule: PriorRule, retry: RetryRule, title: str, receiver: PriorReceiver, max_bytes: int
    ) -> None:
        """Create the thread.

        Args:
            store: Of the server.
            rule: What is asked for, and where.
            retry: How often what failed is tried again.
            title: AE title of the server's node.
            receiver: Takes what comes.
            max_bytes: Of the largest object that is taken.
        """
        self.rule = rule
        self._store, self._retry, self._title = store, retry, title
        self._receiver, self._max_bytes = receiver, max_bytes
        self._archive: ArchiveQuery | None = None
        """The association that is open."""
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="priors", daemon=True)

    def start(self) -> None:
        """Start to ask."""
        prior_queue.requeue_running(self._store)
        self._thread.start()

    def stop(self) -> None:
        """Stop, and end the association that is open; what is not done then is done after the next start."""
        self._stop.set()
        if (archive := self._archive) is not None:
            archive.abort()
        self._thread.join()

    def _watch(self) -> None:
        log, swept = logging.getLogger(__name__), -_SWEEP_SECONDS
        while not self._stop.is_set():
            try:
                if monotonic() - swept > _SWEEP_SECONDS:
                    swept = monotonic()
                    self.erase_unneeded()
                busy = self.work()
            except Exception as error:  # a database that does not answer for a while; nothing is lost
                log.error("earlier studies: %s", type(error).__name__)
                busy = self._stop.wait(_ERROR_SECONDS)
            if not busy:
                self._stop.wait(_LOOK_SECONDS)

    def work(self) -> bool:
        """Do one search or fetch that is due; return whether there was one."""
        with self._store.read() as session:
            if not prior_queue.has_due(session):
                return False
        self._store.check_files()
        worker = new_id()
        claim = self._store.commit(lambda session: prior_queue.claim(session, worker), exclusive=True)
        if claim is None:
            return False
        try:
            with ask_archive(self.rule, self._title, self._max_bytes, partial(self._take, claim)) as archive:
                self._archive = archive
                if claim.key:
                    self._fetch(archive, claim)
                else:
                    self._search(archive, claim)
        except NoAssociationError as error:
            self._fail(claim, error.problem, hold=True)
        except QueryError as error:
            self._fail(claim, error.problem, for_good=error.for_good)
        except Exception as error:  # such as a certificate that was replaced by something else
            self._fail(claim, f"could not be asked: {type(error).__name__}.")
        finally:
            self._archive = None
        return True

    def _search(self, archive: ArchiveQuery, claim: PriorClaim) -> None:
        try:
            with self._store.read() as session:
                study = read_in_hand(self._store, session, claim.study)
        except QueryError as error:  # to ask again would change nothing
            logging.getLogger(__name__).info("a search for earlier studies: the archive %s", error.problem)
            figures = {"found": 0, "taken": 0, "dropped": 0}
            self._store.commit(lambda session: prior_queue.finish(session, claim, **figures), exclusive=True)
            return
        if study is None:  # erased meanwhile
            return
        matches = archive.find_priors(study, lambda uid: self._find_here(uid) is not None)

        def write(session: Transaction) -> None:
            session.write_appended()
            figures = {"found": matches.found, "taken": len(matches.targets), "dropped": matches.dropped}
            if not prior_queue.finish(session, claim, **figures):
                return
            for target in reversed(matches.targets):  # the newest comes last, and stands first in the list
                key = self._key_of(target.study_uid)
                if target.series_uids:
                    prior_queue.add_fetch(session, claim.study, key, target, self._store.secret)
                elif (here := _find_complete(session, key)) is not None and here.prior:
                    prior_queue.link(session, claim.study, key, here.id)
            audit_log.record(session, self._entry(claim, _PARTLY if matches.dropped else _DONE))

        self._store.commit(write, exclusive=True)

    def _fetch(self, archive: ArchiveQuery, claim: PriorClaim) -> None:
        assert claim.sealed is not None
        target = prior_queue.read_target(self._store.secret, claim.id, claim.sealed)
        here = self._find_here(target.study_uid)  # it was sent meanwhile, or fetched for another study
        failed, problem = 0, None
        if here is None:
            try:
                failed = archive.fetch(target, self._title, claim.message)
            except QueryError as error:  # an archive may end a move by an error where this server refused what came
                problem = error
        with self._store.read() as session:
            row = session.get(PriorFetch, claim.id)
        if row is None:  # its study was erased meanwhile
            return
        if here is None and row.taken == 0 and row.dropped > 0:
            raise QueryError("sent what this server refused: of another patient, or not asked for.", for_good=True)
        if problem is not None:
            raise problem
        if here is None and (row.taken == 0 or failed > row.dropped):
            raise QueryError("sent nothing." if row.taken == 0 else "did not send all images.")

        def write(session: Transaction) -> None:
            prior = row.prior if here is None else here.id
            if prior_queue.finish(session, claim, prior=prior):
                audit_log.record(session, self._entry(claim, _PARTLY if row.dropped else _DONE))
                event = {"kind": "study", "study": claim.study, "subject": claim.study, "state": "prior", "at": now()}
                session.append(Event, event)

        self._store.commit(write, exclusive=True)

    def _take(self, claim: PriorClaim, event: NetworkEvent) -> int:
        """Take an object of a C-GET."""
        from pneumoscope.server.dicom.receiving.node import answer_store

        sender = Sender(self.rule.archive.sender, self.rule.archive.host)
        answer: int = answer_store(self._receiver.take(event.encoded_dataset, sender, claim.message))
        return answer

    def _fail(self, claim: PriorClaim, problem: str, *, for_good: bool = False, hold: bool = False) -> None:
        if self._stop.is_set():
            self._store.commit(lambda session: prior_queue.release(session, claim), exclusive=True)
            return
        pause = self._retry.pause_after(claim.attempts + 1)

        def write(session: Transaction) -> bool:
            dead = prior_queue.fail(session, claim, problem, self._retry, pause=pause, for_good=for_good)
            if hold:
                prior_queue.hold(session, now() + pause)
            if dead:
                audit_log.record(session, self._entry(claim, _GIVEN_UP))
            return dead

        dead = self._store.commit(write, exclusive=True)
        words = "is given up" if dead else f"is tried again in {pause:.0f} seconds"
        what = "an earlier study" if claim.key else "a search for earlier studies"
        logging.getLogger(__name__).warning("%s %s: the archive %s", what, words, problem)

    def erase_unneeded(self) -> int:
        """Erase fetched studies that no study needs any more, as after a correction; return how many."""
        with self._store.read() as session:
            studies = find_unneeded(session)
        for start in range(0, len(studies), _AT_ONCE):
            batch = studies[start : start + _AT_ONCE]
            erase(self._store, batch, [AuditEntry(PRIORS, "DELETE /api/studies/{study}", study) for study in batch])
        return len(studies)

    def _find_here(self, study_uid: str) -> Row[str, bool] | None:
        with self._store.read() as session:
            return _find_complete(session, self._key_of(study_uid))

    def _key_of(self, study_uid: str) -> str:
        return self._store.secret.lookup_key("study", study_uid.encode())

    def _entry(self, claim: PriorClaim, status: int) -> AuditEntry:
        archive = self.rule.archive
        action = _FETCH if claim.key else _SEARCH
        return AuditEntry(f"dicom:{archive.title.strip()}", action, claim.study, archive.host, status=status)


def _find_complete(session: Transaction, key: str) -> Row[str, bool] | None:
    """Return the number of a study that is here, and whether it was fetched; one that is half fetched is not here."""
    query = select(Study.id, Study.prior).where(Study.key == key)
    row = session.execute(query).one_or_none()
    if row is None or not row.prior:
        return row
    fetched = select(PriorFetch.id).where(PriorFetch.prior == row.id, PriorFetch.state == "done")
    return None if session.scalar(fetched.limit(1)) is None else row
