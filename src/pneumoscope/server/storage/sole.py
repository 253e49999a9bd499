"""One server for a data folder with SQLite: a second one would take back, and send again, what the first is sending.

The lock is the system's, on an open file (flock): it ends with the process, however that ends. Windows and some network
file systems have none, and nothing is refused there.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager

from pneumoscope.core.errors import UsageError
from pneumoscope.core.files import lock_file
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.modes import make_private_folders

_NAME = "server.lock"
"""Name of the file in the data folder; it stays, and is empty."""


@contextmanager
def sole_server(settings: Settings) -> Iterator[None]:
    """Hold the data folder for one server during the ``with``; on PostgreSQL, which several may share, do nothing.

    Args:
        settings: Of the server; the data folder is created.

    Raises:
        UsageError: Another server has it, or others of this machine can read the folder.
    """
    if not settings.database_url.startswith("sqlite"):
        yield
        return
    make_private_folders(settings)
    path = settings.home / _NAME
    with os.fdopen(os.open(path, os.O_RDWR | os.O_CREAT, 0o600), "r+b") as file:
        if not lock_file(file):
            raise UsageError(
                str(settings.home),
                "is in use by another server, and on SQLite a data folder has one.",
                "Stop that one, name another folder (`home`), or let both share PostgreSQL (`database`).",
            )
        yield
