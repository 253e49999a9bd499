"""What the database and the disk refuse, as domain errors."""

from __future__ import annotations

import errno

from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from pneumoscope.server.errors import (
    ConflictError,
    InvalidRequestError,
    RefusalError,
    StoreFullError,
    UnavailableError,
)

_FULL = (errno.ENOSPC, errno.EDQUOT)
RETRY_AFTER = 5
"""Seconds after which a request may be sent again when the database does not answer."""


def as_refusal(error: BaseException) -> RefusalError | None:
    """Return what a failure of the database or the disk means for the sender; None for any other error."""
    if disk_is_full(error):
        return StoreFullError(
            "the store", "is full: nothing was accepted.", "Free some space and send it again.", code="store-full"
        )
    if isinstance(error, DataError):  # PostgreSQL takes no NUL in a text
        return InvalidRequestError("the request", "holds a value that can't be stored.")
    if isinstance(error, IntegrityError):
        return ConflictError(
            "the request", "was overtaken by another, such as an erasure.", "Look again.", code="overtaken"
        )
    if isinstance(error, OperationalError):
        return UnavailableError(
            "the store", "does not answer.", "Send it again later.", code="store-away", retry_after=RETRY_AFTER
        )
    return None


def disk_is_full(error: BaseException) -> bool:
    """Return whether an error, or its cause, says that the disk or the database is full."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.errno in _FULL:
            return True
        original = getattr(cause, "orig", None)  # SQLAlchemy wraps the driver's own
        if original is not None and (
            getattr(original, "sqlite_errorname", "") == "SQLITE_FULL" or getattr(original, "sqlstate", "") == "53100"
        ):
            return True
        cause = cause.__cause__
    return False
