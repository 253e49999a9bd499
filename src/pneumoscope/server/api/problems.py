"""What the server answers when it can't do what was asked (RFC 9457, problem details).

A detail names the thing by its opaque number and says the rule; never a path, a tag's value or a name. What nobody
foresaw becomes a bare 500 with the number of the request, under which the log has the kind of the error. What a reader
meets in the normal course has a code besides (docs/serve.md lists them), by which a page says it in its own language.
"""

from __future__ import annotations

import errno

from sqlalchemy.exc import DataError, IntegrityError, OperationalError

from pneumoscope.core.errors import (
    BundleError,
    GateRefusedError,
    ImageError,
    LabelError,
    MissingExtraError,
    ProblemError,
    UsageError,
)

__all__ = ["ProblemError", "as_problem", "disk_is_full", "not_found"]

_FULL = (errno.ENOSPC, errno.EDQUOT)


def not_found(kind: str) -> ProblemError:
    """Return the problem that there is no such thing; what was asked for is not repeated."""
    return ProblemError(
        404, f"this {kind}", "is not here.", "It may have been erased.", code="not-here", values={"kind": kind}
    )


def as_problem(error: BaseException) -> ProblemError | None:
    """Return an error as a problem that may leave the server; None where it was not foreseen."""
    if isinstance(error, ProblemError):
        return error
    if disk_is_full(error):
        return ProblemError(
            507, "the store", "is full: nothing was accepted.", "Free some space and send it again.", code="store-full"
        )
    if isinstance(error, ImageError):
        return ProblemError(422, error.thing, error.problem, error.way_out, code=error.code, values=error.values)
    if isinstance(error, MissingExtraError):
        return ProblemError(501, error.thing, error.problem, error.way_out)
    if isinstance(error, BundleError):  # its text names folders of the server
        return ProblemError(
            503, "this model", "can't be used at present.", "Its bundle must be verified on the server."
        )
    if isinstance(error, DataError):  # PostgreSQL takes no NUL in a text
        return ProblemError(422, "the request", "holds a value that can't be stored.")
    if isinstance(error, IntegrityError):
        return ProblemError(
            409, "the request", "was overtaken by another, such as an erasure.", "Look again.", code="overtaken"
        )
    if isinstance(error, OperationalError):
        return ProblemError(
            503,
            "the store",
            "does not answer.",
            "Send it again later.",
            code="store-away",
            headers={"Retry-After": "5"},
        )
    if isinstance(error, LabelError | UsageError | GateRefusedError):
        return ProblemError(422, error.thing, error.problem, error.way_out)
    return None


def disk_is_full(error: BaseException) -> bool:
    """Return whether an error, or its cause, says that the disk or the database is full."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.errno in _FULL:
            return True
        original = getattr(seen, "orig", None)  # SQLAlchemy wraps the driver's own
        if original is not None and (
            getattr(original, "sqlite_errorname", "") == "SQLITE_FULL" or getattr(original, "sqlstate", "") == "53100"
        ):
            return True
        seen = seen.__cause__
    return False
