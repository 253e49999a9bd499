"""Measures what a manifest of 20,000 to 1,000,000 rows costs to open, check, describe, split, merge and train on.

    python benchmarks/large_manifests.py [--rows 21165 112120 1000000] [--only open describe ...]

The manifests are drawn, no image is read: patients with one to ten images of two sources, fourteen findings for half of
the rows, names and hashes as long as real ones. Each step runs in a process of its own, which prints its time, its
largest memory, and the memory above that of the imported modules. ``open`` imports pandas and pandera in its time, as a
command does. ``merge`` is the work on the tables of two halves, without reading and comparing their images; ``checks``
are all data checks on drawn measurements, without those on pixels' vectors. ``train`` plans a training, and holds what
its batches need: labels, keys and places of the images, with a cache of one drawn image that stands for all.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

SEED = 14
_FINDINGS = ("atelectasis", "pleural-effusion", "nodule", "mass", "pneumothorax")


def draw(path: Path, rows: int) -> None:
    """Write a manifest of so many rows, and beside it one of each half, which are two sources, and one in parts."""
    import pandas as pd

    from pneumoscope.data.columns import COLUMNS
    from pneumoscope.data.findings import write_findings
    from pneumoscope.data.manifest import Manifest

    random = np.random.default_rng(SEED)
    for folder in ("one", "two"):
        (path.parent / folder).mkdir(exist_ok=True)
    patient = np.sort(random.integers(0, rows // 3 + 1, rows))
    source = np.where(patient % 2 == 0, "one", "two")
    label = random.choice(["normal", "lung-opacity", "pneumonia"], rows, p=[0.5, 0.3, 0.2])
    stated = [
        write_findings({name: bool(number >> place & 1) for place, name in enumerate(_FINDINGS)})
        for number in range(1, 2 ** len(_FINDINGS))
    ]
    findings = np.where((label == "normal") | (random.random(rows) < 0.5), None, random.choice(stated, rows))
    hashes = random.bytes(32 * rows).hex()
    age = np.round(random.uniform(1, 95, rows))
    age[random.random(rows) < 0.1] = np.nan
    table = pd.DataFrame(
        {
            "image": [f"images_{row // 10_000:03d}/images/{patient[row]:08d}_{row:07d}.png" for row in range(rows)],
            "source": source,
            "label": label,
            "raw_label": label,
            "findings": findings,
            "patient_id": [f"{number:08d}" for number in patient],
            "group": [f"patient:{'two' if number % 2 else 'one'}/{number:08d}" for number in patient],
            "view": random.choice(["PA", "AP"], rows),
            "sex": random.choice(["M", "F"], rows),
            "age": age,
            "width": 1024,
            "height": random.choice([1024, 1200], rows),
            "bits": 8,
            "sha256": [hashes[64 * row : 64 * row + 64] for row in range(rows)],
            "phash": [hashes[64 * row : 64 * row + 16] for row in range(rows)],
            "license": "CC0 1.0: the images may be used without asking",
            "label_provenance": "mined from radiological reports (about 90% right)",
        }
    )
    table = table.reindex(columns=[*COLUMNS])
    roots = {name: path.parent / name for name in ("one", "two")}
    Manifest(table, roots).write(path)
    for name, folder in roots.items():
        half = table[table.source == name].reset_index(drop=True)
        Manifest(half, {name: folder}).write(path.with_name(f"{name}.parquet"))
    part = random.choice(["train", "validation", "calibration", "test"], patient.max() + 1, p=[0.6, 0.1, 0.1, 0.2])
    Manifest(table.assign(split=part[patient]), roots).write(path.with_name("split.parquet"))


def _open(path: Path) -> Callable[[], Any]:
    def work() -> Any:
        from pneumoscope.data.manifest import read_manifest

        return read_manifest(path)

    return work


def _write(path: Path) -> Callable[[], Any]:
    manifest = _open(path)()
    return lambda: manifest.write(path.with_name("written.parquet"))


def _describe(path: Path) -> Callable[[], Any]:
    from pneumoscope.data.describe import describe

    manifest = _open(path)()
    return lambda: describe(manifest)


def _split(path: Path) -> Callable[[], Any]:
    from pneumoscope.data.splits import assign_parts

    manifest = _open(path)()
    return lambda: assign_parts(manifest, {"test": 0.2, "validation": 0.1, "calibration": 0.1}, SEED)


def _merge(path: Path) -> Callable[[], Any]:
    from pneumoscope.data import importing, merge
    from pneumoscope.data.manifest import read_manifest

    def no_pictures(*_: Any) -> Any:
        return np.zeros((0, 64, 64), dtype=np.float32)

    setattr(merge, "imported_thumbnails", no_pictures)  # noqa: B010
    setattr(importing, "find_near_duplicates", lambda *_: [])  # noqa: B010
    halves = [read_manifest(path.with_name(f"{name}.parquet")) for name in ("one", "two")]
    return lambda: merge.merge(halves)


def _checks(path: Path) -> Callable[[], Any]:
    import pandas as pd

    from pneumoscope.data.checks.context import CheckContext
    from pneumoscope.data.checks.runner import run_checks

    manifest = _open(path.with_name("split.parquet"))()
    random = np.random.default_rng(SEED)
    count = len(manifest)
    facts = pd.DataFrame(
        {
            "error": "",
            "sha256": manifest.table.sha256,
            "format": "png",
            "quality": np.nan,
            **{name: random.choice([0.0, 0.02], count) for name in ("left", "right", "top", "bottom")},
            "frame": False,
            "mean": random.random(count),
            "commonest": 0.1,
        }
    )
    return lambda: run_checks(CheckContext(manifest, tuple(manifest.table.label.tolist()), facts, ()))


def _train(path: Path) -> Callable[[], Any]:
    from pneumoscope.recipes.recipe import load_recipe
    from pneumoscope.training.input.cache import CachedImages
    from pneumoscope.training.input.dataset import CountedSampler, Part, keys_of, loader
    from pneumoscope.training.plan import make_plan

    classes = ["normal", "lung-opacity", "pneumonia"]
    recipe = load_recipe("lenet-128", [f"task.classes={json.dumps(classes)}"])

    def work() -> Any:
        plan = make_plan(recipe, _open(path.with_name("split.parquet"))())
        part, targets = plan.manifest.part("train"), plan.targets("train")
        images = CachedImages(128, (np.zeros((1, 128, 128), np.uint8),), np.zeros((len(part), 2), np.int64))
        batches = loader(
            Part(images, targets, keys_of(part.table.sha256)), 64, CountedSampler(targets, SEED, balanced=True)
        )
        first = next(iter(batches))
        return plan, batches, first

    return work


STEPS: dict[str, Callable[[Path], Callable[[], Any]]] = {
    "open": _open,
    "write": _write,
    "describe": _describe,
    "split": _split,
    "merge": _merge,
    "checks": _checks,
    "train": _train,
}


def measure(path: Path, step: str) -> dict[str, float]:
    """Run one step; return its seconds, and the largest memory of its process in GB with what was there before."""
    work = STEPS[step](path)
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    result = work()
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    del result
    return {
        "seconds": round(seconds, 2),
        "processor seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 2),
        "largest memory, GB": round(after.ru_maxrss / 1e6, 2),
        "before, GB": round(before.ru_maxrss / 1e6, 2),
    }


def main() -> None:
    """Draw each manifest, then measure each step in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rows", type=int, nargs="+", default=[21_165, 112_120, 1_000_000])
    parser.add_argument("--only", nargs="+", choices=list(STEPS), default=list(STEPS), metavar="STEP")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    processes = multiprocessing.get_context("spawn")
    for rows in options.rows:
        with tempfile.TemporaryDirectory() as name:
            path = Path(name) / "all.parquet"
            with processes.Pool(1) as pool:
                pool.apply(draw, (path, rows))
            print(f"{rows:,} rows, {path.stat().st_size / 1e6:.0f} MB", flush=True)
            for step in options.only:
                with processes.Pool(1) as pool:
                    print(f"  {step:9} {json.dumps(pool.apply(measure, (path, step)))}", flush=True)


if __name__ == "__main__":
    main()
