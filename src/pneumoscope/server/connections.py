"""The connections of a server: how many, from where, and how long each may take to say what it wants.

uvicorn counts a connection that has said nothing as one that works, so that some hundreds of half-sent requests make it
answer 503 to all, and it has no deadline for a request's header. Here a connection is known from the moment it is
accepted, before TLS. One that keeps the server waiting (for a handshake, a header, a body or the next request) is
closed after a deadline, and earlier where its place is needed: the oldest first, of the address that has the most. So
an address that floods loses its own connections, and a connection that is being answered is never closed for another.
"""

from __future__ import annotations

import asyncio
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any, TypeAlias

import httptools
from uvicorn import Config, Server
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

MOST = 400
"""Connections at once."""
MOST_OF_ADDRESS = 150
"""Connections of one address at once; a browser opens 6, a program with many uploads perhaps 30."""
HEADER_SECONDS = 10.0
"""Seconds for a TLS handshake and the whole header of a request, however slowly it arrives."""
BODY_SECONDS = 60.0
"""Seconds in which nothing of a request's body may come."""
HEADER_BYTES = 64 * 2**10
"""Bytes of a request's first line and header fields; a browser sends about one thousand."""
HEADER_FIELDS = 100
"""Header fields of a request, those at the end of its body among them."""

STOP_SECONDS = 8.0
"""Seconds after which a server that has to stop is ended, whatever still holds it."""

_Peer: TypeAlias = tuple[Any, ...]


class Connections:
    """The open connections."""

    def __init__(self, proxies: tuple[str, ...] = ()) -> None:
        """Begin with none.

        Args:
            proxies: Addresses of trusted proxies, whose connections are many clients'.
        """
        self._open: dict[_Peer, ClientSocket] = {}
        self._of_address: Counter[str] = Counter()
        self._proxies = frozenset(proxies)

    def add(self, client: ClientSocket) -> bool:
        """Add an accepted connection, closing a waiting one where its place is needed; False: there is no place."""
        address = client.address
        if address not in self._proxies and self._of_address[address] >= MOST_OF_ADDRESS:
            if not self._close_waiting(address):
                return False
        elif len(self._open) >= MOST and not self._close_waiting(None):
            return False
        self._open[client.peer] = client
        self._of_address[address] += 1
        return True

    def remove(self, client: ClientSocket) -> None:
        """Forget a connection that is closed."""
        if self._open.get(client.peer) is client:
            del self._open[client.peer]
            self._of_address[client.address] -= 1
            if not self._of_address[client.address]:
                del self._of_address[client.address]

    def set_waiting(self, peer: _Peer | None, seconds: float | None) -> None:
        """Note that a connection may keep the server waiting for so many seconds from now on; None: it does not."""
        client = None if peer is None else self._open.get(peer)
        if client is not None:
            client.waiting_since = None if seconds is None else time.monotonic()
            client.patience = seconds or 0.0

    def close_overdue(self) -> None:
        """Close the connections that have kept the server waiting for too long."""
        time_now = time.monotonic()
        for client in tuple(self._open.values()):
            if client.waiting_since is not None and time_now - client.waiting_since > client.patience:
                client.hang_up()

    def _close_waiting(self, address: str | None) -> bool:
        """Close the connection that has kept the server waiting longest, of the address with the most by default."""
        waiting = [client for client in self._open.values() if client.waiting_since is not None]
        if address is None and waiting:
            address = max(waiting, key=lambda client: self._of_address[client.address]).address
        oldest = min(
            (client for client in waiting if client.address == address),
            key=lambda client: client.waiting_since or 0.0,
            default=None,
        )
        if oldest is None:
            return False
        self.remove(oldest)
        oldest.hang_up()
        return True


class ClientSocket(socket.socket):
    """An accepted connection that its `Connections` know."""

    connections: Connections | None = None
    peer: _Peer = ()
    address = ""
    waiting_since: float | None = None
    """Time (monotonic) from which it has kept the server waiting; None: it is being answered."""

    patience: float = HEADER_SECONDS
    """Seconds that it may do so."""

    def hang_up(self) -> None:
        """End the connection; the event loop then reads its end and closes it."""
        with suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Close the socket."""
        if self.connections is not None:
            self.connections.remove(self)
        super().close()


class Listener(socket.socket):
    """A listening socket that accepts no more connections than there may be."""

    connections: Connections | None = None

    def accept(self) -> tuple[socket.socket, Any]:
        """Accept a connection.

        Raises:
            ConnectionAbortedError: There is no place for it; an event loop goes on with the next.
        """
        number, peer = self._accept()  # type: ignore[attr-defined]  # as `socket.accept` does
        client = ClientSocket(self.family, self.type, self.proto, fileno=number)
        client.peer, client.address, client.waiting_since = peer, str(peer[0]), time.monotonic()
        if self.connections is not None:
            if not self.connections.add(client):
                client.close()
                raise ConnectionAbortedError
            client.connections = self.connections
        return client, peer


class HttpProtocol(HttpToolsProtocol):
    """uvicorn's protocol with limits of the header, and a note of when it keeps the server waiting."""

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
        *,
        open_connections: Connections,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self._open_connections = open_connections
        self._peer: _Peer | None = None
        self._in_header = True
        self._unread_bytes = 0
        """Bytes that came while the header was not complete."""
        self._field_bytes = self._fields = 0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin a connection, whose TLS handshake is done."""
        super().connection_made(transport)
        self._peer = transport.get_extra_info("peername")

    def data_received(self, data: bytes) -> None:
        """Read what has come."""
        if self.transport.is_closing():
            return
        if self._in_header:
            if self._unread_bytes > HEADER_BYTES:
                self._refuse_header()
                return
            self._unread_bytes += len(data)
        super().data_received(data)

    def on_message_begin(self) -> None:
        """Begin a request."""
        super().on_message_begin()
        self._field_bytes = self._fields = 0

    def on_url(self, url: bytes) -> None:
        """Read a part of the first line."""
        self._count(len(url), 0)
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Read a header field."""
        self._count(len(name) + len(value) + 4, 1)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Begin to answer."""
        self._in_header = False
        self._unread_bytes = 0
        self._open_connections.set_waiting(self._peer, BODY_SECONDS)
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """Read a part of a body."""
        self._open_connections.set_waiting(self._peer, BODY_SECONDS)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """End a request; what comes now is the header of the next one."""
        self._in_header = True
        self._open_connections.set_waiting(self._peer, None)
        super().on_message_complete()

    def on_response_complete(self) -> None:
        """End an answer; the connection may bring another request."""
        if not self.pipeline:
            self._open_connections.set_waiting(self._peer, HEADER_SECONDS)
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer a request that can't be read."""
        if self._is_too_long():
            self._refuse_header()
        else:
            super().send_400_response(msg)

    def _count(self, size: int, fields: int) -> None:
        self._field_bytes += size
        self._fields += fields
        if self._is_too_long():
            raise httptools.HttpParserError("the header is too long")

    def _is_too_long(self) -> bool:
        return self._field_bytes > HEADER_BYTES or self._fields > HEADER_FIELDS

    def _refuse_header(self) -> None:
        """Answer 431 (RFC 6585) and close the connection."""
        self.transport.write(
            b"HTTP/1.1 431 Request Header Fields Too Large\r\nconnection: close\r\ncontent-length: 0\r\n\r\n"
        )
        self.transport.close()


class LimitedServer(Server):
    """uvicorn's server, which closes connections that keep it waiting for too long, and stops within a time."""

    def __init__(self, config: Config, open_connections: Connections, on_overdue: Callable[[], object]) -> None:
        """Create the server.

        Args:
            config: uvicorn's settings.
            open_connections: Those of the listener.
            on_overdue: Called on a thread of its own where the server has not stopped `STOP_SECONDS` after it had to.
        """
        super().__init__(config)
        self._open_connections = open_connections
        self._overdue = threading.Timer(STOP_SECONDS, on_overdue)
        self._overdue.daemon = True

    async def on_tick(self, counter: int) -> bool:
        """Do what is due ten times a second; return whether the server has to stop."""
        if counter % 10 == 0:
            self._open_connections.close_overdue()
        ends = await super().on_tick(counter)
        if ends and not self._overdue.is_alive():
            self._overdue.start()
        return ends

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Stop. At a second Ctrl-C nothing waits for open requests any more; the app still closes what it has open."""
        await super().shutdown(sockets)
        if self.force_exit:
            requests = list(self.server_state.tasks)
            for request in requests:
                request.cancel()
            await asyncio.gather(*requests, return_exceptions=True)
            await self.lifespan.shutdown()

    def cancel_overdue(self) -> None:
        """Note that the server has stopped in time."""
        self._overdue.cancel()
