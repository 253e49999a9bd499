"""A client of an app in this process, and a worker beside it."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import psutil
from fastapi import FastAPI

from pneumoscope.server.app import create_app
from pneumoscope.server.inference import queue
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.worker import Worker
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store


class Client:
    """Asks an app, as a program on this machine does; keeps cookies."""

    def __init__(self, app: FastAPI, base: str = "http://127.0.0.1:8000", **headers: str) -> None:
        self.app = app
        self.headers = headers
        self._base = base
        self.cookies = httpx.Cookies()

    def __call__(self, method: str, path: str, **options: Any) -> httpx.Response:
        headers = {**self.headers, **options.pop("headers", {})}

        async def ask() -> httpx.Response:
            transport = httpx.ASGITransport(self.app, client=("127.0.0.1", 1234))
            async with httpx.AsyncClient(transport=transport, base_url=self._base, cookies=self.cookies) as client:
                answer = await client.request(method, path, headers=headers, **options)
                self.cookies = client.cookies
                return answer

        return asyncio.run(ask())

    def get(self, path: str, **options: Any) -> Any:
        answer = self("GET", path, **options)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, *files: bytes, models: tuple[str, ...] = ()) -> httpx.Response:
        parts = [("files", ("Doe^Jane.png", data)) for data in files]
        return self("POST", "/api/studies", files=parts, data={"models": list(models)})

    def login(self, name: str, password: str) -> httpx.Response:
        answer = self("POST", "/api/login", json={"name": name, "password": password})
        if answer.status_code == 200:
            self.headers["X-CSRF-Token"] = answer.json()["csrf"]
        return answer


@contextmanager
def serve_client(settings: Settings, **headers: str) -> Iterator[Client]:
    """An app of these settings, without worker processes."""
    app = create_app(settings)
    try:
        yield Client(app, **headers)
    finally:
        app.state.context.store.close()


def predict_all(client: Client) -> int:
    """Make all predictions that wait; return how many."""
    context, count = client.app.state.context, 0
    while step(context.store, context.catalogue):
        count += 1
    return count


def step(store: Store, catalogue: Catalogue) -> bool:
    """Make the next prediction as a worker does, and write it down as its server does; False where none waits."""
    claims = store.commit(lambda session: queue.claim(store, session, [new_id()]))
    for claim in claims:
        finished = Worker(store.settings.files, catalogue).predict(claim)
        store.commit(lambda session, finished=finished: queue.finish(session, finished))
    return bool(claims)


def server_processes(server: psutil.Process) -> list[psutil.Process]:
    """Decoders and workers of a server: not the process that forks them, nor multiprocessing's resource tracker."""
    families = [(child, " ".join(child.cmdline())) for child in server.children()]
    spawned = [child for child, command in families if "spawn_main" in command]
    forked = [grandchild for child, command in families if "forkserver" in command for grandchild in child.children()]
    return spawned + forked
