"""What routes depend on: the parts of the server, created once for an app, and the account that asks."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, TypeVar

import anyio
from fastapi import Depends, Request
from fastapi.dependencies.utils import get_flat_params
from fastapi.params import Query

from pneumoscope.server.api.events import Streams
from pneumoscope.server.api.metrics import Metrics
from pneumoscope.server.api.pages import Pages
from pneumoscope.server.dicom.calling.outbound import Outbound
from pneumoscope.server.dicom.receiving.node import DicomNode
from pneumoscope.server.dicom.receiving.priors import Priors
from pneumoscope.server.errors import InvalidRequestError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.worker_pool import WorkerPool
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.accounts import Accounts
from pneumoscope.server.security.login_pool import LoginPool
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


class AccountLimiters:
    """One limiter for each account: an account that sends much waits for itself."""

    def __init__(self, tokens: int) -> None:
        self._tokens = tokens
        self._limiters: dict[str, anyio.CapacityLimiter] = {}

    def of(self, account: str) -> anyio.CapacityLimiter:
        """Return the limiter of an account."""
        if account not in self._limiters:
            self._limiters[account] = anyio.CapacityLimiter(self._tokens)
        return self._limiters[account]


@dataclass(frozen=True, slots=True)
class Context:
    """The parts of one server."""

    settings: Settings
    store: Store
    catalogue: Catalogue
    accounts: Accounts
    sessions: Sessions
    logins: LoginPool
    tokens: Tokens
    metrics: Metrics
    streams: Streams
    uploads: UploadService
    upload_limiters: AccountLimiters
    """Uploads of each account that are staged at once; the others wait without holding memory or a thread."""
    health_limiter: anyio.CapacityLimiter
    """Threads that ask whether the database answers."""
    decoders: DecoderPool
    workers: WorkerPool
    """Run the models."""
    node: DicomNode | None
    """Takes objects from peers; None: the server is no DICOM node."""
    outbound: Outbound | None
    """Sends results to archives; None: nothing is sent."""
    priors: Priors | None
    """Fetches earlier studies from an archive; None: none are fetched."""
    occlusion_limiter: anyio.CapacityLimiter
    """Questions about covered images that are answered at once."""
    pages: Pages
    """The web app's files."""


# These three are coroutines although they wait for nothing: FastAPI would run plain functions on a thread each.
async def context_of(request: Request) -> Context:
    """Return the parts of the server that is asked."""
    context = request.app.state.context
    assert isinstance(context, Context)
    return context


async def current_user(request: Request) -> Principal:
    """Return the account that asks; `server.api.middleware` found it before anything else ran."""
    principal = request.state.principal
    assert isinstance(principal, Principal)
    return principal


async def current_admin(request: Request) -> Principal:
    """Return the account that asks, an admin.

    Raises:
        ForbiddenError: The account is no admin.
    """
    principal = await current_user(request)
    check_admin(principal)
    return principal


async def refuse_unknown_parameters(request: Request) -> None:
    """Refuse a question of the API with a parameter that its route does not have: a filter that is ignored misleads.

    Raises:
        InvalidRequestError: The route has no such parameter.
    """
    route = request.scope["route"]
    if not request.query_params or not route.path.startswith("/api/") or not route.include_in_schema:
        return  # DICOMweb's are attributes (`server.dicom.web.matching`)
    known = sorted(one.alias for one in get_flat_params(route.dependant) if isinstance(one.field_info, Query))
    for name in request.query_params:
        if name not in known:
            shown = name if re.fullmatch(r"[a-z_-]{1,30}", name) else "that was sent"
            raise InvalidRequestError(
                "the request",
                f"has the parameter {shown}, which {route.path} does not have.",
                f"It has: {', '.join(known)}." if known else "It has none.",
            )


AppContext = Annotated[Context, Depends(context_of)]
CurrentUser = Annotated[Principal, Depends(current_user)]
CurrentAdmin = Annotated[Principal, Depends(current_admin)]


def set_audit_subject(request: Request, subject: str) -> None:
    """Set which thing a request is about, for the audit log, where its path does not say it."""
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
    """Make a change and write the access to the audit log in the same transaction.

    The middleware then need not write the access in a transaction of its own.

    Args:
        request: The request.
        context: The parts of the server.
        change: As for `Store.commit`.
        status: HTTP status of the answer that follows.
        exclusive: As for `Store.commit`.
        subject: Returns the number of the thing that the access was to, where the path does not say it.
    """

    def change_and_record(session: Transaction) -> T:
        value = change(session)
        if subject is not None:
            set_audit_subject(request, subject(value))
        audit_log.record(session, request.state.audit_entry(status))
        return value

    value = await context.store.commit_async(change_and_record, exclusive=exclusive)
    request.state.recorded = status
    return value
