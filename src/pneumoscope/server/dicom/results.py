"""A study's results as DICOM objects, which are kept: once made, an object never has other bytes under its UID.

A UID follows from the source objects, their pixels, the model, what it said, the kind of object, the version of its
writer, and the object that it supersedes. Where nothing has changed, nothing is made. Where a late image or another
answer changes what there is to say, the new object names the earlier one as its predecessor.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import Select, select, update
from sqlalchemy.exc import IntegrityError

from pneumoscope.core.errors import ImageError, UsageError
from pneumoscope.server.dicom.place import Place, derive_uid, finish, refer_to
from pneumoscope.server.dicom.plans import PLANS, PlannedObject, ResultKind, plan_reports
from pneumoscope.server.dicom.sources import StudyAnswers, gather
from pneumoscope.server.errors import ConflictError, DamagedError, ForbiddenError, NotFoundError
from pneumoscope.server.inference import queue
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.answers import show_predictions
from pneumoscope.server.reading.reads import withheld_reason
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import ResultObject, StoredPrediction
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies import lookup

_TRIES = 5
"""How often an object is tried again because another process made one meanwhile."""


def make_results(store: Store, catalogue: Catalogue, study: str, kinds: Sequence[ResultKind]) -> list[str]:
    """Make the DICOM objects of a study's results that are not there yet; return the UIDs of those that count now.

    Models that are switched off, or no longer here, say nothing.

    Args:
        store: The store.
        catalogue: The models of this server.
        study: Number of the study.
        kinds: What to make.

    Raises:
        UsageError: Secondary captures are not made on this server.
        NotFoundError: There is no such study, or none of its images came as a DICOM object.
        ConflictError: A model's answer is not there yet.
        MissingExtraError: highdicom is not installed.
    """
    settings = store.settings.dicom
    if "capture" in kinds and (settings is None or not settings.capture):
        raise UsageError("secondary captures", "are not made on this server.", "Start it with `dicom_capture`.")
    answers = gather(store, catalogue, study)
    planned = [one for kind in kinds for one in PLANS[kind](answers)]
    made = [_make_if_possible(store, study, one) for one in planned]
    _set_aside(store, answers, kinds, planned)
    return [sop_uid for sop_uid in made if sop_uid is not None]


def read_result(store: Store, sop_uid: str) -> bytes:
    """Return a result as a DICOM file, with the bytes that it was made with.

    Raises:
        NotFoundError: There is no such object.
        DamagedError: Its file is gone or altered.
    """
    with store.read() as session:
        row = session.get(ResultObject, sop_uid)
    if row is None:
        raise NotFoundError("result")
    try:
        return blobs.read_sealed(store.settings.files, store.secret, row.blob)
    except ImageError as error:
        raise DamagedError from error


def list_results(store: Store, study: str, reader: str) -> list[ResultObject]:
    """Return the results of a study, superseded and retracted ones too, in the order in which they were made.

    Args:
        store: The store.
        study: Number of the study.
        reader: Id of the account that asks.

    Raises:
        NotFoundError: There is no such study.
        ForbiddenError: The reader may not see answers about it yet.
    """
    with store.read() as session:
        lookup.get_study(session, study)
        _check_may_see(session, store, study, reader)
        query = select(ResultObject).where(ResultObject.study == study)
        return list(session.scalars(query.order_by(ResultObject.made, ResultObject.sop_uid)))


def export_result(store: Store, study: str, sop_uid: str, reader: str) -> bytes:
    """Return a result as a DICOM file, and record that the answers of its model are shown.

    Args:
        store: The store.
        study: Number of the study.
        sop_uid: Of the object.
        reader: Id of the account, which may see names.

    Raises:
        NotFoundError: The study has no such object.
        ForbiddenError: The reader may not see answers about the study yet.
        DamagedError: Its file is gone or altered.
    """
    with store.write() as session:
        row = session.get(ResultObject, sop_uid)
        if row is None or row.study != study:
            raise NotFoundError("result")
        _show(session, store, study, row.model, reader)
    return read_result(store, sop_uid)


def export_report(store: Store, catalogue: Catalogue, prediction: str, reader: str) -> bytes:
    """Return the report of a study and model to which an answer belongs, and record that its answers are shown.

    Args:
        store: The store.
        catalogue: The models of this server.
        prediction: Number of the answer.
        reader: Id of the account, which may see names.

    Raises:
        NotFoundError: There is no such answer, its image was no DICOM object, its model is gone, or its
            report was retracted.
        ForbiddenError: The reader may not see the answer yet.
        ConflictError: An answer about the study is not there yet, or the model is switched off.
        MissingExtraError: highdicom is not installed.
    """
    with store.write() as session:
        asked = session.get(StoredPrediction, prediction)
        if asked is None:
            raise NotFoundError("prediction")
        if queue.is_switched_off(session, asked.model):
            raise ConflictError(
                "this model", "was switched off on this server.", "Do not rely on its answer.", code="model-off"
            )
        _show(session, store, asked.study, asked.model, reader)
    catalogue.get(asked.model)
    answers = gather(store, catalogue, asked.study)
    for planned in plan_reports(answers):
        if planned.model == asked.model and (sop_uid := _make(store, asked.study, planned)) is not None:
            return read_result(store, sop_uid)
    raise NotFoundError("report", "is not here: its image was no DICOM object or is left out, or it was retracted.", "")


def _show(session: Transaction, store: Store, study: str, model: str, reader: str) -> None:
    """Record that a model's answers about a study are shown.

    Raises:
        ForbiddenError: The reader may not see them yet.
    """
    _check_may_see(session, store, study, reader)
    rows = [row for row in lookup.predictions_of(session, [study])[study] if row.model == model]
    show_predictions(session, store.settings, rows, reader)


def _check_may_see(session: Transaction, store: Store, study: str, reader: str) -> None:
    if why := withheld_reason(session, store.settings, study, reader):
        raise ForbiddenError("the answer", f"is withheld: {why}.", code="withheld")


def _make_if_possible(store: Store, study: str, planned: PlannedObject) -> str | None:
    """Do what `_make` does; an outline that no library can draw on a malformed image must not hold up the report."""
    try:
        return _make(store, study, planned)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        if planned.kind == "report":
            raise
        logging.getLogger(__name__).error("no %s of study %s: %s", planned.kind, study, type(error).__name__)
        return None


def _make(store: Store, study: str, planned: PlannedObject) -> str | None:
    """Return the UID of the object that was planned, which is made if it is not there; None where it was retracted."""
    for _ in range(_TRIES):
        with store.read() as session:
            last, number = _find_last(session, study, planned), 1 + _count_series(session, study, planned)
        if last is not None and _uid_of(planned, last.predecessor) == last.sop_uid:
            if last.state == "superseded":  # it was set aside, and an answer says again what it says
                _set_state(store, [last.sop_uid], "superseded", "current")
            return None if last.state == "retracted" else last.sop_uid
        if (sop_uid := _add(store, study, planned, last, number)) is not None:
            return sop_uid
        with store.read() as session:
            lookup.get_study(session, study)
    raise ConflictError("a result of this study", "is being made.", "Ask again.")


def _add(store: Store, study: str, planned: PlannedObject, last: ResultObject | None, number: int) -> str | None:
    """Make an object; return its UID, or None where another one was made meanwhile."""
    predecessor = None
    if last is not None:
        predecessor = refer_to(last.sop_class, last.sop_uid, last.series_uid, planned.study_uid)
    place = Place(
        sop_uid=_uid_of(planned, None if last is None else last.sop_uid),
        # Keyed: a hash alone would let the database tell whether a study that somebody knows is in it.
        series_uid=derive_uid(store.secret.lookup_key("series", planned.study_uid, planned.model, planned.kind)),
        series_number=planned.series_number,
        number=number,
        predecessor=predecessor,
    )
    data = finish(planned.write(place), planned.header, planned.name, planned.finished)
    blob = new_id()
    blobs.write_pixels(store.settings.files, blob, store.secret.seal_bytes(data, blob), kind=blobs.SEALED)
    row = ResultObject(
        sop_uid=place.sop_uid,
        sop_class=planned.sop_class,
        series_uid=place.series_uid,
        study=study,
        kind=planned.kind,
        model=planned.model,
        subject=planned.subject,
        predecessor=None if last is None else last.sop_uid,
        state="current",
        made=now(),
        blob=blob,
    )
    try:
        with store.write() as session:
            store.lock_exclusive(session)
            newest = _find_last(session, study, planned)
            added = (newest and newest.sop_uid) == (last and last.sop_uid)
            if added:
                if newest is not None and newest.state == "current":
                    newest.state = "superseded"
                session.add(row)
    except IntegrityError:  # the study was erased
        added = False
    if not added:  # after any other error the row may be there all the same: `remove_leftovers` decides
        blobs.delete(store.settings.files, blob)
    return place.sop_uid if added else None


def _set_aside(
    store: Store, answers: StudyAnswers, kinds: Sequence[ResultKind], planned: Sequence[PlannedObject]
) -> None:
    """Mark as superseded what no answer asks for any more, such as the lungs of an image that a later one refuses."""
    wanted = {(one.kind, one.model, one.subject) for one in planned}
    query = select(ResultObject).where(
        ResultObject.study == answers.study,
        ResultObject.kind.in_(kinds),
        ResultObject.model.in_(list(answers.answers)),
        ResultObject.state == "current",
    )
    with store.read() as session:
        rows = session.scalars(query).all()
    if stale := [row.sop_uid for row in rows if (row.kind, row.model, row.subject) not in wanted]:
        _set_state(store, stale, "current", "superseded")


def _set_state(store: Store, sop_uids: Sequence[str], before: str, after: str) -> None:
    with store.write() as session:
        rows = ResultObject.sop_uid.in_(sop_uids), ResultObject.state == before
        session.execute(update(ResultObject).where(*rows).values(state=after))


def _find_last(session: Transaction, study: str, planned: PlannedObject) -> ResultObject | None:
    """Return the object about the same subject that no other one supersedes."""
    rows = session.scalars(_select_series(study, planned).where(ResultObject.subject == planned.subject)).all()
    superseded = {row.predecessor for row in rows}
    return next((row for row in rows if row.sop_uid not in superseded), None)


def _count_series(session: Transaction, study: str, planned: PlannedObject) -> int:
    return len(session.scalars(_select_series(study, planned)).all())


def _select_series(study: str, planned: PlannedObject) -> Select[ResultObject]:
    return select(ResultObject).where(
        ResultObject.study == study, ResultObject.kind == planned.kind, ResultObject.model == planned.model
    )


def _uid_of(planned: PlannedObject, predecessor: str | None) -> str:
    return derive_uid(planned.kind, planned.study_uid, *planned.says, predecessor or "")
