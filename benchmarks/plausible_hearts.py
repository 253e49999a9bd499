"""Measures which outlines of a heart count as plausible, and how well those agree with drawn hearts.

    python benchmarks/plausible_hearts.py MANIFEST [MANIFEST ...] [--out plausible_hearts.json]

For each manifest: how many images have a plausible heart (`bundle.heart_shape`) by the package's graph. Where hearts
and lungs are drawn: how many of the drawn ones are plausible, the range of each measure in them, and the Dice of the
outlined hearts that are kept and of those that are left out.
"""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.bundle.heart_shape import LIMITS, find_heart, measure_heart_shape
from pneumoscope.bundle.lungs import LungOutlines, builtin_lungs
from pneumoscope.data.manifest import Manifest, read_manifest
from pneumoscope.stats.segmentation import measure_dice

SIDE = 192


def read_mask(path: Path) -> NDArray[np.bool_]:
    """Return a drawn mask on the graph's square: [S, S] bool."""
    with Image.open(path) as mask:
        return np.asarray(mask.convert("L").resize((SIDE, SIDE))) > 127


def measure(manifest: Manifest) -> dict[str, Any]:
    """Return the figures of one manifest."""
    outlined = [builtin_lungs().outline(path) for path in manifest.paths()]
    hearts = [find_heart(outlines) for outlines in outlined]
    figures: dict[str, Any] = {"images": len(hearts), "plausible": sum(heart is not None for heart in hearts)}
    if not {"heart_mask", "lung_mask"} <= set(manifest.table) or manifest.table.heart_mask.isna().all():
        return figures
    shapes, kept, left_out = [], [], []
    masks = zip(manifest.mask_paths("heart_mask"), manifest.mask_paths("lung_mask"), strict=True)
    plausible = 0
    for (heart, lungs), found, outlines in zip(masks, hearts, outlined, strict=True):
        drawn = np.stack([read_mask(heart), read_mask(lungs)])
        plausible += find_heart(LungOutlines(drawn.astype(np.float32), ("heart", "lungs"), drawn.shape[1:])) is not None
        if (shape := measure_heart_shape(*drawn)) is not None:
            shapes.append(list(asdict(shape).values()))
        (left_out if found is None else kept).append(measure_dice(outlines.select_parts("heart"), drawn[0]))
    low, high = np.min(shapes, axis=0), np.max(shapes, axis=0)
    return figures | {
        "drawn and plausible": plausible,
        "drawn": {name: [round(low[k], 3), round(high[k], 3)] for k, name in enumerate(LIMITS)},
        "kept: mean and least Dice": [round(float(value), 3) for value in (np.mean(kept), np.min(kept))],
        "left out: Dice": sorted(round(value, 3) for value in left_out),
    }


def main() -> None:
    """Measure, and print or write the figures."""
    parser = argparse.ArgumentParser()
    parser.add_argument("manifests", type=Path, nargs="+")
    parser.add_argument("--out", type=Path)
    arguments = parser.parse_args()
    text = json.dumps({str(path): measure(read_manifest(path)) for path in arguments.manifests}, indent=2)
    if arguments.out:
        arguments.out.write_text(text + "\n")
    else:
        print(text)


if __name__ == "__main__":
    main()
