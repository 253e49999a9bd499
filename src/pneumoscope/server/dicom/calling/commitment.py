"""Storage commitment: which objects an archive is asked about, and what its answer means (PS3.4 J).

The request is written down before it is sent, so that the answer, which may come at once and to another process, finds
it. An archive that does not answer is asked again every hour; one that never does makes it a failed one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from sqlalchemy import and_, bindparam, select, update

from pneumoscope.server.dicom.routing.routes import RetryRule
from pneumoscope.server.storage.database import now
from pneumoscope.server.storage.tables import OutboundItem, ResultObject, table_of
from pneumoscope.server.storage.transaction import Transaction

_ASK_AGAIN = 3600.0
"""Seconds that an archive gets to answer."""
_AT_ONCE = 100
_HOUR = 3600.0
_TABLE, _RESULTS = table_of(OutboundItem), table_of(ResultObject)
_UNASKED = and_(
    _TABLE.c.destination == bindparam("where"), _TABLE.c.state == "sent", _TABLE.c.ask_at <= bindparam("time")
)
_ANY_UNASKED = select(_TABLE.c.id).where(_UNASKED).limit(1)
_FIND_UNASKED = (
    select(_TABLE.c.id, _TABLE.c.sop_uid, _TABLE.c.sent, _RESULTS.c.sop_class)
    .join(_RESULTS, _RESULTS.c.sop_uid == _TABLE.c.sop_uid)
    .where(_UNASKED)
    .order_by(_TABLE.c.ask_at, _TABLE.c.id)
    .limit(_AT_ONCE)
    .with_for_update(skip_locked=True, of=_TABLE)
)


def has_unasked(session: Transaction, destination: str) -> bool:
    """Return whether a destination is to be asked about anything now."""
    return session.connection().execute(_ANY_UNASKED, {"where": destination, "time": now()}).first() is not None


def ask_again(session: Transaction) -> None:
    """Have all be asked about soon whose request was under way: its answer may have met a server that had stopped."""
    asked = and_(_TABLE.c.state == "sent", _TABLE.c.request.is_not(None))
    session.connection().execute(update(_TABLE).where(asked).values(ask_at=now()))


def begin_request(session: Transaction, destination: str, request: str, retry: RetryRule) -> list[tuple[str, str]]:
    """Write down a request about what was sent to a destination; return SOP class and instance of each object.

    Args:
        session: The transaction.
        destination: Its name.
        request: Transaction UID.
        retry: What was not confirmed for longer than this has failed.
    """
    connection, time = session.connection(), now()
    rows = list(connection.execute(_FIND_UNASKED, {"where": destination, "time": time}))
    late = [row.id for row in rows if time - row.sent > retry.dead_after_hours * _HOUR]
    if late:
        words = "the archive never committed itself to keeping it"
        connection.execute(update(_TABLE).where(_TABLE.c.id.in_(late)).values(state="dead", last_error=words))
    asked = [row for row in rows if row.id not in set(late)]
    if asked:
        own = _TABLE.c.id.in_([row.id for row in asked])
        connection.execute(update(_TABLE).where(own).values(request=request, ask_at=time + _ASK_AGAIN))
    return [(row.sop_class, row.sop_uid) for row in asked]


def postpone_request(session: Transaction, request: str, pause: float, error: str) -> None:
    """Ask again after a pause, since the request did not reach the archive.

    Args:
        session: The transaction.
        request: Transaction UID.
        pause: Seconds.
        error: Why.
    """
    own = and_(_TABLE.c.request == request, _TABLE.c.state == "sent")
    session.connection().execute(update(_TABLE).where(own).values(ask_at=now() + pause, last_error=error))


def write_report(
    session: Transaction, request: str, kept: Sequence[str], failed: Mapping[str, int], retry: RetryRule
) -> int:
    """Write down an archive's answer; return how many objects it was about.

    What it does not keep is sent again after a pause, as if it had refused it. An answer to a request that nobody made,
    or to an older one, changes nothing.

    Args:
        session: The transaction.
        request: Transaction UID.
        kept: SOP instances that it keeps.
        failed: SOP instances that it does not keep, and its reasons (PS3.3 C.14).
        retry: How long the pause is, and when an object has failed.
    """
    if not request:
        return 0
    own, time = and_(_TABLE.c.request == request, _TABLE.c.state == "sent"), now()
    connection, count = session.connection(), 0
    if kept := [each for each in kept if each not in failed]:
        write = update(_TABLE).where(own, _TABLE.c.sop_uid.in_(kept))
        count += connection.execute(write.values(state="committed", ask_at=None, last_error="")).rowcount
    items = select(_TABLE.c.id, _TABLE.c.sop_uid, _TABLE.c.attempts, _TABLE.c.queued)
    for row in connection.execute(items.where(own, _TABLE.c.sop_uid.in_(list(failed)))).all():
        dead = time - row.queued > retry.dead_after_hours * _HOUR
        values = {
            **{"state": "dead" if dead else "queued", "ask_at": None, "request": None},
            **{"next_attempt": time + retry.pause_after(max(1, row.attempts))},
            **{"last_error": f"the archive does not keep it (reason {failed[row.sop_uid]:04X})"},
        }
        connection.execute(update(_TABLE).where(_TABLE.c.id == row.id).values(values))
        count += 1
    return count
