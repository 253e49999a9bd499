"""Login, health, metrics, the audit log and the stream of events over HTTP."""

from __future__ import annotations

from typing import Annotated

import anyio
import anyio.to_thread
from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import StreamingResponse
from sqlalchemy import text

from pneumoscope import __version__
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.server.api.dependencies import AppContext, Context, CurrentAdmin, CurrentUser, set_audit_subject
from pneumoscope.server.api.metrics import CONTENT_TYPE
from pneumoscope.server.api.middleware import cookie_name
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.common import (
    AboutOut,
    AccessOut,
    Credentials,
    Me,
    PasswordIn,
    TokenIn,
    TokenOut,
    as_time,
)
from pneumoscope.server.errors import ConflictError, UnavailableError
from pneumoscope.server.security import audit_log as log
from pneumoscope.server.security.permissions import check_logged_in, check_may_create_token
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.storage.tables import Token

_HEALTH_SECONDS = 1.5
"""Seconds that the database gets to answer."""


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(tags=["server"])
    router.get("/healthz")(check_health)
    router.get("/metrics", response_class=Response)(export_metrics)
    router.get("/api/about")(about_server)
    router.post("/api/login")(login)
    router.post("/api/logout", status_code=204)(logout)
    router.get("/api/me")(show_account)
    router.post("/api/me/password", status_code=204)(change_password)
    router.post("/api/me/tokens", status_code=201)(create_token)
    router.get("/api/me/tokens")(list_tokens)
    router.delete("/api/me/tokens/{token}", status_code=204)(revoke_token)
    router.get("/api/audit")(list_audit_entries)
    router.get("/api/events", response_class=StreamingResponse)(watch)
    return router


async def check_health(context: AppContext) -> dict[str, str]:
    """Tell whether the server and its database answer, and nothing else, since this needs no login.

    It has threads of its own, so that it answers within 2 seconds where the database does not and all others wait.
    """

    def probe() -> None:
        with context.store.read() as session:
            session.execute(text("SELECT 1"))

    with anyio.move_on_after(_HEALTH_SECONDS):
        await anyio.to_thread.run_sync(probe, limiter=context.health_limiter, abandon_on_cancel=True)
        return {"status": "ok"}
    raise UnavailableError("the store", "does not answer.", code="store-away")


def export_metrics(context: AppContext, user: CurrentAdmin) -> Response:
    """Return figures for Prometheus; for admins (give Prometheus a token of an admin)."""
    return Response(context.metrics.text(), media_type=CONTENT_TYPE)


def about_server(context: AppContext, user: CurrentUser) -> AboutOut:
    """Describe this server and its limits."""
    settings = context.settings
    return AboutOut(
        version=__version__,
        disclaimer=DISCLAIMER,
        accounts=settings.needs_login,
        reads_first=settings.reads_come_first,
        dicom=context.node is not None,
        limits={
            "request_bytes": settings.max_request_bytes,
            "file_bytes": settings.max_file_bytes,
            "files": settings.max_files,
            "pixels": settings.max_pixels,
            "queue": settings.queue_limit,
        },
    )


async def login(request: Request, response: Response, context: AppContext, sent: Credentials) -> Me:
    """Begin a session. The cookie is not for scripts; changes need the answer's ``csrf`` as X-CSRF-Token."""
    if not context.settings.needs_login:
        raise ConflictError("this server", "has no accounts: it answers its own machine alone.")
    address = request.client.host if request.client else ""
    token, principal = await context.logins.run(
        address, lambda: context.sessions.login(sent.name, sent.password, address)
    )
    request.state.principal = principal  # for the audit log
    response.set_cookie(
        cookie_name(context.settings.encrypted),
        token,
        max_age=int(context.settings.session_longest),
        httponly=True,
        secure=context.settings.encrypted,
        samesite="strict",
        path="/",
    )
    return _me(context, principal)


def logout(request: Request, response: Response, context: AppContext, user: CurrentUser) -> None:
    """End this session."""
    name = cookie_name(context.settings.encrypted)
    if token := request.cookies.get(name):
        context.sessions.logout(token)
    response.delete_cookie(name, path="/", secure=context.settings.encrypted, httponly=True, samesite="strict")


def show_account(context: AppContext, user: CurrentUser) -> Me:
    """Show the account of this request."""
    return _me(context, user)


async def change_password(
    request: Request, response: Response, context: AppContext, user: CurrentUser, sent: PasswordIn
) -> None:
    """Change your own password. All your sessions and tokens end, this one too."""
    check_logged_in(user, "a password is changed")
    address = request.client.host if request.client else ""

    def change() -> None:
        # A wrong password counts as one at the login.
        token, _ = context.sessions.login(user.name, sent.old, address)
        context.accounts.change_own_password(token, sent.new)

    await context.logins.run(address, change)
    name = cookie_name(context.settings.encrypted)
    response.delete_cookie(name, path="/", secure=context.settings.encrypted, httponly=True, samesite="strict")


def create_token(request: Request, context: AppContext, user: CurrentUser, sent: TokenIn) -> TokenOut:
    """Create a token for a program, with this account's rights, for some days. A token can't create tokens."""
    check_may_create_token(user)
    row, token = context.tokens.create(user.id, sent.label, sent.days)
    set_audit_subject(request, row.id)
    return _token_out(row, token)


def list_tokens(context: AppContext, user: CurrentUser) -> list[TokenOut]:
    """List the tokens of this account."""
    return [_token_out(row) for row in context.tokens.list_of(user.id)]


def revoke_token(context: AppContext, user: CurrentUser, token: Id) -> None:
    """End a token."""
    context.tokens.revoke(user.id, token)


def list_audit_entries(
    context: AppContext,
    user: CurrentAdmin,
    subject: Annotated[str | None, Query(max_length=64)] = None,
    account: Annotated[str | None, Query(max_length=64)] = None,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="id of the last page's last line")] = None,
    limit: Annotated[int, Query(ge=1, le=1000)] = 100,
) -> list[AccessOut]:
    """Show the audit log, the newest entries first."""
    entries = log.list_entries(context.store, subject=subject, account=account, before=before, limit=limit)
    return [
        AccessOut(
            id=row.id, at=as_time(row.at), who=row.who, address=row.address, action=row.action,
            subject=row.subject, status=row.status, request=row.request,
        )
        for row in entries
    ]  # fmt: skip


def watch(
    request: Request,
    context: AppContext,
    user: CurrentUser,
    last_event_id: Annotated[str | None, Header(max_length=18)] = None,
) -> StreamingResponse:
    """Watch what changes (server-sent events): kinds and identifiers only, never a result.

    Names: ``study``, ``prediction``, ``read``. Data: ``{"study", "id", "state"}``. After a break, send the last id.
    """
    since = int(last_event_id) if last_event_id and last_event_id.isascii() and last_event_id.isdigit() else None
    stream = context.streams.open(context.store, since, request.state.may_go_on)
    return StreamingResponse(stream, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


def _token_out(row: Token, token: str | None = None) -> TokenOut:
    return TokenOut(id=row.id, label=row.label, created=as_time(row.created), expires=as_time(row.expires), token=token)


def _me(context: Context, user: Principal) -> Me:
    return Me(
        id=user.id,
        name=user.name,
        role=user.role,
        sees_names=user.sees_names,
        csrf=user.csrf,
        idle_seconds=context.settings.session_idle if user.via == "session" else None,
    )
