"""How fast the local and the Ray engine predict the same files on the same cores, what starting costs, and memory.

Each engine runs in a process of its own, in turn, several times; the least seconds of each count, since other work on
the machine only adds to them. The seconds of cores hardly depend on other work, and say what the engine itself costs.
Memory is the largest sum of the unique memory (USS) of all its processes.

    python benchmarks/engines.py FOLDER [--workers 2] [--files 400] [--repeats 3] [-o engines.json]
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil

from pneumoscope.bundle.runtime import load
from pneumoscope.core.engines import ENGINES, open_engine
from pneumoscope.core.files import write_json
from pneumoscope.imaging.files import find_images
from pneumoscope.inference.predict import predict_files


def unique_memory() -> int:
    """Return the bytes that this process and those below it have for themselves, shared memory left out."""
    total = 0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            total += process.memory_full_info().uss
        except psutil.Error:
            continue
    return total


def processor_seconds() -> float:
    """Return the seconds of cores that this process and those below it have used."""
    total = 0.0
    for process in [psutil.Process(), *psutil.Process().children(recursive=True)]:
        try:
            times = process.cpu_times()
        except psutil.Error:
            continue
        total += times.user + times.system
    return total


def largest_while(work: Callable[[], None]) -> int:
    """Return the largest `unique_memory` while the work is done."""
    done, largest = threading.Event(), 0

    def watch() -> None:
        nonlocal largest
        while not done.wait(0.5):
            largest = max(largest, unique_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        work()
    finally:
        done.set()
        watcher.join()
    return largest


def measure(name: str, folder: Path, count: int, workers: int, model: str) -> dict[str, float]:
    """Predict the first files with one engine, in this process."""
    loaded, files = load(model), find_images([folder]).files[:count]
    seconds: dict[str, float] = {}

    def run() -> None:
        start = time.perf_counter()
        with open_engine(name, workers=workers) as engine:
            predict_files(loaded, files[:workers], engine=engine)
            seconds["start"] = time.perf_counter() - start
            start, used = time.perf_counter(), processor_seconds()
            predict_files(loaded, files, engine=engine)
            seconds["files"], seconds["cores"] = time.perf_counter() - start, processor_seconds() - used

    memory = largest_while(run)
    return {**seconds, "images_per_second": len(files) / seconds["files"], "memory_mib": memory / 2**20}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--files", type=int, default=400)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--engine", choices=ENGINES, help="measure only this one, in this process")
    parser.add_argument("-o", "--output", type=Path)
    options = parser.parse_args()
    if options.engine:
        measured = measure(options.engine, options.folder, options.files, options.workers, options.model)
        print(json.dumps(measured))
        return
    runs: dict[str, list[dict[str, float]]] = {name: [] for name in ENGINES}
    for _ in range(options.repeats):
        for name in ENGINES:  # in turn, so that a busy minute of the machine meets both
            command = [sys.executable, __file__, *sys.argv[1:], "--engine", name]
            answer = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
            runs[name].append(json.loads(answer.splitlines()[-1]))
            print(f"{name:6} {runs[name][-1]} (load {os.getloadavg()[0]:.1f})", flush=True)
    best: dict[str, Any] = {
        name: {
            "seconds to start": round(min(run["start"] for run in of), 2),
            "images per second": round(max(run["images_per_second"] for run in of), 2),
            "core seconds per image": round(min(run["cores"] for run in of) / options.files, 4),
            "memory in MiB": round(max(run["memory_mib"] for run in of)),
        }
        for name, of in runs.items()
    }
    print(json.dumps(best, indent=2))
    if options.output is not None:
        write_json(options.output, {"best": best, "runs": runs})


if __name__ == "__main__":
    main()
