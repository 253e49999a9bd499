"""Attack a server on this machine, within bounds of time and count, and see that it goes on for everybody else.

The server is started here, on loopback, in a folder of its own, and nothing else is ever asked. Each attack runs in a
process of its own, so that the times are those of the server and not of the attacker. During each attack `/healthz` and
a login must answer within 2 seconds, and no process may pass 1 GB. At the end SIGTERM must end the
server within 10 seconds, and all that was accepted must be there.

    python benchmarks/attack_server.py
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from io import BytesIO
from pathlib import Path

import httpx
import numpy as np
import psutil
from PIL import Image

PASSWORD = "correct horse battery"
MOST_SECONDS = 60.0
"""Seconds that one attack may take."""


class Target:
    """A server with accounts, and a watch on what it answers and how large it grows.

    Args:
        home: Its data folder.
        log: The file that its messages go to.
    """

    def __init__(self, home: Path, log: Path) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        self.log = log
        self.slowest, self.largest = 0.0, 0
        program = [sys.executable, "-m", "pneumoscope"]
        add = [*program, "users", "add", "chief", "--admin", "--password-stdin", "--home", str(home)]
        subprocess.run(add, input=PASSWORD, text=True, check=True, capture_output=True)
        self.serve = [*program, "serve", "--accounts", "--port", str(self.port), "--home", str(home), "--workers", "1"]
        self.start()

    def start(self) -> None:
        """Start the server, and log in when it answers."""
        self.process = subprocess.Popen(self.serve, stderr=self.log.open("ab"))
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=100)
        for _ in range(600):
            with suppress(httpx.TransportError):
                if self.client.get("/healthz").status_code == 200:
                    break
            time.sleep(0.1)
        self.client.headers["X-CSRF-Token"] = self.login(self.client)

    def login(self, client: httpx.Client) -> str:
        """Log in; return the token against forged requests."""
        answer = client.post("/api/login", json={"name": "chief", "password": PASSWORD})
        answer.raise_for_status()
        return str(answer.json()["csrf"])

    def probe(self) -> None:
        """Ask for health on a new connection, and note the time and the memory."""
        began = time.monotonic()
        assert httpx.get(f"http://127.0.0.1:{self.port}/healthz", timeout=30).status_code == 200
        self.slowest = max(self.slowest, time.monotonic() - began)
        server = psutil.Process(self.process.pid)
        for process in (server, *server.children(recursive=True)):
            with suppress(psutil.Error):
                self.largest = max(self.largest, process.memory_info().rss)

    def upload(self, *files: bytes) -> httpx.Response:
        """Send an upload."""
        return self.client.post("/api/studies", files=[("files", ("a", data)) for data in files])


def deflated_bomb() -> bytes:
    """A deflated DICOM file of 2 MiB that inflates to 2 GiB, behind an element of VR UC."""
    syntax = b"1.2.840.10008.1.2.1.99"
    meta = b"\x02\x00\x09\x00UC\0\0\x08\0\0\0" + b"12345678"
    meta += b"\x02\x00\x10\x00UI" + len(syntax).to_bytes(2, "little") + syntax
    deflater = zlib.compressobj(9, zlib.DEFLATED, -15)
    pieces = [deflater.compress(b"\x09\0\0\0OB\0\0\xff\xff\xff\x7f")]
    pieces += [deflater.compress(bytes(2**24)) for _ in range(128)]
    return b"\0" * 128 + b"DICM" + meta + b"".join([*pieces, deflater.flush()])


def long_directory(entries: int = 5_000_000) -> bytes:
    """A ZIP archive whose directory has so many entries."""
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<HHHHHII", 1, 0, 0, 0, 0, 0, 0) + b"a"
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 1, 1, len(entry) * entries, 5, 0)
    return b"PK\x03\x04\0" + entry * entries + end


def slow_file(number: int) -> bytes:
    """A file of some hundred kilobytes that keeps a decoder busy for seconds."""
    data = BytesIO()
    Image.fromarray(np.full((7000, 7000 + number), 200, np.uint8)).save(data, "WEBP", lossless=True)
    return data.getvalue()


def large_member() -> bytes:
    """A ZIP archive with one member of 127 MiB that is no image."""
    data = BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("noise.bin", random.Random(0).randbytes(127 * 2**20))
    return data.getvalue()


def send_headers(port: int, piece: bytes, times: int) -> None:
    """Send a request whose header is long."""
    with socket.create_connection(("127.0.0.1", port), 10) as client, suppress(OSError):
        client.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
        for _ in range(times):
            client.sendall(piece)


def attack(target: Target, name: str, act: Callable[[], object]) -> None:
    """Do something to the server in another process, and ask for its health all the while."""
    target.slowest, target.largest = 0.0, 0
    attacker = multiprocessing.get_context("fork").Process(target=act, daemon=True)
    began = time.monotonic()
    attacker.start()
    while True:
        target.probe()
        if not attacker.is_alive() or time.monotonic() - began > MOST_SECONDS:
            break
        time.sleep(0.2)
    attacker.kill()
    began = time.monotonic()
    with httpx.Client(base_url=f"http://127.0.0.1:{target.port}", timeout=30) as client:
        target.login(client)
    login = time.monotonic() - began
    passed = max(target.slowest, login) < 2 and target.largest < 1e9
    print(
        f"{'ok  ' if passed else 'FAIL'} {name:28} health {target.slowest:5.2f} s  login {login:5.2f} s  "
        f"largest process {target.largest / 1e6:5.0f} MB",
        flush=True,
    )


def main() -> None:
    """Run all attacks."""
    argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter).parse_args()
    with tempfile.TemporaryDirectory() as folder:
        target = Target(Path(folder) / "home", Path(folder) / "log")
        good = BytesIO()
        Image.fromarray(np.full((64, 64), 90, np.uint8)).save(good, "PNG")
        accepted = [file["study"] for file in target.upload(good.getvalue()).json()["files"]]
        attack(target, "deflated DICOM of 2 GiB", lambda: target.upload(deflated_bomb()))
        attack(target, "ZIP of 5,000,000 entries", lambda: target.upload(long_directory()))
        attack(target, "3,000,000 headers", lambda: send_headers(target.port, b"a: b\r\n" * 10_000, 300))
        attack(target, "a header of 100 MiB", lambda: send_headers(target.port, b"a" * 2**20, 100))

        def hold() -> None:
            clients = [socket.create_connection(("127.0.0.1", target.port), 10) for _ in range(520)]
            for client in clients:
                with suppress(OSError):
                    client.sendall(b"GET /healthz HTTP/1.1\r\nHost: loc")
            time.sleep(5)

        def send_together(files: list[bytes]) -> None:
            with ThreadPoolExecutor(len(files)) as threads:
                list(threads.map(target.upload, files))

        attack(target, "520 half-sent requests", hold)
        large, slow = [large_member()] * 8, [slow_file(number) for number in range(4)]
        attack(target, "8 ZIPs of a 127 MiB member", lambda: send_together(large))
        attack(target, "four slow files", lambda: send_together(slow))
        for study in accepted:
            assert target.client.get(f"/api/studies/{study}").status_code == 200, "what was accepted is lost"
        began = time.monotonic()
        target.process.send_signal(signal.SIGTERM)
        with suppress(subprocess.TimeoutExpired):
            target.process.wait(30)
        seconds = time.monotonic() - began
        print(f"{'ok  ' if seconds < 10 else 'FAIL'} SIGTERM {seconds:26.1f} s")
        if target.process.poll() is None:
            target.process.kill()


if __name__ == "__main__":
    main()
