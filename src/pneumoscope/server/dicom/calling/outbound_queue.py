"""The queue of results that go to archives: the table itself, as with predictions (`inference.queue`).

A sender claims what is due at one destination for a limited time (a lease), and writes down what became of each object
when the archive has answered. A sender that is killed between the answer and that commit leaves its claim to the next
one, which sends the object again: the same UID and the same bytes, which an archive takes as the one that it has.

All functions work in a transaction of the caller.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, update

from pneumoscope.server.dicom.routing.routes import Destination, RetryRule
from pneumoscope.server.errors import ConflictError, NotFoundError
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import OutboundItem, ResultObject, table_of
from pneumoscope.server.storage.transaction import Transaction

LEASE = 120.0
"""Seconds that an object may take; the archive's answer is waited for half as long."""
_AT_ONCE = 20
"""Objects of one association."""
_LONGEST_ERROR = 300
_HOUR = 3600.0
_TABLE, _RESULTS = table_of(OutboundItem), table_of(ResultObject)
_IS_DUE = and_(
    _TABLE.c.destination == bindparam("where"),
    or_(
        and_(_TABLE.c.state == "queued", _TABLE.c.next_attempt <= bindparam("time")),
        and_(_TABLE.c.state == "sending", _TABLE.c.lease < bindparam("time")),
    ),
)
_ANY_DUE = select(_TABLE.c.id).where(_IS_DUE).limit(1)
_DUE = (
    select(
        *(_TABLE.c.id, _TABLE.c.sop_uid, _TABLE.c.attempts, _TABLE.c.queued),
        *(_RESULTS.c.sop_class, _RESULTS.c.study, _RESULTS.c.state),
    )
    .join(_RESULTS, _RESULTS.c.sop_uid == _TABLE.c.sop_uid)
    .where(_IS_DUE)
    .order_by(_TABLE.c.queued, _TABLE.c.id)
    .limit(_AT_ONCE)
    .with_for_update(skip_locked=True, of=_TABLE)
)
_OWN = and_(_TABLE.c.id == bindparam("own"), _TABLE.c.worker == bindparam("by"), _TABLE.c.state == "sending")


@dataclass(frozen=True, slots=True)
class OutboundClaim:
    """An object that one sender, and no other, is to send."""

    item: str
    worker: str
    sop_uid: str
    sop_class: str
    study: str
    attempts: int
    """Before this one."""
    queued: float


@dataclass(frozen=True, slots=True)
class QueuedResult:
    """A result and where it goes."""

    sop_uid: str
    destination: str
    rule: str
    commit: bool


def enqueue(session: Transaction, results: Sequence[QueuedResult]) -> int:
    """Queue results that were not queued before; return how many.

    Args:
        session: A transaction that has called `Store.lock_exclusive`.
        results: What goes where; the same result and destination again is no second item.
    """
    known = {
        (row.sop_uid, row.destination)
        for row in session.execute(
            select(_TABLE.c.sop_uid, _TABLE.c.destination).where(
                _TABLE.c.sop_uid.in_({each.sop_uid for each in results})
            )
        )
    }
    time, added = now(), 0
    for each in results:
        if (each.sop_uid, each.destination) in known:
            continue
        known.add((each.sop_uid, each.destination))
        session.append(
            OutboundItem,
            {
                **{"id": new_id(), "sop_uid": each.sop_uid, "destination": each.destination, "rule": each.rule},
                **{"state": "queued", "attempts": 0, "next_attempt": time, "last_error": "", "lease": 0.0},
                **{"queued": time, "commit": each.commit},
            },
        )
        added += 1
    return added


def has_due(session: Transaction, destination: str) -> bool:
    """Return whether there is anything to send to a destination now."""
    return session.connection().execute(_ANY_DUE, {"where": destination, "time": now()}).first() is not None


def claim(session: Transaction, destination: str, worker: str) -> list[OutboundClaim]:
    """Claim the oldest objects that are due at a destination; what was superseded or retracted is withdrawn.

    Args:
        session: The transaction.
        destination: Its name.
        worker: An opaque name, another one for each association.
    """
    connection, time = session.connection(), now()
    rows = list(connection.execute(_DUE, {"where": destination, "time": time}))
    if withdrawn := [row.id for row in rows if row.state != "current"]:
        connection.execute(update(_TABLE).where(_TABLE.c.id.in_(withdrawn)).values(state="withdrawn", worker=None))
    claims = [
        OutboundClaim(row.id, worker, row.sop_uid, row.sop_class, row.study, row.attempts, row.queued)
        for row in rows
        if row.state == "current"
    ]
    if claims:
        own = _TABLE.c.id.in_([each.item for each in claims])
        connection.execute(update(_TABLE).where(own).values(state="sending", worker=worker, lease=time + LEASE))
    return claims


def finish(session: Transaction, claim: OutboundClaim, destination: Destination) -> bool:
    """Write down that the archive has an object.

    Returns:
        False, and writes nothing, where another sender has taken over or the study was erased.
    """
    time = now()
    values = {"state": "sent", "sent": time, "worker": None, "lease": 0.0, "last_error": "", "ask_at": None}
    values["attempts"] = claim.attempts + 1
    if destination.commit:
        values["ask_at"] = time
    if not _write(session, claim, values):
        return False
    _audit(session, claim, destination, 201)
    return True


def fail(
    session: Transaction,
    claim: OutboundClaim,
    destination: Destination,
    error: str,
    *,
    pause: float,
    retry: RetryRule,
    for_good: bool = False,
) -> bool:
    """Write down that an object could not be sent; return whether it is tried no more.

    Args:
        session: The transaction.
        claim: The claim.
        destination: Where it should have gone.
        error: Why, without a name of a patient.
        pause: Seconds until the next attempt.
        retry: When it is tried no more.
        for_good: It is one now: sending it again can't help.
    """
    time = now()
    dead = for_good or time - claim.queued > retry.dead_after_hours * _HOUR
    values = {
        **{"state": "dead" if dead else "queued", "worker": None, "lease": 0.0, "next_attempt": time + pause},
        **{"last_error": error[:_LONGEST_ERROR], "attempts": claim.attempts + 1},
    }
    if _write(session, claim, values) and dead:
        _audit(session, claim, destination, 502)
    return dead


def release(session: Transaction, worker: str) -> None:
    """Put back into the queue what a sender had claimed and did not come to."""
    own = and_(_TABLE.c.worker == worker, _TABLE.c.state == "sending")
    session.connection().execute(update(_TABLE).where(own).values(state="queued", worker=None, lease=0.0))


def hold(session: Transaction, destination: str, until: float) -> None:
    """Let everything that waits for a destination, which does not answer, wait until a time."""
    waiting = and_(_TABLE.c.destination == destination, _TABLE.c.state == "queued", _TABLE.c.next_attempt < until)
    session.connection().execute(update(_TABLE).where(waiting).values(next_attempt=until))


def requeue_sending(store: Store) -> None:
    """Put back what an earlier server was sending, on SQLite, where there is one server."""
    if not store.is_postgres:
        with store.write() as session:
            sending = update(_TABLE).where(_TABLE.c.state == "sending")
            session.connection().execute(sending.values(state="queued", worker=None, lease=0.0))


def give_up(session: Transaction, destinations: Sequence[str]) -> None:
    """Give up what waits for destinations that are no longer in the file of routes.

    Args:
        session: The transaction.
        destinations: Names of those that are.
    """
    waits = and_(_TABLE.c.state == "queued", _TABLE.c.destination.not_in(destinations))
    values = {"state": "dead", "last_error": "there is no such destination any more"}
    session.connection().execute(update(_TABLE).where(waits).values(values))


def retry_dead(session: Transaction, item: str) -> OutboundItem:
    """Queue a result again that failed and is tried no more, as if it were new.

    Raises:
        NotFoundError: There is no such item.
        ConflictError: It has not failed.
    """
    row = session.get(OutboundItem, item, with_for_update=True)
    if row is None:
        raise NotFoundError("item", "is not in the outbound queue.")
    if row.state != "dead":
        raise ConflictError("this item", f"is {row.state} and has not failed.", "What failed is sent again by hand.")
    row.state, row.attempts, row.sent, row.ask_at, row.request = "queued", 0, None, None, None
    row.queued = row.next_attempt = now()
    return row


def count_items(session: Transaction) -> dict[str, dict[str, int]]:
    """Return how many items each destination has in each state."""
    query = select(_TABLE.c.destination, _TABLE.c.state, func.count()).group_by(_TABLE.c.destination, _TABLE.c.state)
    counts: dict[str, dict[str, int]] = {}
    for destination, state, count in session.execute(query):
        counts.setdefault(destination, {})[state] = count
    return counts


def list_items(
    session: Transaction, *, state: str | None = None, destination: str | None = None, limit: int = 100
) -> Sequence[Any]:
    """Return items with study, kind and model of their result, those that were queued last first.

    Args:
        session: The transaction.
        state: Only items of this state.
        destination: Only items for this one.
        limit: At most so many.
    """
    query = (
        select(_TABLE, _RESULTS.c.study, _RESULTS.c.kind, _RESULTS.c.model)
        .join(_RESULTS, _RESULTS.c.sop_uid == _TABLE.c.sop_uid)
        .order_by(_TABLE.c.queued.desc(), _TABLE.c.id)
        .limit(limit)
    )
    if state is not None:
        query = query.where(_TABLE.c.state == state)
    if destination is not None:
        query = query.where(_TABLE.c.destination == destination)
    return session.execute(query).all()


def _write(session: Transaction, claim: OutboundClaim, values: dict[str, Any]) -> bool:
    """Write what became of a claim, if it is still its sender's; renew the lease of the sender's other claims."""
    done = session.connection().execute(update(_TABLE).where(_OWN), {"own": claim.item, "by": claim.worker, **values})
    rest = and_(_TABLE.c.worker == claim.worker, _TABLE.c.state == "sending")
    session.connection().execute(update(_TABLE).where(rest).values(lease=now() + LEASE))
    return done.rowcount == 1


def _audit(session: Transaction, claim: OutboundClaim, destination: Destination, status: int) -> None:
    who = f"dicom:{destination.title.strip()}"
    audit_log.record(session, AuditEntry(who, "C-STORE to archive", claim.study, destination.host, status=status))
