"""Requests and files as nobody would send them: no 500, no hang, and nothing of the server or the sender in an answer.

The requests come from the OpenAPI document (Schemathesis), the files are good ones with bytes changed, cut or repeated.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fastapi import FastAPI

from pneumoscope.server.app import create_app
from pneumoscope.server.settings import Settings
from server.client import serve_client
from server.sample_files import archive, dicom, png
from server.test_crash import Server

schemathesis = pytest.importorskip("schemathesis", reason="no schemathesis: pip install 'pneumoscope[dev]'")
LEAKS = ("Traceback", "site-packages", "/tmp/", "sqlite3", "sqlalchemy", "Doe^Jane")


@pytest.fixture
def app(settings: Settings) -> Iterator[FastAPI]:
    app = create_app(settings)
    yield app
    app.state.context.store.close()


def test_no_request_breaks_the_server(app: FastAPI) -> None:
    from hypothesis import HealthCheck, Phase, given, seed
    from hypothesis import settings as how

    schema = schemathesis.openapi.from_asgi("/api/openapi.json", app, headers={"Host": "localhost"})
    requests = 0

    def check(case: Any) -> None:
        nonlocal requests
        requests += 1
        answer = case.call(headers={**(case.headers or {}), "Host": "localhost"}, timeout=30)
        assert answer.status_code != 500, (case.method, case.path)
        if answer.status_code >= 400:
            assert not any(leak in answer.text for leak in LEAKS), answer.text

    for result in schema.get_all_operations():
        operation = result.ok()
        if operation.path == "/api/events":  # never ends, by design
            continue
        run = how(
            max_examples=8,
            deadline=None,
            database=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )(seed(1)(given(case=operation.as_strategy())(check)))
        run()
    assert requests > 100


def test_the_log_quotes_nothing_that_was_sent(tmp_path: Path, models: Path) -> None:
    server = Server(tmp_path / "home", models)
    server.start()
    try:
        broken = dicom({"StudyInstanceUID": "2.25.99"}).replace(b"2.25.99", b"Quoted7")  # not what a UID may be
        for name in ("Quoted7.dcm", 'Quoted7"\r\nX: y'):
            files = [("files", (name, broken, "image/Quoted7"))]
            assert server.client.post("/api/studies", files=files, headers={"X-Quoted7": "Quoted7"}).status_code == 201
        assert server.client.get("/Quoted7?patient=Quoted7").status_code == 404
        assert server.client.get("/api/studies?limit=Quoted7").status_code == 422
    finally:
        server.stop()
    log = (tmp_path / "server.log").read_text()
    assert "answers at" in log
    assert "Quoted7" not in log


def mutants(good: bytes, number: int) -> Iterator[bytes]:
    draw = random.Random(number)
    for _ in range(number):
        data = bytearray(good)
        for _ in range(draw.choice((1, 3, 20))):
            at = draw.randrange(len(data))
            kind = draw.randrange(4)
            if kind == 0:
                data[at] = draw.randrange(256)
            elif kind == 1:
                del data[at : at + draw.randrange(1, 40)]
            elif kind == 2:
                data[at:at] = data[at : at + draw.randrange(1, 40)]
            else:
                data[at : at + 4] = b"\xff\xff\xff\xff"
            if not data:
                break
        yield bytes(data)


@pytest.mark.filterwarnings("ignore")  # what libraries say of broken files is no concern of this test
@pytest.mark.parametrize("kind", ["png", "dicom", "zip"])
def test_no_file_breaks_the_server(settings: Settings, kind: str) -> None:
    good = {"png": png(0.5), "dicom": dicom(), "zip": archive({"a.png": png(0.5), "b.dcm": dicom()})}[kind]
    with serve_client(settings) as client:
        for data in mutants(good, 60):
            answer = client.upload(data)
            assert answer.status_code in (201, 413, 422), answer.text
            assert not any(leak in answer.text for leak in LEAKS), answer.text
