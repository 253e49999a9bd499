"""The programs of a soak (`pacs_soak.py`): the server, an archive, a modality that sends studies; what they cost."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import psutil
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pynetdicom import AE

import pneumoscope as ps
from pneumoscope.imaging.golden_files.encode import dicom
from pneumoscope.server.dicom.calling.association import keep_answers

DIGITAL = "1.2.840.10008.5.1.4.1.1.1.1"
COMPUTED = "1.2.840.10008.5.1.4.1.1.1"
TITLE, ARCHIVE = "PNEUMOSCOPE", "ORTHANC"
PICTURES = 24
"""Phantoms that are drawn; studies beyond that differ from one of them in a pixel."""
START_SECONDS = 60


@dataclass(frozen=True)
class Usage:
    """What the processes of a program use."""

    own_seconds: float
    """Processor seconds of the program itself, since it was started."""
    others_seconds: float
    """The same of the processes that it started."""
    resident: float
    """Resident memory of all of them, in MB; pages that they share are counted in each."""
    proportional: float
    """Memory of all of them, in MB; pages that they share are counted once."""


class Service:
    """A program that answers HTTP; it may be stopped, killed and started again."""

    def __init__(self, command: list[str], address: str, log: Path) -> None:
        self._command, self.address, self._log = command, address, log
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers; in a session of its own, so that Ctrl-C ends the benchmark alone."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log, start_new_session=True)
        for _ in range(START_SECONDS * 10):
            with suppress(httpx.TransportError):
                httpx.get(self.address, timeout=5)
                return
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        raise SystemExit(self._log.read_text(errors="replace")[-3000:])

    def end(self, *, kill: bool = False) -> None:
        """End it, with SIGKILL if so asked; its children too."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        if kill:
            self.process.kill()
        else:
            self.process.terminate()
        self.process.wait(30)
        for child in psutil.wait_procs(family, 5)[1]:
            with suppress(psutil.NoSuchProcess):
                child.kill()

    def measure(self) -> Usage | None:
        """Return what its processes use; None while it is not running."""
        try:
            program = psutil.Process(self.process.pid)
            family = [program, *program.children(recursive=True)]
            seconds = [sum(each.cpu_times()[:2]) for each in family]
            memory = [each.memory_full_info() for each in family]
        except psutil.Error:
            return None
        return Usage(
            own_seconds=seconds[0],
            others_seconds=sum(seconds[1:]),
            resident=sum(each.rss for each in memory) / 2**20,
            proportional=sum(each.pss for each in memory) / 2**20,
        )


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def start_archive(folder: Path, port: int, back: int) -> Service:
    """Start Orthanc, which knows the server as a peer."""
    program = shutil.which("Orthanc", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if program is None:
        raise SystemExit("no Orthanc: apt-get install orthanc")
    http = free_port()
    settings = {
        **{"DicomAet": ARCHIVE, "DicomPort": port, "HttpPort": http, "RemoteAccessAllowed": False, "Plugins": []},
        **{"StorageDirectory": str(folder / "data"), "IndexDirectory": str(folder / "data")},
        **{"AuthenticationEnabled": False, "DicomModalities": {"us": [TITLE, "127.0.0.1", back]}},
    }
    folder.mkdir(exist_ok=True)
    (folder / "orthanc.json").write_text(json.dumps(settings))
    return Service([program, str(folder / "orthanc.json")], f"http://127.0.0.1:{http}/system", folder / "log")


def list_instances(archive: Service) -> list[str]:
    """Return the SOPInstanceUID of each instance in the archive."""
    address = archive.address.removesuffix("/system")
    instances = httpx.get(f"{address}/instances?expand", timeout=600).json()
    return [str(each["MainDicomTags"]["SOPInstanceUID"]) for each in instances]


def draw_pictures(folder: Path, size: int) -> list[Dataset]:
    """Return phantoms as DICOM images of 12-bit samples."""
    if not folder.exists():
        ps.draw_phantoms(folder, per_class=PICTURES // 2, labels=["normal", "lung-opacity"], size=size)
    files = sorted((folder / "images").rglob("*.png"))[:PICTURES]
    tags = {"BurnedInAnnotation": "NO", "Modality": "DX", "StudyDate": "20260102"}
    return [dcmread(BytesIO(dicom(_read_samples(file), 12, tags))) for file in files]


def _read_samples(file: Path) -> NDArray[np.uint16]:
    return np.asarray(Image.open(file).convert("L"), np.uint16) * 16


def make_study(pictures: list[Dataset], number: int) -> Dataset:
    """Return study ``number``: one image of a patient of its own."""
    picture = pictures[number % len(pictures)]
    study = Dataset(picture)
    study.file_meta = picture.file_meta
    study.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.{number}"
    study.SeriesInstanceUID = f"{study.StudyInstanceUID}.1"
    study.SOPInstanceUID = f"{study.StudyInstanceUID}.1.1"
    study.PatientID, study.PatientName = f"S{number}", f"Phantom^{number}"
    first = np.array([number & 0xFFF, number >> 12, 4095], "<u2").tobytes()
    study.PixelData = first + picture.PixelData[len(first) :]
    return study


class Modality:
    """Sends studies, again and again until each is answered with success."""

    def __init__(self, port: int, give_up: threading.Event) -> None:
        """Create it.

        Args:
            port: Of the server.
            give_up: When it is set, what is not answered is sent no more.
        """
        self._port, self._give_up = port, give_up
        self._entity = AE(ae_title="SOAK")
        self._entity.acse_timeout = self._entity.dimse_timeout = self._entity.network_timeout = 60
        for sop_class in (DIGITAL, COMPUTED):
            self._entity.add_requested_context(sop_class, "1.2.840.10008.1.2.1")
        self._association: Any = None
        self._spoke = 0.0
        self.resent = Counter[str]()
        """Why a study had to be sent again, and how often."""

    def send(self, study: Dataset) -> bool:
        """Send a study; return whether it was answered with success."""
        while not self._give_up.is_set():
            if (why := self._try(study)) is None:
                return True
            self.resent[why] += 1
            time.sleep(0.2)
        return False

    def _try(self, study: Dataset) -> str | None:
        """Send a study once; return why it was not stored, if so."""
        if self._association is None or not self._association.is_established:
            self._association = self._entity.associate("127.0.0.1", self._port, ae_title=TITLE)
            self._spoke = time.monotonic()
            keep_answers(self._association)
        if not self._association.is_established:
            return "rejected" if self._association.is_rejected else "no association"
        silent, began = time.monotonic() - self._spoke, time.monotonic()
        try:
            status = self._association.send_c_store(study)
        except RuntimeError:
            return f"the association ended, {silent:.0f} s after the last word"
        self._spoke = time.monotonic()
        if "Status" not in status:
            return f"no answer within {self._spoke - began:.0f} s, {silent:.0f} s after the last word"
        return None if status.Status == 0 else f"status {status.Status:04X}"

    def release(self) -> None:
        """End the association."""
        if self._association is not None and self._association.is_established:
            self._association.release()
