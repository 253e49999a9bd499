"""Who answers next: the table of predictions is the queue.

A server claims predictions for its workers for a while (a lease) and renews them while it lives. Whoever is killed
leaves leases that run out, and the next one takes over: nothing is lost. A result is written only for the holder of the
lease, in one statement that also ends it: nothing is doubled. On PostgreSQL claims skip what others are claiming (FOR
UPDATE SKIP LOCKED); SQLite has one writer at a time (BEGIN IMMEDIATE).

All functions work in a transaction of the caller's, so that many of them share one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import and_, bindparam, func, or_, select, update

from pneumoscope.server.errors import BusyError, ConflictError
from pneumoscope.server.inference.runner import Result
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Event, Image, Prediction, Switch, table_of
from pneumoscope.server.storage.transaction import Transaction

OPEN = ("queued", "running")
RETRY_AFTER = 5
"""Seconds that a client is asked to wait when the queue is full."""
_TABLE, _IMAGES = table_of(Prediction), table_of(Image)
_MINE = _TABLE.c.id == bindparam("own")
_EXPIRED = and_(_TABLE.c.state == "running", _TABLE.c.lease < bindparam("time"))
# Put together once: what a statement is made of takes longer than what it does.
_ANY = select(_TABLE.c.id).where(or_(_TABLE.c.state == "queued", _EXPIRED)).limit(1)
_DEPTH = select(func.count()).select_from(_TABLE).where(_TABLE.c.state.in_(OPEN))
_ON = select(Switch.on).where(Switch.model == bindparam("model")).order_by(Switch.id.desc()).limit(1)
_OLDEST = (
    select(_TABLE.c.id, _TABLE.c.image, _IMAGES.c.sha256, _TABLE.c.study, _TABLE.c.model, _TABLE.c.attempts)
    .join(_IMAGES, _IMAGES.c.id == _TABLE.c.image)
    .order_by(_TABLE.c.asked, _TABLE.c.id)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True, of=_TABLE)
)
_WAITING, _LEFT = _OLDEST.where(_TABLE.c.state == "queued"), _OLDEST.where(_EXPIRED)
_CLAIM = update(_TABLE).where(_MINE).values(attempts=_TABLE.c.attempts + 1)
_FINISH = update(_TABLE).where(_MINE, _TABLE.c.worker == bindparam("by"), _TABLE.c.state == "running")


@dataclass(frozen=True, slots=True)
class Claim:
    """A prediction that this worker, and no other, is to make."""

    prediction: str
    worker: str
    image: str
    sha256: str
    """Of the image's stored pixels."""
    study: str
    model: str


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a claim: the result, with the member ``error`` where it failed, and the heatmap's bytes."""

    claim: Claim
    result: dict[str, Any]
    heatmap: bytes | None


def enqueue(
    store: Store, session: Transaction, images: Sequence[tuple[str, str]], models: Sequence[str], who: str
) -> list[Prediction]:
    """Add a prediction for each image and model, or none at all; return them as far as they are known.

    Args:
        store: The session's.
        session: Its transaction has called `Store.lock_exclusive`.
        images: (study, image) each.
        models: Identities, whole.
        who: Asks for them.

    Raises:
        BusyError: The queue is full.
        ConflictError: A model is switched off.
    """
    for model in models:
        check_on(session, model)
    wanted = len(images) * len(models)
    if not wanted:
        return []
    waiting = _depth(session)
    if waiting + wanted > store.settings.queue_limit:
        raise BusyError(
            "the queue",
            f"holds {waiting} predictions; {wanted} more would exceed its limit of {store.settings.queue_limit}.",
            "Send it again later.",
            retry_after=RETRY_AFTER,
            code="queue-full",
            values={"waiting": waiting, "wanted": wanted, "limit": store.settings.queue_limit},
        )
    session.queue_depth = waiting + wanted
    time = now()
    made = [
        Prediction(id=new_id(), image=image, study=study, model=model, state="queued")
        for study, image in images
        for model in models
    ]
    for row in made:
        session.append(
            Prediction,
            {
                **{"id": row.id, "image": row.image, "study": row.study, "model": row.model, "state": row.state},
                **{"asked": time, "asked_by": who, "lease": 0.0, "attempts": 0},
            },
        )
        _tell(session, row.study, row.id, row.state)
    return made


def record(session: Transaction, study: str, image: str, model: str, result: Result, who: str) -> Prediction:
    """Add a prediction that was made while its image was being stored, finished; return it as it is.

    Raises:
        ConflictError: The model is switched off.
    """
    check_on(session, model)
    number, time, state = new_id(), now(), "failed" if "error" in result.values else "done"
    values = {
        **{"id": number, "image": image, "study": study, "model": model, "state": state, "asked": time},
        **{"asked_by": who, "lease": 0.0, "attempts": 1, "finished": time},
        **{"result": result.values, "heatmap": result.heatmap},
    }
    session.append(Prediction, values)
    _tell(session, study, number, state)
    return Prediction(**values)


def check_on(session: Transaction, model: str) -> None:
    """Refuse a model that was switched off.

    Raises:
        ConflictError: It was.
    """
    if is_off(session, model):
        raise ConflictError("this model", "was switched off on this server.", "Ask another one.", code="model-off")


def asked(session: Transaction, images: Sequence[str], models: Sequence[str]) -> set[tuple[str, str]]:
    """Return which models (the second of each pair) have answered, or are to answer, about which images."""
    session.write_appended()
    found = select(Prediction.image, Prediction.model).where(
        Prediction.image.in_(images), Prediction.model.in_(models), Prediction.state != "failed"
    )
    return {(image, model) for image, model in session.execute(found)}


def is_off(session: Transaction, model: str) -> bool:
    """Return whether a model was switched off; looked up once in a transaction."""
    known = session.switched_off
    if model not in known:
        known[model] = session.connection().execute(_ON, {"model": model}).scalar() is False
    return known[model]


def any_waits(store: Store) -> bool:
    """Return whether there is something to claim; looking first keeps idle servers from taking a writer's place."""
    with store.read() as session:
        return session.connection().execute(_ANY, {"time": now()}).first() is not None


def claim(store: Store, session: Transaction, workers: Sequence[str]) -> list[Claim]:
    """Claim the oldest predictions that wait or whose worker fell silent, one for each name; fewer where none is left.

    Args:
        store: The session's.
        session: Of the transaction.
        workers: Names; one that has place for two stands here twice.
    """
    claims: list[Claim] = []
    while len(claims) < len(workers):
        places = workers[len(claims) :]
        rows = _oldest(session, len(places))
        good = [row for row in rows if not _given_up(store, session, row)]
        lease = now() + store.settings.lease
        made = [
            Claim(row.id, name, row.image, row.sha256, row.study, row.model)
            for row, name in zip(good, places, strict=False)
        ]
        if made:
            running = [
                {"own": each.prediction, "state": "running", "worker": each.worker, "lease": lease} for each in made
            ]
            session.connection().execute(_CLAIM, running)
        for each in made:
            _tell(session, each.study, each.prediction, "running")
        claims += made
        if len(rows) < len(places):
            break
    return claims


def renew(store: Store, session: Transaction, workers: Sequence[str]) -> None:
    """Give a sign of life: the leases of these workers run anew."""
    held = _TABLE.c.worker.in_(workers), _TABLE.c.state == "running"
    session.connection().execute(update(_TABLE).where(*held).values(lease=now() + store.settings.lease))


def finish(session: Transaction, answer: Answer) -> bool:
    """Write an answer down; return False, and write nothing, where the lease has gone to another or the study is gone.

    A model that was switched off meanwhile does not answer.
    """
    claimed, result, heatmap = answer.claim, answer.result, answer.heatmap
    state = "failed" if "error" in result else "done"
    if is_off(session, claimed.model):
        state, result, heatmap = "failed", {"error": "the model was switched off"}, None
    values = {"state": state, "result": result, "heatmap": heatmap, "finished": now(), "worker": None, "lease": 0.0}
    done = session.connection().execute(_FINISH, {"own": claimed.prediction, "by": claimed.worker, **values})
    if done.rowcount != 1:
        return False
    _tell(session, claimed.study, claimed.prediction, state)
    return True


def release(session: Transaction, claims: Sequence[Claim], *, counted: bool) -> int:
    """Give back what a worker that has ended held; return how many.

    Args:
        session: Of the transaction.
        claims: What it held.
        counted: It crashed at them, so that the attempt counts against the images; False where it had not begun.
    """
    given = 0
    for each in claims:
        back = update(_TABLE).where(
            _TABLE.c.id == each.prediction, _TABLE.c.worker == each.worker, _TABLE.c.state == "running"
        )
        attempts = _TABLE.c.attempts if counted else _TABLE.c.attempts - 1
        done = session.connection().execute(back.values(state="queued", worker=None, lease=0.0, attempts=attempts))
        if done.rowcount == 1:
            given += 1
            _tell(session, each.study, each.prediction, "queued")
    return given


def take_back(store: Store) -> None:
    """Let everything wait again that a server before this one was at, where there can be no other (SQLite).

    Its workers ended with it, and what they might still send has nobody to write it down.
    """
    if not store.is_postgres:
        with store.write() as session:
            running = update(_TABLE).where(_TABLE.c.state == "running")
            session.connection().execute(running.values(state="queued", worker=None, lease=0.0))


def _depth(session: Transaction) -> int:
    """Return how many predictions wait or run; counted once in a transaction, and then kept up."""
    if session.queue_depth is None:
        session.queue_depth = int(session.connection().execute(_DEPTH).scalar_one())
    return session.queue_depth


def _oldest(session: Transaction, most: int) -> Sequence[Any]:
    """Return rows to claim, locked: those that wait, and only where these are too few those that were left."""
    connection = session.connection()
    rows = list(connection.execute(_WAITING, {"most": most}))
    if len(rows) < most:
        rows += connection.execute(_LEFT, {"most": most - len(rows), "time": now()})
    return rows


def _given_up(store: Store, session: Transaction, row: Any) -> bool:
    """Return whether a row is not to be claimed any more, and end it if so."""
    if row.attempts >= store.settings.attempts:
        why = f"given up: {row.attempts} workers ended while at it"
    elif is_off(session, row.model):
        why = "the model was switched off"
    else:
        return False
    values = {"state": "failed", "result": {"error": why}, "finished": now(), "worker": None, "lease": 0.0}
    session.connection().execute(update(_TABLE).where(_TABLE.c.id == row.id).values(values))
    _tell(session, row.study, row.id, "failed")
    return True


def _tell(session: Transaction, study: str, prediction: str, state: str) -> None:
    session.append(Event, {"kind": "prediction", "study": study, "subject": prediction, "state": state, "at": now()})
