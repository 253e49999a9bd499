"""Routes of models: the list, each one's card and files, and its switch."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Query
from fastapi.responses import FileResponse

from pneumoscope.bundle.evidence import NOT_AUDITED, filter_stamps, show
from pneumoscope.server.api.dependencies import AppContext, Context, CurrentAdmin, CurrentUser
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.common import AnsweredOut, ModelDetail, ModelOut, SwitchIn, SwitchOut, as_time
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference import queue
from pneumoscope.server.inference.models import (
    InstalledModel,
    list_files,
    read_acceptance_verdict,
    read_audit_status,
    read_evidence,
)
from pneumoscope.server.inference.switches import list_switches, set_switch
from pneumoscope.server.reading.recall import find_identity, list_answers

_FIRST: Mapping[str, tuple[str, ...]] = {"failed": ("failed its audit",), "unreadable": ("its evidence was altered",)}
"""What an audit's verdict puts before a model's stamps."""


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api/models", tags=["models"])
    router.get("")(list_models)
    router.get("/{model}")(get_model)
    router.get("/{model}/files/{name:path}", response_class=FileResponse)(get_file)
    router.post("/{model}/switch")(switch_model)
    router.get("/{model}/answered")(list_answered)
    return router


def list_models(context: AppContext, user: CurrentUser) -> list[ModelOut]:
    """List the models of this server."""
    return [_model_out(context, entry) for entry in context.catalogue.list_models().values()]


def get_model(context: AppContext, user: CurrentUser, model: Id) -> ModelDetail:
    """Show a model's card, its evidence, its files and the changes of its switch."""
    entry = context.catalogue.get(model)
    switches = list_switches(context.store, entry.identity)
    out = _model_out(context, entry)
    facts = [] if out.audit == "unreadable" else read_evidence(entry)
    return ModelDetail(
        **out.model_dump(),
        card=entry.card.model_dump(mode="json"),
        evidence=show(facts),
        files=list(list_files(entry)),
        switches=[SwitchOut(on=row.on, reason=row.reason, by=row.by, at=as_time(row.at)) for row in switches],
    )


def get_file(context: AppContext, user: CurrentUser, model: Id, name: str) -> FileResponse:
    """Fetch a file of a bundle, one of those that the model lists."""
    path = list_files(context.catalogue.get(model)).get(name)
    if path is None:
        raise NotFoundError("file")
    # Sent as an attachment: if a drawing opened as a page of this server, scripts in it could run.
    return FileResponse(path, filename=path.name)


def switch_model(context: AppContext, user: CurrentAdmin, model: Id, sent: SwitchIn) -> SwitchOut:
    """Switch a model off or on. A model that is off answers nothing, not even what was asked before."""
    identity = find_identity(context.store, context.catalogue, model)
    row = set_switch(context.store, identity, on=sent.on, reason=sent.reason, account=user.id)
    return SwitchOut(on=row.on, reason=row.reason, by=row.by, at=as_time(row.at))


def list_answered(
    context: AppContext,
    user: CurrentAdmin,
    model: Id,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 1000,
    offset: Annotated[int, Query(ge=0, le=2**31)] = 0,
) -> list[AnsweredOut]:
    """List the answers of a model for a recall, newest first: the patients, and the readers who saw each answer."""
    identity = find_identity(context.store, context.catalogue, model)
    answers = list_answers(context.store, identity, user.id, limit=limit, offset=offset)
    return [
        AnsweredOut(
            study=answer.prediction.study,
            patient=answer.patient,
            prediction=answer.prediction.id,
            finished=None if answer.prediction.finished is None else as_time(answer.prediction.finished),
            decision=(answer.prediction.result or {}).get("decision"),
            shown_to=list(answer.readers),
        )
        for answer in answers
    ]


def _model_out(context: Context, entry: InstalledModel) -> ModelOut:
    card = entry.card
    with context.store.read() as session:
        off = queue.is_switched_off(session, entry.identity)
    audit = read_audit_status(entry)
    stamps = [*_FIRST.get(audit, ()), *filter_stamps(card.stamps, audited=audit != NOT_AUDITED)]
    if (acceptance := read_acceptance_verdict(entry)) is not None:
        stamps.append(f"site acceptance: {acceptance}")
    return ModelOut(
        id=entry.id,
        identity=entry.identity,
        name=card.name,
        version=card.version,
        summary=card.summary,
        kind=card.kind,
        labels=list(card.label_names),
        label_names={label.name: label.names for label in card.labels if label.names},
        not_looked_for=list(card.not_looked_for),
        synthetic=card.synthetic,
        stamps=stamps,
        builtin=entry.builtin,
        on=not off,
        audit=audit,
    )
