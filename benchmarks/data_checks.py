"""Measures recall, precision and time of the data checks on copies that are planted among real radiographs.

    python benchmarks/data_checks.py MANIFEST [--images 5000] [--planted 1000] [--out data_checks.json]

Of MANIFEST (say, the Radiography set), 4,000 images are drawn at random and 1,000 copies of other randomly drawn ones
among them are planted, a fourth each: resized, JPEG of quality 60, brightness shifted, cropped by 3% on each side. The
data checks then read the 5,000 files without a cache. A flagged pair counts as true if both pictures come from one
original, by planting. A pair of two originals that are already copies of each other is counted apart, and as false in
the lower figure of precision, since nobody has confirmed it.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pneumoscope.data.checks.context import build_context
from pneumoscope.data.checks.runner import run_checks
from pneumoscope.data.image_scan import scan_files
from pneumoscope.data.manifest import Manifest, read_manifest
from pneumoscope.data.scan_shards import temporary_shards
from pneumoscope.imaging.read import read
from pneumoscope.stats.intervals import estimate_proportion

SEED = 20


def _resized(picture: Image.Image, path: Path, random: np.random.Generator) -> None:
    share = random.uniform(0.4, 1.6)
    side = max(96, round(picture.width * share)), max(96, round(picture.height * share))
    picture.resize(side, Image.Resampling.BICUBIC).save(path.with_suffix(".png"))


def _jpeg(picture: Image.Image, path: Path, random: np.random.Generator) -> None:
    picture.save(path.with_suffix(".jpg"), quality=60)


def _shifted(picture: Image.Image, path: Path, random: np.random.Generator) -> None:
    by = float(random.choice([-40, -25, 25, 40]))
    picture.point(lambda value: max(0, min(255, value + by))).save(path.with_suffix(".png"))


def _crop(picture: Image.Image, path: Path, random: np.random.Generator) -> None:
    x, y = round(0.03 * picture.width), round(0.03 * picture.height)
    picture.crop((x, y, picture.width - x, picture.height - y)).save(path.with_suffix(".png"))


CHANGES: dict[str, Callable[[Image.Image, Path, np.random.Generator], None]] = {
    "resized (40 to 160%)": _resized,
    "JPEG quality 60": _jpeg,
    "brightness shifted (25 or 40 of 255)": _shifted,
    "cropped by 3% on each side": _crop,
}


def plant(manifest: Manifest, images: int, planted: int, folder: Path) -> tuple[Manifest, list[int], list[str]]:
    """Write originals and copies; return their manifest, [N] the original of each row, [N] how it was changed."""
    random = np.random.default_rng(SEED)
    chosen = random.permutation(len(manifest))[: images - planted]
    paths = manifest.paths()
    rows: list[tuple[Path, int, str]] = [(paths[place], int(place), "") for place in chosen]
    copied = random.permutation(chosen)[:planted]
    for number, place in enumerate(copied.tolist()):
        change = list(CHANGES)[number % len(CHANGES)]
        pixels = np.round(read(paths[place]).pixels * 255).astype(np.uint8)
        CHANGES[change](Image.fromarray(pixels), folder / f"copy-{number:05}", random)
        rows.append((next(folder.glob(f"copy-{number:05}.*")), place, change))
    table = []
    with temporary_shards() as shards:
        scan = scan_files([path for path, _, _ in rows], shards=shards)
    assert not scan.errors
    measured = scan.table[["width", "height", "bits", "sha256", "phash"]].to_dict("records")
    for number, ((path, place, _), facts) in enumerate(zip(rows, measured, strict=True)):
        label = manifest.table.label.iloc[place]
        # Every copy is in the test part and its original in train: all that is planted must be found as a leak.
        part = "test" if number >= len(chosen) else "train"
        table.append(
            {"image": str(path.resolve())[1:], "source": "planted", "label": label, "raw_label": label, "split": part}
            | {"group": f"row:{number}", **facts}
        )
    manifest = Manifest.from_rows(table, {"planted": Path(Path.cwd().anchor)})
    return manifest, [place for _, place, _ in rows], [change for _, _, change in rows]


def main() -> None:
    """Plant, check, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--images", type=int, default=5000)
    parser.add_argument("--planted", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    source = read_manifest(options.manifest)
    with tempfile.TemporaryDirectory() as name:
        made, original, change = plant(source, options.images, options.planted, Path(name))
        before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
        context = build_context(made, cache=Path(name) / "cache")
        gathered = time.perf_counter() - started
        report = run_checks(context)
        wall = time.perf_counter() - started
        after = resource.getrusage(resource.RUSAGE_SELF)
    pairs = {(pair.first, pair.second) for pair in context.pairs}
    first = {place: row for row, place in reversed(list(enumerate(original)))}
    recall: dict[str, Any] = {}
    for kind in CHANGES:
        hits = np.array([(first[original[row]], row) in pairs for row in range(len(original)) if change[row] == kind])
        recall[kind] = estimate_proportion(hits, np.arange(len(hits))).model_dump(include={"value", "low", "high"})
    true = sum(original[a] == original[b] for a, b in pairs)
    already = Counter(bool(change[a]) + bool(change[b]) for a, b in pairs if original[a] != original[b])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    leak = next((f for f in report.findings if f.name == "duplicates-across-parts"), None)
    findings = {
        "data": source.rows_hash()[:12],
        "images": len(made),
        "planted": options.planted,
        "recall": recall,
        "flagged pairs": len(pairs),
        "true by planting": true,
        "precision, all others false": true / len(pairs),
        "others, by number of copies in the pair": dict(already),
        "leaks reported": len(leak.cases) if leak else 0,
        "seconds": round(wall, 1),
        "of these reading and comparing": round(gathered, 1),
        "processor seconds": round(cpu, 1),
        "machine": f"{platform.machine()}, {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}",
    }
    text = json.dumps(findings, indent=2)
    print(text)
    if options.out is not None:
        options.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
