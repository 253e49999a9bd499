"""Routes of the app that runs the models in the browser: what it downloads, once. No image ever comes back."""

from __future__ import annotations

from fastapi import APIRouter
from fastapi.responses import FileResponse, Response

from pneumoscope.bundle.device_list import (
    EVIDENCE,
    FILES,
    DeviceList,
    companion_folders,
    encode_evidence,
    list_for_device,
)
from pneumoscope.server.api.dependencies import AppContext, CurrentUser
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference import queue


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api/device", tags=["device"])
    router.get("")(list_downloads)
    router.get("/{identity}/{name}", response_class=FileResponse)(get_download)
    return router


def list_downloads(context: AppContext, user: CurrentUser) -> DeviceList:
    """List the models that are switched on, and their companions, with the size and hash of each file."""
    with context.store.read() as session:
        models = [
            model
            for identity, model in context.catalogue.list_models().items()
            if not queue.is_switched_off(session, identity)
        ]
    return list_for_device([model.folder for model in models], lambda identity, name: f"device/{identity}/{name}")


def get_download(context: AppContext, user: CurrentUser, identity: str, name: str) -> Response:
    """Fetch a file of the list."""
    folder = companion_folders().get(identity)
    if folder is None:
        model = context.catalogue.get(identity)
        folder = model.folder
        if name == EVIDENCE and (facts := encode_evidence(folder, model.identity)) is not None:
            return Response(facts, media_type="application/json")
    if name not in FILES:
        raise NotFoundError("file")
    return FileResponse(folder / name, filename=name)
