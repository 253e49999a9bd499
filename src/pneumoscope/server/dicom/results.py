"""A study's results as DICOM objects, which are kept: once made, an object never has other bytes under its UID.

A UID follows from the source objects, their pixels, the model, what it said, the kind of object, the version of its
writer, and the object that it supersedes. Where nothing has changed, nothing is made. Where a late image or another
answer changes what there is to say, the new object names the earlier one as its predecessor.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, select
from sqlalchemy.exc import IntegrityError

from pneumoscope.core.errors import ImageError, UsageError
from pneumoscope.server.dicom.capture import write_capture
from pneumoscope.server.dicom.outlines import find_lungs, graph_of
from pneumoscope.server.dicom.place import Place, derive_uid, finish, refer_to
from pneumoscope.server.dicom.presentation import write_presentation
from pneumoscope.server.dicom.report import write_report
from pneumoscope.server.dicom.segmentation import ALGORITHM, write_segmentation
from pneumoscope.server.dicom.sources import ImageAnswer, StudyAnswers, gather
from pneumoscope.server.errors import ConflictError, DamagedError, ForbiddenError, NotFoundError
from pneumoscope.server.inference import queue
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.answers import show_predictions
from pneumoscope.server.settings import DicomSettings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import ResultObject, StoredPrediction
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies import lookup

if TYPE_CHECKING:
    from pydicom import Dataset

ResultKind = Literal["report", "segmentation", "presentation", "capture"]
"""``report``: a model's answers about a study (SR). ``segmentation``: the lungs of an image (SEG). ``presentation``:
their outline (GSPS). ``capture``: an answer as a picture (secondary capture), only where the server is set to."""

_TRIES = 5
"""How often an object is tried again because another process made one meanwhile."""


@dataclass(frozen=True, slots=True)
class PlannedObject:
    """An object that a study's results ask for."""

    kind: ResultKind
    sop_class: str
    series_number: int
    """Far from those that modalities give."""
    model: str
    subject: str
    says: tuple[str, ...]
    """What its UID follows from."""
    header: Dataset
    """Of an image that it is about."""
    name: str
    """Of what made it, for people."""
    finished: float
    """When its contents were there."""
    write: Callable[[Place], Dataset]

    @property
    def study_uid(self) -> str:
        """StudyInstanceUID."""
        return str(self.header.StudyInstanceUID)


def kinds_of(settings: DicomSettings) -> tuple[ResultKind, ...]:
    """Return what is made of a complete study."""
    kinds: tuple[ResultKind, ...] = ("report", "segmentation", "presentation")
    return (*kinds, "capture") if settings.capture else kinds


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
    planned = [one for kind in kinds for one in _PLANS[kind](answers)]
    made = [_make_if_possible(store, study, one) for one in planned]
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
        rows = [row for row in lookup.predictions_of(session, [asked.study])[asked.study] if row.model == asked.model]
        withheld = {answer.withheld for answer in show_predictions(session, store.settings, rows, reader)} - {None}
        if withheld:
            raise ForbiddenError("the answer", f"is withheld: {min(str(why) for why in withheld)}.", code="withheld")
    catalogue.get(asked.model)
    answers = gather(store, catalogue, asked.study)
    for planned in _plan_reports(answers):
        if planned.model == asked.model and (sop_uid := _make(store, asked.study, planned)) is not None:
            return read_result(store, sop_uid)
    raise NotFoundError("report", "is not here: its image was no DICOM object or is left out, or it was retracted.", "")


def _plan_reports(answers: StudyAnswers) -> Iterable[PlannedObject]:
    """Plan a structured report for each model."""
    for identity, said in answers.answers.items():
        model = answers.models[identity]
        yield PlannedObject(
            kind="report",
            sop_class="1.2.840.10008.5.1.4.1.1.88.22",  # Enhanced SR
            series_number=9900,
            model=identity,
            subject="",
            says=(*(answer.digest for answer in said), identity, "writer 2"),
            header=said[0].source.header,
            name=model.card.name,
            finished=max(answer.finished for answer in said),
            write=partial(write_report, said, model),
        )


def _plan_segmentations(answers: StudyAnswers) -> Iterable[PlannedObject]:
    return _plan_outlines(answers, "segmentation", "1.2.840.10008.5.1.4.1.1.66.4", 9901, write_segmentation)


def _plan_presentations(answers: StudyAnswers) -> Iterable[PlannedObject]:
    return _plan_outlines(answers, "presentation", "1.2.840.10008.5.1.4.1.1.11.1", 9902, write_presentation)


def _plan_captures(answers: StudyAnswers) -> Iterable[PlannedObject]:
    """Plan a picture of each answer."""
    for identity, said in answers.answers.items():
        model = answers.models[identity]
        for answer in said:
            yield PlannedObject(
                kind="capture",
                sop_class="1.2.840.10008.5.1.4.1.1.7",
                series_number=9903,
                model=identity,
                subject=answer.source.image,
                says=(answer.digest, identity, "writer 1"),
                header=answer.source.header,
                name=model.card.name,
                finished=answer.finished,
                write=partial(write_capture, answers.files, answer, model),
            )


def _plan_outlines(
    answers: StudyAnswers,
    kind: ResultKind,
    sop_class: str,
    series_number: int,
    write: Callable[[ImageAnswer, NDArray[np.bool_], Place], Dataset],
) -> Iterable[PlannedObject]:
    """Plan an object for the lungs of each image, as each model's answer has them."""
    for identity, said in answers.answers.items():
        for answer in said:
            if (square := find_lungs(answer)) is not None:
                outline = hashlib.sha256(np.packbits(square).tobytes()).hexdigest()
                yield PlannedObject(
                    kind=kind,
                    sop_class=sop_class,
                    series_number=series_number,
                    model=identity,
                    subject=answer.source.image,
                    says=(answer.source.digest, outline, graph_of(answer), identity, "writer 1"),
                    header=answer.source.header,
                    name=ALGORITHM,
                    finished=answer.finished,
                    write=partial(write, answer, square),
                )


_PLANS: Mapping[ResultKind, Callable[[StudyAnswers], Iterable[PlannedObject]]] = MappingProxyType(
    {
        "report": _plan_reports,
        "segmentation": _plan_segmentations,
        "presentation": _plan_presentations,
        "capture": _plan_captures,
    }
)


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
            return last.sop_uid if last.state == "current" else None
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
        series_uid=derive_uid(planned.study_uid, planned.model, planned.kind, "series"),
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
