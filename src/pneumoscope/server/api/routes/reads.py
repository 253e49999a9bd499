"""Routes of reads, reference results, and questions about an answer."""

from __future__ import annotations

import anyio.to_thread
import numpy as np
from fastapi import APIRouter

from pneumoscope.server.api.dependencies import AppContext, Context, CurrentUser
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.common import HeatmapOut, as_time
from pneumoscope.server.api.schemas.reads import (
    PosteriorOut,
    PriorIn,
    ReadIn,
    ReadOut,
    ReferenceIn,
    ReferenceOut,
    WhatIfIn,
    WhatIfOut,
)
from pneumoscope.server.inference import occlusion
from pneumoscope.server.inference.models import read_audit_status
from pneumoscope.server.inference.occlusion import BrushStroke, Occlusion
from pneumoscope.server.inference.posterior import update_probability
from pneumoscope.server.reading import reads, references, shown
from pneumoscope.server.reading.answers import get_answer, get_answered_image
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.storage.tables import Read, Reference
from pneumoscope.server.studies.lookup import get_study


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api", tags=["reads"])
    router.post("/studies/{study}/reads", status_code=201)(add_read)
    router.get("/studies/{study}/reads")(list_reads)
    router.post("/studies/{study}/references", status_code=201)(add_reference)
    router.get("/studies/{study}/references")(list_references)
    router.post("/predictions/{prediction}/posterior")(update_prior)
    router.post("/predictions/{prediction}/what-if")(ask_what_if)
    return router


def add_read(context: AppContext, user: CurrentUser, study: Id, sent: ReadIn) -> ReadOut:
    """Add a version of your own report: first unaided, then with the models' answers."""
    for label in sent.likelihoods:
        context.catalogue.check_label(label, "the read")
    if sent.conclusion:
        context.catalogue.check_conclusion(sent.conclusion, "the read")
    with context.store.write() as session:
        get_study(session, study)
        row = reads.add_version(context.store, session, study, user.id, sent.to_version())
    return _read_out(row)


def list_reads(context: AppContext, user: CurrentUser, study: Id) -> list[ReadOut]:
    """Show the versions of your own report, and those of others once your own unaided read is locked."""
    return [_read_out(row) for row in reads.list_versions(context.store, study, user.id)]


def add_reference(context: AppContext, user: CurrentUser, study: Id, sent: ReferenceIn) -> ReferenceOut:
    """Enter what a test other than the radiograph found. A correction is entered beside it."""
    entered = references.NewReference(sent.standard, sent.label, sent.date)
    context.catalogue.check_conclusion(sent.label, "the reference result")
    row = references.add_reference(context.store, study, entered, user.id)
    return _reference_out(context, row, dates=True)


def list_references(context: AppContext, user: CurrentUser, study: Id) -> list[ReferenceOut]:
    """Show the reference results, once your own unaided read is locked."""
    rows = references.list_references(context.store, study, user.id)
    # One's own entry has its date for its writer, who knows it.
    return [_reference_out(context, row, dates=user.sees_names or row.by == user.id) for row in rows]


def update_prior(context: AppContext, user: CurrentUser, prediction: Id, sent: PriorIn) -> PosteriorOut:
    """Compute what an answer makes of your own pre-test probability. Only the fact that it was shown is stored."""
    with context.store.write() as session:
        row, result = get_answer(session, context.settings, prediction, user.id)
        model = context.catalogue.get(row.model)
        audit = read_audit_status(model)
        updated = update_probability(model.card, result, sent.probability, audit=audit, finding=sent.finding)
        shown.record_display(session, [row], user.id, "posterior")
    return PosteriorOut(prior=sent.probability, source=sent.source, **updated)


async def ask_what_if(context: AppContext, user: CurrentUser, prediction: Id, sent: WhatIfIn) -> WhatIfOut:
    """Ask the model again with a part of the image covered. Only the fact that it was shown is stored."""
    return await anyio.to_thread.run_sync(_what_if, context, user, prediction, sent, limiter=context.occlusion_limiter)


def _what_if(context: Context, user: Principal, prediction: str, sent: WhatIfIn) -> WhatIfOut:
    with context.store.read() as session:
        row, result = get_answer(session, context.settings, prediction, user.id)
        image = get_answered_image(session, context.settings, prediction, user.id)
    strokes = [BrushStroke(stroke.radius, stroke.points) for stroke in sent.strokes]
    answer = context.workers.occlude(Occlusion(image.id, image.sha256, row.model, strokes, sent.mode))
    with context.store.write() as session:  # it may have been switched off or erased by now
        row, _ = get_answer(session, context.settings, prediction, user.id)
        shown.record_display(session, [row], user.id, "what-if")
    return _what_if_out(row.id, sent.mode, result["probabilities"], answer)


def _what_if_out(
    prediction: str, mode: occlusion.Mode, original: dict[str, float], answer: occlusion.OcclusionAnswer
) -> WhatIfOut:
    values, heatmap = answer.result
    note = (
        f"a what-if: {answer.covered:.0%} of the image was covered; nobody has tested the model on such images; "
        "this is not a result and is not kept"
    )
    if heatmap is not None:
        cells = np.frombuffer(heatmap, "<f4").reshape(values["heatmap_shape"])
    return WhatIfOut(
        prediction=prediction,
        mode=mode,
        covered=answer.covered,
        fill=occlusion.FILL,
        original=original,
        note=note,
        heatmap=None if heatmap is None else HeatmapOut.of(values["labels"], cells),
        **{key: values[key] for key in ("labels", "probabilities", "decision", "refused", "reason", "codes", "ood")},
    )


def _read_out(row: Read) -> ReadOut:
    return ReadOut.model_validate(
        {
            "id": row.id, "reader": row.reader, "version": row.version, "stage": row.stage, "state": row.state,
            "displayed": row.displayed, "at": as_time(row.at), **row.content,
        }
    )  # fmt: skip


def _reference_out(context: Context, row: Reference, *, dates: bool) -> ReferenceOut:
    return ReferenceOut.model_validate(
        {
            "id": row.id, "standard": row.standard, "label": row.label, "by": row.by, "at": as_time(row.at),
            "date": references.read_date(context.store, row) if dates else None,
        }
    )  # fmt: skip
