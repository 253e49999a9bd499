"""A study's results as DICOM objects over HTTP."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Path, Response

from pneumoscope.server.api.dependencies import AppContext, CurrentUser
from pneumoscope.server.api.routes.studies import Id
from pneumoscope.server.api.schemas.results import ResultOut
from pneumoscope.server.dicom.results.making import export_result, list_results
from pneumoscope.server.security.permissions import check_sees_names

SopUid = Annotated[str, Path(pattern="^[0-9.]{1,64}$", description="SOPInstanceUID")]


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api", tags=["studies"])
    router.get("/studies/{study}/results")(list_objects)
    router.get("/studies/{study}/results/{sop_uid}", response_class=Response)(get_object)
    return router


def list_objects(context: AppContext, user: CurrentUser, study: Id) -> list[ResultOut]:
    """List the DICOM objects that were made of a study's results, in this order; superseded and retracted ones too."""
    check_sees_names(user)
    return [ResultOut.of(row) for row in list_results(context.store, study, user.id)]


def get_object(context: AppContext, user: CurrentUser, study: Id, sop_uid: SopUid) -> Response:
    """Return one of them as a DICOM file, after the display of its model's answers was recorded."""
    check_sees_names(user)
    data = export_result(context.store, study, sop_uid, user.id)
    headers = {"Content-Disposition": f'attachment; filename="{sop_uid}.dcm"'}
    return Response(data, media_type="application/dicom", headers=headers)
