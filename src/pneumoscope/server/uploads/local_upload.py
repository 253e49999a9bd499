"""Files of this machine into a server that runs on it, by the way that visitors' uploads take."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from pathlib import Path

from fastapi import UploadFile
from sqlalchemy import select

from pneumoscope.core.errors import ImageError
from pneumoscope.server.api.dependencies import Context
from pneumoscope.server.api.problems import as_problem
from pneumoscope.server.api.routes.uploads import take_in
from pneumoscope.server.api.schemas.common import FileOut
from pneumoscope.server.security.principal import LOCAL
from pneumoscope.server.storage.tables import Study

_PAUSE = 0.5
"""Seconds between two tries while the queue is full."""


def feed(
    context: Context, paths: Iterable[str | Path], models: list[str], stopping: Callable[[], bool]
) -> Iterator[tuple[str | Path, list[FileOut] | ImageError]]:
    """Upload files one by one; yield each with what became of it, or why it was not taken.

    Args:
        context: Of the server.
        paths: Images, DICOM files or ZIP archives.
        models: What to ask about each.
        stopping: Whether to leave the rest.
    """
    for path in paths:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            yield path, ImageError(str(path), f"can't be read: {error.strerror}.")
            continue
        while not stopping():
            try:
                yield path, take_in(context, LOCAL.id, [UploadFile(BytesIO(data))], models).files
            except Exception as error:
                problem = as_problem(error)
                if problem is None:
                    raise
                if problem.status == 429:
                    time.sleep(_PAUSE)
                    continue
                said = [each["problem"] for each in problem.more.get("files", ())]
                yield path, ImageError(str(path), " ".join(said) or problem.problem, "" if said else problem.way_out)
            break


def is_empty(context: Context) -> bool:
    """Return whether a server has no study yet."""
    with context.store.read() as session:
        return session.scalar(select(Study.id).limit(1)) is None
