"""`pneumoscope demo`: from nothing to a reading room with studies in it, and back."""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from PIL import Image
from typer.testing import CliRunner

from bundles import write_bundle
from pneumoscope.bundle.prediction import decide
from pneumoscope.bundle.runtime import load
from pneumoscope.cli.demo import welcome
from pneumoscope.cli.main import app
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.data.phantoms import demo_studies
from pneumoscope.data.phantoms.demo_studies import STUDIES, draw_studies, draw_studies_in_process, step_wedge

ROOT = Path(__file__).parents[2]
SMALL = (
    "from pneumoscope.data.phantoms import demo_studies; demo_studies.SIZE = 256; "
    "from pneumoscope.cli.main import run; run()"
)
"""The program, whose drawn studies are quick to draw."""


@contextmanager
def running(*options: str) -> Iterator[tuple[httpx.Client, Callable[[], str]]]:
    """The demo on a free port; a client of it, and what ends it with Ctrl-C and returns what it said."""
    command = [sys.executable, "-c", SMALL, "demo", "--port", "0", "--no-open", *options]
    process = subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True
    )
    assert process.stdout is not None
    said: list[str] = []

    def end() -> str:
        os.killpg(process.pid, signal.SIGINT)  # a terminal sends it to the workers too
        assert process.stdout is not None
        rest = process.stdout.read()  # not `communicate`, which leaves out what has come with the line of the address
        assert process.wait(60) == 0, rest
        return "".join(said) + rest

    try:
        for line in process.stdout:
            said.append(line)
            if found := re.search(r"The reading room: (http://127\.0\.0\.1:\d+/)", line):
                with httpx.Client(base_url=found[1], timeout=60) as client:
                    yield client, end
                break
        else:
            raise AssertionError("".join(said))
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        process.stdout.close()


def wait_for(client: httpx.Client, studies: int) -> list[dict[str, Any]]:
    """Return the answers about all studies once there are so many and all are answered."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        listed = client.get("/api/studies").json()["studies"]
        states = [row["state"] for study in listed for row in study["predictions"]]
        if len(listed) == studies and states == ["done"] * studies:
            return [client.get(f"/api/studies/{study['id']}/predictions").json()[0] | study for study in listed]
        time.sleep(0.2)
    raise AssertionError(listed)


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a group of processes on Windows")
def test_the_demo_fills_itself_and_finds_its_studies_again(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    out = str(tmp_path / "demo")
    with running("--out", out, "--model", str(write_bundle(tmp_path / "tiny"))) as (client, end):
        shown = wait_for(client, len(STUDIES) + 1)
        assert all(each["result"] is not None for each in shown)  # free reading
        assert not client.get("/api/about").json()["reads_first"]
        patients = [each["patient"] for each in shown]
        assert max(patients.count(patient) for patient in patients if patient) == 2
        assert {image["format"] for each in shown for image in each["images"]} == {"png", "dicom"}
        assert client.get("/").headers["content-type"].startswith("text/html")
        with client.stream("GET", "/api/events") as watched:  # as an open page does
            next(watched.iter_lines())
            said = end()
    assert said.startswith("The reading room starts.")
    assert DISCLAIMER in said
    assert "Traceback" not in said
    assert "ERROR" not in said
    with running("--out", out, "--model", str(tmp_path / "tiny"), "--read-first") as (client, end):
        again = wait_for(client, len(shown))
        assert {each["id"] for each in again} == {each["id"] for each in shown}
        assert {each["result"] for each in again} == {None}  # withheld until one's own read is locked
        end()


@pytest.mark.skipif(os.name == "nt", reason="no SIGINT for a group of processes on Windows")
def test_the_demo_takes_images_of_ones_own_and_says_what_is_none(tmp_path: Path) -> None:
    folder = tmp_path / "mine"
    folder.mkdir()
    Image.new("L", (50, 50), 153).save(folder / "mine.png")
    (folder / "broken.png").write_bytes(b"no image")
    options = (str(folder), "--out", str(tmp_path / "o"), "--model", str(write_bundle(tmp_path / "tiny")))
    with running(*options) as (client, end):
        (shown,) = wait_for(client, 1)
        assert shown["result"]["decision"] == "covid-19"  # 153 of 255: over the tiny model's threshold
        said = end()
    assert "broken.png: " in said
    assert "1 of 2 files is in the worklist." in said


def test_a_port_that_is_taken_is_not_another(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = CliRunner().invoke(app, ["demo", "--out", str(tmp_path / "o"), "--port", port, "--no-open"])
    assert done.exit_code == 2
    assert f"--port {port}" in done.output
    assert "is in use" in done.output


def test_the_page_is_opened_where_there_is_a_display(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    opened: list[str] = []
    monkeypatch.setenv("DISPLAY", ":0")
    monkeypatch.setattr(webbrowser, "open", opened.append)
    welcome("http://127.0.0.1:8000/", browser=False)
    assert opened == []
    welcome("http://127.0.0.1:8000/", browser=True)
    assert opened == ["http://127.0.0.1:8000/"]
    assert DISCLAIMER in capsys.readouterr().err


def test_studies_are_drawn_in_a_process_of_their_own_and_come_one_by_one(tmp_path: Path) -> None:
    with draw_studies_in_process(tmp_path) as drawn:
        first = next(drawn)
        assert first.name == "step-wedge.png"
        assert first.stat().st_size > 0
    assert len(list(tmp_path.iterdir())) < len(STUDIES) + 1  # leaving ends the drawing


def test_the_built_in_model_keeps_silent_on_what_is_no_chest() -> None:
    model = load()
    output = model.run(step_wedge(256))
    assert decide(model.card, [float(p) for p in output.probabilities], output.ood)[0] is None


def test_the_server_starts_without_what_few_requests_need() -> None:
    code = (
        "import sys, pneumoscope.server.run\n"
        "heavy = ('scipy.stats', 'scipy.optimize', 'pandas', 'pyarrow', 'matplotlib', 'torch')\n"
        "print([name for name in heavy if name in sys.modules])"
    )
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "[]\n"


def test_one_drawn_patient_comes_twice(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pydicom = pytest.importorskip("pydicom")
    monkeypatch.setattr(demo_studies, "SIZE", 128)
    files = [pydicom.dcmread(path) for path in draw_studies(tmp_path) if path.suffix == ".dcm"]
    other, first, second = files
    assert first.PatientID == second.PatientID != other.PatientID
    assert first.StudyDate < second.StudyDate
    assert first.StudyInstanceUID != second.StudyInstanceUID
    assert {str(file.PatientName) for file in files} == {"SYNTHETIC^PHANTOM"}


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
@pytest.mark.parametrize("variable", ["PATH", "STUDIES"])
def test_make_demo_takes_a_folder_with_a_space_and_keeps_the_search_path(tmp_path: Path, variable: str) -> None:
    (tmp_path / "Makefile").write_text((ROOT / "Makefile").read_text() + '\nsearch-path:\n\t@echo "$$PATH"\n')
    make = [str(shutil.which("make")), "-C", str(tmp_path), f"{variable}=my studies"]
    told = subprocess.run([*make, "-n", "-o", "app", "demo"], capture_output=True, text=True, check=True)
    assert 'pneumoscope demo "my studies"' in told.stdout
    told = subprocess.run([*make, "-s", "search-path"], capture_output=True, text=True, check=True)
    assert told.stdout.strip() == os.environ["PATH"] or not Path("/proc/self/environ").exists()
