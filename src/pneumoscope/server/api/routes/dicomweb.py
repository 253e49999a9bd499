"""DICOMweb (PS3.18): QIDO-RS, WADO-RS and STOW-RS for the store of a server that is a DICOM node.

What is exchanged names patients, so all of it is for accounts that may see names. The standard describes these
addresses, and docs/operations/conformance.md what of it is here; the OpenAPI document does not repeat them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import chain
from typing import Annotated, Any

import anyio.to_thread
from fastapi import APIRouter, Path, Query, Request, Response
from fastapi.responses import StreamingResponse

from pneumoscope.server.api.accept import MediaRange, not_acceptable, quality_of, read_accept
from pneumoscope.server.api.dependencies import AppContext, Context, CurrentUser, set_audit_subject
from pneumoscope.server.api.related import DICOM, join_parts, read_parts
from pneumoscope.server.dicom.objects.kept import read_copy
from pneumoscope.server.dicom.receiving.receive import SUCCESS, Receiver, Sender
from pneumoscope.server.dicom.web import retrieval
from pneumoscope.server.dicom.web.frames import OCTETS, read_frame
from pneumoscope.server.dicom.web.matching import Level, read_query
from pneumoscope.server.dicom.web.rendered import FORMATS, QUALITY, render
from pneumoscope.server.dicom.web.stow import StoredPart, describe, read_reference, status_of
from pneumoscope.server.errors import InvalidRequestError, NotFoundError
from pneumoscope.server.security.permissions import check_sees_names
from pneumoscope.server.security.principal import Principal

PREFIX = "/api/dicomweb"
JSON = "application/dicom+json"
MULTIPART = "multipart/related"
ANY = "*"
"""Any transfer syntax."""
_READ = ["GET", "HEAD"]
"""uvicorn leaves the content of a HEAD out."""
_RETRY_AFTER = 30
"""Seconds after which objects that found a full disk or a busy server may be sent again."""
Uid = Annotated[str, Path(pattern=r"^[0-9]+(\.[0-9]+)*$", max_length=64)]


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
        router.api_route(address, methods=_READ)(retrieve)
        router.api_route(f"{address}/metadata", methods=_READ)(retrieve_metadata)
    router.api_route(f"{address}/frames/{{frames}}", methods=_READ)(retrieve_frames)
    router.api_route(f"{address}/rendered", methods=_READ)(retrieve_rendered)
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
    _check_accept_json(request)
    sender = Sender("", request.client.host if request.client else "", user=user.id)
    settings = context.settings
    async with read_parts(request, settings.incoming, settings.max_files, settings.max_file_bytes) as parts:

        def receive() -> list[StoredPart]:
            stored = []
            for part in parts:
                data = part.read()
                sop_class, sop_uid = read_reference(data)
                announced = replace(sender, sop_class=sop_class, sop_uid=sop_uid)
                stored.append(StoredPart(sop_class, sop_uid, receiver.receive(data, announced, study_uid)))
            return stored

        stored = await anyio.to_thread.run_sync(receive, limiter=context.upload_limiters.of(user.id))
    set_audit_subject(request, next((part.receipt.study for part in stored if part.receipt.study), ""))
    status = status_of(stored)
    headers = {"Retry-After": str(_RETRY_AFTER)} if status == 503 else {}
    known = [part.sop_uid for part in stored if part.receipt.status == SUCCESS]
    addresses = retrieval.find_addresses(context.store, known, _base_of(request))
    return _json(describe(stored, addresses), status, headers)


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
    _check_accept_json(request)
    given = {keyword: uid for keyword, uid in fixed.items() if uid is not None}
    query = read_query(level, request.query_params.multi_items(), given)
    matches = retrieval.search(context.store, query, _base_of(request), user.id)
    warnings = list(query.warnings)
    if not matches.complete:
        warnings.append(f"The search ended after {retrieval.MOST_EXAMINED} studies; name a patient or a study.")
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
    """Return those objects of a study, a series, or the one object, that are kept as files: in their own bytes."""
    objects = _find(request, context, user, study_uid, series_uid, sop_uid)
    ranges = read_accept(request)
    kinds = (MULTIPART, DICOM) if sop_uid else (MULTIPART,)
    if not any(one.quality and one.specificity(kind) for one in ranges for kind in kinds):
        raise not_acceptable(f'{MULTIPART}; type="{DICOM}"')
    files = retrieval.list_files(context.store, objects, user.id)
    chosen = [one for one in files if _takes(ranges, MULTIPART, one.syntax)]
    as_parts = bool(chosen)
    if not chosen and sop_uid:
        chosen = [one for one in files if _takes(ranges, DICOM, one.syntax)]
    if not chosen:
        kept = ", ".join(sorted({one.syntax for one in files}))
        raise not_acceptable(f"{DICOM} in the transfer syntax that came: {kept}")
    contents = (retrieval.read_file(context.store, one, user.id) for one in chosen)
    first = next(contents)  # what can't be read is refused before the answer begins
    if not as_parts:
        return Response(first, media_type=DICOM)
    body, kind = join_parts(chain([first], contents))
    return StreamingResponse(body, 200 if len(chosen) == len(objects) else 206, media_type=kind)


def retrieve_frames(
    request: Request,
    context: AppContext,
    user: CurrentUser,
    study_uid: Uid,
    series_uid: Uid,
    sop_uid: Uid,
    frames: Annotated[str, Path(pattern=r"^[1-9][0-9]{0,9}(,[1-9][0-9]{0,9}){0,99}$")],
) -> Response:
    """Return the pixels of an image whose file is kept (PS3.18 10.4.1.1.6); an image has one frame."""
    (one,) = _find(request, context, user, study_uid, series_uid, sop_uid)
    if not one.blob:
        raise NotFoundError("frame", "is not kept here.", "Ask the archive that sent it, or take the rendered image.")
    if frames != "1":
        raise NotFoundError("frame", "is not there: an image has one.", "Ask for frame 1, once.")
    frame = read_frame(read_copy(context.store, one.blob), one.syntax)
    ranges = read_accept(request)
    # A viewer that asks for octets of any syntax takes those of a compressed one too.
    as_octets = _takes(ranges, MULTIPART, ANY, OCTETS, default="")
    for kind in (frame.kind, OCTETS) if as_octets else (frame.kind,):
        if _takes(ranges, MULTIPART, frame.syntax, kind):
            body, media_type = join_parts([frame.content], kind, f"{kind}; transfer-syntax={frame.syntax}")
            return StreamingResponse(body, media_type=media_type)
    if _takes([one for one in ranges if one.kind != "*/*"], frame.kind, frame.syntax):
        return Response(frame.content, media_type=f"{frame.kind}; transfer-syntax={frame.syntax}")
    raise not_acceptable(f'{MULTIPART}; type="{frame.kind}"; transfer-syntax={frame.syntax}')


def retrieve_rendered(
    request: Request,
    context: AppContext,
    user: CurrentUser,
    study_uid: Uid,
    series_uid: Uid,
    sop_uid: Uid,
    viewport: Annotated[str | None, Query(pattern=r"^[1-9][0-9]{0,4},[1-9][0-9]{0,4}$")] = None,
    quality: Annotated[int, Query(ge=1, le=100)] = QUALITY,
) -> Response:
    """Return an image as a picture (PS3.18 10.4.1.1.3), of the stored pixels: its file need not be kept."""
    unknown = sorted(set(request.query_params) - {"viewport", "quality"})
    if unknown:
        raise InvalidRequestError(f"the parameter {unknown[0][:40]}", "is not supported.", "Leave it out.")
    (one,) = _find(request, context, user, study_uid, series_uid, sop_uid)
    ranges = read_accept(request)
    kind = max(FORMATS, key=lambda kind: quality_of(ranges, kind))
    if not quality_of(ranges, kind):
        raise not_acceptable(*FORMATS)
    box = None if viewport is None else (int(viewport.partition(",")[0]), int(viewport.partition(",")[2]))
    content = render(context.store, one.value("SOPInstanceUID"), kind, box, quality)
    return Response(content, media_type=kind)


def _find(
    request: Request,
    context: Context,
    user: Principal,
    study_uid: str,
    series_uid: str | None = None,
    sop_uid: str | None = None,
) -> list[retrieval.WebObject]:
    """Return what an address names, for an account that may see names."""
    _receiver_of(context)
    check_sees_names(user)
    objects = retrieval.find_objects(context.store, study_uid, series_uid or "", sop_uid or "")
    set_audit_subject(request, objects[0].study)
    return objects


def retrieve_metadata(
    request: Request,
    context: AppContext,
    user: CurrentUser,
    study_uid: Uid,
    series_uid: Uid | None = None,
    sop_uid: Uid | None = None,
) -> Response:
    """Return the metadata of the objects of a study, a series, or of one object."""
    objects = _find(request, context, user, study_uid, series_uid, sop_uid)
    _check_accept_json(request)
    return _json(retrieval.read_metadata(context.store, objects, user.id, _base_of(request)), 200, {})


def _receiver_of(context: Context) -> Receiver:
    if context.node is None:
        raise NotFoundError("service", "is off: this server is no DICOM node.", "An administrator starts it as one.")
    return context.node.receiver


def _base_of(request: Request) -> str:
    return f"{request.base_url}{PREFIX[1:]}"


def _check_accept_json(request: Request) -> None:
    """Refuse a request that does not take DICOM JSON; plain JSON stands for DICOM JSON too (PS3.18 8.7.3.5)."""
    ranges = read_accept(request)
    kind = JSON if any(one.kind == JSON for one in ranges) else "application/json"
    if not quality_of(ranges, kind):
        raise not_acceptable(JSON)


def _takes(ranges: Sequence[MediaRange], kind: str, syntax: str, part: str = DICOM, default: str = ANY) -> bool:
    """Return whether a request takes something in a transfer syntax: as the range says that names it most closely.

    Args:
        ranges: Of the request.
        kind: `MULTIPART`, or the media type of an answer of one part.
        syntax: The transfer syntax; `ANY`: whichever it is.
        part: Media type of the parts; a range that names none takes all.
        default: What a range without a transfer syntax takes. The standard has Explicit VR Little Endian (PS3.18
            8.7.3), which this server would have to make; so it is what there is.
    """
    closest, quality = (0, False, False), 0.0
    for one in ranges:
        wanted = one.parameters.get("type", part).lower()
        syntaxes = {each.strip() for each in one.parameters.get("transfer-syntax", default).split(",")}
        if (
            one.specificity(kind)
            and wanted in (part, "*/*", f"{part.partition('/')[0]}/*")
            and syntaxes & {syntax, ANY}
        ):
            # A range that names the syntax is closer than one that takes any: so one syntax can be excepted (q=0).
            close = one.specificity(kind), wanted == part, syntax in syntaxes
            quality = max(quality, one.quality) if close == closest else one.quality if close > closest else quality
            closest = max(closest, close)
    return quality > 0


def _json(content: Any, status: int, headers: Mapping[str, str]) -> Response:
    return Response(json.dumps(content), status, dict(headers), media_type=JSON)
