"""Measures what it gains to answer a waiting upload in its decoder instead of in the queue and a worker.

    python benchmarks/inference_paths.py [--uploads 200] [--clients 1 4 16] [--rounds 6] [-o result.json]

The decoder, which has the pixels in memory, answers an upload of one image with `Prefer: wait`. The same image in a ZIP
archive goes through the queue to a worker: archives may hold many images, and many are spread over the workers. Two
servers run side by side, one for each path, and only one works at a time. In each round both get the same files, one
after the other, and the order changes from round to round: whatever else the machine does meets both. Throughput and
processor time are compared round by round. Reading the archive is the one step that only the queue's side has; its
processor time is measured too, so that it can be taken off.
"""

from __future__ import annotations

import argparse
import os
import tempfile
import time
import zipfile
from io import BytesIO
from itertools import islice
from pathlib import Path
from statistics import median
from typing import Any

from serve_files import choose
from serve_load import HERE, Server, percentiles, upload

from pneumoscope.core.engine import default_workers
from pneumoscope.core.files import write_json
from pneumoscope.server.settings import Settings
from pneumoscope.server.uploads import archive

PATHS = ("decoder", "queue")


def write_archives(files: list[str], folder: Path) -> list[str]:
    """Write each file into an archive of its own, uncompressed; return their paths."""
    folder.mkdir(parents=True)
    archives = []
    for number, file in enumerate(files):
        target = folder / f"{number}.zip"
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as opened:
            opened.write(file, f"image{Path(file).suffix}")
        archives.append(str(target))
    return archives


def archive_ms(archives: list[str], settings: Settings) -> float:
    """Return the processor time that the server's reading of one archive takes, in milliseconds."""
    before = time.process_time()
    for path in archives:
        list(archive.read_members(BytesIO(Path(path).read_bytes()), "file 1", settings))
    return 1000 * (time.process_time() - before) / len(archives)


def summarise(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return the figures of each path over all rounds, and the ratios decoder / queue, round by round."""
    summary: dict[str, Any] = {}
    for path, rounds in runs.items():
        answers = [file["answer"] for run in rounds for file in run["files"]]
        summary[path] = {
            "per_second": median(run["per_second"] for run in rounds),
            "cpu_ms_each": median(sum(run["cpu_ms_each"].values()) for run in rounds),
            "answer_ms": percentiles(answers),
        }
    pairs = list(zip(runs["decoder"], runs["queue"], strict=True))
    throughput = [one["per_second"] / other["per_second"] for one, other in pairs]
    cpu = [sum(one["cpu_ms_each"].values()) / sum(other["cpu_ms_each"].values()) for one, other in pairs]
    p50 = [one["answer_ms"]["p50"] / other["answer_ms"]["p50"] for one, other in pairs]
    p95 = [one["answer_ms"]["p95"] / other["answer_ms"]["p95"] for one, other in pairs]
    for name, values in (("throughput", throughput), ("cpu", cpu), ("p50", p50), ("p95", p95)):
        summary[f"{name}_ratio"] = {"median": median(values), "low": min(values), "high": max(values)}
    return summary


def show(clients: int, summary: dict[str, Any]) -> None:
    """Print the figures of one number of clients."""
    print(f"\n{clients} client{'s' * (clients > 1)}")
    for path in PATHS:
        one = summary[path]
        print(
            f"  {path:8} {one['per_second']:6.1f} a second, processor {one['cpu_ms_each']:5.1f} ms each, "
            f"answer p50 {one['answer_ms']['p50']:.0f} p95 {one['answer_ms']['p95']:.0f} ms"
        )
    ratios = ", ".join(
        f"{name} {ratio['median']:.2f} ({ratio['low']:.2f} to {ratio['high']:.2f})"
        for name in ("throughput", "cpu", "p50", "p95")
        if (ratio := summary[f"{name}_ratio"])
    )
    print(f"  decoder / queue, median (low to high) of the rounds: {ratios}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--uploads", type=int, default=200, help="files of one path, one round and one --clients")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rounds", type=int, default=6)
    parser.add_argument("--folder", type=Path, help="where homes of servers go (a disk: synchronisation is measured)")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()

    workers = default_workers()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        count = options.uploads * options.rounds * len(options.clients)
        files, mix = choose(options.data, count, folder / "made")
        archives = write_archives(files, folder / "archives")
        unpacking = archive_ms(archives[: options.uploads], Settings(home=folder / "none"))
        print(f"{len(files)} files: {mix}; reading an archive: {unpacking:.2f} ms of processor time", flush=True)
        servers = {path: Server(folder / path, workers) for path in PATHS}
        for server in servers.values():
            server.start()
            server.settle()
        batches = iter(zip(files, archives, strict=True))
        runs: dict[int, dict[str, list[dict[str, Any]]]] = {
            clients: {path: [] for path in PATHS} for clients in options.clients
        }
        for number in range(options.rounds):
            for clients in options.clients:
                pairs = list(islice(batches, options.uploads))
                sent = {"decoder": [file for file, _ in pairs], "queue": [packed for _, packed in pairs]}
                for path in PATHS if number % 2 == 0 else PATHS[::-1]:
                    run = upload(servers[path], sent[path], clients, folder)
                    if run["errors"]:
                        raise SystemExit(f"{path}: {run['errors'][0]}")
                    runs[clients][path].append(run)
                    print(
                        f"round {number + 1}, {clients:2} clients, {path:8} {run['per_second']:6.1f} a second, "
                        f"load {run['load'][1]:.1f}",
                        flush=True,
                    )
        for server in servers.values():
            server.stop()
    summaries = {clients: summarise(of_clients) for clients, of_clients in runs.items()}
    for clients, summary in summaries.items():
        show(clients, summary)
    if options.out:
        report = {"mix": mix, "cores": os.cpu_count(), "archive_ms": unpacking, "clients": summaries}
        write_json(options.out, report)


if __name__ == "__main__":
    main()
