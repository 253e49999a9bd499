"""What the server answers when it can't do what was asked (RFC 9457, problem details).

This is the one place that knows which status belongs to which error; the rest of the server raises domain errors
(`server.errors`). A detail names the thing by its opaque number and says the rule, never a path, a tag's value or a
name. An unforeseen error becomes a bare 500 with the number of the request; the log has the kind of the error under
that number. A refusal that a reader meets in the normal course has a code besides (docs/operations/server.md), by which
a page says it in its own language.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from fastapi.responses import JSONResponse

from pneumoscope.core.errors import (
    BundleError,
    CheckRefusedError,
    ImageError,
    LabelError,
    MissingExtraError,
    PneumoscopeError,
    UsageError,
    Values,
)
from pneumoscope.server import errors
from pneumoscope.server.api.schemas.common import FileOut
from pneumoscope.server.storage.failures import as_refusal
from pneumoscope.server.uploads.outcome import NothingStoredError

TYPE = "urn:pneumoscope:problem:"
"""A problem's ``type`` is this prefix and its code."""

STATUSES: Mapping[type[PneumoscopeError], int] = MappingProxyType(
    {
        errors.InvalidRequestError: 422,
        errors.TooLargeError: 413,
        errors.CredentialsError: 401,
        errors.ForbiddenError: 403,
        errors.NotFoundError: 404,
        errors.ConflictError: 409,
        errors.BusyError: 429,
        errors.UnavailableError: 503,
        errors.DamagedError: 500,
        errors.StoreFullError: 507,
        ImageError: 422,
        LabelError: 422,
        UsageError: 422,
        CheckRefusedError: 422,
        MissingExtraError: 501,
    }
)
"""The status of each class of errors; the nearest base class counts."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One refusal as it leaves the server."""

    status: int
    thing: str
    problem: str
    way_out: str = ""
    code: str = ""
    """The last part of the answer's ``type``; empty: none."""
    values: Values = field(default_factory=dict)
    """What the same in other words needs; sent with a code only."""
    headers: Mapping[str, str] = field(default_factory=dict)
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further members of the answer."""


class HttpError(PneumoscopeError):
    """A request that breaks a rule of HTTP itself, which no domain error stands for; raised by `server.api` alone."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.thing, problem.problem, problem.way_out)
        self.as_sent = problem


def as_problem(error: BaseException) -> Problem | None:
    """Return an error as a problem that may leave the server; None where it was not foreseen."""
    if isinstance(error, HttpError):
        return error.as_sent
    error = as_refusal(error) or error
    if isinstance(error, BundleError):  # its text names folders of the server
        return Problem(503, "this model", "can't be used at present.", "Its bundle must be verified on the server.")
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), None)
    if status is None or not isinstance(error, PneumoscopeError):
        return None
    return Problem(
        status, error.thing, error.problem, error.way_out, error.code, error.values, _headers_of(error), _more_of(error)
    )


def _headers_of(error: PneumoscopeError) -> dict[str, str]:
    if isinstance(error, errors.UnavailableError) and error.retry_after is not None:
        return {"Retry-After": str(error.retry_after)}
    if isinstance(error, errors.LoginRequiredError):
        return {"WWW-Authenticate": "Bearer"}
    return {}


def _more_of(error: PneumoscopeError) -> dict[str, Any]:
    if isinstance(error, NothingStoredError):
        return {"files": [FileOut.of(outcome).model_dump() for outcome in error.outcomes]}
    return {}


def problem_of(error: Exception, number: str) -> Problem:
    """Return any error as a problem; an unforeseen one is logged by its kind and place, never by its words.

    Args:
        error: What was raised.
        number: That of the request.
    """
    problem = as_problem(error)
    if problem is not None:
        return problem
    places = [f"{frame.name}:{frame.lineno}" for frame in traceback.extract_tb(error.__traceback__)[-4:]]
    logging.getLogger(__name__).error("request %s: %s in %s", number, type(error).__name__, " > ".join(places))
    return Problem(500, "the server", "failed.", "Tell its keeper the number of this request.")


def problem_response(problem: Problem, number: str) -> JSONResponse:
    """Return a problem as an answer (RFC 9457); ``number`` is that of the request.

    The words are English. A page in another language goes by ``type`` and ``values``, where there is a code.
    """
    body = {
        "type": f"{TYPE}{problem.code}" if problem.code else "about:blank",
        "title": problem.thing,
        "status": problem.status,
        "detail": f"{problem.problem} {problem.way_out}".strip(),
        "instance": f"urn:pneumoscope:request:{number}",
        **({"values": problem.values} if problem.code else {}),
        **problem.more,
    }
    return JSONResponse(body, problem.status, problem.headers, "application/problem+json")
