"""A real server is killed or stopped in the middle of uploads, and its workers too: none is lost, none is doubled."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from pneumoscope.core.engine import default_workers
from server.client import server_processes
from server.sample_files import png

UPLOADS = 30
SENDERS = 4


class Server:
    """`pneumoscope serve` on a port of its own; may be killed and started again."""

    def __init__(self, home: Path, models: Path) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._command = [
            sys.executable, "-m", "pneumoscope", "serve", "--port", str(self.port), "--home", str(home),
            "--models", str(models), "--workers", "1",
        ]  # fmt: skip
        self._log = home.parent / "server.log"
        self.client = httpx.Client(base_url=f"http://127.0.0.1:{self.port}", timeout=60)

    def start(self) -> None:
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + 240  # a busy machine starts slowly
        while time.monotonic() < end:
            with suppress(httpx.TransportError):
                if self.client.get("/healthz").status_code == 200:
                    return
            assert self.process.poll() is None, self.log()
            time.sleep(0.1)
        raise AssertionError(self.log())

    def workers(self) -> list[psutil.Process]:
        """Its decoders and workers."""
        return server_processes(psutil.Process(self.process.pid))

    def log(self) -> str:
        return self._log.read_text()

    def kill(self) -> None:
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self) -> None:
        self.client.close()
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


@pytest.fixture
def server(tmp_path: Path, models: Path) -> Iterator[Server]:
    server = Server(tmp_path / "home", models)
    server.start()
    yield server
    server.stop()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_nothing_is_lost_and_nothing_is_doubled(server: Server) -> None:
    model = next(each["id"] for each in server.client.get("/api/models").json() if each["name"] == "tiny")

    def upload(number: int) -> Any:
        for _ in range(20):  # as a client does: send again until there is an answer
            with suppress(httpx.TransportError):
                answer = server.client.post(
                    "/api/studies",
                    files=[("files", ("x.png", png(0.1 + 0.02 * number, 30 + number)))],
                    data={"models": [model]},
                )
                if answer.status_code == 201:
                    return answer.json()["files"][0]
            if server.process.poll() is not None:
                server.start()
        raise AssertionError("never answered")

    numbers = []
    for number in range(UPLOADS):
        if number == 10:
            workers = server.workers()
            server.kill()
            assert workers
        if number == 20:
            for worker in server.workers():
                os.kill(worker.pid, signal.SIGKILL)
        numbers.append(upload(number))
    deadline = time.monotonic() + 240
    while True:
        listed = server.client.get("/api/studies", params={"limit": 200}).json()["studies"]
        predictions = [row for study in listed for row in study["predictions"]]
        if all(row["state"] in ("done", "failed") for row in predictions) or time.monotonic() > deadline:
            break
        time.sleep(0.5)
    assert {study["id"] for study in listed} >= {each["study"] for each in numbers}
    assert len(listed) == UPLOADS
    assert [row["state"] for row in predictions] == ["done"] * UPLOADS
    for each in numbers:
        assert server.client.get(f"/api/images/{each['image']}/pixels").status_code == 200
        (answer,) = server.client.get(f"/api/studies/{each['study']}/predictions").json()
        assert answer["result"]["probabilities"]


@pytest.mark.skipif(sys.platform == "win32", reason="no SIGTERM on Windows: the process is killed")
def test_a_stop_in_the_middle_of_uploads_is_quick_and_loses_nothing(server: Server) -> None:
    """SIGTERM comes while uploads are decoded, one is half sent, a page watches and predictions wait."""
    model = next(each["id"] for each in server.client.get("/api/models").json() if each["name"] == "tiny")
    accepted: list[dict[str, Any]] = []
    unanswered: list[int] = []
    stopping = threading.Event()

    def send(sender: int) -> None:
        with httpx.Client(base_url=server.client.base_url, timeout=60) as client:
            for number in range(sender, 10_000, SENDERS):  # another image each time
                files = [("files", ("x.png", png(0.5, 400 + number)))]
                try:
                    answer = client.post("/api/studies", files=files, data={"models": [model]})
                except httpx.TransportError:
                    unanswered.append(number)
                    return
                if answer.status_code == 201:
                    accepted.extend(answer.json()["files"])
                if stopping.is_set():
                    return

    head = f"POST /api/studies HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 1000000\r\n"
    with (
        ThreadPoolExecutor(SENDERS) as pool,
        socket.create_connection(("127.0.0.1", server.port)) as half_sent,
        server.client.stream("GET", "/api/events") as stream,
    ):
        assert stream.status_code == 200
        half_sent.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())
        sending = [pool.submit(send, sender) for sender in range(SENDERS)]
        while len(accepted) < 2 * SENDERS:
            assert not any(each.done() for each in sending)
            time.sleep(0.02)
        children = psutil.Process(server.process.pid).children(recursive=True)
        began = time.monotonic()
        server.process.send_signal(signal.SIGTERM)
        stopping.set()
        server.process.wait(60)
        seconds = time.monotonic() - began
        for each in sending:
            each.result()
    assert seconds < 10
    psutil.wait_procs(children, timeout=10)
    assert not any(child.is_running() and child.status() != psutil.STATUS_ZOMBIE for child in children)
    server.start()
    listed = server.client.get("/api/studies", params={"limit": 200}).json()["studies"]
    assert {each["study"] for each in accepted} <= {study["id"] for study in listed}
    # What got no answer may have been stored all the same; then it is whole, as after a crash.
    assert len(accepted) <= len(listed) <= len(accepted) + len(unanswered)
    for study in listed:
        assert len(study["predictions"]) == 1
        (image,) = server.client.get(f"/api/studies/{study['id']}").json()["images"]
        assert server.client.get(f"/api/images/{image['id']}/pixels").status_code == 200


def test_a_page_that_watches_receives_the_events(server: Server) -> None:
    model = next(each["id"] for each in server.client.get("/api/models").json() if each["name"] == "tiny")
    upload = {"files": [("files", ("x.png", png(0.7)))], "data": {"models": [model]}}
    first = server.client.post("/api/studies", **upload).json()["files"][0]
    events = []
    with server.client.stream("GET", "/api/events", headers={"Last-Event-ID": "0"}, timeout=120) as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        for line in stream.iter_lines():
            if line.startswith("data:"):
                events.append(line)
            if '"done"' in line:
                break
    assert first["study"] in events[0]
    assert [part for part in ("received", "queued", "running", "done") if any(part in line for line in events)] == [
        "received", "queued", "running", "done",
    ]  # fmt: skip
    assert not any("covid" in line for line in events)


@pytest.mark.skipif(sys.platform == "win32", reason="Ctrl-C is another signal on Windows")
def test_a_second_ctrl_c_ends_the_waiting_and_shows_no_traceback(server: Server) -> None:
    head = f"POST /api/studies HTTP/1.1\r\nHost: 127.0.0.1:{server.port}\r\nContent-Length: 1000000\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as half_sent:
        half_sent.sendall(f"{head}Content-Type: multipart/form-data; boundary=x\r\n\r\n--x\r\n".encode())
        with server.client.stream("GET", "/api/events") as stream:
            assert stream.status_code == 200
            server.process.send_signal(signal.SIGINT)
            end = time.monotonic() + 60
            while "Shutting down" not in server.log() and time.monotonic() < end:
                time.sleep(0.02)
            server.process.send_signal(signal.SIGINT)
            assert server.process.wait(60) == 0
    assert "Application shutdown complete" in server.log()
    assert "Traceback" not in server.log()


def test_workers_end_with_their_server(server: Server) -> None:
    workers = server.workers()
    assert len(workers) == 1 + default_workers()
    server.kill()
    for worker in workers:
        worker.wait(60)
        assert not worker.is_running()


def test_many_clients_at_once(server: Server) -> None:
    model = next(each["id"] for each in server.client.get("/api/models").json() if each["name"] == "tiny")

    def send(number: int) -> list[int]:
        with httpx.Client(base_url=server.client.base_url, timeout=120) as client:
            return [
                client.post(
                    "/api/studies",
                    files=[("files", ("x.png", png(0.5, 30 + number * 10 + each)))],
                    data={"models": [model]},
                ).status_code
                for each in range(4)
            ]

    with ThreadPoolExecutor(8) as pool:
        answers = [status for statuses in pool.map(send, range(8)) for status in statuses]
    assert answers == [201] * 32
    assert len(server.client.get("/api/studies", params={"limit": 200}).json()["studies"]) == 32
