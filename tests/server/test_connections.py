"""Connections that keep the server waiting: bounded in number, time and size, and never in the way of the others."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, cast

import pytest
import uvicorn

from pneumoscope.server import connections
from pneumoscope.server.connections import Connections, HttpProtocol, LimitedServer, Listener
from pneumoscope.server.run import listen

REQUEST = b"GET / HTTP/1.1\r\nHost: a\r\n"
Connect = Callable[[], socket.socket]


async def _app(scope: Any, receive: Any, send: Any) -> None:
    """Read the body, then answer."""
    if scope["type"] != "http":
        return
    while (await receive()).get("more_body"):
        pass
    await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
    await send({"type": "http.response.body", "body": b"ok"})


@contextmanager
def _server(certificate: Path | None = None) -> Iterator[int]:
    """A server with these limits and a trivial app; its port."""
    open_connections = Connections()
    config = uvicorn.Config(
        _app,
        loop="asyncio",
        lifespan="off",
        log_level="critical",
        ssl_certfile=certificate,
        http=cast(type[asyncio.Protocol], partial(HttpProtocol, open_connections=open_connections)),
    )
    server = LimitedServer(config, open_connections, on_overdue=lambda: None)
    with listen("127.0.0.1", 0) as plain, Listener(fileno=plain.detach()) as listener:
        listener.connections = open_connections
        port = listener.getsockname()[1]
        thread = threading.Thread(target=server.run, args=([listener],))
        thread.start()
        try:
            yield port
        finally:
            server.should_exit = True
            thread.join()
            server.cancel_overdue()


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    today = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(today).not_valid_after(today + datetime.timedelta(days=1))
    path = tmp_path / "server.pem"
    path.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
    )
    return path


def _answer(client: socket.socket) -> bytes:
    """The first bytes of the answer; empty where the connection was closed."""
    client.settimeout(5)
    try:
        return client.recv(64)
    except ConnectionResetError:
        return b""


def _ask(port: int, encrypted: bool = False) -> bytes:
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        if not encrypted:
            plain.sendall(REQUEST + b"\r\n")
            return _answer(plain)
        context = ssl.create_default_context()
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        with context.wrap_socket(plain) as client:
            client.sendall(REQUEST + b"\r\n")
            return _answer(client)


@pytest.mark.parametrize("encrypted", [False, True])
@pytest.mark.parametrize("sent", [b"", REQUEST, REQUEST + b"Content-Length: 9\r\n\r\n1"])
def test_half_sent_requests_are_in_nobodys_way(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, encrypted: bool, sent: bytes
) -> None:
    """With TLS they are half a handshake: what was sent is no record of it."""
    monkeypatch.setattr(connections, "MOST", 12)
    monkeypatch.setattr(connections, "MOST_OF_ADDRESS", 8)
    with _server(certificate if encrypted else None) as port, ExitStack() as stack:
        for _ in range(30):
            client = stack.enter_context(socket.create_connection(("127.0.0.1", port), 5))
            client.sendall(sent)
        assert b" 200 " in _ask(port, encrypted)


@pytest.mark.parametrize("encrypted", [False, True])
def test_a_header_has_a_deadline_however_it_dribbles(
    monkeypatch: pytest.MonkeyPatch, certificate: Path, encrypted: bool
) -> None:
    monkeypatch.setattr(connections, "HEADER_SECONDS", 0.3)
    monkeypatch.setattr(connections.ClientSocket, "patience", 0.3)
    with _server(certificate if encrypted else None) as port:
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            end = time.monotonic() + 3
            with suppress(OSError):
                while time.monotonic() < end:
                    client.sendall(b"\x16" if encrypted else b"G")
                    time.sleep(0.05)
            assert time.monotonic() < end
        assert b" 200 " in _ask(port, encrypted)


@pytest.mark.parametrize(
    "header",
    [
        b"".join(b"x%d: y\r\n" % number for number in range(101)),
        b"x: " + b"y" * 70_000 + b"\r\n",
        b"x: " + b"y" * 5_000_000,
        b"x\r\n" * 300_000,
    ],
    ids=["many", "long", "without end", "many without end"],
)
def test_a_header_has_a_size_and_a_number(header: bytes) -> None:
    with _server() as port, socket.create_connection(("127.0.0.1", port), 5) as client:
        with suppress(OSError):
            client.sendall(REQUEST + header + b"\r\n")
        assert _answer(client)[9:12] in (b"431", b"400", b"")
        assert b" 200 " in _ask(port)


def test_an_address_is_refused_only_while_all_its_connections_are_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_OF_ADDRESS", 1)
    opened = Connections(proxies=("10.0.0.9",))
    pairs = [socket.socketpair() for _ in range(5)]
    clients = []
    for number, (near, _) in enumerate(pairs):
        client = connections.ClientSocket(fileno=near.detach())
        client.peer, client.address = (number,), "10.0.0.9" if number > 2 else "10.0.0.1"
        client.waiting_since = float(number)
        clients.append(client)
    assert opened.add(clients[0])
    assert opened.add(clients[1])
    assert pairs[0][1].recv(1) == b""  # the older one was closed
    opened.set_waiting((1,), None)
    assert not opened.add(clients[2])
    assert opened.add(clients[3])
    assert opened.add(clients[4])  # a proxy's connections are many clients'
    for client in clients:
        client.close()
    for _, far in pairs:
        far.close()
