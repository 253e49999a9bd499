"""The queue of predictions: the table of predictions itself.

A server claims predictions for its workers for a limited time (a lease) and renews the leases while it lives. The
leases of a killed server run out, and another server takes over: nothing is lost. A result is written only for the
holder of the lease, in one statement that also ends the lease: nothing is doubled. On PostgreSQL a claim skips rows
that others are claiming (FOR UPDATE SKIP LOCKED); SQLite has one writer at a time (BEGIN IMMEDIATE).

All functions work in a transaction of the caller, so that many changes share one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, update

from pneumoscope.server.errors import BusyError, ConflictError
from pneumoscope.server.inference.runner import Result
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Event, Image, StoredPrediction, Switch, table_of
from pneumoscope.server.storage.transaction import Transaction

OPEN = ("queued", "running")
RETRY_AFTER = 5
"""Seconds that a client is asked to wait when the queue is full."""
_TABLE, _IMAGES = table_of(StoredPrediction), table_of(Image)
_BY_ID = _TABLE.c.id == bindparam("own")
_EXPIRED = and_(_TABLE.c.state == "running", _TABLE.c.lease < bindparam("time"))
# Each statement is built once: building it takes longer than running it.
_CLAIMABLE = select(_TABLE.c.id).where(or_(_TABLE.c.state == "queued", _EXPIRED)).limit(1)
_DEPTH = select(func.count()).select_from(_TABLE).where(_TABLE.c.state.in_(OPEN))
_ON = select(Switch.on).where(Switch.model == bindparam("model")).order_by(Switch.id.desc()).limit(1)
_OLDEST = (
    select(
        _TABLE.c.id,
        _TABLE.c.image,
        _IMAGES.c.sha256,
        _TABLE.c.study,
        _TABLE.c.model,
        _TABLE.c.attempts,
        _IMAGES.c.facts,
    )
    .join(_IMAGES, _IMAGES.c.id == _TABLE.c.image)
    .order_by(_TABLE.c.asked, _TABLE.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=_TABLE)
)
_QUEUED, _ABANDONED = _OLDEST.where(_TABLE.c.state == "queued"), _OLDEST.where(_EXPIRED)
_CLAIM = update(_TABLE).where(_BY_ID)
_FINISH = update(_TABLE).where(_BY_ID, _TABLE.c.worker == bindparam("by"), _TABLE.c.state == "running")


@dataclass(frozen=True, slots=True)
class Claim:
    """A prediction that one worker, and no other, is to make."""

    prediction: str
    worker: str
    image: str
    sha256: str
    """Hash of the image's stored pixels."""
    study: str
    model: str
    facts: Mapping[str, Any] = field(default_factory=dict, compare=False)
    """What is stored of the file's metadata, for the gatekeeper."""


@dataclass(frozen=True, slots=True)
class FinishedClaim:
    """A claim with its result."""

    claim: Claim
    result: Result


def enqueue(
    store: Store, session: Transaction, images: Sequence[tuple[str, str]], models: Sequence[str], user: str
) -> list[StoredPrediction]:
    """Add a prediction for each image and model, or none at all; return the new rows.

    Args:
        store: The store of the session.
        session: A transaction that has called `Store.lock_exclusive`.
        images: (study, image) of each.
        models: Identities, whole.
        user: Id of the user who asks.

    Raises:
        BusyError: The queue is full.
        ConflictError: A model is switched off.
    """
    for model in models:
        check_switched_on(session, model)
    requested = len(images) * len(models)
    if not requested:
        return []
    waiting = _depth(session)
    if waiting + requested > store.settings.queue_limit:
        raise BusyError(
            "the queue",
            f"holds {waiting} predictions; {requested} more would exceed its limit of {store.settings.queue_limit}.",
            "Send it again later.",
            retry_after=RETRY_AFTER,
            code="queue-full",
            values={"waiting": waiting, "wanted": requested, "limit": store.settings.queue_limit},
        )
    session.queue_depth = waiting + requested
    time = now()
    predictions = [
        StoredPrediction(id=new_id(), image=image, study=study, model=model, state="queued")
        for study, image in images
        for model in models
    ]
    for row in predictions:
        session.append(
            StoredPrediction,
            {
                **{"id": row.id, "image": row.image, "study": row.study, "model": row.model, "state": row.state},
                **{"asked": time, "asked_by": user, "lease": 0.0, "attempts": 0},
            },
        )
        _append_event(session, row.study, row.id, row.state)
    return predictions


def record(session: Transaction, study: str, image: str, model: str, result: Result, user: str) -> StoredPrediction:
    """Add a finished prediction, one that was made while its image was being stored; return the new row.

    Raises:
        ConflictError: The model is switched off.
    """
    check_switched_on(session, model)
    number, time, state = new_id(), now(), "failed" if "error" in result.values else "done"
    values = {
        **{"id": number, "image": image, "study": study, "model": model, "state": state, "asked": time},
        **{"asked_by": user, "lease": 0.0, "attempts": 0, "finished": time},
        **{"result": result.values, "heatmap": result.heatmap},
    }
    session.append(StoredPrediction, values)
    _append_event(session, study, number, state)
    return StoredPrediction(**values)


def check_switched_on(session: Transaction, model: str) -> None:
    """Refuse a model that was switched off.

    Raises:
        ConflictError: The model was switched off.
    """
    if is_switched_off(session, model):
        raise ConflictError("this model", "was switched off on this server.", "Ask another one.", code="model-off")


def find_requested(session: Transaction, images: Sequence[str], models: Sequence[str]) -> set[tuple[str, str]]:
    """Return the pairs (image, model) for which there is a prediction that has not failed."""
    session.write_appended()
    query = select(StoredPrediction.image, StoredPrediction.model).where(
        StoredPrediction.image.in_(images), StoredPrediction.model.in_(models), StoredPrediction.state != "failed"
    )
    return {(image, model) for image, model in session.execute(query)}


def is_switched_off(session: Transaction, model: str) -> bool:
    """Return whether a model was switched off; a transaction looks each model up once."""
    switched_off = session.switched_off
    if model not in switched_off:
        switched_off[model] = session.connection().execute(_ON, {"model": model}).scalar() is False
    return switched_off[model]


def has_claimable(store: Store) -> bool:
    """Return whether there is a prediction to claim; an idle server that only reads takes no writer's place."""
    with store.read() as session:
        return session.connection().execute(_CLAIMABLE, {"time": now()}).first() is not None


def claim(store: Store, session: Transaction, workers: Sequence[str]) -> list[Claim]:
    """Claim the oldest predictions that wait or whose lease has run out, one for each name; fewer where none is left.

    Args:
        store: The store of the session.
        session: The transaction.
        workers: Names of workers; a worker with two free places is named twice.
    """
    claims: list[Claim] = []
    while len(claims) < len(workers):
        places = workers[len(claims) :]
        rows = _select_oldest(session, len(places))
        good = [row for row in rows if not _give_up(store, session, row)]
        lease = now() + store.settings.lease
        new_claims = [
            Claim(row.id, name, row.image, row.sha256, row.study, row.model, row.facts or {})
            for row, name in zip(good, places, strict=False)
        ]
        if new_claims:
            running = [
                {"own": each.prediction, "state": "running", "worker": each.worker, "lease": lease}
                for each in new_claims
            ]
            session.connection().execute(_CLAIM, running)
        for each in new_claims:
            _append_event(session, each.study, each.prediction, "running")
        claims += new_claims
        if len(rows) < len(places):
            break
    return claims


def renew(store: Store, session: Transaction, workers: Sequence[str]) -> None:
    """Renew the leases of these workers."""
    running = _TABLE.c.worker.in_(workers), _TABLE.c.state == "running"
    session.connection().execute(update(_TABLE).where(*running).values(lease=now() + store.settings.lease))


def finish(session: Transaction, finished: FinishedClaim) -> bool:
    """Write a result down; return False, and write nothing, where another has the lease or the study was erased.

    The result of a model that was switched off in the meantime is not kept.
    """
    claim, (values, heatmap) = finished.claim, finished.result
    state = "failed" if "error" in values else "done"
    if is_switched_off(session, claim.model):
        state, values, heatmap = "failed", {"error": "the model was switched off"}, None
    row = {"state": state, "result": values, "heatmap": heatmap, "finished": now(), "worker": None, "lease": 0.0}
    done = session.connection().execute(_FINISH, {"own": claim.prediction, "by": claim.worker, **row})
    if done.rowcount != 1:
        return False
    _append_event(session, claim.study, claim.prediction, state)
    return True


def release(session: Transaction, claims: Sequence[Claim], *, counted: bool) -> int:
    """Put the claims of a worker that has ended back into the queue; return how many went back.

    Args:
        session: The transaction.
        claims: The claims that the worker held.
        counted: Whether the worker began these claims and crashed at them, so that they have lost an attempt. A claim
            is none by itself: where a server is killed, or stops, its claims are innocent.
    """
    released = 0
    for each in claims:
        back = update(_TABLE).where(
            _TABLE.c.id == each.prediction, _TABLE.c.worker == each.worker, _TABLE.c.state == "running"
        )
        attempts = _TABLE.c.attempts + 1 if counted else _TABLE.c.attempts
        done = session.connection().execute(back.values(state="queued", worker=None, lease=0.0, attempts=attempts))
        if done.rowcount == 1:
            released += 1
            _append_event(session, each.study, each.prediction, "queued")
    return released


def requeue_running(store: Store) -> None:
    """Put the running predictions of an earlier server back into the queue, on SQLite, where there is one server.

    The workers of that server ended with it: no result of theirs can still come.
    """
    if not store.is_postgres:
        with store.write() as session:
            running = update(_TABLE).where(_TABLE.c.state == "running")
            session.connection().execute(running.values(state="queued", worker=None, lease=0.0))


def _depth(session: Transaction) -> int:
    """Return how many predictions wait or run; a transaction counts once and then keeps the number up to date."""
    if session.queue_depth is None:
        session.queue_depth = int(session.connection().execute(_DEPTH).scalar_one())
    return session.queue_depth


def _select_oldest(session: Transaction, most: int) -> Sequence[Any]:
    """Return rows to claim, locked: queued ones, and where these are too few also abandoned ones."""
    connection = session.connection()
    rows = list(connection.execute(_QUEUED, {"most": most}))
    if len(rows) < most:
        rows += connection.execute(_ABANDONED, {"most": most - len(rows), "time": now()})
    return rows


def _give_up(store: Store, session: Transaction, row: Any) -> bool:
    """End a prediction that may not be claimed any more; return whether it was ended."""
    if row.attempts >= store.settings.attempts:
        why = f"given up: {row.attempts} workers ended while at it"
    elif is_switched_off(session, row.model):
        why = "the model was switched off"
    else:
        return False
    values = {"state": "failed", "result": {"error": why}, "finished": now(), "worker": None, "lease": 0.0}
    session.connection().execute(update(_TABLE).where(_TABLE.c.id == row.id).values(values))
    _append_event(session, row.study, row.id, "failed")
    return True


def _append_event(session: Transaction, study: str, prediction: str, state: str) -> None:
    session.append(Event, {"kind": "prediction", "study": study, "subject": prediction, "state": state, "at": now()})
