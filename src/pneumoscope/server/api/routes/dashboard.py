"""The routes of the dashboard and of the monitor."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from pneumoscope.server.api.dependencies import AppContext, CurrentAdmin, CurrentUser
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.dashboard import DashboardOut
from pneumoscope.server.reading import dashboard
from pneumoscope.server.reading.dashboard import Scope
from pneumoscope.server.reading.monitor import (
    FALSE_ALARMS,
    MOST_FALSE_ALARMS,
    MOST_WEEKS,
    WEEKS,
    MonitorReport,
    build_monitor,
    list_mondays,
    period_of_week,
)
from pneumoscope.server.reading.period import Period
from pneumoscope.server.reading.queries import count_answers
from pneumoscope.server.reading.shown import record_sum


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api", tags=["dashboard"])
    router.get("/dashboard")(show_dashboard)
    router.get("/monitor/{model}")(show_monitor)
    return router


def show_dashboard(
    context: AppContext,
    user: CurrentUser,
    model: Annotated[str | None, Query(max_length=64, description="default: the one with the most answers")] = None,
    first: Annotated[date | None, Query(alias="from", description="first day (UTC) of receipt")] = None,
    last: Annotated[date | None, Query(alias="to", description="last day (UTC) of receipt")] = None,
    scope: Annotated[Scope, Query(description="all: for admins; counts as having been shown the answers")] = "own",
    finding: Annotated[
        str | None, Query(max_length=64, description="of a multi-label model; default: its first finding")
    ] = None,
) -> DashboardOut:
    """Show figures of reads, answers and references, over the studies whose answers this account may know."""
    period = make_period(first, last)
    shown = dashboard.show_dashboard(context.store, context.catalogue, user, model, period, scope, finding)
    return DashboardOut.model_validate(shown, from_attributes=True)


def show_monitor(
    context: AppContext,
    user: CurrentAdmin,
    model: Id,
    weeks: Annotated[int, Query(ge=1, le=MOST_WEEKS, description="complete weeks, the newest last")] = WEEKS,
    false_alarms: Annotated[
        float,
        Query(gt=0, le=MOST_FALSE_ALARMS, description="weeks with a false alarm in a year, over all measures"),
    ] = FALSE_ALARMS,
    finding: Annotated[
        str | None, Query(max_length=64, description="of a multi-label model; default: its first finding")
    ] = None,
) -> MonitorReport:
    """Compare a model's weeks with its acceptance at this site. It counts as having been shown their answers."""
    identity = context.catalogue.get(model).identity
    mondays = list_mondays(weeks)
    store = context.store
    with store.read() as session:
        answers = count_answers(session, Period().studies()).get(identity, 0)
        report = build_monitor(
            session, store.secret, context.catalogue, identity, answers, mondays, false_alarms, finding
        )
    record_sum(store, period_of_week(mondays[0], weeks), identity, user.id)
    return report


def make_period(first: date | None, last: date | None) -> Period:
    """Return the period from the first day to the last, both as whole days in UTC."""

    def start(day: date) -> float:
        return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()

    end = None if last is None else start(last) + timedelta(days=1).total_seconds()
    return Period(None if first is None else start(first), end)
