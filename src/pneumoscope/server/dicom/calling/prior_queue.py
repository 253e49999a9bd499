"""The queue of what an archive is asked for: the search for a study's earlier ones, and the fetch of each of these.

It is a table, as the queue of results is (`outbound_queue`): a row is claimed for a limited time, and what came of it
is written down when the archive has answered. A server that is killed leaves its row to the next one.

All functions work in a transaction of the caller.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, and_, func, or_, select, update

from pneumoscope.server.dicom.routing.routes import RetryRule
from pneumoscope.server.errors import ConflictError, NotFoundError
from pneumoscope.server.storage.crypto import Secret, new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import PriorFetch, table_of
from pneumoscope.server.storage.transaction import Transaction

FETCH_SECONDS = 300.0
"""Seconds that an archive may take to answer a search, or to send a study."""
_LEASE = FETCH_SECONDS + 120.0
_LARGEST_MESSAGE = 2**16 - 1
"""Message IDs have 16 bits (PS3.7 9.3.4)."""
_LONGEST_ERROR = 300
_HOUR = 3600.0
_TABLE = table_of(PriorFetch)


@dataclass(frozen=True, slots=True)
class PriorClaim:
    """A search or a fetch that one server, and no other, does now."""

    id: str
    study: str
    """The study that came."""
    key: str
    """Of the earlier study; empty: a search."""
    sealed: bytes | None
    message: int
    """Message ID for the archive's answers."""
    attempts: int
    """Before this one."""
    queued: float


@dataclass(frozen=True, slots=True)
class PriorTarget:
    """What is fetched of one earlier study."""

    study_uid: str
    series_uids: tuple[str, ...]

    def seal(self, secret: Secret, row: str) -> bytes:
        """Return this, sealed for a row of the queue."""
        return secret.seal({"study": self.study_uid, "series": list(self.series_uids)}, row)


def read_target(secret: Secret, row: str, sealed: bytes) -> PriorTarget:
    """Return what a row of the queue fetches.

    Args:
        secret: The store's.
        row: Its number.
        sealed: As `PriorTarget.seal` made it.
    """
    target = secret.unseal(sealed, row)
    return PriorTarget(target["study"], tuple(target["series"]))


def ask_for(session: Transaction, study: str) -> None:
    """Queue the search for the earlier studies of a study's patient, if it was not queued before."""
    if session.scalar(select(_TABLE.c.id).where(_TABLE.c.study == study, _TABLE.c.key == "")) is None:
        session.write_appended()  # of several objects of a study in one transaction, the next has to see this row
        session.connection().execute(_TABLE.insert(), _new_row(study, "", None))


def add_fetch(session: Transaction, study: str, key: str, target: PriorTarget, secret: Secret) -> bool:
    """Queue the fetch of an earlier study; return whether it was not queued before.

    Args:
        session: A transaction that is exclusive.
        study: Number of the study that came.
        key: Of the earlier study, see `tables.Study.key`.
        target: What is fetched.
        secret: The store's.
    """
    if session.scalar(select(_TABLE.c.id).where(_TABLE.c.study == study, _TABLE.c.key == key)) is not None:
        return False
    row = _new_row(study, key, None)
    session.connection().execute(_TABLE.insert(), {**row, "sealed": target.seal(secret, row["id"])})
    return True


def link(session: Transaction, study: str, key: str, prior: str) -> None:
    """Write down that a study needs an earlier one that was fetched before."""
    row = select(_TABLE.c.id).where(_TABLE.c.study == study, _TABLE.c.key == key)
    if session.scalar(row) is None:
        done = {"state": "done", "finished": now(), "prior": prior}
        session.connection().execute(_TABLE.insert(), {**_new_row(study, key, None), **done})


def has_due(session: Transaction) -> bool:
    """Return whether there is anything to ask the archive for now."""
    return session.scalar(select(_TABLE.c.id).where(_is_due(now())).limit(1)) is not None


def claim(session: Transaction, worker: str) -> PriorClaim | None:
    """Claim the search or fetch that has been due for longest; None where nothing is.

    Args:
        session: The transaction.
        worker: An opaque name, another one for each claim.
    """
    time = now()
    query = select(_TABLE).where(_is_due(time)).order_by(_TABLE.c.next_attempt, _TABLE.c.id).limit(1)
    row = session.connection().execute(query.with_for_update(skip_locked=True)).one_or_none()
    if row is None:
        return None
    message = random.randint(1, _LARGEST_MESSAGE)
    running = {"state": "running", "worker": worker, "lease": time + _LEASE, "message": message}
    session.connection().execute(
        update(_TABLE).where(_TABLE.c.id == row.id).values(**running, taken=0, dropped=0, size=0)
    )
    return PriorClaim(row.id, row.study, row.key, row.sealed, message, row.attempts, row.queued)


def find_running(session: Transaction, message: int) -> Row[Any] | None:
    """Return the fetch that a C-MOVE of this Message ID belongs to; None where there is none under way."""
    query = select(_TABLE).where(
        _TABLE.c.message == message, _TABLE.c.state == "running", _TABLE.c.key != "", _TABLE.c.lease > now()
    )
    return session.connection().execute(query).first()


def is_running_for(session: Transaction, key: str) -> bool:
    """Return whether an earlier study, by its key, is being fetched now."""
    query = select(_TABLE.c.id).where(_TABLE.c.key == key, _TABLE.c.state == "running", _TABLE.c.lease > now())
    return session.scalar(query.limit(1)) is not None


def count_taken(session: Transaction, row: str, size: int, prior: str) -> None:
    """Write down that an image of an earlier study came.

    Args:
        session: The transaction; the study is in the database.
        row: Number of the fetch.
        size: Bytes of the image.
        prior: Number of the earlier study.
    """
    more = {"taken": _TABLE.c.taken + 1, "size": _TABLE.c.size + size, "prior": prior}
    session.connection().execute(update(_TABLE).where(_TABLE.c.id == row).values(more))


def count_dropped(session: Transaction, row: str) -> int:
    """Write down that something came that was not asked for; return how many objects came so far."""
    connection = session.connection()
    connection.execute(update(_TABLE).where(_TABLE.c.id == row).values(dropped=_TABLE.c.dropped + 1))
    return connection.execute(select(_TABLE.c.taken + _TABLE.c.dropped).where(_TABLE.c.id == row)).scalar() or 0


def release(session: Transaction, claim: PriorClaim) -> None:
    """Put back into the queue what a server that stops has not done."""
    _write(session, claim, {"state": "queued"})


def finish(session: Transaction, claim: PriorClaim, **figures: Any) -> bool:
    """Write down that a search or fetch has succeeded.

    Args:
        session: The transaction.
        claim: The claim.
        figures: Of a search ``found``, ``taken`` and ``dropped``, of a fetch ``prior``; see `tables.PriorFetch`.

    Returns:
        False, and writes nothing, where another server has taken over or the study was erased.
    """
    values = {"state": "done", "finished": now(), "last_error": "", "attempts": claim.attempts + 1, **figures}
    return _write(session, claim, values)


def fail(
    session: Transaction, claim: PriorClaim, error: str, retry: RetryRule, *, pause: float, for_good: bool = False
) -> bool:
    """Write down that a search or fetch has failed; return whether it is given up.

    Args:
        session: The transaction.
        claim: The claim.
        error: Why, without a name of a patient.
        retry: When it is given up.
        pause: Seconds until the next attempt.
        for_good: It is given up now: asking again can't help.
    """
    time = now()
    dead = for_good or time - claim.queued > retry.dead_after_hours * _HOUR
    values = {
        **{"state": "failed" if dead else "queued", "next_attempt": time + pause, "attempts": claim.attempts + 1},
        **{"last_error": error[:_LONGEST_ERROR], "finished": time if dead else None},
    }
    return _write(session, claim, values) and dead


def hold(session: Transaction, until: float) -> None:
    """Let all that waits for the archive, which does not answer, wait until a time."""
    waiting = and_(_TABLE.c.state == "queued", _TABLE.c.next_attempt < until)
    session.connection().execute(update(_TABLE).where(waiting).values(next_attempt=until))


def requeue_running(store: Store) -> None:
    """Put back what an earlier server was fetching, on SQLite, where there is one server."""
    if not store.is_postgres:
        values = {"state": "queued", "worker": None, "lease": 0.0, "message": None}
        running = update(_TABLE).where(_TABLE.c.state == "running").values(values)
        store.commit(lambda session: session.connection().execute(running) and None)


def retry_failed(session: Transaction, row: str) -> PriorFetch:
    """Queue again what was given up, as if it were new.

    Raises:
        NotFoundError: There is no such row.
        ConflictError: It was not given up.
    """
    fetch = session.get(PriorFetch, row, with_for_update=True)
    if fetch is None:
        raise NotFoundError("fetch", "is not in the queue of earlier studies.")
    if fetch.state != "failed":
        raise ConflictError("this fetch", f"is {fetch.state}, and not failed.", "Only failed ones are tried by hand.")
    fetch.state, fetch.attempts, fetch.finished = "queued", 0, None
    fetch.queued = fetch.next_attempt = now()
    return fetch


def count_fetches(session: Transaction) -> dict[str, int]:
    """Return how many searches and fetches are in each state."""
    query = select(_TABLE.c.state, func.count()).group_by(_TABLE.c.state)
    return {state: count for state, count in session.execute(query)}


def list_fetches(session: Transaction, *, state: str | None = None, limit: int = 100) -> Sequence[Any]:
    """Return searches and fetches, those that were queued last first.

    Args:
        session: The transaction.
        state: Only those of this state.
        limit: At most so many.
    """
    query = select(_TABLE).order_by(_TABLE.c.queued.desc(), _TABLE.c.id).limit(limit)
    return session.execute(query if state is None else query.where(_TABLE.c.state == state)).all()


def _is_due(time: float) -> Any:
    return or_(
        and_(_TABLE.c.state == "queued", _TABLE.c.next_attempt <= time),
        and_(_TABLE.c.state == "running", _TABLE.c.lease < time),
    )


def _new_row(study: str, key: str, sealed: bytes | None) -> dict[str, Any]:
    time = now()
    return {
        **{"id": new_id(), "study": study, "key": key, "sealed": sealed, "state": "queued", "attempts": 0},
        **{"next_attempt": time, "last_error": "", "lease": 0.0, "queued": time},
        **{"found": 0, "taken": 0, "dropped": 0, "size": 0},
    }


def _write(session: Transaction, claim: PriorClaim, values: dict[str, Any]) -> bool:
    own = and_(_TABLE.c.id == claim.id, _TABLE.c.state == "running", _TABLE.c.message == claim.message)
    ended = {"worker": None, "lease": 0.0, "message": None}
    return session.connection().execute(update(_TABLE).where(own).values({**values, **ended})).rowcount == 1
