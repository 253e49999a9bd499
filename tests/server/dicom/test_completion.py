"""When a study is complete: after a quiet time, with all answers, once for each image that comes, after a crash too."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import httpx
import pytest
from sqlalchemy import create_engine, text

from pneumoscope.core.errors import UsageError
from pneumoscope.server.dicom.calling.completion import CompletionWatch, find_complete
from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.settings import DicomSettings, Settings
from pneumoscope.server.storage.database import now
from server.client import Client, predict_all, serve_client
from server.dicom.result_tools import free_port, node_of, receive, store_by_dcmtk
from server.dicom.test_results import FIRST, LATE
from server.sample_files import dicom

pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

QUIET = 60.0


class Handed:
    """A receiver of complete studies, which may fail."""

    def __init__(self) -> None:
        self.studies: list[str] = []
        self.failure: Exception | None = None

    def __call__(self, study: str) -> None:
        if self.failure is not None:
            raise self.failure
        self.studies.append(study)


def watch_of(client: Client, handed: Handed, later: float) -> CompletionWatch:
    """A watch whose clock is so many seconds ahead."""
    return CompletionWatch(client.app.state.context.store, QUIET, handed, lambda: now() + later)


def test_a_study_is_complete_after_a_quiet_time_with_all_answers(settings: Settings) -> None:
    handed = Handed()
    with serve_client(node_of(settings)) as client:
        soon, later = watch_of(client, handed, QUIET - 30), watch_of(client, handed, QUIET + 1)
        study = receive(client, dicom(FIRST)).study
        later.look()
        assert handed.studies == []  # the model has not answered
        predict_all(client)
        soon.look()
        assert handed.studies == []  # it is not quiet
        assert later.look() == 1
        assert later.look() == 0
        receive(client, dicom(FIRST))  # the same object again
        later.look()
        assert handed.studies == [study]
        receive(client, dicom(LATE, value=900))
        predict_all(client)
        later.look()
        assert handed.studies == [study, study]


def test_what_fails_is_tried_again_and_stops_no_other(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    from pneumoscope.server.dicom.calling import completion

    handed, time_passed = Handed(), [0.0]
    monkeypatch.setattr(completion, "monotonic", lambda: time_passed[0])
    with serve_client(node_of(settings)) as client:
        watch = watch_of(client, handed, QUIET + 1)
        first = receive(client, dicom(FIRST)).study
        predict_all(client)
        handed.failure = OSError("the disk is full")
        assert watch.look() == 0
        handed.failure = None
        other = {name: f"{value}.7" for name, value in FIRST.items()}
        second = receive(client, dicom(other, value=900)).study
        predict_all(client)
        assert watch.look() == 1
        assert handed.studies == [second]
        time_passed[0] = 11.0
        assert watch.look() == 1
        assert handed.studies == [second, first]


def test_an_object_that_comes_while_results_are_handed_on_counts(settings: Settings) -> None:
    with serve_client(node_of(settings)) as client:
        store = client.app.state.context.store
        study = receive(client, dicom(FIRST)).study
        predict_all(client)

        def hand_on(_: str) -> None:
            receive(client, dicom(LATE, value=900))

        CompletionWatch(store, QUIET, hand_on, lambda: now() + QUIET + 1).look()
        predict_all(client)
        assert find_complete(store, QUIET, lambda: now() + QUIET + 1) == [study]


def test_an_erased_study_is_forgotten(settings: Settings) -> None:
    handed = Handed()
    with serve_client(node_of(settings)) as client:
        receive(client, dicom(FIRST))
        predict_all(client)
        watch = watch_of(client, handed, QUIET + 1)
        handed.failure = NotFoundError("study")
        watch.look()
        assert find_complete(client.app.state.context.store, 0, lambda: now() + 1) == []


@pytest.mark.parametrize("seconds", [-1.0, 1e6, float("nan")])
def test_a_quiet_time_that_is_none_is_refused(settings: Settings, seconds: float) -> None:
    with pytest.raises(UsageError, match="dicom_quiet_seconds"):
        DicomSettings(quiet_seconds=seconds).validate()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="no SIGKILL on this system")
def test_a_server_that_was_killed_hands_on_what_had_come(tmp_path: Path, models: Path) -> None:
    home, port, http = tmp_path / "home", free_port(), free_port()
    (tiny,) = (model.id for model in Catalogue(models).list_models().values() if not model.builtin)
    command = [
        *(sys.executable, "-m", "pneumoscope", "serve", "--home", str(home), "--port", str(http)),
        *("--models", str(models), "--workers", "1", "--dicom", "--dicom-port", str(port), "--dicom-model", tiny),
    ]

    def start(quiet: float) -> subprocess.Popen[bytes]:
        process = subprocess.Popen([*command, "--dicom-quiet-seconds", str(quiet)], stderr=subprocess.DEVNULL)
        for _ in range(600):
            with suppress(httpx.TransportError):
                if httpx.get(f"http://127.0.0.1:{http}/healthz").status_code == 200:
                    return process
            assert process.poll() is None
            time.sleep(0.1)
        raise AssertionError("the server does not answer")

    def count(table: str) -> int:
        engine = create_engine(f"sqlite:///{home / 'pneumoscope.sqlite'}")
        with engine.connect() as connection:
            counted: int = connection.execute(text(f"SELECT COUNT(*) FROM {table}")).scalar_one()
        engine.dispose()
        return counted

    process = start(3600)
    try:
        store_by_dcmtk(port, tmp_path, dicom(FIRST))
        assert (count("arriving_objects"), count("result_objects")) == (1, 0)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        process = start(0)
        deadline = time.monotonic() + 60
        while count("arriving_objects") and time.monotonic() < deadline:
            time.sleep(0.2)
        assert (count("arriving_objects"), count("result_objects")) == (0, 1)
    finally:
        process.terminate()
        process.wait(60)
