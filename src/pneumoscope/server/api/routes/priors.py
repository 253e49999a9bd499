"""Earlier studies that are fetched from an archive: the rule, the queue, and what failed; all of it for admins."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request

from pneumoscope.server.api.dependencies import AppContext, CurrentAdmin, commit_audited
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.common import as_time
from pneumoscope.server.api.schemas.priors import PriorFetchOut, PriorRuleOut, PriorsOut, PriorState
from pneumoscope.server.dicom.calling import prior_queue


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api/archive", tags=["archive"])
    router.get("/priors")(show_priors)
    router.get("/priors/queue")(list_fetches)
    router.post("/priors/{item}/retry", status_code=202)(fetch_again)
    return router


def show_priors(context: AppContext, user: CurrentAdmin) -> PriorsOut:
    """Show which earlier studies are fetched, and how many searches and fetches are in which state."""
    with context.store.read() as session:
        counts = prior_queue.count_fetches(session)
    rule = None
    if context.priors is not None:
        own = context.priors.rule
        rule = PriorRuleOut(
            **own.archive.model_dump(include={"title", "host", "port"}),
            **own.model_dump(include={"retrieve", "studies", "years", "modalities", "body_parts"}),
            encrypted=own.archive.tls is not None,
        )
    return PriorsOut.model_validate({"rule": rule, "counts": counts})


def list_fetches(
    context: AppContext,
    user: CurrentAdmin,
    state: Annotated[PriorState | None, Query(description="failed: those that were given up")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[PriorFetchOut]:
    """List searches for earlier studies and fetches, those that were queued last first."""
    with context.store.read() as session:
        rows = prior_queue.list_fetches(session, state=state, limit=limit)
    return [_fetch_out(row) for row in rows]


async def fetch_again(request: Request, context: AppContext, user: CurrentAdmin, item: Id) -> None:
    """Queue again what was given up."""
    await commit_audited(request, context, lambda session: prior_queue.retry_failed(session, item), status=202)


def _fetch_out(row: Any) -> PriorFetchOut:
    return PriorFetchOut(
        **{name: getattr(row, name) for name in ("id", "study", "prior", "state", "attempts", "last_error")},
        **{name: getattr(row, name) for name in ("found", "taken", "dropped")},
        what="fetch" if row.key else "search",
        next_attempt=as_time(row.next_attempt) if row.state == "queued" else None,
        queued=as_time(row.queued),
        finished=None if row.finished is None else as_time(row.finished),
    )
