"""Security around all routes: every request passes this middleware before a route sees it, and every answer after it.

On the way in it checks that the host is one of this server's names, that a browser's changing request comes from this
server's own page, that the sender is logged in, does not ask too often and does not send too much. On the way out it
writes the access to the audit log before the answer leaves (no record, no answer), sets headers that forbid what this
server's pages never do, and turns an unforeseen error into a number. Every route that is not in `PUBLIC` needs a login,
so a forgotten rule refuses instead of allowing. What a logged-in account may do is in `server.security.permissions`.
"""

from __future__ import annotations

import hmac
from http.cookies import CookieError, SimpleCookie
from time import perf_counter
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from pneumoscope.server.api.dependencies import Context
from pneumoscope.server.api.events import access_check
from pneumoscope.server.api.problems import HttpError, Problem, problem_of, problem_response
from pneumoscope.server.errors import BusyError, ForbiddenError, LoginRequiredError, TooLargeError
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.security.principal import LOCAL, Principal
from pneumoscope.server.security.rate_limit import RateLimit
from pneumoscope.server.security.refusals import RefusalSampler
from pneumoscope.server.storage.crypto import new_id

PUBLIC = frozenset({("GET", "/healthz"), ("HEAD", "/healthz"), ("POST", "/api/login")})
"""Methods and paths that answer without a login, beside the web app's own files."""
UPLOAD = "/api/studies"
STOW = "/api/dicomweb/studies"
EVENTS = "/api/events"
HEALTH = "/healthz"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_SMALL_BODY = 2**20
_UNKNOWN = "(unknown)"
_PAGE = "(web app)"

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self' 'wasm-unsafe-eval'; style-src 'self'; img-src 'self' blob: data:; "
        "font-src 'self'; connect-src 'self'; worker-src 'self' blob:; manifest-src 'self'; base-uri 'none'; "
        "form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


def cookie_name(encrypted: bool) -> str:
    """Return the session cookie's name; ``__Host-`` binds it to this host and to TLS (RFC 6265bis)."""
    return "__Host-session" if encrypted else "session"


class SecurityMiddleware:
    """ASGI middleware around the whole app."""

    def __init__(self, app: ASGIApp, context: Context) -> None:
        self._app = app
        self._context = context
        self._settings = context.settings
        self._requests = RateLimit(context.settings.requests_per_minute)
        self._refusals = RefusalSampler()
        self._logins = RateLimit(context.settings.logins_per_minute)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request through, or answer it."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self._app(scope, receive, send)
            return  # no websockets here
        exchange = _Exchange(self._context, self._refusals, scope, receive, send)
        try:
            await self._admit(exchange)
            await self._app(scope, exchange.receive, exchange.send)
        except Exception as error:
            if exchange.started:
                raise
            await exchange.refuse(problem_of(error, exchange.number))

    async def _admit(self, exchange: _Exchange) -> None:
        headers, method, path = exchange.headers, exchange.method, exchange.path
        self._check_host(headers)
        self._check_length(exchange)
        if method not in _SAFE:
            self._check_origin(headers)
        if exchange.is_page:  # the same for everyone: no account is looked up
            if wait := self._requests.wait(exchange.address):
                raise _too_often(wait)
            return
        login = (method, path) == ("POST", "/api/login")
        if login and (wait := self._logins.wait(exchange.address)):
            raise _too_often(wait, code="locked-out")
        principal: Principal | None = LOCAL
        if path == HEALTH:
            principal = None  # nobody is looked up: the database may not answer
        elif self._settings.needs_login or "authorization" in headers:
            principal = await run_in_threadpool(self._principal, headers, keep_alive=path != EVENTS)
        if wait := self._requests.wait(principal.id if principal else exchange.address):
            raise _too_often(wait)
        if principal is None and (method, path) not in PUBLIC:
            raise LoginRequiredError(
                "this address",
                "asks for a login.",
                "POST /api/login, or send a token: Authorization: Bearer TOKEN.",
                code="login",
            )
        if _is_upload(method, path):
            self._context.store.reserve.check()  # before the body is written anywhere
        if principal is not None:
            exchange.principal = principal
            exchange.state["principal"] = principal
            exchange.state["may_go_on"] = access_check(lambda: self._principal(headers, keep_alive=False), principal)
            if principal.csrf is not None and method not in _SAFE and not login:
                sent = headers.get("x-csrf-token", "")
                if not hmac.compare_digest(sent.encode(), principal.csrf.encode()):
                    raise ForbiddenError("X-CSRF-Token", "is missing or not this session's.", "GET /api/me has it.")

    def _check_host(self, headers: Headers) -> None:
        allowed = self._settings.allowed_hosts
        host = headers.get("host", "")
        name = host.rpartition(":")[0] if host.rpartition(":")[2].isdigit() else host
        if allowed and name.lower() not in allowed:
            raise HttpError(
                Problem(
                    421,
                    "the host",
                    "is not a name of this server.",
                    "Use its own name, or start the server with this one among its names.",
                )
            )

    def _check_length(self, exchange: _Exchange) -> None:
        length = exchange.headers.get("content-length", "0")
        if not length.isascii() or not length.isdigit():
            raise HttpError(Problem(400, "Content-Length", "is not a number."))
        exchange.limit = self._settings.max_request_bytes if _is_upload(exchange.method, exchange.path) else _SMALL_BODY
        if int(length) > exchange.limit:
            raise exchange.too_large()

    def _check_origin(self, headers: Headers) -> None:
        """Refuse what another site makes a browser send; programs send neither header."""
        origin = headers.get("origin")
        if headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none") or (
            origin is not None and origin.partition("://")[2] != headers.get("host", "")
        ):
            raise ForbiddenError("the request", "comes from another site.", "Use this server's own page.")

    def _principal(self, headers: Headers, *, keep_alive: bool) -> Principal | None:
        kind, _, token = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer":
            return self._context.tokens.find(token.strip())
        if not self._settings.needs_login:
            return LOCAL
        try:
            cookies = SimpleCookie(headers.get("cookie", ""))
        except CookieError:
            return None
        cookie = cookies.get(cookie_name(self._settings.encrypted))
        return None if cookie is None else self._context.sessions.find(cookie.value, keep_alive=keep_alive)


class _Exchange:
    """One request and its answer."""

    def __init__(self, context: Context, refusals: RefusalSampler, scope: Scope, receive: Receive, send: Send) -> None:
        self._context = context
        self._refusals = refusals
        self._scope = scope
        self._receive = receive
        self._send = send
        self.number = new_id()
        self.headers = Headers(scope=scope)
        self.method: str = scope["method"]
        self.path: str = scope["path"]
        self.address: str = (scope.get("client") or ("",))[0]
        self.state: dict[str, Any] = scope.setdefault("state", {})
        self.state["number"] = self.number
        self.state["audit_entry"] = self._audit_entry
        self.is_page = self.method in ("GET", "HEAD") and self.path in context.pages.addresses
        self.principal: Principal | None = None
        self.limit = _SMALL_BODY
        self.started = False
        self._started_at = perf_counter()
        self._received = 0
        self._replaced = False

    def too_large(self) -> TooLargeError:
        return TooLargeError(
            "the request",
            f"is larger than {self.limit:,} bytes.",
            "Send fewer files at once, or smaller ones.",
            code="too-large",
            values={"limit_mib": self.limit // 2**20},
        )

    async def receive(self) -> Message:
        """Pass the request on, up to the limit: its declared length may lie, and need not be there."""
        message = await self._receive()
        if message["type"] == "http.request":
            self._received += len(message.get("body", b""))
            if self._received > self.limit:
                raise self.too_large()
        return message

    async def send(self, message: Message) -> None:
        """Pass the answer on, after the access is written to the audit log."""
        if self._replaced:
            return
        if message["type"] == "http.response.start":
            if self._received > self.limit and message["status"] != 413:
                self._replaced = True  # a parser has turned the limit's error into another
                await self.refuse(problem_of(self.too_large(), self.number))
                return
            try:
                await self._record(message["status"])
            except Exception as error:
                self._replaced = True
                await self._send_problem(problem_of(error, self.number))
                return
            self._add_headers(message)
            self.started = True
        await self._send(message)

    async def refuse(self, problem: Problem) -> None:
        """Answer with a problem; it is written to the audit log like any answer, except floods."""
        if problem.status != 429:
            try:
                await self._record(problem.status)
            except Exception as error:
                problem = problem_of(error, self.number)
        await self._send_problem(problem)

    async def _send_problem(self, problem: Problem) -> None:
        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._add_headers(message)
                self.started = True
            await self._send(message)

        await problem_response(problem, self.number)(self._scope, self._receive, send_with_headers)

    def _add_headers(self, message: Message) -> None:
        headers = MutableHeaders(scope=message)
        for name, value in HEADERS.items():
            headers.setdefault(name, value)
        headers["X-Request-ID"] = self.number
        if self._context.settings.encrypted:
            headers["Strict-Transport-Security"] = "max-age=31536000"

    async def _record(self, status: int) -> None:
        route = _PAGE if self.is_page else getattr(self._scope.get("route"), "path", _UNKNOWN)
        self._context.metrics.count(_known_method(self.method), route, status, perf_counter() - self._started_at)
        if self.is_page or self.path == HEALTH:
            return  # no patient's data
        if self.state.get("recorded") == status:
            return
        entry = self._audit_entry(status)
        entries = [entry] if entry.who or status < 400 or self._refusals.admit(self.address) else []
        if left_out := self._refusals.take_left_out():
            entries.append(AuditEntry("", f"{left_out} refused requests without a login", status=entry.status))
        if entries:
            await self._context.store.commit_async(lambda session: audit_log.record_all(session, entries))

    def _audit_entry(self, status: int) -> AuditEntry:
        """Return the entry of the audit log about this request."""
        route = getattr(self._scope.get("route"), "path", _UNKNOWN)
        who = self.principal or self.state.get("principal")
        subject = self.state.get("subject") or next(iter((self._scope.get("path_params") or {}).values()), "")
        return AuditEntry(
            who=who.id if isinstance(who, Principal) else "",
            action=f"{_known_method(self.method)} {route}"[:160],
            subject=subject if isinstance(subject, str) and subject.isalnum() and len(subject) <= 64 else "",
            address=self.address[:64],
            status=status,
            request=self.number,
        )


def _too_often(wait: float, code: str = "too-often") -> BusyError:
    seconds = max(1, round(wait + 0.5))
    return BusyError(
        "the client", "asks too often.", "Wait a little.", retry_after=seconds, code=code, values={"seconds": seconds}
    )


def _is_upload(method: str, path: str) -> bool:
    """Return whether a request brings files, which are large and need the disk."""
    return method == "POST" and (path in (UPLOAD, STOW) or path.startswith(f"{STOW}/"))


def _known_method(method: str) -> str:
    """Return the method if HTTP has it: a client must not choose the labels of metrics freely."""
    return method if method in {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"} else "OTHER"
