"""Uploads over HTTP: hand the files to the upload service, and on request wait for the answers."""

from __future__ import annotations

import re
from typing import Annotated

import anyio.to_thread
from fastapi import APIRouter, Form, Header, Request, Response, UploadFile

from pneumoscope.server.api.dependencies import AppContext, Context, CurrentUser, commit_audited
from pneumoscope.server.api.routes.studies import prediction_out
from pneumoscope.server.api.schemas.common import FileOut, UploadOut
from pneumoscope.server.api.spooling import SpoolingRoute
from pneumoscope.server.inference import queue
from pneumoscope.server.reading import answers
from pneumoscope.server.reading.answers import Answer
from pneumoscope.server.security.principal import Principal
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.uploads.service import PendingUpload, StoredUpload

_LONGEST_WAIT = 60
"""Seconds that an upload is kept waiting for its answers at most."""


def create_router() -> APIRouter:
    """Return the router of these endpoints."""
    router = APIRouter(prefix="/api", tags=["studies"], route_class=SpoolingRoute)
    router.post("/studies", status_code=201)(upload)
    return router


async def upload(
    request: Request,
    response: Response,
    context: AppContext,
    user: CurrentUser,
    files: list[UploadFile],
    models: Annotated[list[str] | None, Form()] = None,
    depth: Annotated[int | None, Form(ge=1, le=16, description="bits in use in 16-bit PNG and TIFF files")] = None,
    prefer: Annotated[str, Header(max_length=200, description="wait=SECONDS (RFC 7240): for the answers too")] = "",
) -> UploadOut:
    """Take one or several PNG, JPEG, WebP, TIFF or DICOM files, or ZIP archives of them.

    When the answer arrives, every accepted file is on the disk. The same file again is the same image. With ``models``,
    their predictions are queued too. With ``Prefer: wait=20``, the predictions that finish within 20 seconds come with
    the answer.
    """
    seconds = _seconds_to_wait(prefer) if models else 0

    def stage() -> PendingUpload:
        bodies = [file.file for file in files]
        names = [file.filename or "" for file in files]
        return context.uploads.stage(
            bodies, models or (), user.id, sent_names=names, depth=depth, sender_waits=seconds > 0
        )

    pending = await anyio.to_thread.run_sync(stage, limiter=context.upload_limiters.of(user.id))

    def write(session: Transaction) -> tuple[StoredUpload, list[Answer] | None]:
        upload_record = pending.write_rows(session, user.id, "" if user.sees_names else user.id)
        ready = upload_record.ready_answers()
        if ready is None:
            return upload_record, None
        return upload_record, answers.show_predictions(session, context.settings, ready, user.id)

    with pending:
        upload_record, shown_answers = await commit_audited(
            request, context, write, status=201, exclusive=True, subject=lambda written: written[0].study
        )
        pending.confirm(upload_record)
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds}"
        shown_answers = (
            await _wait_for_answers(request, context, user, upload_record, seconds)
            if shown_answers is None
            else shown_answers
        )
    return UploadOut(
        files=[FileOut.of(outcome) for outcome in upload_record.outcomes],
        answers=[prediction_out(answer) for answer in shown_answers] if seconds and shown_answers is not None else None,
    )


def _seconds_to_wait(prefer: str) -> int:
    """Return the seconds that a request asks to be kept waiting (RFC 7240 4.3)."""
    match = re.search(r'\bwait\s*=\s*"?(\d{1,6})\b', prefer, re.IGNORECASE)
    return min(int(match[1]), _LONGEST_WAIT) if match else 0


async def _wait_for_answers(
    request: Request, context: Context, user: Principal, stored: StoredUpload, seconds: int
) -> list[Answer] | None:
    """Wait, then return the answers of the models that were asked, finished or not.

    None where the sender's session or token ended in the meantime.
    """

    def unfinished() -> set[str]:
        with context.store.read() as session:
            return {row.id for row in stored.asked_predictions(session) if row.state in queue.OPEN}

    async with context.streams.waiting(context.store) as waiter:  # first, so that none is finished unseen
        await waiter.wait_for(await anyio.to_thread.run_sync(unfinished), seconds)

    if not await anyio.to_thread.run_sync(request.state.may_go_on):
        return None

    def show(session: Transaction) -> list[Answer]:
        return answers.show_predictions(session, context.settings, stored.asked_predictions(session), user.id)

    return await context.store.commit_async(show)
