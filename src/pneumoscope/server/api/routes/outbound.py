"""Where results go, what waits for an archive, and what could not be sent; all of it for admins."""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from pneumoscope.server.api.dependencies import AppContext, Context, CurrentAdmin, commit_audited
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.common import as_time
from pneumoscope.server.api.schemas.outbound import (
    DestinationOut,
    DryRunIn,
    DryRunOut,
    OutboundItemOut,
    OutboundState,
    QueuedOut,
    RoutesOut,
    RuleOut,
    UnsentIn,
    UnsentPartOut,
)
from pneumoscope.server.dicom.calling import outbound_queue, unsent
from pneumoscope.server.dicom.calling.outbound import Outbound
from pneumoscope.server.dicom.routing.dry_run import dry_run, find_number
from pneumoscope.server.errors import ConflictError, ForbiddenError
from pneumoscope.server.reading.answers import show_predictions
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.studies.lookup import predictions_of


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api/archive", tags=["archive"])
    router.get("/destinations")(show_destinations)
    router.get("/queue")(list_queue)
    router.post("/queue/{item}/retry", status_code=202)(send_again)
    router.post("/dry-run")(try_rules)
    router.get("/unsent")(list_unsent)
    router.post("/unsent/queue", status_code=202)(queue_unsent)
    return router


def show_destinations(context: AppContext, user: CurrentAdmin) -> RoutesOut:
    """Show where results go by which rules, and how many are in which state."""
    if context.outbound is None:
        return RoutesOut(sends=False, match="all", destinations=[], rules=[])
    routes = context.outbound.routes
    with context.store.read() as session:
        counts = outbound_queue.count_items(session)
    return RoutesOut(
        sends=True,
        match=routes.match,
        destinations=[
            DestinationOut(
                **{"name": name, "counts": counts.get(name, {}), "encrypted": each.tls is not None},
                **each.model_dump(mode="json", include=DestinationOut.model_fields.keys() - {"name", "counts"}),
            )
            for name, each in routes.destinations.items()
        ],
        rules=[RuleOut.model_validate(rule.model_dump(mode="json")) for rule in routes.rules],
    )


def list_queue(
    context: AppContext,
    user: CurrentAdmin,
    state: Annotated[OutboundState | None, Query(description="dead: what failed and is not tried again")] = None,
    destination: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[OutboundItemOut]:
    """List results that go or went to archives, those that were queued last first."""
    with context.store.read() as session:
        rows = outbound_queue.list_items(session, state=state, destination=destination, limit=limit)
    return [_item_out(row) for row in rows]


async def send_again(request: Request, context: AppContext, user: CurrentAdmin, item: Id) -> None:
    """Queue again what failed and is not tried again by itself."""
    await commit_audited(request, context, lambda session: outbound_queue.retry_dead(session, item), status=202)


def try_rules(context: AppContext, user: CurrentAdmin, sent: DryRunIn) -> list[DryRunOut]:
    """Say for each result of a study what each rule makes of it, and why. Nothing is made and nothing is sent.

    It tells what models decided, so one's own read has to come first where the server asks for that.
    """
    routes = _outbound_of(context).routes
    study = find_number(context.store, sent.study)
    with context.store.write() as session:
        rows = predictions_of(session, [study])[study]
        withheld = {each.withheld for each in show_predictions(session, context.settings, rows, user.id)} - {None}
    if withheld:
        raise ForbiddenError("the answer", f"is withheld: {min(str(why) for why in withheld)}.", code="withheld")
    runs = dry_run(context.store, context.catalogue, routes, study)
    return [DryRunOut.model_validate(run, from_attributes=True) for run in runs]


def list_unsent(
    context: AppContext,
    user: CurrentAdmin,
    after: Annotated[str, Query(max_length=64, description="only studies after this one")] = "",
) -> UnsentPartOut:
    """List results that the rules would send and that were never queued, one part of the studies after the other.

    Such are those that were made before a rule was written. Nothing is queued.
    """
    routes = _outbound_of(context).routes
    part = unsent.find_unsent(context.store, context.catalogue, routes, after)
    return UnsentPartOut.model_validate(part)


def queue_unsent(request: Request, context: AppContext, user: CurrentAdmin, sent: UnsentIn) -> QueuedOut:
    """Queue those results of some studies; what was queued or sent before stays as it is."""
    routes = _outbound_of(context).routes

    def entry(study: str) -> AuditEntry:
        whole: AuditEntry = request.state.audit_entry(202)
        return replace(whole, subject=study)

    return QueuedOut(queued=unsent.queue_unsent(context.store, context.catalogue, routes, sent.studies, entry))


def _outbound_of(context: Context) -> Outbound:
    if context.outbound is None:
        raise ConflictError("this server", "sends results nowhere.", "Start it with `dicom_routes`.")
    return context.outbound


def _item_out(row: Any) -> OutboundItemOut:
    return OutboundItemOut(
        **{name: getattr(row, name) for name in ("id", "study", "sop_uid", "kind", "model", "destination", "rule")},
        **{name: getattr(row, name) for name in ("state", "attempts", "last_error")},
        next_attempt=as_time(row.next_attempt) if row.state == "queued" else None,
        queued=as_time(row.queued),
        sent=None if row.sent is None else as_time(row.sent),
    )
