"""Measures what an import's reading costs: time and processor time for each image, and memory as the images grow more.

    python benchmarks/import_cost.py [FOLDER] [--images 2000 20000] [--workers 1 2]

The images are those of FOLDER, else 20 drawn phantoms of 1,024 by 1,024 pixels (8-bit PNG); links with names of their
own fill each set up to its size. Each set is read in a process of its own, from an empty cache. Its largest memory is
printed with that of its workers, which are other processes.
"""

from __future__ import annotations

import argparse
import itertools
import json
import multiprocessing
import os
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from pneumoscope.data.image_scan import scan_files
from pneumoscope.data.phantoms.files import write_png
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.data.scan_shards import ScanShards
from pneumoscope.imaging.files import find_images

SEED = 14
PHANTOMS = 20


def link(files: list[str], folder: Path, images: int) -> list[Path]:
    """Return so many paths of images, links to some files."""
    paths = []
    for number, file in zip(range(images), itertools.cycle(files), strict=False):
        path = folder / f"{number // 1000:04d}" / f"{number:07d}{Path(file).suffix}"
        path.parent.mkdir(exist_ok=True)
        path.symlink_to(Path(file).resolve())
        paths.append(path)
    return paths


def measure(paths: list[Path], folder: Path, workers: int) -> dict[str, Any]:
    """Read the images; return what it cost."""
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    scan = scan_files(paths, shards=ScanShards(folder), workers=workers)
    seconds = time.perf_counter() - started
    own, others = resource.getrusage(resource.RUSAGE_SELF), resource.getrusage(resource.RUSAGE_CHILDREN)
    busy = own.ru_utime + own.ru_stime - before.ru_utime - before.ru_stime + others.ru_utime + others.ru_stime
    again = time.perf_counter()
    scan_files(paths, shards=ScanShards(folder), workers=workers)
    return {
        "images": len(scan),
        "workers": workers,
        "seconds": round(seconds, 1),
        "processor ms an image": round(1000 * busy / len(scan), 2),
        "largest memory, GB": round(own.ru_maxrss / 1e6, 3),
        "of a worker, GB": round(others.ru_maxrss / 1e6, 3),
        "seconds to find all in the shards": round(time.perf_counter() - again, 1),
        "shards, kB an image": round(sum(file.stat().st_size for file in folder.iterdir()) / 1e3 / len(scan), 1),
    }


def main() -> None:
    """Make the sets, and read each with each number of workers."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path, nargs="?")
    parser.add_argument("--images", type=int, nargs="+", default=[2000, 20_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, os.cpu_count() or 1])
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.folder is None:
            (folder / "drawn").mkdir()
            for number in range(PHANTOMS):
                write_png(folder / f"drawn/{number}.png", draw(SEED, number, "normal", 1024).pixels)
        files = list(find_images([options.folder or folder / "drawn"]).files)
        for images in options.images:
            (folder / f"{images}").mkdir()
            paths = link(files, folder / f"{images}", images)
            for workers in options.workers:
                shards = folder / f"shards-{images}-{workers}"
                shards.mkdir()
                with multiprocessing.get_context("spawn").Pool(1) as pool:
                    print(json.dumps(pool.apply(measure, (paths, shards, workers))), flush=True)


if __name__ == "__main__":
    main()
