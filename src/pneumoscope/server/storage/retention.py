"""Retention: studies older than so many days are erased, as an admin would, by one of the servers of a database.

It looks when the server starts and then every hour. Each erasure stands in the audit log, as done by ``retention``.
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
"""In the audit log, in place of an account."""
DAY = 24 * 3600.0
_EVERY = 3600.0
_AT_ONCE = 100
"""Studies in one transaction: uploads wait meanwhile."""


class Retention:
    """Erases what is old enough, now and then, on a thread of its own."""

    def __init__(self, store: Store, days: float) -> None:
        self._store = store
        self._days = days
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)

    def start(self) -> None:
        """Begin, with a look at once."""
        self._thread.start()

    def stop(self) -> None:
        """End; what is under way is finished first."""
        self._stop.set()
        self._thread.join()

    def _watch(self) -> None:
        log = logging.getLogger(__name__)
        while True:
            try:
                if takes_turn(self._store, self._days, now()) and (erased := sweep(self._store, self._days, now())):
                    log.info("%s studies were older than %g days and are erased", erased, self._days)
            except Exception as error:  # a database that is away for a while; the next look finds them too
                log.error("retention: %s", type(error).__name__)
            if self._stop.wait(_EVERY):
                return


def takes_turn(store: Store, days: float, time: float) -> bool:
    """Return whether this server is to look: no other has done so within half an hour, by the same rule.

    Args:
        store: Of all servers of the database.
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


def sweep(store: Store, days: float, time: float) -> int:
    """Erase the studies that were received more than ``days`` before ``time``; return how many."""
    erased = 0
    while True:
        with store.write() as session:  # written down before it is done, as every access is
            query = select(Study.id).where(Study.received < time - days * DAY).order_by(Study.received)
            old = list(session.scalars(query.limit(_AT_ONCE)))
            for study in old:
                audit_log.record(session, AuditEntry(WHO, "DELETE /api/studies/{study}", study, at=time))
        if not old:
            return erased
        unreached = erase(store, old).exports_unreached
        if unreached:
            logging.getLogger(__name__).warning("%s exports still hold erased studies", len(unreached))
        erased += len(old)
