"""Studies, images and predictions over HTTP: read the request, call one function, answer."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import chain
from typing import Annotated, Any, Literal, NamedTuple

from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import Row
from sqlalchemy.orm import Session

from pneumoscope.server.api.dependencies import AppContext, Context, CurrentAdmin, CurrentUser, commit_audited
from pneumoscope.server.api.schemas.common import (
    Ask,
    ErasedOut,
    HeatmapOut,
    IdentityOut,
    ImageOut,
    LabelOut,
    PatientNumber,
    PredictionOut,
    PredictionState,
    PseudonymsOut,
    SameNumberOut,
    State,
    StudiesToErase,
    StudyOut,
    StudyPage,
    as_time,
)
from pneumoscope.server.dicom.results.making import export_report
from pneumoscope.server.errors import InvalidRequestError
from pneumoscope.server.reading.answers import Answer, find_refusal, show_heatmap, show_prediction, show_study
from pneumoscope.server.reading.reads import READ_FIRST, Progress, find_progress
from pneumoscope.server.reading.results import write_results
from pneumoscope.server.reading.shown import find_shown
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.security.permissions import check_sees_names
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.storage.tables import Image, StoredPrediction, Study
from pneumoscope.server.studies import erasure, lookup, patients
from pneumoscope.server.studies.file_names import file_names_of
from pneumoscope.server.studies.labels import OwnLabel, labels_of
from pneumoscope.server.studies.patients import SameNumberNote
from pneumoscope.server.studies.predictions import request_predictions

Id = Annotated[str, Path(pattern="^[0-9a-z]{1,64}$")]
LabelKey = Annotated[str | None, Query(max_length=64, description="key of a label of your own")]


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api", tags=["studies"])
    router.get("/studies")(list_studies)
    router.get("/results.csv", response_class=Response)(export_results)
    router.get("/studies/{study}")(get_study)
    router.delete("/studies/{study}")(erase_study)
    router.post("/studies/erase")(erase_studies)
    router.get("/studies/{study}/identity")(show_identity)
    router.post("/studies/{study}/predictions", status_code=202)(ask_models)
    router.get("/studies/{study}/predictions")(list_answers)
    router.get("/predictions/{prediction}")(get_answer)
    router.get("/predictions/{prediction}/heatmap")(get_heatmap)
    router.get("/predictions/{prediction}/report.dcm", response_class=Response)(get_report)
    router.get("/images/{image}/pixels", response_class=Response)(get_pixels)
    router.get("/images/{image}/thumbnail", response_class=Response)(get_thumbnail)
    router.delete("/patients/{patient}")(erase_patient)
    router.post("/patients/find")(find_patient)
    return router


def list_studies(
    context: AppContext,
    user: CurrentUser,
    patient: Annotated[str | None, Query(max_length=64, description="pseudonym, or its beginning")] = None,
    model: Annotated[str | None, Query(max_length=64)] = None,
    state: State | None = None,
    received_from: datetime | None = None,
    received_to: datetime | None = None,
    unread: Annotated[bool, Query(description="only studies without a final report of your own")] = False,
    label: LabelKey = None,
    priors: Annotated[bool, Query(description="earlier studies too that were fetched for comparison")] = False,
    order: Annotated[Literal["newest", "oldest"], Query(description="first, by receipt")] = "newest",
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
    after: Annotated[str | None, Query(max_length=200, description="the last page's `next`")] = None,
) -> StudyPage:
    """List studies by time of receipt."""
    study_filter = _make_filter(context, user, patient, model, state, unread, label, received_from, received_to)
    study_filter = replace(study_filter, priors=priors)
    cursor = None if after is None else _decode_cursor(after)
    with context.store.read() as session:
        page = lookup.list_page(session, study_filter, limit + 1, cursor, oldest_first=order == "oldest")
        total = lookup.count_studies(session, study_filter) if cursor is None else None
        more, page = len(page) > limit, page[:limit]
        numbers = [study.id for study in page]
        images = lookup.images_of(session, numbers)
        predictions = lookup.predictions_of(session, numbers)
        own = find_progress(session, numbers, user.id)
        shown = find_shown(session, [study for study in numbers if own[study] == "final"], user.id)
        seen = _seen_by(context, session, page, user)
    studies = [
        _study_out(context, study, images[study.id], predictions[study.id], own[study.id], shown, seen)
        for study in page
    ]
    return StudyPage(studies=studies, total=total, next=_encode_cursor(page[-1]) if more else None)


def export_results(
    context: AppContext,
    user: CurrentUser,
    patient: Annotated[str | None, Query(max_length=64, description="pseudonym, or its beginning")] = None,
    model: Annotated[str | None, Query(max_length=64)] = None,
    state: State | None = None,
    unread: Annotated[bool, Query(description="only studies without a final report of your own")] = False,
    label: LabelKey = None,
    received_from: datetime | None = None,
    received_to: datetime | None = None,
) -> Response:
    """Return the answers that were shown to you, and your conclusions, as CSV: an answer a row."""
    wanted = _make_filter(context, user, patient, model, state, unread, label, received_from, received_to)
    pieces = write_results(context.store, context.catalogue, wanted, user.id)
    first = next(pieces)  # a failure here is still an answer with its reason
    headers = {"Content-Disposition": 'attachment; filename="results.csv"'}
    return StreamingResponse(chain([first], pieces), media_type="text/csv; charset=utf-8", headers=headers)


def get_study(context: AppContext, user: CurrentUser, study: Id) -> StudyOut:
    """Show one study."""
    with context.store.read() as session:
        row = lookup.get_study(session, study)
        images, predictions = lookup.images_of(session, [study]), lookup.predictions_of(session, [study])
        own = find_progress(session, [study], user.id)
        shown = find_shown(session, [study] if own[study] == "final" else [], user.id)
        seen = _seen_by(context, session, [row], user)
    return _study_out(context, row, images[study], predictions[study], own[study], shown, seen)


def erase_study(context: AppContext, user: CurrentAdmin, study: Id) -> ErasedOut:
    """Erase a study: its files, predictions, heatmaps, reads and references."""
    with context.store.read() as session:
        lookup.get_study(session, study)
    return ErasedOut.of(erasure.erase(context.store, [study]))


def erase_studies(request: Request, context: AppContext, user: CurrentAdmin, sent: StudiesToErase) -> ErasedOut:
    """Erase several studies in one transaction, as `erase_study` does; one that is gone already is left out."""
    with context.store.read() as session:
        present = lookup.find_present(session, sent.studies)
    entry: AuditEntry = request.state.audit_entry(200)
    entries = [replace(entry, action="DELETE /api/studies/{study}", subject=study) for study in present]
    return ErasedOut.of(erasure.erase(context.store, present, entries))


def erase_patient(context: AppContext, user: CurrentAdmin, patient: Id) -> ErasedOut:
    """Erase all studies of a patient, and the identity."""
    return ErasedOut.of(erasure.erase(context.store, patients.studies_of(context.store, patient)))


def find_patient(context: AppContext, user: CurrentAdmin, sent: PatientNumber) -> PseudonymsOut:
    """Find a patient's pseudonym by the number and who issued it; several where files of one number differ in name."""
    pseudonyms = patients.find_pseudonyms(context.store, sent.issuer, sent.patient_id)
    return PseudonymsOut(patient=pseudonyms[0], patients=pseudonyms)


def show_identity(context: AppContext, user: CurrentUser, study: Id) -> IdentityOut:
    """Show who was examined and when, to accounts that may see names."""
    check_sees_names(user)
    unsealed = patients.identity_of(context.store, study)
    same = [SameNumberOut(patient=other.patient, other_name=other.other_name) for other in unsealed.same_number]
    return IdentityOut(patient=unsealed.patient, examination=unsealed.examination, same_number=same)


def ask_models(context: AppContext, user: CurrentUser, study: Id, sent: Ask) -> list[PredictionState]:
    """Ask one or several models about all images of a study. Asking again adds answers and replaces none."""
    models = [context.catalogue.get(name).identity for name in sent.models]
    return [_state_out(row) for row in request_predictions(context.store, study, models, user.id)]


async def list_answers(request: Request, context: AppContext, user: CurrentUser, study: Id) -> list[PredictionOut]:
    """Show the answers about a study, after the display was recorded."""
    answers = await commit_audited(
        request, context, lambda session: show_study(session, context.settings, study, user.id)
    )
    return [prediction_out(answer) for answer in answers]


async def get_answer(request: Request, context: AppContext, user: CurrentUser, prediction: Id) -> PredictionOut:
    """Show one answer, after the display was recorded."""
    answer = await commit_audited(
        request, context, lambda session: show_prediction(session, context.settings, prediction, user.id)
    )
    return prediction_out(answer)


def get_heatmap(context: AppContext, user: CurrentUser, prediction: Id) -> HeatmapOut:
    """Show where a model looked, after the display was recorded."""
    heatmap = show_heatmap(context.store, prediction, user.id)
    return HeatmapOut.of(heatmap.labels, heatmap.values)


def get_report(context: AppContext, user: CurrentUser, prediction: Id) -> Response:
    """Return the DICOM structured report (TID 1500) of a study and model to which an answer belongs."""
    check_sees_names(user)
    report = export_report(context.store, context.catalogue, prediction, user.id)
    headers = {"Content-Disposition": f'attachment; filename="{prediction}.dcm"'}
    return Response(report, media_type="application/dicom", headers=headers)


def get_pixels(context: AppContext, user: CurrentUser, image: Id) -> Response:
    """Return the stored pixels, checked against their hash: a greyscale PNG, 0 = black, row 0 = head."""
    return Response(lookup.read_pixels(context.store, image), media_type="image/png")


def get_thumbnail(context: AppContext, user: CurrentUser, image: Id) -> Response:
    """Return a small picture for lists, drawn when it is first asked for."""
    return Response(lookup.read_thumbnail(context.store, image), media_type="image/png")


def prediction_out(answer: Answer) -> PredictionOut:
    """Return an answer as it is sent."""
    row = answer.row
    refusal = find_refusal(row.result, withheld=answer.withheld is not None)
    return PredictionOut(
        **_state_out(row, refusal).model_dump(),
        study=row.study,
        asked=as_time(row.asked),
        finished=None if row.finished is None else as_time(row.finished),
        model_off=answer.model_off,
        withheld=answer.withheld,
        withheld_code=None if answer.withheld is None else READ_FIRST,
        result=answer.result,
    )


class _Seen(NamedTuple):
    """What this account sees of some studies, and others do not."""

    notes: Mapping[str, SameNumberNote]
    """What to know about the numbers of patients, by pseudonym; for accounts that may see names."""
    files: Mapping[str, str]
    """Names of the files that it sent, by study."""
    labels: Mapping[str, OwnLabel]
    """Its own, by study."""


def _seen_by(context: Context, session: Session, studies: Sequence[Study], user: Principal) -> _Seen:
    store, notes = context.store, {}
    if user.sees_names:
        same = patients.find_same_numbers(store, session, [study.patient for study in studies if study.patient])
        notes = {patient: note for patient, others in same.items() if (note := patients.note_of(others)) is not None}
    files = file_names_of(store, session, studies, user.id)
    return _Seen(notes, files, labels_of(store, session, [study.id for study in studies], user.id))


def _study_out(
    context: Context,
    study: Study,
    images: Sequence[Image],
    predictions: Sequence[Row[Any]],
    own_read: Progress,
    shown: Collection[str],
    seen: _Seen,
) -> StudyOut:
    """Return a study as it is sent: with the decisions that were shown, where the reader's own report is final.

    Args:
        context: The parts of the server.
        study: The study.
        images: Of it.
        predictions: Of it.
        own_read: How far the asker's own report is.
        shown: Predictions that were shown to the asker.
        seen: What the asker alone sees.
    """
    label = seen.labels.get(study.id)
    withheld = context.settings.reads_come_first and own_read not in ("unaided", "final")
    states = [_state_out(row, find_refusal(row.result, withheld=withheld)) for row in predictions]
    for state, row in zip(states, predictions, strict=True):
        if row.id in shown and row.result is not None:
            state.decision = row.result.get("decision")
    return StudyOut(
        id=study.id,
        patient=study.patient,
        patient_note=seen.notes.get(study.patient or ""),
        file=seen.files.get(study.id),
        label=None if label is None else LabelOut(key=label.key, text=label.text),
        received=as_time(study.received),
        images=[
            ImageOut(id=i.id, format=i.format, bits=i.bits, width=i.width, height=i.height, facts=i.facts)
            for i in images
        ],
        predictions=states,
        own_read=own_read,
        prior=study.prior,
    )


def _state_out(row: StoredPrediction | Row[Any], refusal: str | None = None) -> PredictionState:
    return PredictionState.model_validate(
        {"id": row.id, "image": row.image, "model": row.model[:12], "state": row.state, "refusal": refusal}
    )


def _make_filter(
    context: Context,
    user: Principal,
    patient: str | None,
    model: str | None,
    state: str | None,
    unread: bool,
    label: str | None,
    received_from: datetime | None,
    received_to: datetime | None,
) -> lookup.StudyFilter:
    return lookup.StudyFilter(
        patient=patient,
        model=None if model is None else context.catalogue.get(model).identity,
        state=state,
        received_from=None if received_from is None else _to_seconds(received_from),
        received_to=None if received_to is None else _to_seconds(received_to),
        unread_by=user.id if unread else None,
        label=None if label is None else (user.id, label),
    )


def _to_seconds(moment: datetime) -> float:
    if moment.tzinfo is None:
        raise InvalidRequestError("a time", "has no zone.", "Write it as 2025-01-31T12:00:00Z.")
    return moment.timestamp()


def _encode_cursor(study: Study) -> str:
    return base64.urlsafe_b64encode(f"{study.received!r} {study.id}".encode()).decode()


def _decode_cursor(cursor: str) -> tuple[float, str]:
    try:
        received, study = base64.urlsafe_b64decode(cursor.encode()).decode().split(" ")
        return float(received), study
    except (ValueError, binascii.Error) as error:
        raise InvalidRequestError("after", "is not a cursor of this server.", "Use a page's `next`.") from error
