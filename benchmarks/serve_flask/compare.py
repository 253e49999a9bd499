"""Measures the server against Flask, gunicorn and Keras: the same network, files, clients and cores, in turn.

    python benchmarks/serve_flask/compare.py [--uploads 600] [--clients 16] [--rounds 2] [-o result.json]

What each does with a file that is uploaded: Flask decodes it, runs the network and answers. Pneumoscope checks and
decodes it, takes the patient out of it, stores its pixels so that they survive a power cut, runs the network with its
heatmap and out-of-distribution score, stores the answer, writes down who was shown it, and answers. Keras is called in
two ways: ``predict``, as published systems do, and ``graph`` (`tf.function`), the fastest of the four that app.py knows
on a processor (all are timed alone first); it is the one to beat.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from typing import Any

from pneumoscope.bundle.card import read_card
from pneumoscope.bundle.runtime import bundle_folder
from pneumoscope.core.engine import default_workers
from pneumoscope.core.files import write_json

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from keras_comparison import keras_environment  # noqa: E402
from serve_files import choose  # noqa: E402
from serve_load import Server, show, upload  # noqa: E402

_BATCH_NORM_STATISTICS = 34_112
"""MobileNetV2's moving means and variances, which Keras counts as parameters and torch does not."""


class Flask(Server):
    """The app under gunicorn, one synchronous worker a core."""

    model, path = "", "/predict"

    def __init__(self, home: Path, workers: int, python: Path, call: str, threads: int) -> None:
        super().__init__(home, workers)
        settings = ["--workers", str(workers), "--bind", f"127.0.0.1:{self.port}", "--chdir", str(HERE)]
        self.command = ["env", f"CALL={call}", f"THREADS={threads}", str(python.parent / "gunicorn"), *settings]
        self.command += ["--timeout", "120", "--backlog", "512", "app:create()"]


def environment() -> Path:
    """Return the Python of the Keras environment, with Flask in it."""
    python = keras_environment()
    missing = subprocess.run([python, "-c", "import flask, gunicorn, PIL"], capture_output=True).returncode
    if missing:
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", HERE / "requirements.txt"], check=True)
    return python


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[2] / "shared" / "data")
    parser.add_argument("--uploads", type=int, default=600)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="where the store goes (a disk: synchronisation is measured)")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    python, workers = environment(), default_workers()
    card, _ = read_card(bundle_folder())
    alone = subprocess.run([python, HERE / "app.py"], capture_output=True, text=True, check=True).stdout.split("\n")
    parameters = int(alone[0].split()[1])
    if parameters != card.parameters + _BATCH_NORM_STATISTICS:
        raise SystemExit(f"app.py: {parameters:,} parameters, the built-in model has {card.parameters:,}")
    print(
        "Keras alone, ms of processor time and of the clock an image:", "; ".join(filter(None, alone[1:])), flush=True
    )
    sides: dict[str, tuple[str, int]] = {
        "flask, graph, 1 thread": ("graph", 1),
        "flask, graph, threads by default": ("graph", 0),
        "flask, predict": ("predict", 1),
    }
    runs: dict[str, list[dict[str, Any]]] = {name: [] for name in ("pneumoscope", *sides)}
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        found, words = choose(options.data, 2 * options.uploads, folder / "made")
        files = [path for path in found if not path.endswith(".dcm")][: options.uploads]  # Flask's app reads no DICOM
        print(f"{len(files)} files of {words}, no DICOM; {options.clients} clients, {workers} workers", flush=True)
        for number in range(options.rounds):
            for side in runs:
                home = folder / f"home{number}"
                server = Server(home, workers) if side not in sides else Flask(home, workers, python, *sides[side])
                server.start()
                server.settle()
                run = upload(server, files, options.clients, folder)
                server.stop()
                del run["files"]
                runs[side].append(run)
                show(side, run)
    middle = {
        side: {
            "per_second": median(run["per_second"] for run in of_side),
            "p50": median(run["answer_ms"]["p50"] for run in of_side),
            "cpu_ms": median(sum(run["cpu_ms_each"].values()) for run in of_side),
        }
        for side, of_side in runs.items()
    }
    own = middle["pneumoscope"]
    for side, theirs in middle.items():
        more, less = own["per_second"] / theirs["per_second"], own["p50"] / theirs["p50"]
        figures = (
            f"{theirs['per_second']:6.1f} a second, p50 {theirs['p50']:5.0f} ms, processor {theirs['cpu_ms']:5.1f} ms"
        )
        print(f"{side:34} {figures}; Pneumoscope: {more:.2f} times the throughput, {less:.2f} of the latency")
    if options.out:
        facts = {"alone": alone, "files": words, "cores": os.cpu_count()}
        write_json(options.out, {**facts, "runs": runs, "median": middle})


if __name__ == "__main__":
    main()
