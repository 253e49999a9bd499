"""The routes of the dashboard and of the monitor."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Annotated

from fastapi import APIRouter, Query

from pneumoscope.server.api.dependencies import AppContext, CurrentAdmin, CurrentUser
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.dashboard import DashboardOut
from pneumoscope.server.reading.dashboard import Scope, build_dashboard, record_all_shown, record_scope
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
from pneumoscope.server.reading.queries import Period, count_answers


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
) -> DashboardOut:
    """Show figures of reads, answers and references, over the studies whose answers this account may know."""
    period = make_period(first, last)
    record_scope(context.store, context.catalogue, user, model, period, scope)
    with context.store.read() as session:
        dashboard = build_dashboard(context.store, session, context.catalogue, user, model, period, scope)
    return DashboardOut.model_validate(dashboard, from_attributes=True)


def show_monitor(
    context: AppContext,
    user: CurrentAdmin,
    model: Id,
    weeks: Annotated[int, Query(ge=1, le=MOST_WEEKS, description="complete weeks, the newest last")] = WEEKS,
    false_alarms: Annotated[
        float,
        Query(gt=0, le=MOST_FALSE_ALARMS, description="weeks with a false alarm in a year, over all measures"),
    ] = FALSE_ALARMS,
) -> MonitorReport:
    """Compare a model's weeks with its acceptance at this site. It counts as having been shown their answers."""
    identity = context.catalogue.get(model).identity
    mondays = list_mondays(weeks)
    record_all_shown(context.store, period_of_week(mondays[0], weeks).studies(), identity, user.id)
    with context.store.read() as session:  # a transaction of its own: the tests take a while
        answers = count_answers(session, Period().studies()).get(identity, 0)
        return build_monitor(session, context.store.secret, context.catalogue, identity, answers, mondays, false_alarms)


def make_period(first: date | None, last: date | None) -> Period:
    """Return the period from the first day to the last, both as whole days in UTC."""

    def start(day: date) -> float:
        return datetime(day.year, day.month, day.day, tzinfo=UTC).timestamp()

    end = None if last is None else start(last) + timedelta(days=1).total_seconds()
    return Period(None if first is None else start(first), end)
