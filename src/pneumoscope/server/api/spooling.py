"""Routes whose files lie in a `SealedSpool` while they arrive; Starlette would write them to ``TMPDIR``."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Coroutine
from contextlib import aclosing
from pathlib import Path
from typing import Any

from fastapi.routing import APIRoute
from starlette.datastructures import FormData, Headers, UploadFile
from starlette.exceptions import HTTPException
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.requests import Request
from starlette.responses import Response

from pneumoscope.server.uploads.spool import SealedSpool


class _SpoolingParser(MultiPartParser):
    """Parses a form whose files go to a `SealedSpool`."""

    def __init__(self, folder: Path, headers: Headers, stream: AsyncGenerator[bytes, None], **limits: int) -> None:
        super().__init__(headers, stream, **limits)
        self._folder = folder

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        upload = self._current_part.file
        if upload is not None:
            upload.file.close()  # nothing was written to it
            spool: Any = SealedSpool(self._folder)
            self._current_part.file = UploadFile(file=spool, size=0, filename=upload.filename, headers=upload.headers)
            self._files_to_close_on_error[-1] = spool


class _SpoolingRequest(Request):
    """A request whose uploaded files go to a `SealedSpool` in the data folder."""

    async def _get_form(
        self, *, max_files: float = 1000, max_fields: float = 1000, max_part_size: int = 2**20
    ) -> FormData:
        limits: Any = {"max_files": max_files, "max_fields": max_fields, "max_part_size": max_part_size}
        kind = self.headers.get("content-type", "").partition(";")[0].strip().lower()
        if getattr(self, "_form", None) is None and kind == "multipart/form-data":
            folder = self.app.state.context.settings.incoming
            try:
                async with aclosing(self.stream()) as stream:
                    self._form = await _SpoolingParser(folder, self.headers, stream, **limits).parse()
            except MultiPartException as error:
                raise HTTPException(status_code=400, detail=error.message) from error
        return await super()._get_form(**limits)


class SpoolingRoute(APIRoute):
    """A route that uploads arrive at."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """Return the function that answers a request."""
        answer = super().get_route_handler()

        async def spool_and_answer(request: Request) -> Response:
            return await answer(_SpoolingRequest(request.scope, request.receive))

        return spool_and_answer
