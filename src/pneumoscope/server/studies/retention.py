"""Retention: studies older than a number of days are erased, by one of the servers of a database.

It looks for them when the server starts and then every hour. Each erasure is in the audit log, by ``retention``.
"""

from __future__ import annotations

import logging
import threading

from sqlalchemy import select

from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import StoreSetting, Study
from pneumoscope.server.studies.erasure import erase

WHO = "retention"
"""Stands in the audit log in place of an account."""
DAY = 24 * 3600.0
_EVERY = 3600.0
_AT_ONCE = 100
"""Studies that are erased in one transaction: uploads wait while it runs."""


class Retention:
    """Erases old studies every hour, on a thread of its own."""

    def __init__(self, store: Store, days: float) -> None:
        self._store = store
        self._days = days
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Start the thread, which looks at once."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread; an erasure under way is finished first."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        log = logging.getLogger(__name__)
        while True:
            try:
                if claim_turn(self._store, self._days, now()) and (erased := erase_old(self._store, self._days, now())):
                    log.info("%s studies were older than %g days and are erased", erased, self._days)
            except Exception as error:  # a database that does not answer for a while; the next look finds them too
                log.error("retention: %s", type(error).__name__)
            if self._stop.wait(_EVERY):
                return


def claim_turn(store: Store, days: float, time: float) -> bool:
    """Return whether this server is to look: no other has done so within half an hour, by the same rule.

    Args:
        store: The store that the servers share.
        days: The rule.
        time: Now, in seconds since 1970.
    """
    with store.write() as session:
        store.lock_exclusive(session)
        last = session.get(StoreSetting, WHO)
        if last is not None:
            rule, _, looked = last.value.partition(" ")
            if float(rule) == days and 0 <= time - float(looked) < _EVERY / 2:
                return False
        session.merge(StoreSetting(name=WHO, value=f"{days!r} {time!r}"))
    return True


def erase_old(store: Store, days: float, time: float) -> int:
    """Erase the studies that were received more than ``days`` before ``time``; return how many."""
    erased = 0
    while True:
        with store.write() as session:  # the audit log is written before the erasure, as for every access
            query = select(Study.id).where(Study.received < time - days * DAY).order_by(Study.received)
            old_studies = list(session.scalars(query.limit(_AT_ONCE)))
            for study in old_studies:
                audit_log.record(session, AuditEntry(WHO, "DELETE /api/studies/{study}", study, at=time))
        if not old_studies:
            return erased
        unreached = erase(store, old_studies).exports_unreached
        if unreached:
            logging.getLogger(__name__).warning("%s exports still hold erased studies", len(unreached))
        erased += len(old_studies)
