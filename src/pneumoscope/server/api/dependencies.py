"""What every endpoint needs, made once for an app and handed to each request; and who is asking."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

import anyio
from fastapi import Depends, Request

from pneumoscope.server.api.events import Streams
from pneumoscope.server.api.metrics import Metrics
from pneumoscope.server.api.pages import Pages
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.worker_pool import WorkerPool
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.accounts import Accounts
from pneumoscope.server.security.permissions import check_admin
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.security.sessions import Sessions
from pneumoscope.server.security.tokens import Tokens
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.uploads.decoder_pool import DecoderPool
from pneumoscope.server.uploads.service import UploadService

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Context:
    """The context of one server."""

    settings: Settings
    store: Store
    catalogue: Catalogue
    accounts: Accounts
    sessions: Sessions
    tokens: Tokens
    metrics: Metrics
    streams: Streams
    uploads: UploadService
    upload_limiter: anyio.CapacityLimiter
    """Uploads that are staged at once; the others wait without holding memory or a thread."""
    decoders: DecoderPool
    workers: WorkerPool
    """Run the models."""
    occlusion_limiter: anyio.CapacityLimiter
    """Questions about covered images that are answered at once."""
    pages: Pages
    """The web app's files."""


# These three are coroutines although they wait for nothing: FastAPI runs plain functions on a thread each.
async def context_of(request: Request) -> Context:
    """Return the context of the server that is asked."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


async def current_user(request: Request) -> Principal:
    """Return who asks; the guard has found out before anything else ran."""
    principal = request.state.principal
    assert isinstance(principal, Principal)
    return principal


async def current_admin(request: Request) -> Principal:
    """Return who asks, an admin.

    Raises:
        ForbiddenError: It is none.
    """
    principal = await current_user(request)
    check_admin(principal)
    return principal


AppContext = Annotated[Context, Depends(context_of)]
CurrentUser = Annotated[Principal, Depends(current_user)]
CurrentAdmin = Annotated[Principal, Depends(current_admin)]


def set_audit_subject(request: Request, subject: str) -> None:
    """Say which thing a request was about, for the audit log, where its address does not."""
    request.state.subject = subject


async def commit_audited(
    request: Request,
    context: Context,
    change: Callable[[Transaction], T],
    *,
    status: int = 200,
    exclusive: bool = False,
    subject: Callable[[T], str] | None = None,
) -> T:
    """Make a change and write the access to it down in the same transaction; the guard then need not do it by itself.

    Args:
        request: What is being answered.
        context: Of the server.
        change: As for `Store.commit`.
        status: Of the answer that follows.
        exclusive: As for `Store.commit`.
        subject: What the access was to, where the address does not say it.
    """

    def both(session: Transaction) -> T:
        value = change(session)
        if subject is not None:
            set_audit_subject(request, subject(value))
        audit_log.record(session, request.state.audit_entry(status))
        return value

    value = await context.store.commit_async(both, exclusive=exclusive)
    request.state.recorded = status
    return value
