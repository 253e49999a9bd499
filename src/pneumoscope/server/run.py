"""Running the app with uvicorn: TLS, a trusted proxy, and no line in the log that could name a patient."""

from __future__ import annotations

import asyncio
import errno
import logging
import multiprocessing
import os
import socket
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, cast

from pneumoscope.core.arguments import argument, check_arguments
from pneumoscope.core.errors import RunError, UsageError
from pneumoscope.server.api.dependencies import Context
from pneumoscope.server.app import create_app
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.sole import sole_server

if TYPE_CHECKING:
    from uvicorn import Server

_SHUTDOWN_SECONDS = 3
"""Seconds that open requests get when the server is stopped."""
_CHECK_SECONDS = 0.05
"""Seconds between two checks whether the server has started."""


@dataclass(frozen=True, slots=True)
class RunningServer:
    """A server that answers."""

    context: Context
    address: str
    """Its URL, for a browser on this machine."""
    stopping: Callable[[], bool]
    """Whether the server has to stop."""


@check_arguments
def serve(
    settings: Settings, on_start: Callable[[RunningServer], None] | None = None, *, log_level: int = logging.INFO
) -> None:
    """Serve studies, predictions and reads over HTTP until the process is stopped.

    Args:
        settings: All settings of the server.
        on_start: Called on a thread of its own once the server answers.
        log_level: Level of the log on stderr, as in `logging`.

    Raises:
        UsageError: The settings are not safe together, no account could log in, the port is in use, or another server
            has the data folder.
        RunError: The server could not start.

    Example:
        >>> ps.server.serve(ps.server.Settings(home=Path("server"), port=8080))
    """
    logging.basicConfig(level=log_level, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for handler in logging.getLogger().handlers:
        handler.addFilter(_is_safe)
    with sole_server(settings.validate()):
        _serve(settings, on_start, log_level)


def _serve(settings: Settings, on_start: Callable[[RunningServer], None] | None, log_level: int) -> None:
    import uvicorn

    from pneumoscope.server.connections import Connections, HttpProtocol, LimitedServer, Listener

    app = create_app(settings)
    context: Context = app.state.context
    if settings.needs_login and not context.accounts.has_admin():
        raise UsageError(
            "the server", "has no admin yet.", "Add one with `pneumoscope.server.add_account`, as an admin."
        )
    if settings.dicom is not None:  # now, since the node itself listens only when all else has started
        listen(settings.dicom.host, settings.dicom.port, "dicom_").close()
    open_connections = Connections(_addresses(settings.proxy))
    server = LimitedServer(
        uvicorn.Config(
            app,
            loop="asyncio",  # uvloop accepts connections where no limit can be set
            http=cast(type[asyncio.Protocol], partial(HttpProtocol, open_connections=open_connections)),
            ssl_certfile=settings.tls_certificate,
            ssl_keyfile=settings.tls_key,
            proxy_headers=settings.proxy is not None,
            forwarded_allow_ips=settings.proxy or "",
            server_header=False,
            access_log=False,  # paths hold search terms; who did what is in the audit log
            log_level=log_level,
            timeout_graceful_shutdown=_SHUTDOWN_SECONDS,
        ),
        open_connections,
        on_overdue=_end_anyway,
    )
    logging.getLogger("uvicorn.error").addFilter(_is_no_cancellation)
    with listen(settings.host, settings.port) as plain, Listener(fileno=plain.detach()) as listener:
        listener.connections = open_connections
        running = RunningServer(context, address_of(settings, listener), lambda: server.should_exit)
        context.streams.end_when(running.stopping)
        threading.Thread(target=_wait_until_up, args=(server, running, on_start), daemon=True).start()
        with suppress(KeyboardInterrupt):  # uvicorn has stopped by then, and passes the signal on
            server.run(sockets=[listener])
        server.cancel_overdue()
    if not server.started:
        raise RunError("the server", "could not start.", "Its log says why.")


def _end_anyway() -> None:
    """End this process and its children. What was answered is on the disk already, as after a crash."""
    logging.getLogger(__name__).error("the server does not stop in time and is ended")
    for process in multiprocessing.active_children():
        process.kill()
    os._exit(1)


def _addresses(proxy: str | None) -> tuple[str, ...]:
    """Return the addresses of the trusted proxies, whose connections are many clients'."""
    return () if proxy is None else tuple(address.strip() for address in proxy.split(","))


def _is_safe(record: logging.LogRecord) -> bool:
    """Return whether a line may be written: libraries quote what was sent, such as the value of a DICOM tag."""
    return record.name.partition(".")[0] in ("pneumoscope", "uvicorn")


def _is_no_cancellation(record: logging.LogRecord) -> bool:
    """Return whether a line says anything else than that the server ended a request because it stops."""
    return not (record.exc_info and isinstance(record.exc_info[1], asyncio.CancelledError))


def listen(host: str, port: int, prefix: str = "") -> socket.socket:
    """Return a socket that listens on an address.

    Args:
        host: The address.
        port: 0 takes any free one.
        prefix: Of the settings' names in errors, "dicom_" for the DICOM node's.

    Raises:
        UsageError: Another program has the port, or the address is not one of this machine's.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host.strip("[]"), port), family=family)
        # asyncio sets this only on sockets that it created itself. Without it, an answer's second packet waits for the
        # acknowledgement of its first, which a client delays for 40 ms (RFC 1122 4.2.3.2 and 4.2.3.4).
        listener.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return listener
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            raise UsageError(
                argument(f"{prefix}port", port),
                "is in use: another program, or another Pneumoscope, answers there.",
                f"Stop it, or take another: {argument(f'{prefix}port', port + 1 if port < 65535 else 8000)}",
            ) from error
        raise UsageError(
            f"{argument(f'{prefix}host', host)} {argument(f'{prefix}port', port)}",
            f"can't be used: {error.strerror}.",
            "Name another.",
        ) from error


def address_of(settings: Settings, listener: socket.socket) -> str:
    """Return the address of a server for a browser on this machine."""
    host = f"[{settings.host.strip('[]')}]" if ":" in settings.host else settings.host
    return f"{'https' if settings.tls_certificate else 'http'}://{host}:{listener.getsockname()[1]}/"


def _wait_until_up(server: Server, running: RunningServer, on_start: Callable[[RunningServer], None] | None) -> None:
    while not server.started:
        if running.stopping():
            return
        time.sleep(_CHECK_SECONDS)
    logging.getLogger(__name__).info("answers at %s", running.address)
    if on_start is not None:
        on_start(running)
