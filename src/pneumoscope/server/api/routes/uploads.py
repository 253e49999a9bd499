"""Uploads over HTTP: files are decoded and stored, their rows written, and on request their answers awaited."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import anyio.to_thread
from fastapi import APIRouter, Form, Header, Request, Response, UploadFile
from sqlalchemy import Row

from pneumoscope.core.errors import ImageError
from pneumoscope.server.api.dependencies import AppContext, Context, CurrentUser, commit_audited
from pneumoscope.server.api.problems import HttpError, Problem
from pneumoscope.server.api.routes.studies import shown
from pneumoscope.server.api.schemas.common import FileOut, PredictionOut, UploadOut
from pneumoscope.server.errors import TooLargeError
from pneumoscope.server.inference import queue
from pneumoscope.server.storage.tables import Prediction
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies import studies
from pneumoscope.server.uploads import archive

_LONGEST_WAIT = 60
"""Seconds that an upload is kept waiting for its answers at most."""


def routes() -> APIRouter:
    """Return the endpoints."""
    router = APIRouter(prefix="/api", tags=["studies"])
    router.post("/studies", status_code=201)(upload)
    return router


async def upload(
    request: Request,
    response: Response,
    context: AppContext,
    user: CurrentUser,
    files: list[UploadFile],
    models: Annotated[list[str] | None, Form()] = None,
    prefer: Annotated[str, Header(max_length=200, description="wait=SECONDS (RFC 7240): for the answers too")] = "",
) -> UploadOut:
    """Take one or several PNG, JPEG, WebP, TIFF or DICOM files, or ZIP archives of them.

    When this is answered, what was accepted is on the disk. The same file again is the same image. With ``models``,
    their predictions are queued with it; with ``Prefer: wait=20`` they come with the answer, as far as 20 seconds were
    enough for them.
    """
    seconds = _wait_of(prefer) if models else 0
    coming = await anyio.to_thread.run_sync(
        _prepare, context, files, models or (), seconds > 0, limiter=context.uploads
    )

    def store(session: Transaction) -> tuple[list[studies.Added | ImageError], list[PredictionOut] | None]:
        added = coming.add(session, user.id)
        rows = coming.answered(added)
        return added, None if rows is None else [*shown(context, user.id, rows, session)]

    with coming.kept as kept:
        kept.added, answers = await commit_audited(
            request,
            context,
            store,
            status=201,
            exclusive=True,
            subject=lambda made: next(one.study for one in made[0] if isinstance(one, studies.Added)),
        )
    answer = coming.answer()
    if seconds:
        response.headers["Preference-Applied"] = f"wait={seconds}"
        answer.answers = await _answers(context, user, coming, seconds) if answers is None else answers
    return answer


def _wait_of(prefer: str) -> int:
    """Return the seconds that a request asks to be kept waiting (RFC 7240 4.3)."""
    found = re.search(r'\bwait\s*=\s*"?(\d{1,6})\b', prefer, re.IGNORECASE)
    return min(int(found[1]), _LONGEST_WAIT) if found else 0


async def _answers(context: Context, user: CurrentUser, coming: _Coming, seconds: int) -> list[PredictionOut]:
    """Wait, then return the answers of the models that were asked, finished or not."""
    added = [one for one in coming.kept.added if isinstance(one, studies.Added)]
    numbers, images = list(dict.fromkeys(one.study for one in added)), {one.image for one in added}

    def asked(session: Transaction) -> list[Row[Any]]:
        found = studies.predictions_of(session, numbers)
        return [row for rows in found.values() for row in rows if row.image in images and row.model in coming.models]

    def unfinished() -> set[str]:
        with context.store.read() as session:
            return {row.id for row in asked(session) if row.state in queue.OPEN}

    async with context.streams.waiting(context.store) as waiter:  # first, so that none is finished unseen
        await waiter.until(await anyio.to_thread.run_sync(unfinished), seconds)
    return await context.store.commit_async(lambda session: [*shown(context, user.id, asked(session), session)])


def take_in(context: Context, who: str, files: Sequence[UploadFile], models: Sequence[str]) -> UploadOut:
    """Store the files of an upload and queue the models that are asked; durable when this returns."""
    coming = _prepare(context, files, models)
    with coming.kept as kept:
        kept.added = context.store.commit(lambda session: coming.add(session, who), exclusive=True)
    return coming.answer()


@dataclass(frozen=True, slots=True)
class _Coming:
    """An upload whose pixels are on the disk and whose rows are not yet written."""

    models: list[str]
    outcomes: list[FileOut]
    kept: studies.Kept

    def add(self, session: Transaction, who: str) -> list[studies.Added | ImageError]:
        """Write the rows; refuse an upload of which nothing can be stored."""
        added = self.kept.add(session, self.models, who)
        if all(isinstance(one, ImageError) for one in added):
            raise _nothing(self._with(added))
        return added

    def answered(self, added: Sequence[studies.Added | ImageError]) -> list[Prediction] | None:
        """Return the answers, if all that were asked for have been made while the files were being stored."""
        stored = [one for one in added if isinstance(one, studies.Added)]
        if not self.kept.answered or any(one.duplicate for one in stored):
            return None
        return [row for one in stored for row in one.predictions]

    def answer(self) -> UploadOut:
        return UploadOut(files=self._with(self.kept.added))

    def _with(self, added: Sequence[studies.Added | ImageError]) -> list[FileOut]:
        """Return what became of each file, of those that were not refused before as said."""
        later = iter(added)
        return [_file_out(one.file, next(later)) if one.status == "accepted" else one for one in self.outcomes]


def _prepare(context: Context, files: Sequence[UploadFile], models: Sequence[str], waits: bool = False) -> _Coming:
    limit = context.settings.max_files
    if len(files) > limit:
        raise _too_many(f"has {len(files)} files; at most {limit} are taken.", limit)
    identities = list(dict.fromkeys(context.catalogue.get(name).identity for name in models))
    # Who waits for one image is answered soonest where it is decoded; several are better spread over the workers.
    at_once = identities if waits and len(files) == 1 and not _is_archive(files[0]) else ()
    outcomes: list[FileOut] = []
    with ExitStack() as undo, context.decoders.one() as decoder:
        kept = undo.enter_context(studies.Kept(context.store))
        for sent in _sent(files, context):
            try:
                if sent.refused is not None:
                    raise sent.refused
                kept.take(decoder, sent.data, sent.name, at_once)
                outcomes.append(FileOut(file=sent.name, status="accepted"))
            except ImageError as error:
                outcomes.append(_file_out(sent.name, error))
            if len(outcomes) > limit:
                raise _too_many(f"has more than {limit} files.", limit)
        if not kept:
            raise _nothing(outcomes)
        undo.pop_all()
    return _Coming(identities, outcomes, kept)


def _file_out(name: str, fate: studies.Added | ImageError) -> FileOut:
    if isinstance(fate, ImageError):
        problem = f"{fate.problem} {fate.way_out}".strip()
        code, values = (fate.code, fate.values) if fate.code else (None, None)
        return FileOut(file=name, status="refused", problem=problem, code=code, values=values)
    status: Literal["duplicate", "accepted"] = "duplicate" if fate.duplicate else "accepted"
    predictions = [row.id for row in fate.predictions]
    return FileOut(file=name, status=status, study=fate.study, image=fate.image, predictions=predictions)


def _too_many(problem: str, limit: int) -> TooLargeError:
    return TooLargeError("the upload", problem, "Send several.", code="too-many", values={"limit": limit})


def _nothing(files: Sequence[FileOut]) -> HttpError:
    return HttpError(
        Problem(
            422,
            "the upload",
            "holds no radiograph that can be stored.",
            "Each file's own problem is given with it.",
            code="nothing-stored",
            more={"files": [file.model_dump() for file in files]},
        )
    )


def _is_archive(file: UploadFile) -> bool:
    first = file.file.read(4)
    file.file.seek(0)
    return archive.is_zip(first)


def _sent(files: Sequence[UploadFile], context: Context) -> Iterator[archive.Sent]:
    """Yield the files of an upload, those in archives one by one; names that were sent are not looked at."""
    for number, file in enumerate(files, 1):
        name = f"file {number}"
        most = context.settings.max_file_bytes
        zipped = _is_archive(file)
        data = file.file.read() if zipped else file.file.read(most + 1)
        if zipped:
            yield from archive.members(data, name, context.settings)
        elif len(data) > most:
            limit = most // 2**20
            problem, way_out = f"is larger than {limit} MiB.", "Send one radiograph per file."
            error = ImageError(name, problem, way_out, code="too-large", values={"limit_mib": limit})
            yield archive.Sent(name, b"", error)
        else:
            yield archive.Sent(name, data)
