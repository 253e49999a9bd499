"""Questions about covered images in worker processes: the answers of this process, and a time limit."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import psutil
import pytest

from pneumoscope.bundle.runtime import load
from pneumoscope.server.errors import DamagedError, InvalidRequestError, NotFoundError, UnavailableError
from pneumoscope.server.inference import worker_pool
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.inference.occlusion import BrushStroke, Occlusion
from pneumoscope.server.inference.worker_pool import WorkerPool
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.database import Store
from pneumoscope.server.uploads.decoder_pool import Decoder
from server.client import server_processes
from server.sample_files import png

STROKE = BrushStroke(5, [(10, 10), (20, 20)])


@pytest.fixture
def pool(store: Store, settings: Settings) -> Iterator[WorkerPool]:
    started = WorkerPool(store, settings, Catalogue(settings.models))
    started.start()
    yield started
    started.stop()


@pytest.fixture
def question(settings: Settings) -> Occlusion:
    settings.files.mkdir(parents=True, exist_ok=True)
    catalogue = Catalogue(settings.models)
    upload = Decoder(settings.files, settings.max_pixels, catalogue).decode(png(0.6), "file 1", "a1")
    assert settings.models is not None
    return Occlusion("a1", upload.png_sha256, load(settings.models / "tiny").identity, [STROKE], "exclude")


def worker_processes() -> list[psutil.Process]:
    return server_processes(psutil.Process())


def test_a_worker_answers_as_this_process_does(
    pool: WorkerPool, question: Occlusion, store: Store, settings: Settings
) -> None:
    here = WorkerPool(store, replace(settings, workers=0), Catalogue(settings.models))  # not started
    assert pool.occlude(question) == here.occlude(question)
    for wrong, error in (
        (replace(question, strokes=[BrushStroke(1, [(-50, -50)])]), InvalidRequestError),
        (replace(question, model="0" * 64), NotFoundError),
        (replace(question, image="a2"), NotFoundError),
        (replace(question, sha256="0" * 64), DamagedError),
    ):
        for place in (pool, here):
            with pytest.raises(error):
                place.occlude(wrong)
    assert pool.occlude(question).covered == pytest.approx(0.13, abs=0.05)


def test_a_worker_that_hangs_is_killed_and_replaced(
    pool: WorkerPool, question: Occlusion, monkeypatch: pytest.MonkeyPatch
) -> None:
    pool.occlude(question)
    (process,) = worker_processes()
    process.suspend()
    monkeypatch.setattr(worker_pool, "OCCLUSION_SECONDS", 0.5)
    with pytest.raises(UnavailableError):
        pool.occlude(question)
    deadline = time.monotonic() + 120
    while psutil.pid_exists(process.pid):  # no wait of psutil: it would take the exit status from the pool
        assert time.monotonic() < deadline
        time.sleep(0.05)
    monkeypatch.undo()
    assert pool.occlude(question)


def test_the_end_of_a_worker_ends_the_wait_for_its_answer(pool: WorkerPool, question: Occlusion) -> None:
    pool.occlude(question)
    (process,) = worker_processes()
    process.suspend()
    errors: list[BaseException] = []

    def ask() -> None:
        with pytest.raises(UnavailableError, match="its worker ended") as refused:
            pool.occlude(question)
        errors.append(refused.value)

    waiting = threading.Thread(target=ask)
    waiting.start()
    time.sleep(1)
    process.kill()
    waiting.join(120)
    assert len(errors) == 1
    assert pool.occlude(question)


def test_a_server_without_workers_answers_questions_in_a_process_too(
    store: Store, settings: Settings, question: Occlusion
) -> None:
    pool = WorkerPool(store, replace(settings, workers=0), Catalogue(settings.models))
    pool.start()
    try:
        before = worker_processes()
        assert pool.occlude(question).covered > 0
        assert len(worker_processes()) == len(before) + 1
    finally:
        pool.stop()
