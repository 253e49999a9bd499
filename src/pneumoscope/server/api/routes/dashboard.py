"""The route of the dashboard."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from pneumoscope.server.api.dependencies import AppContext, CurrentUser
from pneumoscope.server.api.schemas.dashboard import DashboardOut
from pneumoscope.server.reading.dashboard import Scope, build_dashboard
from pneumoscope.server.reading.queries import Period


def create_router() -> APIRouter:
    """Return the router of this endpoint."""
    router = APIRouter(prefix="/api", tags=["dashboard"])
    router.get("/dashboard")(show_dashboard)
    return router


def show_dashboard(
    context: AppContext,
    user: CurrentUser,
    model: Annotated[str | None, Query(max_length=64, description="default: the one with the most answers")] = None,
    first: Annotated[date | None, Query(alias="from", description="first day (UTC) of receipt")] = None,
    last: Annotated[date | None, Query(alias="to", description="last day (UTC) of receipt")] = None,
    scope: Annotated[Scope, Query(description="all: for admins; counts as having been shown the answers")] = "own",
) -> DashboardOut:
    """Show figures of reads, answers and references, over the studies whose answers this account may know."""
    period = make_period(first, last)
    with context.store.write() if scope == "all" else context.store.read() as session:
        dashboard = build_dashboard(context.store, session, context.catalogue, user, model, period, scope)
    return DashboardOut.model_validate(dashboard, from_attributes=True)


def make_period(first: date | None, last: date | None) -> Period:
    """Return the period from the first day to the last, both as whole days in UTC."""

    def start(day: date) -> float:
        return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()

    end = None if last is None else start(last) + timedelta(days=1).total_seconds()
    return Period(None if first is None else start(first), end)
