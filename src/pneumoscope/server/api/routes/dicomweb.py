"""DICOMweb (PS3.18): QIDO-RS, WADO-RS and STOW-RS for the store of a server that is a DICOM node.

What is exchanged names patients, so all of it is for accounts that may see names. The standard describes these
addresses, and docs/operations/conformance.md what of it is here; the OpenAPI document does not repeat them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Path, Request, Response

from pneumoscope.server.api.dependencies import AppContext, Context, CurrentUser, set_audit_subject
from pneumoscope.server.api.problems import HttpError, Problem
from pneumoscope.server.api.related import DICOM, join_parts, read_parts
from pneumoscope.server.dicom import web
from pneumoscope.server.dicom.matching import Level, read_query
from pneumoscope.server.dicom.receive import Receiver, Sender
from pneumoscope.server.dicom.web_store import StoredPart, describe, read_reference, status_of
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.security.permissions import check_sees_names
from pneumoscope.server.security.principal import Principal

PREFIX = "/api/dicomweb"
JSON = "application/dicom+json"
_RETRY_AFTER = 30
"""Seconds after which objects that found a full disk or a busy server may be sent again."""
Uid = Annotated[str, Path(pattern=r"^[0-9.]{1,64}$")]


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix=PREFIX, tags=["dicomweb"], include_in_schema=False)
    router.post("/studies")(store)
    router.post("/studies/{study_uid}")(store_of_study)
    router.get("/studies")(search_studies)
    router.get("/series")(search_series)
    router.get("/instances")(search_instances)
    router.get("/studies/{study_uid}/series")(search_series)
    router.get("/studies/{study_uid}/instances")(search_instances)
    router.get("/studies/{study_uid}/series/{series_uid}/instances")(search_instances)
    for address in (
        "/studies/{study_uid}",
        "/studies/{study_uid}/series/{series_uid}",
        "/studies/{study_uid}/series/{series_uid}/instances/{sop_uid}",
    ):
        router.get(address)(retrieve)
        router.get(f"{address}/metadata")(retrieve_metadata)
    return router


async def store(request: Request, context: AppContext, user: CurrentUser) -> Response:
    """Store objects (PS3.18 10.5)."""
    return await _store(request, context, user, "")


async def store_of_study(request: Request, context: AppContext, user: CurrentUser, study_uid: Uid) -> Response:
    """Store objects of one study."""
    return await _store(request, context, user, study_uid)


async def _store(request: Request, context: Context, user: Principal, study_uid: str) -> Response:
    receiver = _receiver_of(context)
    check_sees_names(user)
    _check_accept(request, JSON)
    sender = Sender("", request.client.host if request.client else "", user=user.id)
    settings = context.settings
    async with read_parts(request, settings.incoming, settings.max_files, settings.max_file_bytes) as parts:

        def receive() -> list[StoredPart]:
            stored = []
            for part in parts:
                data = part.read()
                stored.append(StoredPart(*read_reference(data), receiver.receive(data, sender, study_uid)))
            return stored

        stored = await anyio.to_thread.run_sync(receive, limiter=context.upload_limiters.of(user.id))
    set_audit_subject(request, next((part.receipt.study for part in stored if part.receipt.study), ""))
    status = status_of(stored)
    headers = {"Retry-After": str(_RETRY_AFTER)} if status == 503 else {}
    return _json(describe(stored), status, headers)


def search_studies(request: Request, context: AppContext, user: CurrentUser) -> Response:
    """Search studies (PS3.18 10.6)."""
    return _search(request, context, user, "study", {})


def search_series(request: Request, context: AppContext, user: CurrentUser, study_uid: Uid | None = None) -> Response:
    """Search series, of one study or of all."""
    return _search(request, context, user, "series", {"StudyInstanceUID": study_uid})


def search_instances(
    request: Request,
    context: AppContext,
    user: CurrentUser,
    study_uid: Uid | None = None,
    series_uid: Uid | None = None,
) -> Response:
    """Search objects, of one series, of one study, or of all."""
    return _search(request, context, user, "instance", {"StudyInstanceUID": study_uid, "SeriesInstanceUID": series_uid})


def _search(
    request: Request, context: Context, user: Principal, level: Level, fixed: Mapping[str, str | None]
) -> Response:
    _receiver_of(context)
    check_sees_names(user)
    _check_accept(request, JSON)
    given = {keyword: uid for keyword, uid in fixed.items() if uid is not None}
    query = read_query(level, request.query_params.multi_items(), given)
    matches = web.search(context.store, query, f"{request.base_url}{PREFIX[1:]}", user.id)
    warnings = list(query.warnings)
    if not matches.complete:
        warnings.append(f"The search ended after {web.MOST_EXAMINED} studies; name a patient or a study.")
    host = request.headers.get("host", "-")
    headers = {"Warning": ", ".join(f'299 {host} "{words}"' for words in warnings)} if warnings else {}
    return _json(matches.found, 200, headers) if matches.found else Response(status_code=204, headers=headers)


def retrieve(
    request: Request,
    context: AppContext,
    user: CurrentUser,
    study_uid: Uid,
    series_uid: Uid | None = None,
    sop_uid: Uid | None = None,
) -> Response:
    """Return those objects of a study, a series, or the one object, that are kept as files: the results."""
    _receiver_of(context)
    check_sees_names(user)
    _check_accept(request, DICOM, "multipart/related")
    objects = web.find_objects(context.store, study_uid, series_uid or "", sop_uid or "")
    set_audit_subject(request, objects[0].study)
    files = web.read_objects(context.store, objects, user.id)
    if sop_uid is not None and _accepts(request, DICOM) and not _accepts(request, "multipart/related"):
        return Response(files[0], media_type=DICOM)
    body, kind = join_parts(files)
    return Response(body, 200 if len(files) == len(objects) else 206, media_type=kind)


def retrieve_metadata(
    request: Request,
    context: AppContext,
    user: CurrentUser,
    study_uid: Uid,
    series_uid: Uid | None = None,
    sop_uid: Uid | None = None,
) -> Response:
    """Return the metadata of the objects of a study, a series, or of one object."""
    _receiver_of(context)
    check_sees_names(user)
    _check_accept(request, JSON)
    objects = web.find_objects(context.store, study_uid, series_uid or "", sop_uid or "")
    set_audit_subject(request, objects[0].study)
    return _json(web.read_metadata(context.store, objects, user.id), 200, {})


def _receiver_of(context: Context) -> Receiver:
    if context.node is None:
        raise NotFoundError("service", "is off: this server is no DICOM node.", "An administrator starts it as one.")
    return context.node.receiver


def _check_accept(request: Request, *kinds: str) -> None:
    """Refuse a request that takes none of some media types (PS3.18 8.7)."""
    if not any(_accepts(request, kind) for kind in kinds):
        raise HttpError(Problem(406, "the answer", f"is {' or '.join(kinds)}.", "Accept that."))


def _accepts(request: Request, kind: str) -> bool:
    """Return whether a request takes a media type; `application/json` stands for DICOM JSON too (PS3.18 8.7.3.5)."""
    ranges = [one.partition(";")[0].strip().lower() for one in request.headers.get("accept", "*/*").split(",")]
    known = {"*/*", kind, f"{kind.partition('/')[0]}/*"} | ({"application/json"} if kind == JSON else set())
    return bool(known & set(ranges))


def _json(content: Any, status: int, headers: Mapping[str, str]) -> Response:
    return Response(json.dumps(content), status, dict(headers), media_type=JSON)
