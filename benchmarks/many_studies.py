"""Time a server's pages over many studies: rows are made by this script, no image is.

Every list must be there in .3 s, the dashboard in 2 s, and an upload during the dashboard in 1 s.

    python benchmarks/many_studies.py --studies 100000
    python benchmarks/many_studies.py --studies 100000 --database postgresql://USER@HOST/NAME
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from fastapi import FastAPI
from PIL import Image as PillowImage
from sqlalchemy import text

from pneumoscope.server.app import create_app
from pneumoscope.server.security.principal import LOCAL
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import Base, Image, Read, StoredPrediction, Study, table_of

CHUNK = 5_000
READS = 500
"""Studies that the account has read."""
FAILED = 1_000
"""One prediction of so many has failed."""


def main() -> None:
    """Make the rows, and time the pages."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--database", help="address of an empty PostgreSQL database; default: SQLite")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", database=options.database, workers=0)
        app = create_app(settings)
        store = app.state.context.store
        began = time.monotonic()
        fill(store, options.studies, model_of(app))
        with store.write() as session:  # a database that has grown for months has done this by itself
            session.execute(text("ANALYZE"))
        print(f"{options.studies:,} studies made in {time.monotonic() - began:.0f} s", flush=True)
        asyncio.run(measure(app, options.studies))
        store.close()


def model_of(app: FastAPI) -> str:
    """Return the identity of the first model."""
    return str(next(iter(app.state.context.catalogue.list_models())))


def fill(store: Store, studies: int, model: str) -> None:
    """Add studies with an image and a prediction each, a few of them read."""
    rng = np.random.default_rng(1)
    for start in range(0, studies, CHUNK):
        numbers = range(start, min(start + CHUNK, studies))
        with store.write() as session:
            for table, rows in rows_of(numbers, model, rng):
                session.connection().execute(table_of(table).insert(), rows)


def rows_of(numbers: range, model: str, rng: np.random.Generator) -> Iterator[tuple[type[Base], list[dict[str, Any]]]]:
    """Yield the rows of some studies, table by table."""
    begin = time.time() - 90 * 24 * 3600
    yield Study, [
        {"id": f"s{n}", "key": None, "patient": f"p{n // 2}", "received": begin + n * 60, "received_by": LOCAL.id}
        for n in numbers
    ]  # fmt: skip
    yield Image, [
        {"id": f"i{n}", "study": f"s{n}", "source": f"x{n}", "sha256": "0" * 64, "format": "dicom", "bits": 12,
         "width": 2048, "height": 2048, "facts": {"view": "PA", "sex": "F", "age": 60.0}, "received": begin + n * 60}
        for n in numbers
    ]  # fmt: skip
    yield StoredPrediction, [prediction(n, model, begin, float(rng.random())) for n in numbers]
    reads = [
        {"id": f"r{n}", "study": f"s{n}", "reader": LOCAL.id, "version": 1, "stage": "unaided", "state": "final",
         "content": {"likelihoods": {}, "conclusion": "Normal" if n % 3 else "COVID-19", "text": ""}, "displayed": [],
         "at": begin + n * 60 + 1}
        for n in numbers if n < READS
    ]  # fmt: skip
    if reads:
        yield Read, reads


def prediction(number: int, model: str, begin: float, score: float) -> dict[str, Any]:
    """Return one row, as large as a real one."""
    failed = number % FAILED == 7
    labels = ["COVID-19", "Normal", "Lung opacity", "Viral pneumonia"]
    rest = (1 - score) / 3
    result = {
        "labels": labels, "probabilities": dict(zip(labels, (score, rest, rest, rest), strict=True)),
        "decision": labels[0] if score > 0.5 else labels[1], "refused": False, "ood": score, "seconds": 0.2 + score,
        "shape": [4, 7, 7], "notes": ["x" * 80] * 4,
    }  # fmt: skip
    return {
        "id": f"q{number}", "image": f"i{number}", "study": f"s{number}", "model": model,
        "state": "failed" if failed else "done", "asked": begin + number * 60, "asked_by": LOCAL.id, "lease": 0.0,
        "attempts": 0, "finished": begin + number * 60 + 1, "worker": None,
        "result": {"error": "x"} if failed else result, "heatmap": bytes(4 * 4 * 49),
    }  # fmt: skip


async def measure(app: FastAPI, studies: int) -> None:
    """Time each page twice, and print the slower."""
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1234))
    pages = {
        "list": "/api/studies",
        "list, state=done": "/api/studies?state=done",
        "list, state=failed": "/api/studies?state=failed",
        "list, state=queued": "/api/studies?state=queued",
        "list, model": f"/api/studies?model={model_of(app)}&state=done",
        "list, patient": f"/api/studies?patient=p{studies // 4}",
        "list, a period": "/api/studies?received_to=2100-01-01T00:00:00Z&state=failed",
        "dashboard, own": "/api/dashboard",
        "dashboard, all": "/api/dashboard?scope=all",
        "dashboard, own, then": "/api/dashboard?",
    }
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1:8000", timeout=600) as client:
        for name, path in pages.items():
            seconds = []
            for _ in range(2):
                began = time.monotonic()
                answer = await client.get(path)
                seconds.append(time.monotonic() - began)
            assert answer.status_code == 200, answer.text
            print(f"{name:22} {max(seconds):7.2f} s", flush=True)
        dashboard = asyncio.create_task(client.get("/api/dashboard?scope=all"))
        await asyncio.sleep(0.05)
        began = time.monotonic()
        answer = await client.post("/api/studies", files=[("files", ("a.png", _png()))])
        print(f"{'upload during it':22} {time.monotonic() - began:7.2f} s", flush=True)
        assert answer.status_code == 201, answer.text
        await dashboard


def _png() -> bytes:
    buffer = BytesIO()
    PillowImage.fromarray(np.full((512, 512), 90, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    main()
