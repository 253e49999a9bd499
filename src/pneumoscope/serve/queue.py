"""Who answers next: the table of predictions is the queue.

A worker claims a prediction for a while (a lease) and renews it while it works. Whoever is killed leaves a lease that
runs out, and the next worker takes over: nothing is lost. A result is written only by the holder of the lease, in one
statement that also ends it: nothing is doubled. On PostgreSQL claims skip what others are claiming (FOR UPDATE SKIP
LOCKED); SQLite has one writer at a time (BEGIN IMMEDIATE).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, CursorResult, and_, func, or_, select, update
from sqlalchemy.orm import Session

from pneumoscope.serve.problems import ProblemError
from pneumoscope.serve.secret import new_id
from pneumoscope.serve.store import Store, now
from pneumoscope.serve.tables import Event, Image, Prediction, Switch

OPEN = ("queued", "running")
RETRY_AFTER = 5
"""Seconds that a client is asked to wait when the queue is full."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A prediction that this worker, and no other, is to make."""

    prediction: str
    image: str
    study: str
    model: str


def enqueue(
    store: Store, session: Session, images: Sequence[tuple[str, str]], models: Sequence[str], who: str
) -> list[Prediction]:
    """Add a prediction for each image and model, or none at all.

    Args:
        store: The session's.
        session: Its transaction has called `Store.alone`.
        images: (study, image) each.
        models: Identities, whole.
        who: Asks for them.

    Raises:
        ProblemError: The queue is full (429), or a model is switched off (409).
    """
    for model in models:
        if is_off(session, model):
            raise ProblemError(409, "this model", "was switched off on this server.", "Ask another one.")
    wanted = len(images) * len(models)
    waiting = depth(session)
    if wanted and waiting + wanted > store.settings.queue_limit:
        raise ProblemError(
            429,
            "the queue",
            f"holds {waiting} predictions; {wanted} more would exceed its limit of {store.settings.queue_limit}.",
            "Send it again later.",
            headers={"Retry-After": str(RETRY_AFTER)},
        )
    time = now()
    made = [
        Prediction(
            id=new_id(), image=image, study=study, model=model, state="queued", asked=time, asked_by=who,
            worker=None, lease=0.0, attempts=0, finished=None, result=None, heatmap=None,
        )
        for study, image in images
        for model in models
    ]  # fmt: skip
    session.add_all(made)
    session.add_all(_event(row, time) for row in made)
    return made


def depth(session: Session) -> int:
    """Return how many predictions wait or run."""
    return session.scalar(select(func.count()).select_from(Prediction).where(Prediction.state.in_(OPEN))) or 0


def is_off(session: Session, model: str) -> bool:
    """Return whether a model was switched off."""
    last = session.scalar(select(Switch).where(Switch.model == model).order_by(Switch.id.desc()).limit(1))
    return last is not None and not last.on


def claim(store: Store, worker: str) -> Claim | None:
    """Claim the oldest prediction that waits or whose worker fell silent; None where there is none."""
    with store.reading() as session:  # looking first keeps idle workers from taking SQLite's one place for writers
        if session.scalar(select(Prediction.id).where(_claimable()).limit(1)) is None:
            return None
    with store.writing() as session:
        row = session.scalar(
            select(Prediction)
            .where(_claimable())
            .order_by(Prediction.asked, Prediction.id)
            .limit(1)
            .with_for_update(skip_locked=True)
        )
        if row is None:
            return None
        if row.attempts >= store.settings.attempts:
            _end(session, row, "failed", {"error": f"given up: {row.attempts} workers ended while at it"})
            return None
        if is_off(session, row.model):
            _end(session, row, "failed", {"error": "the model was switched off"})
            return None
        row.state, row.worker, row.attempts = "running", worker, row.attempts + 1
        row.lease = now() + store.settings.lease
        session.add(_event(row, now()))
        return Claim(row.id, row.image, row.study, row.model)


def renew(store: Store, worker: str) -> None:
    """Give a sign of life: the leases of this worker run anew."""
    with store.writing() as session:
        session.execute(
            update(Prediction)
            .where(Prediction.worker == worker, Prediction.state == "running")
            .values(lease=now() + store.settings.lease)
        )


def finish(store: Store, worker: str, claimed: Claim, result: dict[str, Any], heatmap: bytes | None) -> bool:
    """Write an answer down; return False, and write nothing, where the lease has gone to another or the study is gone.

    A model that was switched off meanwhile does not answer.
    """
    with store.writing() as session:
        state = "failed" if "error" in result else "done"
        if is_off(session, claimed.model):
            state, result, heatmap = "failed", {"error": "the model was switched off"}, None
        time = now()
        done = session.execute(
            update(Prediction)
            .where(Prediction.id == claimed.prediction, Prediction.worker == worker, Prediction.state == "running")
            .values(state=state, result=result, heatmap=heatmap, finished=time, worker=None, lease=0.0)
        )
        assert isinstance(done, CursorResult)
        if done.rowcount != 1:
            return False
        session.add(Event(kind="prediction", study=claimed.study, subject=claimed.prediction, state=state, at=time))
        return True


def release(store: Store, worker: str, *, counted: bool) -> int:
    """Give back what a worker that has ended held; return how many.

    Args:
        store: Of both.
        worker: Has ended, for certain.
        counted: It crashed, so that the attempt counts against the image; False where it was told to stop.
    """
    with store.writing() as session:
        done = session.execute(
            update(Prediction)
            .where(Prediction.worker == worker, Prediction.state == "running")
            .values(
                state="queued", worker=None, lease=0.0,
                attempts=Prediction.attempts if counted else Prediction.attempts - 1,
            )
        )  # fmt: skip
        assert isinstance(done, CursorResult)
        return int(done.rowcount)


def image_sha256(store: Store, image: str) -> str | None:
    """Return the hash of an image's stored pixels; None where it was erased."""
    with store.reading() as session:
        return session.scalar(select(Image.sha256).where(Image.id == image))


def _claimable() -> ColumnElement[bool]:
    return or_(Prediction.state == "queued", and_(Prediction.state == "running", Prediction.lease < now()))


def _end(session: Session, row: Prediction, state: str, result: dict[str, Any]) -> None:
    row.state, row.result, row.finished, row.worker, row.lease = state, result, now(), None, 0.0
    session.add(_event(row, row.finished))


def _event(row: Prediction, time: float) -> Event:
    return Event(kind="prediction", study=row.study, subject=row.id, state=row.state, at=time)
