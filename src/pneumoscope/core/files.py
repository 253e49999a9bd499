"""Files that appear complete or not at all (temporary name in the same folder, fsync, rename), and where they lie."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import IO, Any

from pneumoscope.core.errors import UsageError
from pneumoscope.core.signals import termination_as_interrupt


@contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside ``path``; on success it is synced and takes the place of ``path``.

    On an exception the temporary file is removed and ``path`` stays as it was.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    # The suffix is kept: writers such as Parquet's and matplotlib's choose the format by it.
    temporary = path.with_name(f".{path.stem}.{os.getpid()}.tmp{path.suffix}")
    try:
        yield temporary
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except BaseException as error:
        with suppress(OSError):  # a read-only or vanished disk: the first error is the one that matters
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            _name_place(error, temporary, path)
        raise


@contextmanager
def draft_folder(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``folder``; when the block succeeds, it replaces ``folder`` with all in it."""
    with _draft_beside(folder) as draft:
        yield draft
        if folder.exists():
            shutil.rmtree(folder)
        draft.replace(folder)


@contextmanager
def _draft_beside(folder: Path) -> Iterator[Path]:
    """Yield an empty folder beside ``folder``; it is removed at the end unless it has another name by then.

    Drafts of ``folder`` that killed runs left are removed first.
    """
    _remove_abandoned_drafts(folder)
    draft = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
    shutil.rmtree(draft, ignore_errors=True)
    lock = _make_locked_folder(draft)
    try:
        with termination_as_interrupt():
            yield draft
    except OSError as error:
        if error.filename is not None or error.errno in (None, errno.ENOSPC, errno.EDQUOT):
            _name_place(error, draft, folder)
        raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
        if lock is not None:
            os.close(lock)


def _remove_abandoned_drafts(folder: Path) -> None:
    """Remove the drafts of a folder that no living run holds. Where folders have no locks, all of them stay."""
    name = re.compile(rf"\.{re.escape(folder.name)}\.\d+\.tmp")
    with suppress(OSError):  # the parent is not there yet, or may not be listed
        for draft in [path for path in folder.parent.iterdir() if name.fullmatch(path.name)]:
            with suppress(BlockingIOError):
                lock = _lock_folder(draft)
                if lock is not None:
                    shutil.rmtree(draft, ignore_errors=True)
                    os.close(lock)


def _make_locked_folder(folder: Path) -> int | None:
    """Make a folder and lock it. Between the two another run may take it for an abandoned one; it is made again then.

    Returns:
        The open descriptor; None where the system or the disk has no such lock.
    """
    while True:
        folder.mkdir(parents=True, exist_ok=True)
        try:
            lock = _lock_folder(folder)
        except BlockingIOError:
            time.sleep(0.01)  # it is being removed
            continue
        if lock is None and folder.exists():
            return None
        if lock is not None:
            with suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(lock), folder.stat()):
                    return lock
            os.close(lock)


def _lock_folder(folder: Path) -> int | None:
    """Lock a folder for as long as this process lives or the descriptor is open, also from other containers.

    Returns:
        The open descriptor; None where the system or the disk has no such lock, or the folder is not there.

    Raises:
        BlockingIOError: Another run has the folder.
    """
    try:
        import fcntl

        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except (ImportError, AttributeError, OSError):  # Windows has none of the first two
        return None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, BlockingIOError):
            raise
        return None
    return descriptor


def _name_place(error: OSError, temporary: Path, final: Path) -> None:
    """Let an error name the file or folder that was asked for: a full disk names none, the others the temporary one.

    Args:
        error: It is changed.
        temporary: The file or folder that was written.
        final: What it was to become.
    """
    if not error.errno and _WRITTEN_IN_PART.search(str(error)):
        error.errno, error.strerror = errno.ENOSPC, os.strerror(errno.ENOSPC)
    if not error.errno:
        return
    if error.filename is None:
        error.filename = str(final)
        return
    error.filename = _final_place(error.filename, temporary, final)
    if error.filename2 is not None:
        error.filename2 = _final_place(error.filename2, temporary, final)
        if error.filename2 == error.filename:
            error.filename2 = None


def _final_place(name: Any, temporary: Path, final: Path) -> Any:
    """Return a name of an error with the temporary file or folder replaced; another name as it is."""
    if not isinstance(name, str | os.PathLike) or not Path(name).is_relative_to(temporary):
        return name
    return str(final / Path(name).relative_to(temporary))


_WRITTEN_IN_PART = re.compile(r"\d+ requested and \d+ written")
"""NumPy's words where a disk is full, in an error without a number."""


def check_empty_folder(folder: Path, what: str) -> None:
    """Check that a folder is not there yet or is empty, before work begins whose result goes there.

    Args:
        folder: The folder.
        what: What is written there, with its article.

    Raises:
        UsageError: It holds something, is a file, or is a link to what is not there.
    """
    if folder.is_symlink() and not folder.exists():
        raise UsageError(str(folder), "is a link to a folder that is not there.", "Make that folder, or name another.")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        problem = "is not empty" if folder.is_dir() else "is a file"
        raise UsageError(str(folder), f"{problem}; {what} goes into a new folder.", "Name another one, or remove it.")
    check_place(folder.resolve())


@contextmanager
def new_folder(folder: Path, what: str) -> Iterator[Path]:
    """Yield an empty folder beside ``folder``, a new or empty one; when the block succeeds, it takes its place.

    What somebody puts into ``folder`` meanwhile stays; the finished files then get a free name beside it.

    Args:
        folder: The folder, or a link to one, which stays a link.
        what: What is written there, with its article.

    Raises:
        UsageError: Before the block: ``folder`` holds something, is a file, the current folder or a mount point, or a
            link to what is not there. After it: ``folder`` holds something now; the message names the finished files.
    """
    check_empty_folder(folder, what)
    target = folder.resolve()
    if target == Path.cwd() or target.is_mount():
        kind = "the current folder" if target == Path.cwd() else "a mount point"
        raise UsageError(str(folder), f"is {kind}; {what} goes into a new folder.", "Name a folder in it.")
    with _draft_beside(target) as draft:
        yield draft
        try:
            if target.exists():
                target.rmdir()  # never what it holds: somebody may have put files there during the work
            draft.replace(target)
        except OSError as error:
            names = (target.with_name(f"{target.name}-{number}") for number in count(2))
            kept = next(name for name in names if not os.path.lexists(name))
            draft.rename(kept)
            way_out = f"The finished files are in {kept}."
            filled = target.is_dir() and any(target.iterdir())
            problem = "is not empty any more" if filled else f"can't be replaced ({error.strerror})"
            raise UsageError(str(folder), f"{problem}; {what} goes into a new folder.", way_out) from error


LONGEST_NAME = 220
"""Bytes of a file's name that this package chooses: file systems take 255, and a temporary name needs some of them."""


def check_new_file(path: Path) -> None:
    """Check that a file can be made or replaced at a path, before work begins whose result goes there.

    Raises:
        UsageError: The path is a folder, or a part of it is a file.
    """
    if path.is_dir():
        raise UsageError(str(path), "is a folder.", "Name a file.")
    present = next(each for each in path.absolute().parents if each.exists())
    if not present.is_dir():
        raise UsageError(str(path), f"{present} is a file, not a folder.", "Name a file in a folder.")
    check_place(path)


def check_place(path: Path) -> None:
    """Check that something new may be made at a path, before work begins whose result goes there.

    Raises:
        UsageError: This user must not write into the nearest folder above the path that is there.
    """
    present = next(each for each in path.absolute().parents if each.is_dir())
    if not os.access(present, os.W_OK | os.X_OK):
        raise UsageError(
            str(path),
            f"cannot be made: this user must not write into {present}.",
            "Choose a place that you may write to, or change its permissions.",
        )


def shorten_name(stem: str, ending: str, longest: int = LONGEST_NAME) -> str:
    """Return ``stem`` + ``ending`` as a file name of at most ``longest`` bytes in UTF-8; the ending stays whole.

    File systems count bytes (ext4, APFS: 255), and a character may have four of them.

    Args:
        stem: What may be shortened; no character is cut in two.
        ending: What stays, such as ``-covid-19.png``; if it alone is too long its end stays.
        longest: Bytes.
    """
    tail = ending.encode()[-longest:].decode(errors="ignore")
    room = longest - len(tail.encode())
    return stem.encode(errors="replace")[:room].decode(errors="ignore") + tail


def write_text(path: Path, text: str) -> None:
    """Write ``text`` (UTF-8) to ``path``, complete or not at all."""
    with atomic_path(path) as temporary:
        temporary.write_text(text, encoding="utf-8")


def write_json(path: Path, value: Any) -> None:
    """Write ``value`` as indented JSON; NaN and infinity are refused, since JSON has neither."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False) + "\n")


def sha256_of(path: Path) -> str:
    """Return the SHA-256 of a file, in hexadecimal, read in blocks."""
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def cache_folder() -> Path:
    """Return the folder of the cache: ``PNEUMOSCOPE_CACHE``, or the user's cache folder."""
    if configured := os.environ.get("PNEUMOSCOPE_CACHE"):
        return Path(configured)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "pneumoscope"
    base = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "pneumoscope"


def data_folder() -> Path:
    """Return the folder of data that must outlast a cache: ``PNEUMOSCOPE_HOME``, or the user's data folder."""
    if configured := os.environ.get("PNEUMOSCOPE_HOME"):
        return Path(configured)
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support" / "pneumoscope"
    base = os.environ.get("LOCALAPPDATA") if sys.platform == "win32" else os.environ.get("XDG_DATA_HOME")
    return (Path(base) if base else Path.home() / ".local" / "share") / "pneumoscope"


def lock_file(file: IO[Any]) -> bool:
    """Lock an open file against a second run, as long as it is open.

    Returns:
        Whether this run has it; True too where the system has no such lock.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # some network file systems have none
        return True
    return True
