"""Retracting results: what rests on an image that was rejected or corrected says nothing any more.

A retracted result is sent no more. Where it went, a rejection note follows. The study's results are made again from
what is left, as after a late image.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING

from sqlalchemy import and_, or_, select, update

from pneumoscope.server.dicom.calling.outbound_queue import QueuedResult, enqueue
from pneumoscope.server.dicom.objects.sop_classes import KEY_OBJECTS
from pneumoscope.server.dicom.results.making import read_result
from pneumoscope.server.dicom.results.rejection import WrittenNote, write_note
from pneumoscope.server.errors import ConflictError
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import ArrivingObject, OutboundItem, ResultObject, table_of
from pneumoscope.server.storage.transaction import Transaction

if TYPE_CHECKING:
    from pydicom import Dataset

NOTE = "rejection"
"""Kind of a result that is a note about others."""
_TRIES = 5
_RESULTS, _ITEMS = table_of(ResultObject), table_of(OutboundItem)
_WENT_OUT = or_(_ITEMS.c.state.in_(("sending", "sent", "committed")), _ITEMS.c.attempts > 0)
"""The archive has the result, or may have it: an answer can be lost."""


@dataclass(frozen=True, slots=True)
class _PlannedNote:
    note: WrittenNote
    destinations: tuple[tuple[str, bool], ...]
    """Names, and whether they are asked for storage commitment."""
    blob: str


def retract(store: Store, study: str, images: Collection[str] | None, code: str) -> list[str]:
    """Retract the results of a study that rest on images, and queue rejection notes for where they went.

    The study's results are made again when it is complete.

    Args:
        store: The store.
        study: Its number.
        images: Numbers of the images, on which results about the whole study rest too, but no reader's report; None:
            all results are retracted.
        code: Why, of `rejection.TITLES`.

    Returns:
        SOPInstanceUIDs of what was retracted.

    Raises:
        ConflictError: Other results were made at the same time, again and again.
    """
    for _ in range(_TRIES):
        with store.read() as session:
            found = _find(session, study, images)
            went = _find_where_they_went(session, found)
        planned = [_plan(store, code, sop_uids, where) for sop_uids, where in went.items()]
        write = partial(_write, study=study, images=images, found=found, went=went, planned=planned)
        if store.commit(write, exclusive=True):
            return found
        for each in planned:
            blobs.delete(store.settings.files, each.blob)
    raise ConflictError("the results of this study", "are being made.", "Send it again.")


def retract_own(session: Transaction, sop_uids: Iterable[str]) -> list[str]:
    """Retract results that an archive's own user has rejected there; return the studies that have them."""
    ours = and_(_RESULTS.c.sop_uid.in_(list(sop_uids)), _RESULTS.c.kind != NOTE)
    studies = list(session.scalars(select(_RESULTS.c.study).where(ours).distinct()))
    session.connection().execute(update(_RESULTS).where(ours).values(state="retracted"))
    return studies


def _find(session: Transaction, study: str, images: Collection[str] | None) -> list[str]:
    query = select(_RESULTS.c.sop_uid).where(
        _RESULTS.c.study == study, _RESULTS.c.state != "retracted", _RESULTS.c.kind != NOTE
    )
    if images is not None:
        about_all = and_(_RESULTS.c.subject == "", _RESULTS.c.model != "")
        query = query.where(or_(about_all, _RESULTS.c.subject.in_(list(images))))
    return sorted(session.scalars(query))


def _find_where_they_went(
    session: Transaction, sop_uids: Sequence[str]
) -> dict[tuple[str, ...], tuple[tuple[str, bool], ...]]:
    """Return for each set of results the destinations that have just these."""
    query = select(_ITEMS.c.destination, _ITEMS.c.sop_uid, _ITEMS.c.commit)
    query = query.where(_ITEMS.c.sop_uid.in_(sop_uids), _WENT_OUT).order_by(_ITEMS.c.destination, _ITEMS.c.sop_uid)
    sets: dict[tuple[str, bool], list[str]] = {}
    for destination, sop_uid, commit in session.execute(query):
        sets.setdefault((destination, commit), []).append(sop_uid)
    went: dict[tuple[str, ...], tuple[tuple[str, bool], ...]] = {}
    for where, uids in sets.items():
        went[tuple(uids)] = (*went.get(tuple(uids), ()), where)
    return went


def _plan(store: Store, code: str, sop_uids: Sequence[str], where: tuple[tuple[str, bool], ...]) -> _PlannedNote:
    note = write_note(code, [_read(store, sop_uid) for sop_uid in sop_uids], now())
    blob = new_id()
    blobs.write_pixels(store.settings.files, blob, store.secret.seal_bytes(note.data, blob), kind=blobs.SEALED)
    return _PlannedNote(note, where, blob)


def _read(store: Store, sop_uid: str) -> Dataset:
    from pydicom import dcmread

    return dcmread(BytesIO(read_result(store, sop_uid)))


def _write(
    session: Transaction,
    *,
    study: str,
    images: Collection[str] | None,
    found: Sequence[str],
    went: object,
    planned: Sequence[_PlannedNote],
) -> bool:
    """Write it all down, unless other results were made or sent since the notes were planned."""
    session.write_appended()
    if _find(session, study, images) != found or _find_where_they_went(session, found) != went:
        return False
    session.connection().execute(update(_RESULTS).where(_RESULTS.c.sop_uid.in_(found)).values(state="retracted"))
    for each in planned:
        session.add(
            ResultObject(
                sop_uid=each.note.sop_uid,
                sop_class=KEY_OBJECTS,
                series_uid=each.note.series_uid,
                study=study,
                kind=NOTE,
                model="",
                subject="",
                predecessor=None,
                state="current",
                made=now(),
                blob=each.blob,
            )
        )
    session.flush()
    enqueue(
        session,
        [
            QueuedResult(each.note.sop_uid, name, "rejection of what went there", commit)
            for each in planned
            for name, commit in each.destinations
        ],
    )
    arrive_again(session, study)
    return True


def arrive_again(session: Transaction, study: str) -> None:
    """Let a study be complete once more, after its quiet time: its results have to be made again.

    The row is a new one, since those of the study's objects may be deleted at this moment by a look that has begun.
    """
    session.add(ArrivingObject(key=f"again-{new_id()}", study=study, received=now()))
