"""Send studies to a server by C-STORE and count the reports that reach an archive: once each, whatever fails.

The server (`pneumoscope serve --dicom --dicom-routes`) and the archive (Debian's Orthanc) are started here, on
loopback, each in a folder of its own. The studies are phantoms of one image, each with UIDs, a patient and a pixel of
its own. On the way the server is killed with SIGKILL, and the archive is stopped for a while, as asked. At the end
every study that was answered with success must have one report in the archive, and the archive must hold nothing twice.

    python benchmarks/pacs_soak.py --studies 10000
    python benchmarks/pacs_soak.py --studies 200 --kills 10 --outage 600
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
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

DIGITAL = "1.2.840.10008.5.1.4.1.1.1.1"
COMPUTED = "1.2.840.10008.5.1.4.1.1.1"
TITLE, ARCHIVE = "PNEUMOSCOPE", "ORTHANC"
PICTURES = 24
"""Phantoms that are drawn; studies beyond that differ from one of them in a pixel."""
START_SECONDS = 60
ARCHIVE_TABLES = """
    SELECT o.received, i.sent FROM outbound_items i
    JOIN result_objects r ON r.sop_uid = i.sop_uid
    JOIN archived_objects o ON o.study = r.study
    WHERE i.state IN ('sent', 'committed')
"""


def free_port() -> int:
    """Return a port that nothing listens at."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Service:
    """A program that answers HTTP; it may be stopped, killed and started again."""

    def __init__(self, command: list[str], address: str, log: Path) -> None:
        self._command, self._address, self._log = command, address, log
        self.start()

    def start(self) -> None:
        """Start it and wait until it answers."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self._command, stdout=log, stderr=log)
        for _ in range(START_SECONDS * 10):
            with suppress(httpx.TransportError):
                httpx.get(self._address, timeout=5)
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

    def memory(self) -> float:
        """Return the resident memory of the program itself, in MB."""
        return psutil.Process(self.process.pid).memory_info().rss / 2**20


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
    folder.mkdir()
    (folder / "orthanc.json").write_text(json.dumps(settings))
    return Service([program, str(folder / "orthanc.json")], f"http://127.0.0.1:{http}/system", folder / "log")


def draw_pictures(folder: Path, size: int) -> list[NDArray[np.uint16]]:
    """Return phantoms as 12-bit samples."""
    ps.draw_phantoms(folder, per_class=PICTURES // 2, labels=["normal", "lung-opacity"], size=size)
    files = sorted((folder / "images").rglob("*.png"))[:PICTURES]
    return [np.asarray(Image.open(file).convert("L"), np.uint16) * 16 for file in files]


def make_study(pictures: list[NDArray[np.uint16]], number: int) -> Dataset:
    """Return study ``number``: one image of a patient of its own."""
    samples = pictures[number % len(pictures)].copy()
    samples[0, :3] = number & 0xFFF, number >> 12, 4095
    tags = {
        **{"StudyInstanceUID": f"1.2.826.0.1.3680043.8.498.{number}", "PatientID": f"S{number}"},
        **{"SeriesInstanceUID": f"1.2.826.0.1.3680043.8.498.{number}.1", "BurnedInAnnotation": "NO"},
        **{"SOPInstanceUID": f"1.2.826.0.1.3680043.8.498.{number}.1.1", "PatientName": f"Phantom^{number}"},
        **{"Modality": "DX", "ViewPosition": "PA", "BodyPartExamined": "CHEST", "StudyDate": "20260102"},
    }
    return dcmread(BytesIO(dicom(samples, 12, tags)))


class Modality:
    """Sends studies, again and again until each is answered with success."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._entity = AE(ae_title="SOAK")
        self._entity.acse_timeout = self._entity.dimse_timeout = self._entity.network_timeout = 60
        for sop_class in (DIGITAL, COMPUTED):
            self._entity.add_requested_context(sop_class, "1.2.840.10008.1.2.1")
        self._association: Any = None
        self.resent = 0

    def send(self, study: Dataset) -> None:
        """Send a study."""
        while True:
            if self._association is None or not self._association.is_established:
                self._association = self._entity.associate("127.0.0.1", self._port, ae_title=TITLE)
            if self._association.is_established:
                with suppress(RuntimeError):
                    status = self._association.send_c_store(study)
                    if "Status" in status and status.Status == 0:
                        return
            self.resent += 1
            time.sleep(0.2)

    def release(self) -> None:
        """End the association."""
        if self._association is not None and self._association.is_established:
            self._association.release()


def count_states(database: Path) -> dict[str, int]:
    """Return how many results are in which state of the queue."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        return dict(connection.execute("SELECT state, count(*) FROM outbound_items GROUP BY state"))


def list_waits(database: Path) -> list[float]:
    """Return the seconds from each image's receipt to the archive's success."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        return sorted(sent - received for received, sent in connection.execute(ARCHIVE_TABLES))


def list_instances(archive: Service) -> Iterator[str]:
    """Yield the SOPInstanceUID of each instance in the archive."""
    address = archive._address.removesuffix("/system")
    for each in httpx.get(f"{address}/instances?expand", timeout=600).json():
        yield str(each["MainDicomTags"]["SOPInstanceUID"])


def run(options: argparse.Namespace, folder: Path) -> bool:
    """Run the soak; return whether every study has its report once."""
    port, archive_port, http = free_port(), free_port(), free_port()
    archive = start_archive(folder / "archive", archive_port, port)
    destination = {"title": ARCHIVE, "host": "127.0.0.1", "port": archive_port, "commit": True}
    rules = {
        "destinations": {"research": destination},
        "rules": [{"name": "all", "to": "research"}],
        "retry": {"first_seconds": 1, "longest_seconds": options.longest_pause},
    }
    (folder / "routes.yaml").write_text(json.dumps(rules))  # JSON is YAML
    home = folder / "home"
    command = [sys.executable, "-m", "pneumoscope", "serve", "--home", str(home), "--port", str(http)]
    command += ["--workers", str(options.workers), "--queue", "100000", "--dicom", "--dicom-port", str(port)]
    command += ["--dicom-routes", str(folder / "routes.yaml"), "--dicom-quiet-seconds", str(options.quiet)]
    server = Service(command, f"http://127.0.0.1:{http}/healthz", folder / "server.log")
    database = home / "pneumoscope.sqlite"
    pictures, modality = draw_pictures(folder / "phantoms", options.size), Modality(port)
    kill_at = set(random.Random(options.seed).sample(range(1, options.studies), options.kills))
    stop_at, back_at = (options.studies // 3 if options.outage else -1), float("inf")
    memory: list[float] = []

    def restart() -> None:
        server.end(kill=True)
        server.start()

    killer = threading.Timer(0, str)
    killer.start()
    begun = time.monotonic()
    try:
        for number in range(options.studies):
            if number == stop_at:
                archive.end()
                back_at = time.monotonic() + options.outage
            if time.monotonic() > back_at:
                archive.start()
                back_at = float("inf")
            if number in kill_at:  # while the next studies are sent
                killer.join()
                killer = threading.Timer(random.random(), restart)
                killer.start()
            time.sleep(max(0.0, begun + number * options.pace - time.monotonic()))
            modality.send(make_study(pictures, number))
            if number % max(1, options.studies // 20) == 0:
                with suppress(psutil.NoSuchProcess):
                    memory.append(server.memory())
        killer.join()
        sent = time.monotonic() - begun
        modality.release()
        if back_at != float("inf"):
            time.sleep(max(0.0, back_at - time.monotonic()))
            archive.start()
        states: dict[str, int] = {}
        deadline = time.monotonic() + options.patience
        while states.get("committed", 0) + states.get("dead", 0) < options.studies and time.monotonic() < deadline:
            time.sleep(0.5)
            states = count_states(database)
        done = time.monotonic() - begun
        memory.append(server.memory())
        stored = list(list_instances(archive))
    finally:
        with suppress(psutil.NoSuchProcess):
            server.end()
        with suppress(psutil.NoSuchProcess):
            archive.end()
    waits = list_waits(database)
    print(f"{options.studies} studies sent in {sent:.0f} s, {modality.resent} times again; all done after {done:.0f} s")
    print(f"{options.studies / done:.2f} studies a second; load {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    print(f"states {states}; in the archive {len(stored)}, of them different {len(set(stored))}")
    if waits:
        half, most = waits[len(waits) // 2], waits[int(0.95 * (len(waits) - 1))]
        print(
            f"C-STORE to report stored: median {half:.1f} s, p95 {most:.1f} s, of them quiet time {options.quiet:g} s"
        )
    print("memory of the server's process, MB:", *(f"{each:.0f}" for each in memory))
    return len(stored) == len(set(stored)) == options.studies and states.get("committed") == options.studies


def main() -> None:
    """Run it as the options say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--kills", type=int, default=0, help="times the server is killed with SIGKILL")
    parser.add_argument("--outage", type=float, default=0, help="seconds for which the archive is stopped")
    parser.add_argument("--pace", type=float, default=0, help="seconds between two studies; 0: as fast as they go")
    parser.add_argument("--quiet", type=float, default=1, help="--dicom-quiet-seconds of the server")
    parser.add_argument("--size", type=int, default=512, help="pixels of a side")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--longest-pause", type=float, default=60, help="longest pause between two attempts, seconds")
    parser.add_argument("--patience", type=float, default=1800, help="seconds after the last study")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="soak-") as folder:
        if not run(options, Path(folder)):
            raise SystemExit("not every study has its report once")


if __name__ == "__main__":
    main()
