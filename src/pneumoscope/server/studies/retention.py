"""Retention: studies older than a number of days are erased, by one of the servers of a database.

It looks for them when the server starts and then every hour. Each erasure is in the audit log, by ``retention``. A
clock that jumped ahead erases nothing: someone has to confirm it. A study whose results are on their way to an archive
is erased when they are there. An earlier study that was fetched goes with the studies that it was fetched for.
"""

from __future__ import annotations

import logging
import threading
from time import monotonic
from typing import Any

from sqlalchemy import Select, and_, func, or_, select

from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Access, Event, OutboundItem, Read, ResultObject, StoreSetting, Study
from pneumoscope.server.studies.erasure import erase

WHO = "retention"
"""Stands in the audit log in place of an account."""
DAY = 24 * 3600.0
MOST_AHEAD = DAY
"""Seconds by which the clock may be ahead of the newest row; a clock that jumped would erase everything."""
_EVERY = 3600.0
_AT_ONCE = 100
"""Studies that are erased in one transaction: uploads wait while it runs."""


_LONGEST_WAIT = 30 * DAY
"""Seconds that a study waits for archives, where a server that sends nothing any more would let it wait for ever."""


class Retention:
    """Erases old studies every hour, on a thread of its own."""

    def __init__(self, store: Store, days: float, *, confirmed: bool = False) -> None:
        """Create the thread; the newest row is looked up now, before a request adds one at a wrong time.

        Args:
            store: The store.
            days: After which a study is erased.
            confirmed: The first look believes the clock, however far it is ahead.
        """
        self._store = store
        self._days = days
        self._confirmed = confirmed
        self._newest, self._measured = find_newest(store), monotonic()
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
                if erased := self.look():
                    log.info("%s studies were older than %g days and are erased", erased, self._days)
            except Exception as error:  # a database that does not answer for a while; the next look finds them too
                log.error("retention: %s", type(error).__name__)
            if self._stop.wait(_EVERY):
                return

    def look(self) -> int:
        """Erase what is old, if it is this server's turn and the clock can be believed; return how many studies."""
        time, measured = now(), monotonic()
        expected = None if self._newest is None else self._newest + measured - self._measured
        if expected is not None and time > expected + MOST_AHEAD and not self._confirmed:
            logging.getLogger(__name__).error(
                "retention: the clock is %.1f days ahead of the newest row, so that nothing is erased; if it is right, "
                "start the server once with --retention-confirm",
                (time - expected) / DAY,
            )
            return 0
        self._newest, self._measured, self._confirmed = time, measured, False
        return erase_old(self._store, self._days, time) if claim_turn(self._store, self._days, time) else 0


def find_newest(store: Store) -> float | None:
    """Return the time of the newest row of a store, in seconds since 1970; None where there is none."""
    columns = Study.received, Access.at, Event.at, Read.at
    with store.read() as session:
        times = [session.scalar(select(func.max(column))) for column in columns]
        last = session.get(StoreSetting, WHO)
    if last is not None:
        times.append(float(last.value.partition(" ")[2]))
    return max((time for time in times if time is not None), default=None)


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


def _on_the_way(time: float) -> Select[Any]:
    """Select studies with results that an archive has not got yet, or has not committed itself to keeping."""
    without_word = and_(OutboundItem.state == "sent", OutboundItem.commit.is_(True))
    return (
        select(ResultObject.study)
        .join(OutboundItem, OutboundItem.sop_uid == ResultObject.sop_uid)
        .where(or_(OutboundItem.state.in_(("queued", "sending")), without_word))
        .where(OutboundItem.queued > time - _LONGEST_WAIT)
    )


def erase_old(store: Store, days: float, time: float) -> int:
    """Erase the studies that were received more than ``days`` before ``time``; return how many."""
    erased, waits = 0, Study.id.in_(_on_the_way(time))
    while True:
        with store.write() as session:  # the audit log is written before the erasure, as for every access
            is_old = and_(Study.received < time - days * DAY, Study.prior.is_(False))
            query = select(Study.id).where(is_old, ~waits).order_by(Study.received)
            old_studies = list(session.scalars(query.limit(_AT_ONCE)))
            waiting = session.scalar(select(func.count(Study.id)).where(is_old, waits))
            for study in old_studies:
                audit_log.record(session, AuditEntry(WHO, "DELETE /api/studies/{study}", study, at=time))
        if not old_studies:
            if waiting:
                logging.getLogger(__name__).warning(
                    "retention: %s old studies wait until an archive has their results", waiting
                )
            return erased
        unreached = erase(store, old_studies).exports_unreached
        if unreached:
            logging.getLogger(__name__).warning("%s exports still hold erased studies", len(unreached))
        erased += len(old_studies)
