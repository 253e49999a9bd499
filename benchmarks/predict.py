"""Measures what `pneumoscope predict` costs beyond decoding and bare ONNX Runtime, and where its time goes.

    python benchmarks/predict.py FOLDER [--model BUNDLE] [--files 500]

"Bare" is the least that anyone could do: Pillow decodes a PNG or JPEG, ONNX Runtime runs the same graph for its
probabilities, on as many threads; no hashes, no checks, no table. The whole command is timed from outside, interpreter
start included. Figures are the medians of alternating repetitions; the time of all cores is given too, since it depends
less on what else the machine is doing.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime as ort
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.bundle.runtime import bundle_folder, load
from pneumoscope.core.engine import default_workers
from pneumoscope.imaging.files import find_images
from pneumoscope.imaging.read import read

COMMAND = [sys.executable, "-c", "from pneumoscope.cli.main import run; run()"]


def cost(action: Callable[[], object]) -> tuple[float, float]:
    """Return the seconds on the clock and of all cores, of this process and its children."""
    clock, cpu = time.perf_counter(), os.times()
    action()
    used = os.times()
    return time.perf_counter() - clock, sum(used[:4]) - sum(cpu[:4])


def quietly(command: list[str]) -> None:
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=True)


def bare_decode(path: str) -> NDArray[np.float32]:
    with Image.open(path) as image:
        return np.asarray(image.convert("L"), np.float32) / np.float32(255)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model", default="builtin")
    parser.add_argument("--files", type=int, default=500)
    parser.add_argument("--repeat", type=int, default=5)
    options = parser.parse_args()

    files = find_images([options.folder]).files[: options.files]
    graph = str(bundle_folder(options.model) / "model.onnx")
    model, workers = load(options.model), default_workers()
    settings = ort.SessionOptions()
    settings.intra_op_num_threads = 1
    session = ort.InferenceSession(graph, settings, providers=["CPUExecutionProvider"])

    def bare(path: str) -> None:
        session.run(["probabilities"], {"image": bare_decode(path)[None, None]})

    def on_threads(action: Callable[[str], object]) -> None:
        with ThreadPoolExecutor(workers) as pool:
            list(pool.map(action, files))

    with tempfile.TemporaryDirectory() as folder:
        listing = [*COMMAND, "predict", "--model", str(options.model), "-o", str(Path(folder) / "out.parquet")]
        arrays = [bare_decode(path)[None, None] for path in files[:100]]
        actions: dict[str, Callable[[], object]] = {
            "bare": lambda: on_threads(bare),
            "stream": lambda: list(model.stream(files)),
            "command": lambda: quietly([*listing, *files]),
            "start-up": lambda: quietly([*listing, files[0]]),
            "help": lambda: quietly([*COMMAND, "--help"]),
            "interpreter": lambda: quietly([sys.executable, "-c", "pass"]),
            "bare decode": lambda: [bare_decode(path) for path in files[:100]],
            "read": lambda: [read(path) for path in files[:100]],
            "graph": lambda: [session.run(["probabilities"], {"image": x}) for x in arrays],
        }
        for action in (actions["bare"], actions["stream"]):
            action()  # warm: files in the page cache, kernels chosen
        costs: dict[str, list[tuple[float, float]]] = {name: [] for name in actions}
        for _ in range(options.repeat):
            for name, action in actions.items():
                costs[name].append(cost(action))

    result: dict[str, object] = {"files": len(files), "workers": workers}
    for kind, title in enumerate(("clock", "all cores")):
        median = {name: statistics.median(found[kind] for found in costs[name]) for name in actions}
        result[title] = {
            "command / bare": round(median["command"] / median["bare"], 3),
            "(command - start-up) / bare": round((median["command"] - median["start-up"]) / median["bare"], 3),
            "stream / bare": round(median["stream"] / median["bare"], 3),
            "seconds": {name: round(value, 3) for name, value in median.items()},
        }
    each = {name: 1000 * median[name] / len(arrays) for name in ("bare decode", "read", "graph")}
    each["stream, beyond read and graph"] = 1000 * median["stream"] / len(files) - each["read"] - each["graph"]
    each["command, beyond stream and start-up"] = (
        1000 * (median["command"] - median["start-up"] - median["stream"]) / len(files)
    )
    result["where it goes, ms an image of one core"] = {name: round(value, 2) for name, value in each.items()}
    print(json.dumps(result, indent=2))


if __name__ == "__main__":
    main()
