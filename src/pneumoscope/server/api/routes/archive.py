"""The DICOM node as admins see it: its peers, what came, and what is quarantined."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from pneumoscope.server.api.dependencies import AppContext, CurrentAdmin, set_audit_subject
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.archive import ArrivalOut, NodeOut, ObjectApartOut, PeerOut
from pneumoscope.server.api.schemas.common import as_time
from pneumoscope.server.dicom.receiving import quarantine
from pneumoscope.server.dicom.receiving.receive import PRIOR, read_refusal
from pneumoscope.server.dicom.receiving.refused import name_class
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.permissions import check_sees_names
from pneumoscope.server.storage.tables import Access

_NOTE = "C-STORE of a rejection note"
_KINDS: dict[str, Literal["image", "own result", "corrected header", "earlier study"]] = {
    "C-STORE": "image",
    "STOW-RS": "image",
    "C-STORE of an own result": "own result",
    "C-STORE of a corrected header": "corrected header",
    PRIOR: "earlier study",
}
"""What came, by its action in the audit log; rejection notes have their code in it, refusals their status."""
_BEGINNINGS = (_NOTE, "C-STORE refused ", "STOW-RS refused ", f"{PRIOR} refused ")


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api/archive", tags=["archive"])
    router.get("/node")(show_node)
    router.get("/arrivals")(list_arrivals)
    router.get("/quarantine")(list_apart)
    router.get("/quarantine/{item}/object.dcm", response_class=Response)(get_apart)
    router.delete("/quarantine/{item}", status_code=204)(discard)
    return router


def show_node(context: AppContext, user: CurrentAdmin) -> NodeOut:
    """Show the DICOM node and who may send to it."""
    settings, node = context.settings.dicom, context.node
    if settings is None or node is None:
        return NodeOut(on=False)
    certificate, authorities = settings.tls_certificate, settings.tls_peers
    return NodeOut(
        on=True,
        listening=node.is_listening,
        title=settings.title,
        host=settings.host,
        port=node.port if node.is_listening else settings.port,
        encryption="none" if certificate is None else "server" if authorities is None else "both",
        peers=[PeerOut(title=title, address=address) for title, address in settings.peers],
        models=list(settings.models),
        quiet_seconds=settings.quiet_seconds,
    )


def list_arrivals(
    context: AppContext,
    user: CurrentAdmin,
    refused: Annotated[bool, Query(description="only what was refused")] = False,
    before: Annotated[int | None, Query(ge=1, le=2**62, description="only older ones than this")] = None,
    limit: Annotated[int, Query(ge=1, le=200)] = 50,
) -> list[ArrivalOut]:
    """List what came from peers or by STOW-RS, the newest first, out of the audit log."""
    entries = audit_log.list_actions(
        context.store, tuple(_KINDS), beginnings=_BEGINNINGS, refused=refused, before=before, limit=limit
    )
    uids = None if context.node is None or not user.sees_names else context.node.receiver.refused
    return [_arrival_out(entry, "" if uids is None else uids.find(entry.request)) for entry in entries]


def list_apart(context: AppContext, user: CurrentAdmin) -> list[ObjectApartOut]:
    """List the objects that are quarantined, the newest first."""
    return [
        ObjectApartOut(id=one.id, study=one.study, sender=one.sender, received=as_time(one.received), bytes=one.size)
        for one in quarantine.list_apart(context.store)
    ]


def get_apart(request: Request, context: AppContext, user: CurrentAdmin, item: Id) -> Response:
    """Return an object that is quarantined as it came, with the patient's name; for admins who may see names."""
    check_sees_names(user)
    study, data = quarantine.read_apart(context.store, item)
    set_audit_subject(request, study)
    headers = {"Content-Disposition": f'attachment; filename="{item}.dcm"'}
    return Response(data, media_type="application/dicom", headers=headers)


def discard(request: Request, context: AppContext, user: CurrentAdmin, item: Id) -> None:
    """Delete an object that is quarantined. Sent again, it is quarantined again."""
    set_audit_subject(request, quarantine.discard(context.store, item))


def _arrival_out(entry: Access, sop_uid: str) -> ArrivalOut:
    action, reason, sop_class = read_refusal(entry.action)
    return ArrivalOut(
        id=entry.id,
        at=as_time(entry.at),
        sender=entry.who,
        address=entry.address,
        kind=_KINDS.get(action, "rejection note"),
        way="STOW-RS" if action == "STOW-RS" else "C-STORE",
        study=entry.subject,
        status=entry.status,
        reason=reason,
        sop_class=sop_class,
        sop_class_name=name_class(sop_class) if sop_class else "",
        sop_uid=sop_uid,
    )
