"""Measures how much of the disagreement between outlined and drawn lungs lies in how a set draws them.

    python benchmarks/lung_definitions.py MANIFEST [--model FOLDER] [--part test] [--out lung_definitions.json]

FOLDER is a graph of `pneumoscope lungs train`, best one that learnt from another set. For each set with drawn lungs
(without the heart): Dice; Dice after the outline grew or shrank by one and two pixels, which a wider or narrower
definition would raise; the signed distance from the drawn edge to the outlined one at apex, lateral edge, medial edge
and base, in pixels of the graph's square, positive where the outline lies outside; how much of the heart the drawn
lungs take in, and Dice by that share. The heart is the drawn one or, where nobody drew it, that of the package's graph.
"""

from __future__ import annotations

import argparse
import json
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_dilation, binary_erosion, distance_transform_edt, gaussian_filter

from pneumoscope.bundle.lungs import BUILTIN_LUNGS, LungModel, load_lungs
from pneumoscope.data.manifest import read_manifest
from pneumoscope.stats.segmentation import measure_dice
from pneumoscope.training.lungs.data import read_outlined

Mask = NDArray[np.bool_]
REGIONS = ("apex", "lateral", "medial", "base")
SHARES = (0.0, 0.05, 0.1, 0.2, 1.01)  # limits of the share of the heart inside the drawn lungs


def outline_structure(model: LungModel, images: NDArray[np.uint8], structure: str) -> NDArray[np.bool_]:
    """Return the outlines [N, S, S] of one structure."""
    return np.stack([model.outline(image.astype(np.float32) / 255).select_parts(structure) for image in images])


def measure_signed_distances(drawn: Mask, outlined: Mask) -> tuple[NDArray[np.intp], NDArray[np.float64]]:
    """Return region and signed distance of each point of the drawn edge; the outward normal decides the region."""
    edge, other = (mask & ~binary_erosion(mask) for mask in (drawn, outlined))
    down, across = np.gradient(-gaussian_filter(drawn.astype(np.float64), 2))
    y, x = np.nonzero(edge)
    down, across = down[y, x], across[y, x] * np.sign(x - np.nonzero(drawn)[1].mean())
    steep = np.abs(down) > np.abs(across)
    region = np.where(steep, np.where(down < 0, 0, 3), np.where(across > 0, 1, 2))
    distances = distance_transform_edt(~other)[y, x]
    return region, np.where(outlined[y, x], 1, -1) * distances


def describe_set(drawn: NDArray[np.bool_], outlined: NDArray[np.bool_], heart: NDArray[np.bool_]) -> dict[str, Any]:
    """Return all figures of one set, from masks [N, S, S]."""
    dice = np.array([measure_dice(*pair) for pair in zip(outlined, drawn, strict=True)])
    shifted = {
        f"{change.__name__} {steps}": np.mean(
            [measure_dice(change(a, iterations=steps), b) for a, b in zip(outlined, drawn, strict=True)]
        )
        for change in (binary_dilation, binary_erosion)
        for steps in (1, 2)
    }
    pairs = [measure_signed_distances(a, b) for a, b in zip(drawn, outlined, strict=True) if a.any() and b.any()]
    edges = {
        name: {
            "share of the edge": np.mean([(region == index).mean() for region, _ in pairs]),
            "signed": np.mean([values[region == index].mean() for region, values in pairs if (region == index).any()]),
            "absolute": np.mean(
                [np.abs(values[region == index]).mean() for region, values in pairs if (region == index).any()]
            ),
        }
        for index, name in enumerate(REGIONS)
    }
    with_heart = heart.any((1, 2))
    share = (drawn & heart).sum((1, 2)) / np.maximum(1, heart.sum((1, 2)))
    by_share = {}
    for low, high in pairwise(SHARES):
        rows = with_heart & (share >= low) & (share < high)
        if rows.any():
            by_share[f"{low:g} to {min(high, 1):g}"] = {"images": int(rows.sum()), "dice": dice[rows].mean()}
    missed = drawn & ~outlined
    without = [measure_dice(a, b) for a, b in zip(outlined & ~heart, drawn & ~heart, strict=True)]
    return {
        "images": len(drawn),
        "dice": dice.mean(),
        "dice of the median image": np.median(dice),
        "dice after a shift": shifted,
        "edges": edges,
        "share of the heart in the drawn lungs": share[with_heart].mean(),
        "dice by that share": by_share,
        "dice where neither counts in the heart": np.mean(without),
        "missed lung that lies in the heart": (missed & heart).sum() / max(1, missed.sum()),
    }


def main() -> None:
    """Measure and print each set."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--model", type=Path, default=BUILTIN_LUNGS)
    parser.add_argument("--part", help="only this part of the manifest")
    parser.add_argument("--out", type=Path)
    options = parser.parse_args()
    manifest = read_manifest(options.manifest)
    data = read_outlined(manifest.part(options.part) if options.part else manifest)
    data = data.limited_to(["lungs", "heart"])
    model, builtin = load_lungs(options.model), load_lungs()
    results = {}
    for source in sorted(set(data.sources[data.drawn[:, 0]])):
        own = data.where((data.sources == source) & data.drawn[:, 0])
        heart = own.masks[:, 1] if own.drawn[:, 1].all() else outline_structure(builtin, own.images, "heart")
        results[source] = describe_set(own.masks[:, 0], outline_structure(model, own.images, "lungs"), heart)
    text = json.dumps(results, indent=2, default=lambda value: round(float(value), 4))
    print(text)
    if options.out:
        options.out.write_text(text + "\n")


if __name__ == "__main__":
    main()
