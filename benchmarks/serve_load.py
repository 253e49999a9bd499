"""Measures what the server costs beyond decoding and inference, and what it loses when it is killed.

    python benchmarks/serve_load.py [--uploads 2000] [--clients 16 50] [--rounds 2] [--no-kill] [-o result.json]
    python benchmarks/serve_load.py --postgres postgresql://...      (an empty database for each round; see --help)

Two measurements, with the same files:

*Throughput.* In turn, ``--rounds`` times: the files are decoded and inferred by bare processes (the package's own
`read` and `Model.run`, one ONNX thread each, one process a core), then uploaded to `pneumoscope serve` (with as many
workers) by 16 and by 50 clients, each of which waits for its answer (`Prefer: wait`; with ``--watch`` by events, as the
page does). Everything runs on the same cores: the server, its workers and the clients, whose processor time counts.
Each served round begins with an empty store.

*Kills.* Once more with 16 and with 50 clients, and with ``kill -9`` of the whole server after a third and of all its
decoders and workers after two thirds. Then every file must have exactly one image and one answer, the one that
`predict` gives.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from statistics import median
from typing import Any
from urllib.request import Request, urlopen

import numpy as np
import psutil
from PIL import Image
from serve_client import BOUNDARY, multipart
from serve_files import choose

from pneumoscope.bundle.runtime import load
from pneumoscope.core.engine import default_workers
from pneumoscope.core.files import write_json
from pneumoscope.imaging.read import read

HERE = Path(__file__).resolve().parent


_ALIVE = 60.0
"""Seconds that a server gets to answer."""


class Server:
    """`pneumoscope serve` on a port and a home folder of its own, which may be killed and started again."""

    model, path = "builtin", "/api/studies"

    def __init__(self, home: Path, workers: int, database: str | None = None) -> None:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        self._log = home.parent / f"{home.name}.log"
        self.command = [
            *(sys.executable, "-m", "pneumoscope", "serve", "--home", str(home)),
            *("--port", str(self.port), "--workers", str(workers)),
            *(() if database is None else ("--database", database)),
        ]
        self.warmed: list[str] = []
        """Images that were sent before the measurement."""
        self._spent: Counter[str] = Counter()
        self._workers = workers

    def start(self) -> None:
        """Start it, and wait until it and its workers can answer."""
        with self._log.open("ab") as log:
            self.process = subprocess.Popen(self.command, stdout=log, stderr=log)
        until = time.perf_counter() + _ALIVE
        while time.perf_counter() < until:
            if self.process.poll() is not None:
                break
            with suppress(OSError), urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                if answer.status == 200:
                    return
            time.sleep(0.05)
        raise SystemExit(f"the server did not start:\n{self._log.read_text()[-2000:]}")

    def workers(self) -> list[psutil.Process]:
        """Its decoders and workers."""
        return [child for child in psutil.Process(self.process.pid).children() if _is_worker(child)]

    def settle(self) -> None:
        """Ask a few drawn squares and wait until it is quiet: loading programs and models is not what is measured."""
        for number in range(2 * self._workers):
            buffer = BytesIO()
            Image.fromarray(np.full((64, 64 + number), 99, np.uint8)).save(buffer, "PNG")
            body = b"".join(multipart(buffer.getvalue(), self.model))
            kind = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"}
            with urlopen(Request(f"http://127.0.0.1:{self.port}{self.path}", body, kind), timeout=60) as answer:
                self.warmed += [file["image"] for file in json.loads(answer.read()).get("files", ())]
        quiet = 0
        while quiet < 5:
            before = sum(self.cpu().values())
            time.sleep(0.3)
            quiet = quiet + 1 if sum(self.cpu().values()) - before < 0.03 else 0

    def cpu(self) -> dict[str, float]:
        """Return the processor seconds of server and workers until now, of killed ones too."""
        spent = Counter(self._spent)
        spent.update(self._now())
        return dict(spent)

    def _now(self) -> dict[str, float]:
        with suppress(psutil.NoSuchProcess):
            own = psutil.Process(self.process.pid)
            of_workers = 0.0
            for child in own.children():
                with suppress(psutil.NoSuchProcess):
                    of_workers += _seconds(child)
            return {"server": _seconds(own), "workers": of_workers}
        return {"server": 0.0, "workers": 0.0}

    def kill(self) -> None:
        """Kill the server as a power cut would; its workers notice and end."""
        self._spent.update(self._now())
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def kill_workers(self) -> None:
        """Kill every decoder and worker."""
        for worker in self.workers():
            self._spent["workers"] += _seconds(worker)
            worker.send_signal(signal.SIGKILL)

    def stop(self) -> None:
        """Stop it in peace."""
        if self.process.poll() is None:
            self.process.terminate()
            self.process.wait(60)


def _is_worker(process: psutil.Process) -> bool:
    """Whether a child of the server decodes or predicts (the others are multiprocessing's own)."""
    with suppress(psutil.Error):
        return "spawn_main" in " ".join(process.cmdline())
    return False


def _seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def upload(
    server: Server, files: list[str], clients: int, folder: Path, *, kills: bool = False, watch: bool = False
) -> dict[str, Any]:
    """Send files to a server; return what was measured, and each file's outcome under ``files``."""
    listing, out = folder / "files.json", folder / "client.json"
    listing.write_text(json.dumps(files))
    command = [sys.executable, str(HERE / "serve_client.py"), "--port", str(server.port), "--files", str(listing)]
    command += ["--clients", str(clients), "--model", server.model, "--out", str(out)]
    command += ["--watch"] if watch else []
    before, load = server.cpu(), os.getloadavg()[0]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    killed: set[str] = set()
    for line in process.stdout:
        done = int(line) if line.strip().isdigit() else 0
        if kills and "server" not in killed and done >= len(files) / 3:
            killed.add("server")
            server.kill()
            server.start()
        if kills and "workers" not in killed and done >= 2 * len(files) / 3:
            killed.add("workers")
            server.kill_workers()
    if process.wait():
        raise SystemExit("the clients failed")
    after, result = server.cpu(), json.loads(out.read_text())
    uploads, answers = ([each[key] for each in result["files"]] for key in ("upload", "answer"))
    cpu = {name: after[name] - before.get(name, 0.0) for name in after} | {"clients": result["cpu"]}
    return {
        "seconds": result["seconds"],
        "per_second": len(files) / result["seconds"],
        "cpu_ms_each": {name: 1000 * spent / len(files) for name, spent in cpu.items()},
        "upload_ms": percentiles(uploads),
        "answer_ms": percentiles(answers),
        "retries": sum(each["retries"] for each in result["files"]),
        "put_off": sum(each["put_off"] for each in result["files"]),
        "errors": [each["error"] for each in result["files"] if each["error"]],
        "load": [load, os.getloadavg()[0]],
        "files": result["files"],
    }


def percentiles(seconds: list[float]) -> dict[str, float]:
    """Return p50, p95 and the largest, in milliseconds."""
    low, high, most = (1000 * float(v) for v in np.percentile(seconds, [50, 95, 100]))
    return {"p50": low, "p95": high, "max": most}


def bare_process(files: list[str], taken: Any, ready: Any, out: Any) -> None:
    """Decode and infer, file after file, until none is left."""
    model = load()
    model.run(read(files[0]).pixels)
    ready.wait()
    before = resource.getrusage(resource.RUSAGE_SELF)
    while True:
        with taken.get_lock():
            number = taken.value
            taken.value += 1
        if number >= len(files):
            break
        model.run(read(files[number]).pixels)
    after = resource.getrusage(resource.RUSAGE_SELF)
    ready.wait()
    out.put(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime)


def bare(files: list[str], processes: int) -> dict[str, Any]:
    """Decode and infer files without a server; the least that must be done."""
    context = multiprocessing.get_context("spawn")
    taken, ready, out = context.Value("q", 0), context.Barrier(processes + 1), context.Queue()
    started = [context.Process(target=bare_process, args=(files, taken, ready, out)) for _ in range(processes)]
    for process in started:
        process.start()
    ready.wait()
    begun, load = time.perf_counter(), os.getloadavg()[0]
    ready.wait()
    seconds = time.perf_counter() - begun
    cpu = sum(out.get() for _ in started)
    for process in started:
        process.join()
    return {
        "seconds": seconds,
        "per_second": len(files) / seconds,
        "cpu_ms_each": {"bare": 1000 * cpu / len(files)},
        "load": [load, os.getloadavg()[0]],
    }


def check_answers(server: Server, run: dict[str, Any], expected: dict[str, tuple[float, ...]]) -> dict[str, Any]:
    """Return how many files were lost or doubled, and how far the answers are from `predict`'s."""
    studies: list[dict[str, Any]] = []
    page = ""
    while True:
        with urlopen(f"http://127.0.0.1:{server.port}/api/studies?limit=200{page}", timeout=60) as answer:
            body = json.loads(answer.read())
        studies += body["studies"]
        if body["next"] is None:
            break
        page = f"&after={body['next']}"
    sent_images = [image["id"] for study in studies for image in study["images"]]
    rows = [row for study in studies for row in study["predictions"] if row["image"] not in server.warmed]
    images = Counter(image for image in sent_images if image not in server.warmed)
    answers, states = Counter(row["image"] for row in rows), Counter(row["state"] for row in rows)
    files = run["files"]
    off = [
        max(abs(a - b) for a, b in zip(each["result"]["probabilities"].values(), expected[each["file"]], strict=True))
        for each in files
        if each["result"] and not each["error"]
    ]
    return {
        "files": len(files),
        "lost": sum(1 for each in files if images[each["image"]] != 1 or answers[each["image"]] < 1),
        "doubled": len(images) - len({each["image"] for each in files}) + sum(n - 1 for n in answers.values()),
        "images": len(images),
        "answers": sum(answers.values()),
        "states": dict(states),
        "answers_as_predict": sum(1 for value in off if value == 0),
        "farthest_from_predict": max(off, default=None),
    }


def databases(url: str | None, count: int) -> list[str | None]:
    """Return an empty database for each round: None (SQLite in the home folder), or new ones of a PostgreSQL."""
    if url is None:
        return [None] * count
    import psycopg
    from psycopg import sql

    names = [f"bench_{os.getpid()}_{number}" for number in range(count)]
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    head, _, query = url.partition("?")
    base = head.rpartition("/")[0]
    return [f"{base}/{name}{'?' + query if query else ''}" for name in names]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--uploads", type=int, default=2000)
    parser.add_argument("--clients", type=int, nargs="+", default=[16, 50])
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--no-kill", action="store_true", help="only measure throughput")
    parser.add_argument("--watch", action="store_true", help="clients follow the event stream instead of waiting")
    parser.add_argument("--only-kill", action="store_true", help="only kill")
    parser.add_argument("--postgres", help="URL of a PostgreSQL where databases may be made", metavar="URL")
    parser.add_argument("--folder", type=Path, help="where homes of servers go (a disk: synchronisation is measured)")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()

    workers = default_workers()
    report: dict[str, Any] = {"uploads": options.uploads, "cores": os.cpu_count(), "workers": workers}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        files, report["mix"] = choose(options.data, options.uploads, folder / "made")
        print(f"{len(files)} files: {report['mix']}", flush=True)
        rounds = 0 if options.only_kill else options.rounds
        homes = iter(enumerate(databases(options.postgres, (rounds + 1) * len(options.clients))))

        def serve(clients: int, kills: bool) -> tuple[dict[str, Any], Server]:
            number, database = next(homes)
            server = Server(folder / f"home{number}", workers, database)
            server.start()
            server.settle()
            run = upload(server, files, clients, folder, kills=kills, watch=options.watch)
            return run, server

        sides: dict[str, list[dict[str, Any]]] = {"bare": []}
        for _ in range(rounds):
            sides["bare"].append(bare(files, workers))
            show("bare", sides["bare"][-1])
            for clients in options.clients:
                run, server = serve(clients, False)
                server.stop()
                del run["files"]
                sides.setdefault(f"{clients} clients", []).append(run)
                show(f"{clients} clients", run, sides["bare"][-1])
        report["throughput"] = sides
        if rounds:
            base = median(run["per_second"] for run in sides["bare"])
            report["ratio"] = {
                side: median(run["per_second"] for run in runs) / base for side, runs in sides.items() if side != "bare"
            }
        if not options.no_kill:
            model = load()
            expected = {p.path: p.probabilities for p in model.stream(files)}
            report["kills"] = {}
            for clients in options.clients:
                run, server = serve(clients, True)
                outcome = check_answers(server, run, expected)
                server.stop()
                del run["files"]
                report["kills"][f"{clients} clients"] = run | {"outcome": outcome}
                show(f"kills, {clients} clients", run)
                print(f"  {json.dumps(outcome)}", flush=True)
    if options.out:
        write_json(options.out, report)


def show(name: str, run: dict[str, Any], base: dict[str, Any] | None = None) -> None:
    """Print one round."""
    each = ", ".join(f"{key} {value:.1f}" for key, value in run["cpu_ms_each"].items())
    whole = sum(run["cpu_ms_each"].values())
    line = f"{name:18} {run['per_second']:6.1f} a second, processor {whole:.1f} ms each ({each})"
    if base is not None:
        spent = sum(base["cpu_ms_each"].values())
        line += f"; of bare: {run['per_second'] / base['per_second']:.2f}, by processor time {spent / whole:.2f}"
    for key in ("upload_ms", "answer_ms"):
        if key in run:
            line += f"; {key[:-3]} p50 {run[key]['p50']:.0f} p95 {run[key]['p95']:.0f} max {run[key]['max']:.0f} ms"
    if "retries" in run:
        line += f"; retries {run['retries']}, put off {run['put_off']}, errors {len(run['errors'])}"
    print(f"{line}; load {run['load'][0]:.1f} to {run['load'][1]:.1f}", flush=True)


if __name__ == "__main__":
    main()
