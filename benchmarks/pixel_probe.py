"""Measures power and false alarms of the probe on pixels (``label-from-pixels``), on phantoms and on real sets.

    python benchmarks/pixel_probe.py [MANIFEST...] [--images 200] [--repeats 10] [--out pixel_probe.json]

Images of one label are divided by chance into two labels: nothing tells them apart, so that each warning is a false
alarm. Then a clue is planted in one of the two: a letter, a text, upscaling, local equalisation (tiles
blended with their equalised histograms), mirroring. A warning is then a hit. The phantoms
are drawn; each MANIFEST gives the real images of its largest label.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont, ImageOps

from pneumoscope.data.checks.label_probe import Ints
from pneumoscope.data.checks.pixel_facts import measure_pixels, split_vectors
from pneumoscope.data.checks.pixel_probe import guess_from_vectors
from pneumoscope.data.checks.pixels import COARSE, FRAME, judge
from pneumoscope.data.manifest import read_manifest
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.imaging.read import read

Change = Callable[[Image.Image], Image.Image]


def _write(text: str, place: tuple[float, float], share: float) -> Change:
    def change(picture: Image.Image) -> Image.Image:
        marked = picture.copy()
        font = ImageFont.load_default(size=max(6, round(share * picture.height)))
        at = (place[0] * picture.width, place[1] * picture.height)
        ImageDraw.Draw(marked).text(at, text, fill=255, font=font)
        return marked

    return change


def _upscale(picture: Image.Image) -> Image.Image:
    return picture.resize((picture.width * 3 // 4, picture.height * 3 // 4)).resize(
        picture.size, Image.Resampling.BICUBIC
    )


def _equalise_tiles(picture: Image.Image) -> Image.Image:
    """Blend a picture with its tiles' equalised histograms: what CLAHE does, in small."""
    result = picture.copy()
    side = picture.width // 4
    for left in range(0, picture.width, side):
        for top in range(0, picture.height, side):
            box = (left, top, min(left + side, picture.width), min(top + side, picture.height))
            tile = picture.crop(box)
            result.paste(Image.blend(tile, ImageOps.equalize(tile), 0.3), box)
    return result


CLUES: dict[str, Change] = {
    "nothing": lambda picture: picture,
    "a letter R, 6% of the side": _write("R", (0.06, 0.06), 0.06),
    "PORTABLE AP, 4%": _write("PORTABLE AP", (0.6, 0.02), 0.04),
    "upscaled from 75%": _upscale,
    "local equalisation": _equalise_tiles,
    "mirrored": ImageOps.mirror,
}


def _vectors(pictures: list[Image.Image]) -> NDArray[np.float32]:
    return np.stack([measure_pixels(np.asarray(picture, dtype=np.float32) / 255) for picture in pictures])


def _sets(manifests: list[Path], images: int) -> dict[str, list[Image.Image]]:
    sets = {"phantoms": [draw(0, number, "normal", 256).pixels for number in range(images)]}
    for path in manifests:
        manifest = read_manifest(path)
        chosen = manifest.where(manifest.table.label == manifest.table.label.mode()[0])
        order = np.random.default_rng(0).permutation(len(chosen))[:images]
        sets[path.stem] = [read(chosen.paths()[row]).pixels for row in order]
    return {name: [Image.fromarray(np.round(p * 255).astype(np.uint8)) for p in each] for name, each in sets.items()}


def main() -> None:
    """Plant, guess, count, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("manifests", type=Path, nargs="*")
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    results = {}
    for name, pictures in _sets(asked.manifests, asked.images).items():
        started = time.perf_counter()
        plain = _vectors(pictures)
        seconds = (time.perf_counter() - started) / len(pictures) * 1000
        print(f"{name}: {len(pictures)} images, measured in {seconds:.1f} s per 1,000", flush=True)
        for clue, change in CLUES.items():
            changed = _vectors([change(picture) for picture in pictures])
            warned, shares, started = 0, [], time.perf_counter()
            for seed in range(asked.repeats):
                random = np.random.default_rng(seed)
                label: Ints = random.permutation(np.arange(len(pictures)) % 2)
                vectors = split_vectors(np.where(label[:, None] == 1, changed, plain))
                group = np.arange(len(pictures))
                guesses = guess_from_vectors(vectors, label, group, random, single=(FRAME,), aside=(COARSE,))
                warned += bool(judge(guesses, label, group)[1])
                shares.append({look: guess.balanced for look, guess in guesses.items()})
            means = {look: round(float(np.mean([one[look] for one in shares])), 2) for look in shares[0]}
            results[f"{name}, {clue}"] = {"warned": warned, "of": asked.repeats, "guessed": means}
            took = (time.perf_counter() - started) / asked.repeats
            print(f"  {clue:28} warned {warned} of {asked.repeats}; guessed {means}; {took:.1f} s", flush=True)
    if asked.out is not None:
        asked.out.write_text(json.dumps(results, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
