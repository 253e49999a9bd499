"""Objects as they came, where the server is set to keep them: their own bytes, sealed, beside the stored pixels.

A file lies on the disk before a row names it. It goes with its study, and gives way to the bytes of a corrected header,
since it names the patient too.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError

from pneumoscope.core.errors import ImageError
from pneumoscope.server.dicom.objects.analysed import read_meta
from pneumoscope.server.errors import DamagedError
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import KeptFile
from pneumoscope.server.storage.transaction import Transaction


@dataclass(frozen=True, slots=True)
class StagedCopy:
    """An object's bytes on the disk, which a row may name."""

    blob: str
    syntax: str


@contextmanager
def stage_copy(store: Store, data: bytes) -> Iterator[StagedCopy]:
    """Write an object's bytes, sealed and durable; at the end of the ``with`` they go where no row names them.

    Args:
        store: The store.
        data: The object as a file (PS3.10), which a decoder has read.
    """
    number = new_id()
    try:
        blobs.write_pixels(store.settings.files, number, store.secret.seal_bytes(data, number), kind=blobs.SEALED)
        yield StagedCopy(number, str(read_meta(data).get("TransferSyntaxUID", "")))
    finally:
        with suppress(SQLAlchemyError):  # then the server's next start removes it
            with store.read() as session:
                named = session.scalar(select(KeptFile.key).where(KeptFile.blob == number))
            if named is None:
                blobs.delete(store.settings.files, number)


def add_copy(session: Transaction, key: str, study: str, copy: StagedCopy | None) -> None:
    """Name a new object's bytes.

    Args:
        session: A transaction.
        key: Of the object, see `ArchivedObject`.
        study: Number of its study.
        copy: Its bytes; None: none are kept.
    """
    if copy is not None:
        session.append(KeptFile, {"key": key, "study": study, "blob": copy.blob, "syntax": copy.syntax})


def add_missing_copy(session: Transaction, key: str, study: str, copy: StagedCopy | None) -> None:
    """Name the bytes of an object that is here, where none are kept: those that came first stay."""
    session.write_appended()
    if session.get(KeptFile, key) is None:
        add_copy(session, key, study, copy)


def replace_copy(session: Transaction, key: str, study: str, copy: StagedCopy | None) -> str | None:
    """Name other bytes of an object, or none, in place of those that are kept; return the number of the former ones.

    The caller deletes those after the commit.
    """
    session.write_appended()
    row = session.get(KeptFile, key)
    former = None if row is None else row.blob
    if row is not None:
        session.delete(row)
        session.flush()
    add_copy(session, key, study, copy)
    return former


def read_copy(store: Store, blob: str) -> bytes:
    """Return an object as it came, a DICOM file.

    Raises:
        DamagedError: It is gone or altered.
    """
    try:
        return blobs.read_sealed(store.settings.files, store.secret, blob)
    except ImageError as error:
        raise DamagedError from error
