"""Files at an address: s3:// and gs:// through Arrow, and whatever else fsspec opens. Nothing of them is kept on disk.

Who may read them is the matter of the environment: Arrow finds the usual keys and profiles (``AWS_PROFILE``,
``AWS_ENDPOINT_URL`` for a server that speaks S3, ``GOOGLE_APPLICATION_CREDENTIALS``). No key is part of an address.
"""

from __future__ import annotations

import os
import re
from functools import lru_cache
from pathlib import Path
from typing import Any

from pneumoscope.core.errors import ImageError, MissingExtraError, PneumoscopeError, UsageError

# Two letters at least, since C:/ is a drive; one slash or two, since `Path` makes s3:/bucket of s3://bucket.
_ADDRESS = re.compile(r"([A-Za-z][A-Za-z0-9+.-]+):/{1,3}(?=[^/])")
_ROOTED = ("file", "local", "memory")
"""Kinds of addresses whose paths begin with a slash."""
_CHECK = "Check the address and your access."


def address_of(path: str | Path) -> str | None:
    """Return a path as an address such as ``s3://bucket/a.png``; None where it is a file of this machine.

    Args:
        path: A text or a `Path`, so that a manifest can hold both kinds of files alike.
    """
    found = _ADDRESS.match(text := path.as_posix() if isinstance(path, Path) else path)
    if found is None:
        return None
    protocol = found[1].lower()
    return f"{protocol}://{'/' if protocol in _ROOTED else ''}{text[found.end() :]}"


def read_bytes(address: str, limit: int) -> bytes:
    """Return the whole content of a file at an address, or its first ``limit`` + 1 bytes where it has more.

    Args:
        address: As `address_of` returns it.
        limit: Bytes that its reader takes.

    Raises:
        ImageError: There is no such file, or it cannot be read.
        MissingExtraError: The library for this kind of address is not installed.
    """
    system, path = _open(address)
    try:
        with system.open_input_stream(path, compression=None) as file:
            content: bytes = file.read(limit + 1)
            return content
    except FileNotFoundError as error:
        raise ImageError(address, "there is no such file.", "Check the bucket and the name.") from error
    except (OSError, ValueError) as error:
        raise ImageError(address, f"cannot be read: {_reason(error)}.", _CHECK) from error


def stamp_of(address: str) -> list[int | None] | None:
    """Return the size and the time of change in ns of the file at an address; None where it is not there.

    Args:
        address: As `address_of` returns it.
    """
    try:
        system, path = _open(address)
        facts = system.get_file_info(path)
    except (OSError, ValueError, PneumoscopeError):  # reading it says why
        return None
    return [facts.size, facts.mtime_ns] if facts.is_file else None


def list_files(address: str) -> list[str] | None:
    """Return the addresses of all files below a folder at an address, in order; None where it is no folder.

    Args:
        address: As `address_of` returns it.

    Raises:
        UsageError: The address cannot be listed, or is of an unknown kind.
        MissingExtraError: The library for this kind of address is not installed.
    """
    from pyarrow import fs

    system, path = _open(address)
    start = address.rstrip("/").removesuffix(path)
    try:
        if system.get_file_info(path).type != fs.FileType.Directory:
            return None
        entries = system.get_file_info(fs.FileSelector(path, recursive=True))
    except (OSError, ValueError) as error:
        raise UsageError(
            address, f"cannot be listed: {_reason(error)}.", "Check the address and your access."
        ) from error
    return sorted(start + entry.path for entry in entries if entry.is_file)


def _open(address: str) -> tuple[Any, str]:
    """Return the file system of an address and the path in it."""
    protocol, _, path = address.partition("://")
    return _system(protocol, path.partition("/")[0] if protocol in ("s3", "gs") else ""), path.rstrip("/")


@lru_cache(maxsize=64)
def _system(protocol: str, bucket: str) -> Any:
    """Return the file system of a bucket or of a kind of address; all files of it use the same connections."""
    from pyarrow import fs

    if protocol in ("s3", "gs"):
        try:
            if protocol == "s3" and (server := os.environ.get("AWS_ENDPOINT_URL")):
                return fs.S3FileSystem(endpoint_override=server)
            return fs.FileSystem.from_uri(f"{protocol}://{bucket}")[0]  # it asks in which region the bucket lies
        except (ImportError, NotImplementedError, OSError, ValueError) as error:
            way_out = "Check the name of the bucket, your access and the network."
            raise UsageError(f"{protocol}://{bucket}", f"cannot be opened: {_reason(error)}.", way_out) from error
    try:
        import fsspec
    except ModuleNotFoundError as error:
        raise MissingExtraError(f"an address {protocol}://", "remote") from error
    try:
        return fs.PyFileSystem(fs.FSSpecHandler(fsspec.filesystem(protocol)))
    except ImportError as error:
        raise UsageError(f"{protocol}://", f"needs another library: {_reason(error)}.", "Install it.") from error
    except ValueError as error:
        raise UsageError(f"{protocol}://", "is no kind of address that is known.", "Give s3:// or gs://.") from error


def _reason(error: Exception) -> str:
    return (" ".join(str(error).split())[:200] or type(error).__name__).rstrip(".")
