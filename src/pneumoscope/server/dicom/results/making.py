"""A study's results as DICOM objects, which are kept: once made, an object never has other bytes under its UID.

A UID follows from the source objects, their pixels, the model, what it said, the kind of object, the version of its
writer, and the object that it supersedes. Where nothing has changed, nothing is made. Where a late image or another
answer changes what there is to say, the new object names the earlier one as its predecessor.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence

from sqlalchemy import insert, select, update
from sqlalchemy.exc import IntegrityError

from pneumoscope.core.errors import ImageError, UsageError
from pneumoscope.server.dicom.objects.place import Place, derive_uid, finish, refer_to
from pneumoscope.server.dicom.results.plans import PLANS, PlannedObject, ResultKind, plan_reports
from pneumoscope.server.dicom.results.sources import StudyAnswers, gather
from pneumoscope.server.errors import ConflictError, DamagedError, ForbiddenError, NotFoundError
from pneumoscope.server.inference import queue
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.answers import show_predictions
from pneumoscope.server.reading.reads import withheld_reason
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import ResultObject, StoredPrediction, table_of
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
    made = _make(store, study, planned)
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
        if planned.model == asked.model and (sop_uid := _make(store, asked.study, [planned])[0]) is not None:
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


def _make(store: Store, study: str, planned: Sequence[PlannedObject]) -> list[str | None]:
    """Return the UID of each object that was planned; those that are not there are made, and added in one commit.

    None stands for one that was retracted, or can't be made.
    """
    for _ in range(_TRIES):
        with store.read() as session:
            known = _list_known(session, study)
        sop_uids: list[str | None] = []
        added: list[ResultObject] = []
        for one in planned:
            last = _find_last(known, one.kind, one.model, one.subject)
            if last is None or _uid_of(one, last.predecessor) != last.sop_uid:
                number = 1 + sum((row.kind, row.model) == (one.kind, one.model) for row in (*known, *added))
                row = _write_if_possible(store, study, one, last, number)
                added += [row] if row is not None else []
                sop_uids.append(None if row is None else row.sop_uid)
                continue
            if last.state == "superseded":  # it was set aside, and an answer says again what it says
                _set_state(store, [last.sop_uid], "superseded", "current")
            sop_uids.append(None if last.state == "retracted" else last.sop_uid)
        if not added or _add(store, study, added):
            return sop_uids
        with store.read() as session:
            lookup.get_study(session, study)
    raise ConflictError("a result of this study", "is being made.", "Ask again.")


def _write_if_possible(
    store: Store, study: str, planned: PlannedObject, last: ResultObject | None, number: int
) -> ResultObject | None:
    """Do what `_write` does; an outline that no library can draw on a malformed image must not hold up the report."""
    try:
        return _write(store, study, planned, last, number)
    except (ValueError, TypeError, AttributeError, KeyError) as error:
        if planned.kind == "report":
            raise
        logging.getLogger(__name__).error("no %s of study %s: %s", planned.kind, study, type(error).__name__)
        return None


def _write(store: Store, study: str, planned: PlannedObject, last: ResultObject | None, number: int) -> ResultObject:
    """Write an object's file, durably, and return its row."""
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
    return ResultObject(
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


def _add(store: Store, study: str, rows: Sequence[ResultObject]) -> bool:
    """Add the rows of objects; return False, and add none, where another process added one of them meanwhile."""

    def write(session: Transaction) -> bool:
        known = _list_known(session, study)
        last = [_find_last(known, row.kind, row.model, row.subject) for row in rows]
        if [each and each.sop_uid for each in last] != [row.predecessor for row in rows]:
            return False
        for each in last:
            if each is not None and each.state == "current":
                each.state = "superseded"
        session.execute(insert(ResultObject), [_values_of(row) for row in rows])
        return True

    try:
        added = store.commit(write, exclusive=True)
    except IntegrityError:  # the study was erased
        added = False
    if not added:  # after any other error the rows may be there all the same: `remove_leftovers` decides
        for row in rows:
            blobs.delete(store.settings.files, row.blob)
    return added


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


def _list_known(session: Transaction, study: str) -> Sequence[ResultObject]:
    """Return all results of a study."""
    return session.scalars(select(ResultObject).where(ResultObject.study == study)).all()


def _find_last(rows: Sequence[ResultObject], kind: str, model: str, subject: str) -> ResultObject | None:
    """Return the result about a subject that no other one supersedes."""
    same = [row for row in rows if (row.kind, row.model, row.subject) == (kind, model, subject)]
    superseded = {row.predecessor for row in same}
    return next((row for row in same if row.sop_uid not in superseded), None)


def _values_of(row: ResultObject) -> dict[str, object]:
    """Return the values of a row, which may be written twice: a commit that is shared may be undone and made again."""
    return {column.key: getattr(row, column.key) for column in table_of(ResultObject).columns}


def _uid_of(planned: PlannedObject, predecessor: str | None) -> str:
    return derive_uid(planned.kind, planned.study_uid, *planned.says, predecessor or "")
