"""Measures time, memory and recall of the search for near-duplicates, on copies planted in sets of growing size.

    python benchmarks/near_duplicates.py [MANIFEST] [--images 4000 20000 112000] [--planted 300] [--exhaustive]

The originals are the images of MANIFEST, or 600 drawn phantoms without one. Copies of some are planted, of each kind as
many. Each set is filled up to its size with pictures that are nobody's copy: sums of all originals' thumbnails about
their mean with random weights, so that the fillers differ in as many directions as the originals do, and by as much.
With --exhaustive the index compares all with all, which says what it costs to be approximate. Each size runs in a
process of its own, whose largest memory is printed; the part of the thumbnails' file that is mapped counts, 8 kB each.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import resource
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageOps

from pneumoscope.data import candidates
from pneumoscope.data.fingerprint import thumbnail
from pneumoscope.data.manifest import read_manifest
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.data.similarity import find_mirrored, find_near_duplicates
from pneumoscope.data.thumbnails import Thumbnails, to_integers
from pneumoscope.imaging.read import read

SEED = 14
PHANTOMS = 600


def _crop(picture: Image.Image, share: float) -> Image.Image:
    x, y = round(share * picture.width), round(share * picture.height)
    return picture.crop((x, y, picture.width - x, picture.height - y))


def _pad(picture: Image.Image, share: float) -> Image.Image:
    x, y = round(share * picture.width), round(share * picture.height)
    padded = Image.new("L", (picture.width + 2 * x, picture.height + 2 * y), 0)
    padded.paste(picture, (x, y))
    return padded


def _write_on(picture: Image.Image) -> Image.Image:
    written = picture.copy()
    draw_on, size = ImageDraw.Draw(written), max(10, picture.height // 14)
    draw_on.text((picture.width * 0.04, picture.height * 0.04), "PORTABLE 12:30", fill=255, font_size=size)
    draw_on.text((picture.width * 0.7, picture.height * 0.85), "L  AP", fill=255, font_size=size)
    return written


def _jpeg(picture: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


def _rescale(picture: Image.Image) -> Image.Image:
    return picture.resize((round(picture.width * 0.45), round(picture.height * 0.45)), Image.Resampling.BICUBIC)


Kind = Callable[[Image.Image, int], Image.Image]

# The second argument is 1 or -1: every other picture is turned the other way.
KINDS: dict[str, Kind] = {
    "rescaled to 45%": lambda picture, way: _rescale(picture),
    "JPEG quality 25": lambda picture, way: _jpeg(picture, 25),
    "equalised": lambda picture, way: ImageOps.equalize(picture),
    "text burnt in": lambda picture, way: _write_on(picture),
    "cropped 5% each side": lambda picture, way: _crop(picture, 0.05),
    "cropped 10% each side": lambda picture, way: _crop(picture, 0.1),
    "border 5% each side": lambda picture, way: _pad(picture, 0.05),
    "border 10% each side": lambda picture, way: _pad(picture, 0.1),
    "turned 2 degrees": lambda picture, way: picture.rotate(2 * way, Image.Resampling.BICUBIC),
    "turned 5 degrees": lambda picture, way: picture.rotate(5 * way, Image.Resampling.BICUBIC),
    "inverted": lambda picture, way: ImageOps.invert(picture),
    "mirrored": lambda picture, way: ImageOps.mirror(picture),
}


def read_pictures(manifest: Path | None) -> tuple[Callable[[int], Image.Image], int, list[str]]:
    """Return a function that reads the picture of a row, the number of rows, and each row's patient ("" = unknown)."""

    def to_picture(pixels: NDArray[np.float32]) -> Image.Image:
        return Image.fromarray(np.round(pixels * 255).astype(np.uint8))

    if manifest is None:
        return (lambda row: to_picture(draw(SEED, row, "normal", 128).pixels)), PHANTOMS, [""] * PHANTOMS
    source = read_manifest(manifest)
    paths, depths = source.paths(), source.depths()
    table = source.table
    patients = [
        f"{origin}/{patient}" if isinstance(patient, str) else ""
        for origin, patient in zip(table.source, table.patient_id, strict=True)
    ]
    return (lambda row: to_picture(read(paths[row], depth=depths[row]).pixels)), len(paths), patients


def plant(manifest: Path | None, planted: int, path: Path) -> None:
    """Write the thumbnails of originals and copies to a file, with the originals of the copies."""
    picture_of, count, patients = read_pictures(manifest)
    random = np.random.default_rng(SEED)
    copied = np.sort(random.permutation(count)[:planted])

    def small(picture: Image.Image) -> NDArray[np.float32]:
        return thumbnail(np.asarray(picture.convert("L"), dtype=np.float32) / np.float32(255))

    def copies(row: int) -> list[NDArray[np.float32]]:
        return [small(change(picture_of(row), row % 2 * 2 - 1)) for change in KINDS.values()]

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        originals = np.stack(list(pool.map(lambda row: small(picture_of(row)), range(count))))
        made = np.array(list(pool.map(copies, copied.tolist()))).swapaxes(0, 1)
    np.savez(path, originals=originals, copied=copied, copies=made, patients=np.array(patients))


def measure(path: Path, images: int, exhaustive: bool) -> dict[str, Any]:
    """Search one set; return what it cost and what it found."""
    if exhaustive:
        candidates._LISTS = 10**6
    with np.load(path) as stored:
        originals, copied, copies, patients = (stored[name] for name in ("originals", "copied", "copies", "patients"))
    random = np.random.default_rng(SEED)
    planted, kinds = len(copied), list(KINDS)
    copies_end = len(kinds) * planted
    rows = originals
    if images < len(originals) + copies_end:  # the copied ones and some others
        rest = np.setdiff1d(np.arange(len(originals)), copied)
        rest = random.permutation(rest)[: max(0, images - (len(kinds) + 1) * planted)]
        chosen = np.concatenate([copied, rest])
        rows, patients, copied = originals[chosen], patients[chosen], np.arange(planted)
    small = Thumbnails(max(images, len(rows) + copies_end))
    small.put(slice(0, len(rows)), to_integers(rows))
    first_filler = len(rows) + copies_end
    small.put(slice(len(rows), first_filler), to_integers(copies.reshape(-1, 64, 64)))
    mean = originals.mean(axis=0)
    centred = (originals - mean).reshape(len(originals), -1) / np.sqrt(len(originals)).astype(np.float32)
    for start in range(first_filler, len(small), 2000):
        weights = random.standard_normal((min(2000, len(small) - start), len(centred)), dtype=np.float32)
        small.put(slice(start, start + len(weights)), to_integers(mean + (weights @ centred).reshape(-1, 64, 64)))
    del originals, centred, rows
    before, started = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    pairs = find_near_duplicates(small)
    wall = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_SELF)
    found = {(pair.first, pair.second) for pair in pairs}
    mirrored = {(pair.first, pair.second) for pair in find_mirrored(small)}
    count = first_filler - len(kinds) * planted
    recall = {}
    for number, kind in enumerate(kinds):
        places = count + number * planted + np.arange(planted)
        hits = mirrored if kind == "mirrored" else found
        recall[kind] = float(np.mean([pair in hits for pair in zip(copied.tolist(), places.tolist(), strict=True)]))
    joined = Counter(
        "of a filler" if j >= first_filler else "of two patients"
        for i, j in found
        if j >= first_filler or (j < count and patients[i] and patients[j] and patients[i] != patients[j])
    )
    return {
        "pictures": len(small),
        "originals": count,
        "copies": first_filler - count,
        "seconds": round(wall, 1),
        "processor seconds": round(after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime, 1),
        "largest memory, GB": round(after.ru_maxrss / 1e6, 2),
        "pairs": len(found),
        "pairs of two originals": sum(j < count for _, j in found),
        "of these, of two patient numbers": joined["of two patients"],
        "pairs of a filler": joined["of a filler"],
        "recall": {kind: round(value, 4) for kind, value in recall.items()},
    }


def main() -> None:
    """Plant, then measure each size in a process of its own."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("manifest", type=Path, nargs="?")
    parser.add_argument("--images", type=int, nargs="+", default=[4000, 20_000, 112_000])
    parser.add_argument("--planted", type=int, default=300)
    parser.add_argument("--exhaustive", action="store_true")
    options = parser.parse_args()
    print(f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    with tempfile.TemporaryDirectory() as name:
        path = Path(name) / "planted.npz"
        plant(options.manifest, options.planted, path)
        for images in options.images:
            with multiprocessing.get_context("spawn").Pool(1) as pool:
                found = pool.apply(measure, (path, images, options.exhaustive))
            print(json.dumps(found, indent=2), flush=True)


if __name__ == "__main__":
    main()
