"""Files of this machine into a server that runs on it, through the same service as uploads over HTTP."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from io import BytesIO
from pathlib import Path

from pneumoscope.core.errors import ImageError, PneumoscopeError
from pneumoscope.server.errors import BusyError
from pneumoscope.server.security.principal import LOCAL
from pneumoscope.server.storage.failures import as_refusal
from pneumoscope.server.uploads.outcome import FileOutcome, NothingStoredError
from pneumoscope.server.uploads.service import UploadService

_PAUSE = 0.5
"""Seconds between two tries while the queue is full."""


def upload_files(
    service: UploadService, paths: Iterable[str | Path], models: Sequence[str], stopping: Callable[[], bool]
) -> Iterator[tuple[str | Path, Sequence[FileOutcome] | ImageError]]:
    """Upload files one by one; yield each with what became of it, or why it was refused.

    Args:
        service: Of the server.
        paths: Images, DICOM files or ZIP archives.
        models: Names of the models to ask about each image.
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
                yield path, service.store([BytesIO(data)], models, LOCAL.id, [str(path)])
            except BusyError:
                time.sleep(_PAUSE)
                continue
            except NothingStoredError as error:
                problems = [outcome.problem for outcome in error.outcomes if outcome.problem is not None]
                yield path, ImageError(str(path), " ".join(problems) or error.problem)
            except Exception as error:
                refusal = as_refusal(error) or error
                if not isinstance(refusal, PneumoscopeError):
                    raise
                yield path, ImageError(str(path), refusal.problem, refusal.way_out)
            break
