"""Send studies to a server by C-STORE and count the reports that reach an archive: once each, whatever fails.

The server (`pneumoscope serve --dicom --dicom-routes`) and the archive (Debian's Orthanc) are started here, on
loopback, each in a folder of its own. The studies are phantoms of one image, each with UIDs, a patient and a pixel of
its own. On the way the server is killed with SIGKILL, and the archive is stopped for a while, as asked. At the end
every study that was answered with success must have one report in the archive, and the archive must hold nothing twice.

With `--folder` a soak outlasts its end: the folder keeps the data of server and archive and a record. SIGTERM and
Ctrl-C end it in order, and the same command goes on, until all studies are there. A line each minute says how it
stands; `FOLDER/soak.json` has the measures at the end.

    python benchmarks/pacs_soak.py --studies 10000 --folder soak --on-the-way 40
    python benchmarks/pacs_soak.py --studies 200 --kills 10 --outage 600
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import psutil
from pacs_programs import (
    ARCHIVE,
    Modality,
    Service,
    draw_pictures,
    free_port,
    list_instances,
    make_study,
    start_archive,
)

LOOK_SECONDS = 0.5
MEASURE_SECONDS, SAY_SECONDS = 10.0, 60.0
TENTHS = 10
ENDED = ("sent", "committed", "dead")
STATES = "SELECT state, count(*) FROM outbound_items GROUP BY state"
QUEUE = "SELECT count(*) FROM predictions WHERE state IN ('queued', 'running')"
WAITS = """
    SELECT i.sent - o.received FROM outbound_items i
    JOIN result_objects r ON r.sop_uid = i.sop_uid
    JOIN archived_objects o ON o.study = r.study
    WHERE i.state IN ('sent', 'committed') ORDER BY i.sent DESC LIMIT ?
"""


@dataclass
class Record:
    """What a soak has done so far, over all of its runs."""

    size: int
    sent: int = 0
    """Studies that were answered with success: the first so many."""
    resent: dict[str, int] = field(default_factory=dict)
    """How often a study was sent again, by the reason."""
    seconds: float = 0.0
    """For which it ran."""
    runs: int = 0
    processor: dict[str, float] = field(default_factory=dict)
    """Seconds of each program."""
    memory: list[tuple[int, float, float]] = field(default_factory=list)
    """Reports that the archive had; resident and proportional memory of the server's processes then, in MB."""

    def write(self, file: Path) -> None:
        """Write it so that the file is whole at any time."""
        temporary = file.with_suffix(".new")
        temporary.write_text(json.dumps(asdict(self)))
        temporary.replace(file)

    def by_tenths(self, studies: int) -> list[dict[str, float]]:
        """Return the memory by tenths of the soak: mean and most."""
        tenths: dict[int, list[tuple[float, float]]] = {}
        for there, resident, proportional in self.memory:
            tenths.setdefault(min(TENTHS - 1, there * TENTHS // studies), []).append((resident, proportional))
        return [
            {
                "tenth": tenth + 1,
                "resident_mean": sum(each[0] for each in values) / len(values),
                "resident_most": max(each[0] for each in values),
                "proportional_mean": sum(each[1] for each in values) / len(values),
            }
            for tenth, values in sorted(tenths.items())
        ]


def ask(database: Path, query: str, *values: object) -> list[Any]:
    """Return the rows of a query to the server's database."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True, timeout=30) as connection:
        return connection.execute(query, values).fetchall()


def quantiles(waits: list[float]) -> tuple[float, float]:
    """Return median and 95 % quantile."""
    ordered = sorted(waits)
    return ordered[len(ordered) // 2], ordered[int(0.95 * (len(ordered) - 1))]


class Soak:
    """One run of a soak, in a folder."""

    def __init__(self, options: argparse.Namespace, folder: Path, stop: threading.Event) -> None:
        """Start the programs.

        Args:
            options: As of the command line.
            folder: For the data of all programs, and the record.
            stop: When it is set, the run ends.
        """
        self._options, self._file = options, folder / "record.json"
        self.record = Record(options.size)
        if self._file.exists():
            self.record = Record(**json.loads(self._file.read_text()))
        if self.record.size != options.size:
            raise SystemExit(f"{folder} is of a soak with --size {self.record.size}")
        self.record.runs += 1
        self._port, archive_port, http = free_port(), free_port(), free_port()
        self.archive = start_archive(folder / "archive", archive_port, self._port)
        destination = {"title": ARCHIVE, "host": "127.0.0.1", "port": archive_port, "commit": True}
        rules = {
            "destinations": {"research": destination},
            "rules": [{"name": "all", "to": "research"}],
            "retry": {"first_seconds": 1, "longest_seconds": options.longest_pause},
        }
        (folder / "routes.yaml").write_text(json.dumps(rules))  # JSON is YAML
        home = folder / "home"
        command = [sys.executable, "-m", "pneumoscope", "serve", "--home", str(home), "--port", str(http)]
        command += ["--workers", str(options.workers), "--queue", "100000", "--dicom", "--dicom-port", str(self._port)]
        command += ["--dicom-routes", str(folder / "routes.yaml"), "--dicom-quiet-seconds", str(options.quiet)]
        self._server = Service(command, f"http://127.0.0.1:{http}/healthz", folder / "server.log")
        self.database = home / "pneumoscope.sqlite"
        self._pictures = draw_pictures(folder / "phantoms", options.size)
        self._kill_at = set(random.Random(options.seed).sample(range(1, options.studies), options.kills))
        self._stop_at = options.studies // 3 if options.outage else -1
        self._killer = threading.Timer(0, str)
        self._killer.start()
        self._lock = threading.Lock()
        self._stop = stop
        self._waiting = threading.Event()
        self._next, self._open = self.record.sent, set[int]()
        self._there, self._done = 0, False
        self._used = self._read_processor_seconds()  # what was used to start does not count
        self._began = time.monotonic()

    def run(self) -> bool:
        """Send what was not sent, and wait until all is there; return False where it was interrupted."""
        senders = [threading.Thread(target=self._send) for _ in range(self._options.associations)]
        for sender in senders:
            sender.start()
        try:
            self._watch(senders)
        finally:
            self._stop.set()
            for sender in senders:
                sender.join()
            self._killer.join()
        return self._done

    def _watch(self, senders: list[threading.Thread]) -> None:
        """Look how it stands until all is there."""
        measured, said, came = 0.0, time.monotonic(), 0
        looked, last_change = time.monotonic(), time.monotonic()
        while not self._stop.is_set() and not self._done:
            time.sleep(LOOK_SECONDS)
            states = self.states()
            there = self._there = sum(states.get(state, 0) for state in ENDED)
            now = time.monotonic()
            self._done = states.get("committed", 0) + states.get("dead", 0) >= self._options.studies
            self.record.seconds += now - looked
            looked = now
            if self._count_open() < self._options.on_the_way:
                self._waiting.set()
            if now - measured >= MEASURE_SECONDS:
                measured = now
                self._measure()
            if now - said >= SAY_SECONDS:
                rate, said, came = (there - came) / (now - said), now, there
                self._say(rate)
            if any(sender.is_alive() for sender in senders):
                last_change = now
            if now - last_change > self._options.patience:
                return
        self._measure()

    def _count_open(self) -> int:
        """Return how many studies were sent, or are being sent, and are not in the archive."""
        with self._lock:
            return self._next - self._there

    def _send(self) -> None:
        modality = Modality(self._port, self._stop)
        while (number := self._take()) is not None:
            time.sleep(max(0.0, self._began + number * self._options.pace - time.monotonic()))
            self._disturb(number)
            if modality.send(make_study(self._pictures, number)):
                with self._lock:
                    self._open.discard(number)
                    self.record.sent = min(self._open, default=self._next)
        with self._lock:
            self.record.resent = dict(Counter(self.record.resent) + modality.resent)
        modality.release()

    def _take(self) -> int | None:
        """Return the next study, when its turn has come; None where there is none."""
        while not self._stop.is_set():
            with self._lock:
                if self._next >= self._options.studies:
                    return None
                if self._next - self._there < self._options.on_the_way:
                    self._open.add(self._next)
                    self._next += 1
                    return self._next - 1
                self._waiting.clear()
            self._waiting.wait(LOOK_SECONDS)
        return None

    def _disturb(self, number: int) -> None:
        """Kill the server or stop the archive, if that was asked for at this study."""
        with self._lock:
            if number in self._kill_at:  # while the next studies are sent
                self._killer.join()
                self._killer = threading.Timer(random.random(), self._restart)
                self._killer.start()
            if number == self._stop_at:
                self.archive.end()
                threading.Timer(self._options.outage, self.archive.start).start()

    def _restart(self) -> None:
        self._server.end(kill=True)
        self._server.start()

    def states(self) -> dict[str, int]:
        """Return how many results are in which state of the queue."""
        return dict(ask(self.database, STATES))

    def _measure(self) -> None:
        """Add what was used since the last measure to the record."""
        used = self._read_processor_seconds()
        for name, seconds in used.items():
            before = self._used.get(name, 0.0)  # more than now, where the program was started again
            self.record.processor[name] = self.record.processor.get(name, 0.0) + seconds - min(before, seconds)
        self._used = used
        if (usage := self._server.measure()) is not None:
            self.record.memory.append((self._there, usage.resident, usage.proportional))
        with self._lock:
            self.record.write(self._file)

    def _read_processor_seconds(self) -> dict[str, float]:
        """Return the processor seconds of each program so far; without those that are not running."""
        used = {"sender": time.process_time()}
        if (server := self._server.measure()) is not None:
            used |= {"server": server.own_seconds, "its other processes": server.others_seconds}
        if (archive := self.archive.measure()) is not None:
            used["archive"] = archive.own_seconds
        return used

    def _say(self, rate: float) -> None:
        resident, proportional = self.record.memory[-1][1:] if self.record.memory else (0.0, 0.0)
        ((queue,),) = ask(self.database, QUEUE)
        waits = [wait for (wait,) in ask(self.database, WAITS, 500)]
        half, most = quantiles(waits) if waits else (0.0, 0.0)
        print(
            f"{time.strftime('%H:%M:%S')}  sent {self.record.sent}, in the archive {self._there}, {rate:.2f} a second; "
            f"server {resident:.0f} MB resident, {proportional:.0f} MB shared once; {queue} predictions wait; "
            f"last 500 to the archive: median {half:.1f} s, p95 {most:.1f} s",
            flush=True,
        )

    def end(self) -> None:
        """End the programs and keep the record."""
        for program in (self._server, self.archive):
            with suppress(psutil.NoSuchProcess):
                program.end()
        self.record.write(self._file)


def judge(soak: Soak, options: argparse.Namespace) -> tuple[bool, dict[str, Any]]:
    """Return whether every study has its report once, and the measures."""
    record, stored, states = soak.record, list_instances(soak.archive), soak.states()
    waits = [wait for (wait,) in ask(soak.database, WAITS, -1)]
    half, most = quantiles(waits) if waits else (None, None)
    measures = {
        **{"studies": options.studies, "seconds": record.seconds, "runs": record.runs, "sent_again": record.resent},
        **{"rate": options.studies / record.seconds, "on_the_way": options.on_the_way, "size": options.size},
        **{"states": states, "in_archive": len(stored), "different": len(set(stored))},
        **{"quiet_seconds": options.quiet, "median_seconds": half, "p95_seconds": most},
        "processor_seconds_per_study": {name: value / options.studies for name, value in record.processor.items()},
        "memory_mb_by_tenths": record.by_tenths(options.studies),
        **{"load": os.getloadavg()[0], "cores": os.cpu_count()},
    }
    whole = len(stored) == len(set(stored)) == options.studies and states.get("committed") == options.studies
    return whole, measures


def say_measures(measures: dict[str, Any]) -> None:
    """Print the measures for people."""
    print(f"{measures['studies']} studies in {measures['seconds']:.0f} s")
    for why, times in measures["sent_again"].items():
        print(f"sent again {times} times: {why}")
    print(f"{measures['rate']:.2f} studies a second; load {measures['load']:.1f} on {measures['cores']} cores")
    print(f"states {measures['states']}; in the archive {measures['in_archive']}, different {measures['different']}")
    if measures["median_seconds"] is not None:
        print(
            f"C-STORE to report stored: median {measures['median_seconds']:.1f} s, p95 {measures['p95_seconds']:.1f} s,"
            f" of them quiet time {measures['quiet_seconds']:g} s; at most {measures['on_the_way']} studies on the way"
        )
    seconds = measures["processor_seconds_per_study"]
    print("processor ms per study:", ", ".join(f"{name} {1000 * value:.0f}" for name, value in seconds.items()))
    tenths = measures["memory_mb_by_tenths"]
    print("server's memory by tenths, MB resident:", *(f"{each['resident_mean']:.0f}" for each in tenths))


def main() -> None:
    """Run it as the options say."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=10_000)
    parser.add_argument("--folder", type=Path, help="keeps data and record: the same command goes on")
    parser.add_argument("--kills", type=int, default=0, help="times the server is killed with SIGKILL")
    parser.add_argument("--outage", type=float, default=0, help="seconds for which the archive is stopped")
    parser.add_argument("--pace", type=float, default=0, help="seconds between two studies; 0: as fast as they go")
    parser.add_argument("--on-the-way", type=int, default=1_000_000, help="studies sent and not in the archive at most")
    parser.add_argument("--associations", type=int, default=2, help="associations that send at once")
    parser.add_argument("--quiet", type=float, default=1, help="--dicom-quiet-seconds of the server")
    parser.add_argument("--size", type=int, default=512, help="pixels of a side")
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--longest-pause", type=float, default=60, help="longest pause between two attempts, seconds")
    parser.add_argument("--patience", type=float, default=1800, help="seconds after the last study")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    stop = threading.Event()
    for each in (signal.SIGTERM, signal.SIGINT):
        signal.signal(each, lambda *_: stop.set())
    if options.folder is not None:
        options.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="soak-") as temporary:
        folder = options.folder or Path(temporary)
        soak = Soak(options, folder, stop)
        try:
            if not soak.run():
                states = soak.states()
                raise SystemExit(f"ended before all was there: sent {soak.record.sent}, {states}")
            whole, measures = judge(soak, options)
        finally:
            soak.end()
    say_measures(measures)
    if options.folder is not None:
        (folder / "soak.json").write_text(json.dumps(measures, indent=2))
    if not whole:
        raise SystemExit("not every study has its report once")


if __name__ == "__main__":
    main()
