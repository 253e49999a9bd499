"""The server as an ASGI app, created from its settings and from nothing else."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import cache
from typing import Any

import anyio
from fastapi import APIRouter, Depends, FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.routing import BaseRoute

from pneumoscope import __version__
from pneumoscope.core.engine import default_workers
from pneumoscope.core.errors import UsageError
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.server.administration import check_routes, note_routes
from pneumoscope.server.api import events
from pneumoscope.server.api.dependencies import AccountLimiters, Context, refuse_unknown_parameters
from pneumoscope.server.api.metrics import Metrics
from pneumoscope.server.api.middleware import SecurityMiddleware
from pneumoscope.server.api.pages import Pages
from pneumoscope.server.api.problems import Problem, problem_response
from pneumoscope.server.api.routes import ROUTERS
from pneumoscope.server.api.schemas.common import ProblemOut
from pneumoscope.server.dicom.calling.completion import CompletionWatch
from pneumoscope.server.dicom.calling.outbound import Outbound
from pneumoscope.server.dicom.receiving.node import DicomNode
from pneumoscope.server.dicom.receiving.prior_receive import PriorReceiver
from pneumoscope.server.dicom.receiving.priors import Priors
from pneumoscope.server.dicom.receiving.receive import Receiver
from pneumoscope.server.dicom.receiving.returned import ReturnedObjects
from pneumoscope.server.dicom.results.making import make_results
from pneumoscope.server.dicom.results.plans import kinds_of
from pneumoscope.server.dicom.routing.prior_rule import check_is_peer
from pneumoscope.server.dicom.routing.routes import RetryRule
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference import occlusion
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.worker_pool import WorkerPool
from pneumoscope.server.security.accounts import Accounts
from pneumoscope.server.security.login_pool import LoginPool
from pneumoscope.server.security.passwords import Passwords
from pneumoscope.server.security.sessions import Sessions
from pneumoscope.server.security.tokens import Tokens
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import now, open_store
from pneumoscope.server.studies.erasure import remove_leftovers
from pneumoscope.server.studies.retention import Retention
from pneumoscope.server.uploads.decoder_pool import DecoderPool
from pneumoscope.server.uploads.service import UploadService

REFUSAL_STATUSES = (400, 401, 403, 404, 409, 413, 422, 429, 500, 503, 507)

_UPLOADS = 8
"""Uploads of an account in memory at once; half of them wait for a decoder where there are two."""


def create_app(settings: Settings) -> FastAPI:
    """Return the server's app. It opens its store at once, and starts its processes when the app is started.

    Args:
        settings: All settings; ``workers=0`` leaves the predictions to other servers of the same database.

    Raises:
        UsageError: The settings are not safe together, or name no database.
        RunError: The database can't be reached.
    """
    settings = settings.validate()
    store, catalogue = open_store(settings), Catalogue(settings.models)
    passwords, decoders = Passwords(), DecoderPool(settings, catalogue, default_workers())
    _check_models(catalogue, () if settings.dicom is None else settings.dicom.models)
    outbound, rule, retry = None, None, RetryRule()
    if settings.dicom is not None and settings.dicom.routes is not None:
        routes = check_routes(settings.dicom.routes, settings.models)
        if "capture" in routes.kinds and not settings.dicom.capture:
            raise UsageError(
                f"{settings.dicom.routes}",
                "sends captures, which this server does not make.",
                "Start it with `dicom_capture=True`.",
            )
        for note in note_routes(routes, settings.models, settings.dicom.peers):
            logging.getLogger(__name__).warning("%s: %s", settings.dicom.routes, note)
        outbound = Outbound(store, catalogue, routes, settings.dicom.title)
        rule, retry = routes.priors, routes.retry
        if rule is not None:
            check_is_peer(f"{settings.dicom.routes}", rule, settings.dicom.peers)
    uploads = UploadService(store, settings, catalogue, decoders)
    node = priors = None
    if settings.dicom is not None:
        title = settings.dicom.title
        receiver = Receiver(store, uploads, settings.dicom.models, rule)
        titles = {title.strip(), ((rule.archive.calling if rule else None) or title).strip()}
        fetched = PriorReceiver(store, uploads, receiver, rule, frozenset(titles))
        node = DicomNode(
            settings.dicom,
            receiver,
            ReturnedObjects(store, receiver.refused),
            settings.max_file_bytes,
            outbound,
            priors=fetched,
        )
        if rule is not None:
            priors = Priors(store, rule, retry, title, fetched, settings.max_file_bytes)
    context = Context(
        settings=settings,
        store=store,
        catalogue=catalogue,
        accounts=Accounts(store, passwords),
        sessions=Sessions(store, settings, passwords),
        logins=LoginPool(),
        tokens=Tokens(store),
        metrics=Metrics(store),
        streams=events.Streams(settings.streams),
        uploads=uploads,
        upload_limiters=AccountLimiters(_UPLOADS),
        health_limiter=anyio.CapacityLimiter(4),
        decoders=decoders,
        workers=WorkerPool(store, settings, catalogue),
        node=node,
        outbound=outbound,
        priors=priors,
        occlusion_limiter=anyio.CapacityLimiter(occlusion.CONCURRENT),
        pages=Pages(),
    )
    app = FastAPI(
        title="Pneumoscope",
        version=__version__,
        description=DISCLAIMER,
        docs_url=None,  # its page loads scripts from another site, which the security headers forbid
        redoc_url=None,
        openapi_url="/api/openapi.json",
        lifespan=_lifespan(context),
    )
    app.state.context = context
    app.router.routes.extend([*_api_routes(), *context.pages.routes()])
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_http_error)
    app.add_middleware(SecurityMiddleware, context=context)
    return app


@cache
def _api_routes() -> tuple[BaseRoute, ...]:
    """Return the routes of the API, the same for every app: what belongs to an app comes to them with the request."""
    problem: dict[str, Any] = {"model": ProblemOut, "content": {"application/problem+json": {}}}
    router = APIRouter(
        responses=dict.fromkeys(REFUSAL_STATUSES, problem), dependencies=[Depends(refuse_unknown_parameters)]
    )
    for create_router in ROUTERS:
        router.include_router(create_router())
    return tuple(router.routes)


def _check_models(catalogue: Catalogue, names: Sequence[str]) -> None:
    """Check that the models for objects of peers are here: now, and not at the first object."""
    for name in names:
        try:
            catalogue.get(name)
        except NotFoundError as error:
            way_out = f"There are: {catalogue.describe_models()}."
            raise UsageError(f"model `{name}`", "is not on this server.", way_out) from error


def _lifespan(context: Context) -> Callable[[FastAPI], AbstractAsyncContextManager[None]]:
    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        store, settings = context.store, context.settings
        remove_leftovers(store)
        store.reserve.keep()
        events.delete_old(store)
        retention = (
            Retention(store, settings.retention, confirmed=settings.retention_confirm)
            if settings.retention is not None
            else None
        )
        context.decoders.start()
        context.workers.start()
        if retention is not None:
            retention.start()
        completion = _watch_completion(context)
        if context.node is not None:
            context.node.start()
        if context.outbound is not None:
            context.outbound.start()
        if context.priors is not None:
            context.priors.start()
        if completion is not None:
            completion.start()
        try:
            yield
        finally:
            if context.priors is not None:
                context.priors.stop()
            if context.node is not None:
                context.node.stop()
            if completion is not None:
                completion.stop()
            if context.outbound is not None:
                context.outbound.stop()
            if retention is not None:
                retention.stop()
            context.workers.stop()
            context.decoders.stop()
            store.close()

    return lifespan


def _watch_completion(context: Context) -> CompletionWatch | None:
    """Return what makes the results of complete studies; None where the server is no DICOM node."""
    settings, store = context.settings.dicom, context.store
    if settings is None:
        return None

    outbound = context.outbound
    kinds = list(dict.fromkeys((*kinds_of(settings), *(outbound.routes.kinds if outbound is not None else ()))))

    def hand_on(study: str) -> None:
        made = make_results(store, context.catalogue, study, kinds)
        if outbound is not None:
            outbound.route(study, made)

    return CompletionWatch(store, settings.quiet_seconds, hand_on, now)


async def _answer_invalid(request: Request, error: Exception) -> JSONResponse:
    """Answer where a request breaks its schema; what was sent there is not repeated."""
    assert isinstance(error, RequestValidationError)
    places = [
        {"where": [part for part in fault["loc"][:2] if isinstance(part, int) or part.isidentifier()],
         "rule": str(fault["type"])[:64]}
        for fault in error.errors()[:20]
    ]  # fmt: skip
    return problem_response(
        Problem(422, "the request", "does not follow its schema.", "See /api/openapi.json.", more={"at": places}),
        request.state.number,
    )


async def _answer_http_error(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    sentences = {404: "is not an address of this server.", 405: "does not take this method."}
    return problem_response(
        Problem(
            error.status_code,
            "this address" if error.status_code in sentences else "the request",
            sentences.get(error.status_code, "could not be understood."),
            headers=dict(error.headers or {}),
        ),
        request.state.number,
    )
