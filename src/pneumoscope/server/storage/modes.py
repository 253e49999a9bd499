"""Who of a machine can read a server's data: its own account alone, or the server does not start.

The data folder has mode 0700, the database and the key 0600. What has got looser is set back and said in the log; what
can't be set (another owner, a file system without modes) is refused.
"""

from __future__ import annotations

import logging
import os
import stat
from pathlib import Path

from pneumoscope.core.errors import UsageError
from pneumoscope.server.settings import Settings

_OTHERS = 0o077
"""The rights of everybody but the owner."""
_HAS_MODES = os.name == "posix"


def make_private_folders(settings: Settings) -> None:
    """Create the data folder and the folders in it, for their owner alone.

    Raises:
        UsageError: Others can read the data folder, and it holds something else than a server's data, or the mode can't
            be set.
    """
    home = settings.home
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    foreign = not settings.files.is_dir() and any(home.iterdir())
    if foreign and _HAS_MODES and home.stat().st_mode & _OTHERS:
        raise UsageError(
            str(home),
            "can be read by others of this machine, and holds something else than a server's data.",
            f"Name a new folder, or: chmod 700 {home}",
        )
    _keep_private(home, 0o700)
    for folder in (settings.files, settings.incoming):
        folder.mkdir(exist_ok=True, mode=0o700)


def make_private_database(path: Path) -> None:
    """Create SQLite's file for its owner alone, before SQLite would by the process's mask, or set its mode.

    Raises:
        UsageError: Others can read it, and the mode can't be set.
    """
    os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # SQLite gives its other files the mode of this one
    for file in (path, *(path.with_name(path.name + ending) for ending in ("-wal", "-shm"))):
        if file.exists():
            _keep_private(file, 0o600)


def keep_secret_private(path: Path) -> None:
    """Set the mode of the key's file. One of another owner, as containers mount them, may be read by a group.

    Raises:
        UsageError: Others can read it, and the mode can't be set.
    """
    if _HAS_MODES and path.stat().st_uid != os.geteuid() and not path.stat().st_mode & 0o007:
        return
    _keep_private(path, 0o600)


def _keep_private(path: Path, mode: int) -> None:
    if not _HAS_MODES or not path.stat().st_mode & _OTHERS:
        return
    loose = stat.S_IMODE(path.stat().st_mode)
    try:
        path.chmod(mode)
    except OSError:
        pass
    else:
        if not path.stat().st_mode & _OTHERS:
            logging.getLogger(__name__).warning(
                "%s had mode %04o: others of this machine could read it until now; it is %04o again", path, loose, mode
            )
            return
    raise UsageError(
        str(path),
        f"has mode {loose:04o}: others of this machine can read it, and that can't be changed.",
        f"As its owner: chmod {mode:o} {path}; on a file system without modes no server can run.",
    )
