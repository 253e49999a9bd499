"""The errors with which the server refuses a request. They know nothing of HTTP.

    RefusalError
    ├── InvalidRequestError      the request breaks a rule
    │   └── TooLargeError        it exceeds a limit
    ├── CredentialsError         the sender is not logged in, or the name or password is wrong
    │   └── LoginRequiredError   the sender is not logged in at all
    ├── ForbiddenError           the sender may not do this
    ├── NotFoundError            the thing is not in the store
    ├── ConflictError            the state of the thing does not allow this
    ├── UnavailableError         a part of the server can't do this at present
    │   └── BusyError            there is too much to do; sending it again later can succeed
    ├── StoreFullError           the disk or the database is full
    └── DamagedError             an image's stored pixels have changed or are missing

Only `server.api.problems` turns them into statuses and answers. A thing is named by an opaque number: never by a path,
a tag's value or a name that was sent.
"""

from __future__ import annotations

from pneumoscope.core.errors import PneumoscopeError, Values


class RefusalError(PneumoscopeError):
    """Base of all refusals of the server."""


class InvalidRequestError(RefusalError):
    """The request breaks a rule."""


class TooLargeError(InvalidRequestError):
    """The request exceeds a limit of size or number."""


class CredentialsError(RefusalError):
    """The sender is not logged in, or the name or password is wrong."""


class LoginRequiredError(CredentialsError):
    """The sender is not logged in."""


class ForbiddenError(RefusalError):
    """The sender is known and may not do this."""


class NotFoundError(RefusalError):
    """The thing that was asked for is not in the store; the number that was sent is not repeated.

    Args:
        kind: What kind of thing: ``study``, ``image``, ``model``, ...
        problem: The problem and the rule it breaks.
        way_out: What to do about it.
    """

    def __init__(self, kind: str, problem: str = "is not here.", way_out: str = "It may have been erased.") -> None:
        super().__init__(f"this {kind}", problem, way_out, code="not-here", values={"kind": kind})


class ConflictError(RefusalError):
    """The state of the thing does not allow this."""


class UnavailableError(RefusalError):
    """A part of the server can't do this at present.

    Args:
        thing: What is busy or away, by an opaque name.
        problem: The problem and the limit it breaks.
        way_out: What to do about it.
        code: What kind of problem it is.
        values: What words for the code need.
        retry_after: Seconds after which the same request can succeed; None: that is not known.
    """

    def __init__(
        self,
        thing: str,
        problem: str,
        way_out: str = "",
        *,
        code: str = "",
        values: Values | None = None,
        retry_after: int | None = None,
    ) -> None:
        super().__init__(thing, problem, way_out, code=code, values=values)
        self.retry_after = retry_after


class BusyError(UnavailableError):
    """There is too much to do, or the sender asks too often; sending it again later can succeed."""


class StoreFullError(RefusalError):
    """The disk or the database is full; nothing was accepted."""


class DamagedError(RefusalError):
    """The stored pixels of an image have changed or are missing."""

    def __init__(self) -> None:
        super().__init__("the image", "is not as it was stored.", "Restore it from a backup.", code="image-altered")
