"""A reserve of disk space, so that a full disk stops uploads and nothing else.

Reading is written to the audit log, and so are logins and erasures: without room for those rows a full disk would lock
out the very people who can free it. A file holds some space from the server's start. When the disk is full it is
removed, and uploads are refused until there is room for the file again.
"""

from __future__ import annotations

import logging
import os
import shutil
import threading
from contextlib import suppress
from pathlib import Path

from pneumoscope.server.errors import StoreFullError, UnavailableError
from pneumoscope.server.storage.failures import RETRY_AFTER

_BYTES = 64 * 2**20
"""Size of the reserve on a large disk."""
_SHARE = 16
"""It is at most this part of the disk."""
_LOG = logging.getLogger(__name__)


class Reserve:
    """The reserve of one data folder."""

    def __init__(self, home: Path) -> None:
        self._path = home / "reserve"
        self._lock = threading.Lock()
        self._is_used = False
        """Whether the server keeps a reserve; commands that only look into a store do not."""

    def keep(self) -> None:
        """Create the file, if there is room for it twice."""
        self._is_used = True
        size, free = self._size(), free_bytes(self._path.parent)
        with self._lock:
            if self._path.exists() or free < 2 * size:
                return
            temporary = self._path.with_suffix(".new")
            try:
                with temporary.open("wb") as file:
                    if hasattr(os, "posix_fallocate"):
                        os.posix_fallocate(file.fileno(), 0, size)
                    else:
                        file.write(bytes(size))
                temporary.replace(self._path)
            except OSError as error:
                _LOG.error("no reserve of disk space: %s", type(error).__name__)
                temporary.unlink(missing_ok=True)

    def release_if_full(self) -> None:
        """Remove the file where the disk is full; a change that is written now finds room."""
        if self._is_used and free_bytes(self._path.parent) < self._size() // 4:
            self.release()

    def release(self) -> None:
        """Remove the file."""
        with self._lock, suppress(OSError):
            if self._path.exists():
                self._path.unlink()
                _LOG.error("the disk is full: the reserve is released, and uploads are refused until space is freed")

    def check(self) -> None:
        """Refuse an upload where the disk is full but for the reserve, or where the data folder is gone.

        Raises:
            StoreFullError: It is full.
            UnavailableError: The folder can't be reached, or is empty: its volume is not mounted on it.
        """
        if not self._is_used:
            return
        free_bytes(self._path.parent)  # raises where the folder can't be reached
        if not any(self._path.parent.iterdir()):
            raise _unavailable()
        self.keep()
        if not self._path.exists() or free_bytes(self._path.parent) < self._size() // 2:
            raise StoreFullError(
                "the store",
                "is full: nothing was accepted.",
                "Free some space and send it again. Reading, logging in and erasing go on.",
                code="store-full",
            )

    def _size(self) -> int:
        return min(_BYTES, _disk_usage(self._path.parent).total // _SHARE)


def free_bytes(folder: Path) -> int:
    """Return how many bytes can still be written in a folder.

    Raises:
        UnavailableError: The folder can't be reached.
    """
    return _disk_usage(folder).free


def _disk_usage(folder: Path) -> shutil._ntuple_diskusage:
    try:
        return shutil.disk_usage(folder)
    except OSError as error:  # a volume was unmounted, or a network's share is away
        _LOG.error("the data folder can't be reached: %s", error.strerror)
        raise _unavailable() from error


def _unavailable() -> UnavailableError:
    return UnavailableError(
        "the data folder",
        "can't be reached: nothing was accepted.",
        "Mount its volume again; the server goes on by itself.",
        code="store-away",
        retry_after=RETRY_AFTER,
    )
