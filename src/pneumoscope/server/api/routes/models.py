"""Routes of models: the list, each one's card and files, and its switch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse
from sqlalchemy import select

from pneumoscope.server.api.dependencies import AppContext, Context, CurrentAdmin, CurrentUser
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.common import AnsweredOut, ModelDetail, ModelOut, SwitchIn, SwitchOut, when
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference import queue
from pneumoscope.server.inference.models import (
    SHORT,
    InstalledModel,
    list_files,
    read_audit_status,
    read_evidence,
)
from pneumoscope.server.reading import reads
from pneumoscope.server.storage.database import now
from pneumoscope.server.storage.tables import Display, StoredPrediction, Study, Switch

_FIRST: Mapping[str, tuple[str, ...]] = {"failed": ("failed its audit",), "unreadable": ("its evidence was altered",)}
"""What an audit's verdict puts before a model's stamps."""


def routes() -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(prefix="/api/models", tags=["models"])
    router.get("")(list_models)
    router.get("/{model}")(get_model)
    router.get("/{model}/files/{name:path}", response_class=FileResponse)(get_file)
    router.post("/{model}/switch")(switch)
    router.get("/{model}/answered")(answered)
    return router


def list_models(context: AppContext, user: CurrentUser) -> list[ModelOut]:
    """List the models of this server."""
    return [_model_out(context, entry) for entry in context.catalogue.list_models().values()]


def get_model(context: AppContext, user: CurrentUser, model: Id) -> ModelDetail:
    """Show a model's card and what became known of it."""
    entry = context.catalogue.get(model)
    with context.store.read() as session:
        switches = session.scalars(select(Switch).where(Switch.model == entry.identity).order_by(Switch.id)).all()
    out = _model_out(context, entry)
    facts = [] if out.audit == "unreadable" else read_evidence(entry)
    return ModelDetail(
        **out.model_dump(),
        card=entry.card.model_dump(mode="json"),
        evidence=[fact.model_dump(mode="json") for fact in facts],
        files=list(list_files(entry)),
        switches=[SwitchOut(on=row.on, reason=row.reason, by=row.by, at=when(row.at)) for row in switches],
    )


def get_file(context: AppContext, user: CurrentUser, model: Id, name: str) -> FileResponse:
    """Fetch a file of a bundle, one of those that the model lists."""
    path = list_files(context.catalogue.get(model)).get(name)
    if path is None:
        raise NotFoundError("file")
    # Sent as an attachment: if a drawing opened as a page of this server, scripts in it could run.
    return FileResponse(path, filename=path.name)


def switch(context: AppContext, user: CurrentAdmin, model: Id, sent: SwitchIn) -> SwitchOut:
    """Switch a model off for good or until it is switched on again: it answers nothing more, not even what waits."""
    row = Switch(model=_identity(context, model), on=sent.on, reason=sent.reason, by=user.id, at=now())
    with context.store.write() as session:
        session.add(row)
    return SwitchOut(on=row.on, reason=row.reason, by=row.by, at=when(row.at))


def answered(
    context: AppContext,
    user: CurrentAdmin,
    model: Id,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> list[AnsweredOut]:
    """List everyone whom a model has answered, and who saw it, newest first: for a recall. This shows answers too."""
    identity = _identity(context, model)
    with context.store.write() as session:
        rows = session.execute(
            select(StoredPrediction, Study.patient)
            .join(Study, Study.id == StoredPrediction.study)
            .where(StoredPrediction.model == identity, StoredPrediction.state == "done")
            .order_by(StoredPrediction.finished.desc(), StoredPrediction.id)
            .limit(limit)
            .offset(offset)
        ).all()
        seen: dict[str, set[str]] = {}
        numbers = [prediction.id for prediction, _ in rows]
        for display in session.scalars(select(Display).where(Display.prediction.in_(numbers))):
            seen.setdefault(display.prediction, set()).add(display.reader)
        reads.record_display(session, [prediction for prediction, _ in rows], user.id, "list")
    return [
        AnsweredOut(
            study=prediction.study,
            patient=patient,
            prediction=prediction.id,
            finished=None if prediction.finished is None else when(prediction.finished),
            decision=(prediction.result or {}).get("decision"),
            shown_to=sorted(seen.get(prediction.id, ())),
        )
        for prediction, patient in rows
    ]


def _identity(context: Context, model: str) -> str:
    """Return the identity of a model that is here, or was when it answered: a recall must reach both."""
    try:
        return context.catalogue.get(model).identity
    except NotFoundError:
        with context.store.read() as session:
            query = (
                select(StoredPrediction.model)
                .where(StoredPrediction.model.startswith(model, autoescape=True))
                .distinct()
            )
            found = session.scalars(query).all() if len(model) >= SHORT else []
        if len(found) != 1:
            raise
        return found[0]


def _model_out(context: Context, entry: InstalledModel) -> ModelOut:
    card = entry.card
    with context.store.read() as session:
        off = queue.is_switched_off(session, entry.identity)
    audit = read_audit_status(entry)
    # The card says "not audited" for good: it was written before any audit could be.
    stamps = [stamp for stamp in card.stamps if stamp != "not audited" or audit == stamp]
    return ModelOut(
        id=entry.id,
        identity=entry.identity,
        name=card.name,
        version=card.version,
        summary=card.summary,
        labels=list(card.label_names),
        not_looked_for=list(card.not_looked_for),
        synthetic=card.synthetic,
        stamps=[*_FIRST.get(audit, ()), *stamps],
        builtin=entry.builtin,
        on=not off,
        audit=audit,
    )
