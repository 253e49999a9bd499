"""Files out of an upload: single files as they are, ZIP archives member by member, in memory and within limits.

Nothing is ever written under a name from the archive, so no name can lead out of a folder. What an archive declares is
checked before anything is unpacked, and what comes out is counted too, since a declaration may lie. That begins with
the directory: an entry of 46 bytes becomes an object of several hundred, so that the directory is bounded before it is
read. The archive itself is never in memory as a whole, and a file is read only when it is asked for: many uploads at
once must not hold many files at once.
"""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from io import SEEK_END, BytesIO
from typing import IO, BinaryIO, cast

from pneumoscope.core.errors import ImageError, Values
from pneumoscope.server.errors import InvalidRequestError, TooLargeError
from pneumoscope.server.settings import Settings
from pneumoscope.server.studies.file_names import clean_file_name

_MAGIC = (b"PK\x03\x04", b"PK\x05\x06")
_METHODS = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""Other methods may claim gigabytes of memory (LZMA's dictionary) before the first byte comes out."""
_ENTRY_BYTES = 512
"""Bytes of an entry in the directory: 46, a long name, and the extra fields of common programs (APPNOTE 4.3.12)."""
_FOLDERS = 4
"""Entries of a directory for each file that is taken: folders are entries too."""
_END_RECORD, _END_BYTES = b"PK\x05\x06", 22
_LONGEST_COMMENT = 2**16
_MOST_RATIO = 200
"""Radiographs shrink 2 to 4 times, drawn ones some 50 times; a bomb a thousand times."""
_PIECE = 2**20
"""Bytes that are unpacked at a time."""
_RATIO_MATTERS_FROM = 2**20
"""Bytes: smaller members may shrink as they like."""


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """One file of an upload."""

    name: str
    """Its place in the upload, such as ``file 3`` or ``file 1, member 7``; errors name no other."""
    read: Callable[[], bytes]
    """Return its bytes; raise an `ImageError` that says why they are not to be had."""
    sent_name: str = ""
    """The name that was sent, cleaned; for what is sealed alone."""


def is_archive(file: BinaryIO) -> bool:
    """Return whether a file is a ZIP archive by its first bytes; it is read from its start afterwards."""
    first = file.read(4)
    file.seek(0)
    return first.startswith(_MAGIC)


def read_files(files: Sequence[BinaryIO], settings: Settings, sent_names: Sequence[str] = ()) -> Iterator[UploadedFile]:
    """Yield the files of an upload, those in archives one by one; names that were sent decide nothing.

    Read a file before the next one is asked for.

    Args:
        files: Each is read from its start.
        settings: Hold the limits.
        sent_names: One for each file; none where they are not known.

    Raises:
        InvalidRequestError: An archive as a whole is damaged or empty.
        TooLargeError: An archive as a whole breaks a limit.
    """
    for number, file in enumerate(files, 1):
        name = f"file {number}"
        sent_name = clean_file_name(sent_names[number - 1]) if sent_names else ""
        if is_archive(file):
            yield from read_members(file, name, settings)
            continue
        yield UploadedFile(name, partial(_read_file, file, name, settings.max_file_bytes), sent_name)


def _read_file(file: BinaryIO, name: str, most: int) -> bytes:
    size = file.seek(0, SEEK_END)
    file.seek(0)
    if size > most:
        limit = most // 2**20
        problem, way_out = f"is larger than {limit} MiB.", "Send one radiograph per file."
        raise ImageError(name, problem, way_out, code="too-large", values={"limit_mib": limit})
    return file.read(size)  # a read without a size, or of the most, claims memory for more


def read_members(file: BinaryIO, name: str, settings: Settings) -> Iterator[UploadedFile]:
    """Yield the files of an archive; one that can't be unpacked says so when it is read.

    Args:
        file: The archive.
        name: An opaque name for errors.
        settings: Hold the limits.

    Raises:
        InvalidRequestError: The archive as a whole is damaged or empty.
        TooLargeError: The archive as a whole breaks a limit.
    """
    try:
        _check_end_record(file, name, settings)
        bounded = _BoundedReader(file, _most_entries(settings) * _ENTRY_BYTES)
        archive = zipfile.ZipFile(cast(IO[bytes], bounded))
        bounded.limit = None
        entries = [entry for entry in archive.infolist() if not entry.filename.endswith("/")]
    except _LongReadError as error:
        raise _too_many(name, None, settings) from error
    except TooLargeError:
        raise
    except Exception as error:  # zipfile reports a damaged directory in many ways
        raise InvalidRequestError(name, "is a damaged ZIP archive.", "Make it again.", code="damaged") from error
    _check_limits(entries, name, settings)
    for number, entry in enumerate(entries, 1):
        member = f"{name}, member {number}"
        yield UploadedFile(
            member, partial(_read_member, archive, entry, member, settings), clean_file_name(_name_of(entry))
        )


class _LongReadError(Exception):
    """A read of more bytes than are allowed."""


class _BoundedReader:
    """A file of which no read may return more than so many bytes.

    `zipfile` reads a directory in one piece, as large as the end record says, whatever number of entries is said there.
    """

    def __init__(self, file: BinaryIO, limit: int) -> None:
        self._file = file
        self.limit: int | None = limit
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, size: int = -1) -> bytes:
        """Read as a file does.

        Raises:
            _LongReadError: There is more than the limit.
        """
        if self.limit is None or 0 <= size <= self.limit:
            return self._file.read(size)
        data = self._file.read(self.limit + 1)
        if len(data) > self.limit:
            raise _LongReadError
        return data


def _check_end_record(file: BinaryIO, name: str, settings: Settings) -> None:
    """Refuse an archive whose end record (APPNOTE 4.3.16, 4.3.14) counts more entries than may be taken.

    Raises:
        TooLargeError: It does.
    """
    end = file.seek(0, 2)
    file.seek(max(0, end - _LONGEST_COMMENT - _END_BYTES))
    tail = file.read()
    at = tail.rfind(_END_RECORD)
    file.seek(0)
    if at < 0 or at + _END_BYTES > len(tail):
        return  # `zipfile` says what is wrong
    (number,) = struct.unpack_from("<H", tail, at + 10)
    large = tail.rfind(b"PK\x06\x06", 0, at)
    if number == 0xFFFF and large >= 0 and large + 40 <= len(tail):
        (number,) = struct.unpack_from("<Q", tail, large + 32)
    if number > _most_entries(settings):
        raise _too_many(name, number, settings)


def _most_entries(settings: Settings) -> int:
    return _FOLDERS * settings.max_files


def _too_many(name: str, number: int | None, settings: Settings) -> TooLargeError:
    limit = settings.max_files
    count = "too many files" if number is None else f"{number:,} files"
    problem = f"holds {count}; at most {limit} are taken at once."
    return TooLargeError(name, problem, "Send several.", code="too-many", values={"limit": limit})


def _check_limits(entries: list[zipfile.ZipInfo], name: str, settings: Settings) -> None:
    if not entries:
        raise InvalidRequestError(name, "is an empty ZIP archive.", "Put files into it.", code="empty")
    if len(entries) > settings.max_files:
        raise _too_many(name, len(entries), settings)
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


def _name_of(entry: zipfile.ZipInfo) -> str:
    """Return a member's name; many programs write UTF-8 without saying so (APPNOTE 4.4.4, bit 11)."""
    if entry.flag_bits & 0x800:
        return entry.filename
    try:
        return entry.filename.encode("cp437").decode()
    except UnicodeError:
        return entry.filename


def _read_member(archive: zipfile.ZipFile, entry: zipfile.ZipInfo, name: str, settings: Settings) -> bytes:
    def refuse(
        problem: str, way_out: str = "Send the file by itself.", *, code: str = "", values: Values | None = None
    ) -> ImageError:
        return ImageError(name, problem, way_out, code=code, values=values)

    if entry.flag_bits & 1:
        raise refuse("is encrypted.", "Pack it without a password.", code="encrypted")
    if entry.compress_type not in _METHODS:
        way_out = "Make the archive again, with deflate or without compression."
        raise refuse("is compressed by a method that is not read.", way_out, code="damaged")
    if entry.file_size > settings.max_file_bytes:
        limit = settings.max_file_bytes // 2**20
        problem = f"has {entry.file_size / 2**20:,.0f} MiB; at most {limit} are taken."
        raise refuse(problem, code="too-large", values={"limit_mib": limit})
    if entry.file_size > max(_RATIO_MATTERS_FROM, entry.compress_size * _MOST_RATIO):
        raise refuse(f"unpacks to more than {_MOST_RATIO} times its size, as no radiograph does.")
    data = BytesIO()
    try:
        with archive.open(entry) as file:
            # Piece by piece: `read` of the whole holds three times its size.
            while data.tell() <= entry.file_size and (piece := file.read(_PIECE)):
                data.write(piece)
    except Exception as error:  # each kind of compression has errors of its own
        way_out = "Make the archive again, with deflate or without compression."
        raise refuse("can't be unpacked.", way_out, code="damaged") from error
    if data.tell() > entry.file_size:
        raise refuse("is larger than the archive declares.", "Make the archive again.", code="damaged")
    if data.getbuffer()[:4] in _MAGIC:
        raise refuse("is an archive in an archive.", "Unpack it first.", code="not-an-image")
    return data.getvalue()
