"""Objects that are quarantined: other pixels under the UID of an object that is here. People look at them and decide.

An object is never let in from here. Which of two images is right is known where they come from: its sender sends the
right one after the study here was erased, and what is quarantined is thrown away.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass

from sqlalchemy import delete, select

from pneumoscope.core.errors import ImageError
from pneumoscope.server.errors import DamagedError, NotFoundError
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import QuarantinedObject

MOST_LISTED = 500
"""Objects that are listed, the newest."""


@dataclass(frozen=True, slots=True)
class ObjectApart:
    """An object that is quarantined."""

    id: str
    study: str
    """Number of the study of the object that was here first."""
    sender: str
    """The peer as ``dicom:TITLE``, or the number of an account."""
    received: float
    """Seconds since 1970."""
    size: int | None
    """Bytes of its sealed file; None: that is gone."""


def list_apart(store: Store) -> list[ObjectApart]:
    """Return the objects that are quarantined, the newest first."""
    with store.read() as session:
        rows: Sequence[QuarantinedObject] = session.scalars(
            select(QuarantinedObject).order_by(QuarantinedObject.received.desc()).limit(MOST_LISTED)
        ).all()
    return [ObjectApart(row.id, row.study, row.sender, row.received, _size_of(store, row.id)) for row in rows]


def read_apart(store: Store, number: str) -> tuple[str, bytes]:
    """Return the study of an object that is quarantined, and the object as it came, a DICOM file.

    Raises:
        NotFoundError: There is no such object.
        DamagedError: Its file is gone or altered.
    """
    with store.read() as session:
        row = session.get(QuarantinedObject, number)
    if row is None:
        raise NotFoundError("object")
    try:
        return row.study, blobs.read_sealed(store.settings.files, store.secret, number)
    except ImageError as error:
        raise DamagedError from error


def discard(store: Store, number: str) -> str:
    """Delete an object that is quarantined; return its study. Sent again, it is quarantined again.

    Raises:
        NotFoundError: There is no such object.
    """
    with store.write() as session:
        row = session.get(QuarantinedObject, number)
        if row is None:
            raise NotFoundError("object")
        study = row.study
        session.execute(delete(QuarantinedObject).where(QuarantinedObject.id == number))
    blobs.delete(store.settings.files, number)
    return study


def _size_of(store: Store, number: str) -> int | None:
    with suppress(OSError):
        return blobs.path_of(store.settings.files, number, blobs.SEALED).stat().st_size
    return None
