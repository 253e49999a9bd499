"""Files out of what was uploaded: single ones as they are, ZIP archives member by member, in memory and bounded.

Nothing is ever written under a name from the archive, so that no name can lead out of a folder. What an archive
declares is checked before anything is unpacked, and what comes out is counted too, since a declaration may lie.
"""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO

from pneumoscope.core.errors import ImageError, Values
from pneumoscope.server.errors import InvalidRequestError, TooLargeError
from pneumoscope.server.settings import Settings

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_MOST_RATIO = 200
"""Radiographs shrink 2 to 4 times, drawn ones some 50 times; a bomb a thousand times."""
_RATIO_MATTERS_FROM = 2**20


@dataclass(frozen=True, slots=True)
class Sent:
    """One file that was sent, by a name of ours: ``file 3``, ``file 1, member 7``."""

    name: str
    data: bytes
    refused: ImageError | None = None


def is_zip(data: bytes) -> bool:
    """Return whether these are the first bytes of a ZIP archive."""
    return data.startswith(_MAGIC)


def members(data: bytes, name: str, settings: Settings) -> Iterator[Sent]:
    """Yield the files of an archive; one that can't be unpacked comes with the reason.

    Raises:
        InvalidRequestError: The archive as a whole breaks a limit, or is none.
    """
    try:
        archive = zipfile.ZipFile(BytesIO(data))
        entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    except Exception as error:  # of a damaged directory zipfile says so in many ways
        raise InvalidRequestError(name, "is a damaged ZIP archive.", "Make it again.", code="damaged") from error
    _check(entries, name, settings)
    for number, entry in enumerate(entries, 1):
        yield _member(archive, entry, f"{name}, member {number}", settings)


def _check(entries: list[zipfile.ZipInfo], name: str, settings: Settings) -> None:
    if not entries:
        raise InvalidRequestError(name, "is an empty ZIP archive.", "Put files into it.", code="empty")
    if len(entries) > settings.max_files:
        raise TooLargeError(
            name,
            f"holds {len(entries)} files; at most {settings.max_files} are taken at once.",
            "Send several.",
            code="too-many",
            values={"limit": settings.max_files},
        )
    total = sum(entry.file_size for entry in entries)
    if total > settings.max_request_bytes:
        limit = settings.max_request_bytes // 2**20
        raise TooLargeError(
            name,
            f"would unpack to {total / 2**20:,.0f} MiB; at most {limit} are taken.",
            "Split it.",
            code="too-large",
            values={"limit_mib": limit},
        )


def _member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, settings: Settings) -> Sent:
    def refuse(
        problem: str, way_out: str = "Send the file by itself.", *, code: str = "", values: Values | None = None
    ) -> Sent:
        return Sent(name, b"", ImageError(name, problem, way_out, code=code, values=values))

    if entry.flag_bits & 1:
        return refuse("is encrypted.", "Pack it without a password.", code="encrypted")
    if entry.file_size > settings.max_file_bytes:
        limit = settings.max_file_bytes // 2**20
        problem = f"has {entry.file_size / 2**20:,.0f} MiB; at most {limit} are taken."
        return refuse(problem, code="too-large", values={"limit_mib": limit})
    if entry.file_size > max(_RATIO_MATTERS_FROM, entry.compress_size * _MOST_RATIO):
        return refuse(f"unpacks to more than {_MOST_RATIO} times its size, as no radiograph does.")
    try:
        with archive.open(entry) as file:
            data = file.read(entry.file_size + 1)
    except Exception:  # each kind of compression has errors of its own
        return refuse(
            "can't be unpacked.", "Make the archive again, with deflate or without compression.", code="damaged"
        )
    if len(data) > entry.file_size:
        return refuse("is larger than the archive declares.", "Make the archive again.", code="damaged")
    if is_zip(data):
        return refuse("is an archive in an archive.", "Unpack it first.", code="not-an-image")
    return Sent(name, data)
