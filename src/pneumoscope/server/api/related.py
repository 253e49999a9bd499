"""Requests and answers of several parts (multipart/related, RFC 2387), as DICOMweb sends objects."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import asynccontextmanager
from email.message import Message
from pathlib import Path

import anyio.to_thread
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser
from starlette.requests import Request

from pneumoscope.server.api.problems import HttpError, Problem
from pneumoscope.server.errors import InvalidRequestError, TooLargeError
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.uploads.spool import SealedSpool

DICOM = "application/dicom"
_LONGEST_HEADERS = 8192
"""Bytes of the headers of a part."""


@asynccontextmanager
async def read_parts(request: Request, folder: Path, most: int, max_bytes: int) -> AsyncIterator[Sequence[SealedSpool]]:
    """Yield the parts of a request as files, each at its start; they are gone at the end of the ``with``.

    Args:
        request: Its body is read.
        folder: Where large parts lie, encrypted.
        most: Parts that are taken.
        max_bytes: Bytes of a part.

    Raises:
        HttpError: The request, or a part, is not of the kind that is taken.
        InvalidRequestError: It is damaged, or has no part.
        TooLargeError: It has too many parts, or a part is too large.
    """
    parser = _PartsParser(_boundary_of(request), folder, most, max_bytes)
    try:
        async for piece in request.stream():
            if piece:
                await anyio.to_thread.run_sync(parser.write, piece)
        parser.finish()
        yield parser.parts
    finally:
        for part in parser.parts:
            part.close()


def join_parts(contents: Iterable[bytes], kind: str = DICOM, part: str = "") -> tuple[Iterator[bytes], str]:
    """Return objects as the body of an answer, piece by piece, and its media type.

    Args:
        contents: Each is asked for when the one before was given.
        kind: Media type of each.
        part: The same with parameters, for the header of a part; empty: without.
    """
    boundary = new_id()

    def pieces() -> Iterator[bytes]:
        for content in contents:
            yield f"--{boundary}\r\nContent-Type: {part or kind}\r\n\r\n".encode()
            yield content
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    return pieces(), f'multipart/related; type="{kind}"; boundary={boundary}'


def read_type(text: str) -> tuple[str, dict[str, str]]:
    """Return a media type and its parameters, whose names are in small letters.

    Args:
        text: Of a header Content-Type, or a part of Accept.
    """
    header = Message()
    header["Content-Type"] = text[:1024].replace("\r", " ").replace("\n", " ")
    try:
        parameters = header.get_params(failobj=[]) or []
    except TypeError:  # pieces of a value that can't be put in order
        return "", {}
    # A value with a charset (RFC 2231, as `boundary*=utf-8''B`) is a tuple of charset, language and text.
    pairs = ((name.lower(), value if isinstance(value, str) else value[-1]) for name, value in parameters[1:])
    return header.get_content_type(), dict(pairs)


def _boundary_of(request: Request) -> bytes:
    kind, parameters = read_type(request.headers.get("content-type", ""))
    if kind != "multipart/related" or parameters.get("type", DICOM).lower() != DICOM:
        raise _unsupported("the request")
    boundary = parameters.get("boundary", "")
    if not 1 <= len(boundary) <= 70 or not boundary.isascii():
        raise InvalidRequestError("the request", "has no boundary between its parts (RFC 2046 5.1.1).", "Give one.")
    return boundary.encode()


def _unsupported(thing: str) -> HttpError:
    return HttpError(Problem(415, thing, f"is not {DICOM} in multipart/related.", "Send objects as files (PS3.10)."))


class _PartsParser:
    """Puts the parts of a body into files while it arrives."""

    def __init__(self, boundary: bytes, folder: Path, most: int, max_bytes: int) -> None:
        self.parts: list[SealedSpool] = []
        self._folder, self._most, self._max_bytes = folder, most, max_bytes
        self._name = self._value = b""
        self._kind = ""
        self._ended = False
        self._parser = MultipartParser(
            boundary,
            {
                "on_part_begin": self._begin,
                "on_header_field": self._add_name,
                "on_header_value": self._add_value,
                "on_header_end": self._end_header,
                "on_headers_finished": self._check_kind,
                "on_part_data": self._add,
                "on_end": self._end,
            },
        )

    def write(self, piece: bytes) -> None:
        """Read on."""
        try:
            self._parser.write(piece)
        except MultipartParseError as error:
            raise InvalidRequestError("the request", "is damaged: its parts can't be told apart.") from error

    def finish(self) -> None:
        """Check that the body was whole, and set each part to its start."""
        if not self._ended or not self.parts:
            raise InvalidRequestError("the request", "ends before its last part, or has none.", "Send it again.")
        for part in self.parts:
            part.seek(0)

    def _begin(self) -> None:
        if len(self.parts) == self._most:
            raise TooLargeError("the request", f"has more than {self._most} parts.", "Send several.", code="too-many")
        self.parts.append(SealedSpool(self._folder))
        self._kind = DICOM

    def _add_name(self, data: bytes, start: int, end: int) -> None:
        self._name = self._bounded(self._name + data[start:end])

    def _add_value(self, data: bytes, start: int, end: int) -> None:
        self._value = self._bounded(self._value + data[start:end])

    def _bounded(self, text: bytes) -> bytes:
        if len(text) > _LONGEST_HEADERS:
            raise TooLargeError("a part", "has a header that is too long.", "Send it without.")
        return text

    def _end_header(self) -> None:
        if self._name.strip().lower() == b"content-type":
            self._kind = read_type(self._value.decode("latin-1"))[0]
        self._name = self._value = b""

    def _check_kind(self) -> None:
        if self._kind != DICOM:
            raise _unsupported("a part")

    def _add(self, data: bytes, start: int, end: int) -> None:
        part = self.parts[-1]
        if part.tell() + end - start > self._max_bytes:
            limit = self._max_bytes // 2**20
            problem, way_out = f"has more than {limit} MiB.", "Send one radiograph in each."
            raise TooLargeError("a part", problem, way_out, code="too-large", values={"limit_mib": limit})
        part.write(data[start:end])

    def _end(self) -> None:
        self._ended = True
