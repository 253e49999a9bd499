"""Measures a whole `data import` at growing sizes: drawn images in the layout of NIH ChestX-ray14, a file for each.

    python benchmarks/whole_import.py [FOLDER] [--images 4000 21165 112120] [--side 256] [--kill]

Each image is a file of its own: a sum of 300 phantoms about their mean with random weights, so that none is another's
copy. Some 3.6 images are a patient's, and the table states the fourteen findings. The command runs as a user runs it,
with an empty cache folder, then `data split` on its manifest. Printed are seconds by the clock, processor seconds, and
the largest memory of all its processes together (each process's own pages, and the part of the mapped file that it
holds). --kill ends a second import with SIGKILL at half of the first one's time; the same command then goes on, and its
manifest has to be the first one, byte for byte. FOLDER keeps the drawn sets for a further run.
"""

from __future__ import annotations

import argparse
import filecmp
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
from PIL import Image

from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.data.sources.nih_chestxray14 import LABELS

SEED = 14
PHANTOMS = 300
IMAGES_A_PATIENT = 3.6
IMAGES_A_FOLDER = 10_000
BATCH = 500
HEADER = "Image Index,Finding Labels,Follow-up #,Patient ID,Patient Age,Patient Gender,View Position\n"


def draw_set(folder: Path, images: int, side: int) -> None:
    """Write the images and the publisher's table; a set that is there already stays."""
    table = folder / "Data_Entry_2017_v2020.csv"
    if table.is_file():
        return
    random = np.random.default_rng(SEED)
    patients = np.sort(random.integers(1, round(images / IMAGES_A_PATIENT) + 1, images))
    names = [f"{patient:08d}_{number:07d}.png" for number, patient in enumerate(patients)]
    for start in range(0, images, IMAGES_A_FOLDER):
        (folder / f"images_{start // IMAGES_A_FOLDER + 1:03d}/images").mkdir(parents=True, exist_ok=True)
    phantoms = np.stack([draw(SEED, number, "normal", side).pixels.ravel() for number in range(PHANTOMS)])
    mean = phantoms.mean(axis=0)
    centred = (phantoms - mean) / np.float32(np.sqrt(PHANTOMS))

    def save(number: int, pixels: Any) -> None:
        path = folder / f"images_{number // IMAGES_A_FOLDER + 1:03d}/images" / names[number]
        values = np.clip(np.rint(255 * pixels), 0, 255).astype(np.uint8).reshape(side, side)
        Image.fromarray(values).save(path, compress_level=1)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        for start in range(0, images, BATCH):
            numbers = range(start, min(start + BATCH, images))
            weights = random.standard_normal((len(numbers), PHANTOMS), dtype=np.float32)
            list(pool.map(save, numbers, mean + weights @ centred))
    terms = list(LABELS)
    rows = []
    for name, patient in zip(names, patients.tolist(), strict=True):
        present = np.flatnonzero(random.random(len(terms)) < 0.05)
        found = "|".join(terms[place] for place in present) or "No Finding"
        age, sex, view = random.integers(1, 95), "MF"[patient % 2], ("PA", "AP")[random.integers(2)]
        rows.append(f"{name},{found},0,{patient},{age},{sex},{view}\n")
    table.write_text(HEADER + "".join(rows))


def memory(process: psutil.Process) -> int:
    """Return the bytes that a process and its children hold, each page that they share counted once where known."""
    held = 0
    for each in [process, *process.children(recursive=True)]:
        with suppress(psutil.Error):
            held += each.memory_full_info().pss
    return held


def run(command: list[str], environment: dict[str, str], kill_after: float | None = None) -> dict[str, float]:
    """Run a command of the package; return its time, processor time (`getrusage` of children) and largest memory."""
    before, started = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    with tempfile.TemporaryFile() as output:
        child = subprocess.Popen(
            [sys.executable, "-m", "pneumoscope", *command],
            env=environment, stdout=output, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        process, largest = psutil.Process(child.pid), 0
        while child.poll() is None:
            with suppress(psutil.Error):
                largest = max(largest, memory(process))
            if kill_after is not None and time.perf_counter() - started > kill_after:
                os.killpg(child.pid, signal.SIGKILL)
                break
            time.sleep(0.5)
        child.wait()
        if child.returncode and kill_after is None:
            output.seek(0)
            raise SystemExit(output.read().decode())
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return {
        "seconds": round(time.perf_counter() - started, 1),
        "processor seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "largest memory, GB": round(largest / 1e9, 2),
    }


def measure(folder: Path, images: int, side: int, kill: bool) -> dict[str, Any]:
    """Import one set, split it, and import it again through a kill if asked."""
    data, manifest = folder / f"{images}-{side}", folder / f"{images}-{side}.parquet"
    data.mkdir(exist_ok=True)
    started = time.perf_counter()
    draw_set(data, images, side)
    found: dict[str, Any] = {"images": images, "side": side, "drawn in seconds": round(time.perf_counter() - started)}
    with tempfile.TemporaryDirectory(dir=folder) as name:
        environment = {**os.environ, "PNEUMOSCOPE_CACHE": name}
        command = ["data", "import", "nih-chestxray14", str(data), "-o"]
        found["import"] = run([*command, str(manifest)], environment)
        parts = str(manifest.with_suffix(".split.parquet"))
        found["split"] = run(["data", "split", str(manifest), "-o", parts], environment)
        if kill:
            again = manifest.with_suffix(".again.parquet")
            half = found["import"]["seconds"] / 2
            found["import, killed"] = run([*command, str(again)], environment, kill_after=half)
            found["import, gone on with"] = run([*command, str(again)], environment)
            found["same manifest"] = filecmp.cmp(manifest, again, shallow=False)
    return found


def main() -> None:
    """Measure each size."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--images", type=int, nargs="+", default=[4000, 21_165, 112_120])
    parser.add_argument("--side", type=int, default=256)
    parser.add_argument("--kill", action="store_true")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp())
    folder.mkdir(parents=True, exist_ok=True)
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}", flush=True)
    try:
        for images in options.images:
            print(json.dumps(measure(folder, images, options.side, options.kill)), flush=True)
    finally:
        if options.folder is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
