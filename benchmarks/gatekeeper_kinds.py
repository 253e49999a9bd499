"""How often the companions refuse chests that are turned, cut, framed, tinted or beside another view, and upright ones.

    python benchmarks/gatekeeper_kinds.py m.parquet --laterals DATA/ieee8023 [--sources ieee8023,jsrt,nih]
    python benchmarks/gatekeeper_kinds.py m.parquet --upright [--model opacity --model covid] [--split test]

The first form makes each kind of picture from real frontal chests of a manifest, as many of each source, and prints
how many are refused, and how many of the others are warned of, with the codes. ``--laterals`` names the folder of
covid-chestxray-dataset, whose ``metadata.csv`` says which images are laterals. The second form asks about the frontal
chests as they are, by source: refused by gatekeeper and lungs, and, for each ``--model``, also by its own
out-of-distribution score. Intervals are Wilson's, clustered by patient. Nothing made from a patient's image is kept.
"""

from __future__ import annotations

import argparse
import csv
import re
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table
from scipy.ndimage import rotate

from pneumoscope.bundle.runtime import load
from pneumoscope.bundle.screening import Screening, builtin_companions
from pneumoscope.data.manifest import Manifest, read_manifest
from pneumoscope.imaging.read import read
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.metrics import group_index

Grey = NDArray[np.float32]
"""[H, W] in 0..1."""
Picture = Grey | NDArray[np.uint8]
"""Grey, or [H, W, 3] of 0 to 255."""

BILINEAR = Image.Resampling.BILINEAR
DEGREES = (5, 10, 15, 20, 30, 45)
BAR, BUTTON, DESK = (43, 87, 154), (90, 140, 60), (240, 240, 240)
"""Colours of a window: its title, its buttons, its background."""


@dataclass(frozen=True)
class Case:
    """What a kind is made from.

    Attributes:
        chest: The frontal chest.
        other: Another patient's frontal chest.
        lateral: A lateral chest.
        draws: Decides sides and gaps.
    """

    chest: Grey
    other: Grey
    lateral: Grey
    draws: np.random.Generator


def beside(left: Grey, right: Grey, gap: float = 0.0) -> Grey:
    """Return two pictures of one height side by side, with a black gap of a share of the height between them."""
    height = min(len(left), len(right))
    scaled = [
        np.asarray(Image.fromarray(each).resize((round(each.shape[1] * height / len(each)), height), BILINEAR))
        for each in (left, right)
    ]
    return np.hstack([scaled[0], np.zeros((height, round(gap * height)), np.float32), scaled[1]])


def beside_lateral(case: Case, squeezed: bool = False) -> Grey:
    """Return a frontal chest beside a lateral one, on either side, half of them with a gap."""
    pair = (case.chest, case.lateral) if case.draws.random() < 0.5 else (case.lateral, case.chest)
    both = beside(*pair, gap=0.04 * case.draws.integers(2))
    return np.asarray(Image.fromarray(both).resize((len(both), len(both)), BILINEAR)) if squeezed else both


def turn(case: Case, degrees: float, corners: str = "black") -> Grey:
    """Return a chest turned to either side; its corners become black, repeat the edge, or are cut off."""
    signed = degrees if case.draws.random() < 0.5 else -degrees
    mode = "constant" if corners == "black" else "nearest"
    turned: Grey = np.clip(rotate(case.chest, signed, reshape=False, order=1, mode=mode), 0, 1)
    if corners != "cut":
        return turned
    height, width = turned.shape
    angle = np.deg2rad(degrees)
    # The largest scaled copy of the frame that fits into the turned one.
    long, short = max(height, width), min(height, width)
    return crop(turned, float(short / (long * np.sin(angle) + short * np.cos(angle))))


def crop(pixels: Grey, share: float, down: float | None = None) -> Grey:
    """Return the middle of a picture: a share of its width, and of its height (the same, unless ``down`` is given)."""
    height, width = pixels.shape
    rows, columns = round((1 - (share if down is None else down)) * height / 2), round((1 - share) * width / 2)
    return np.ascontiguousarray(pixels[rows : height - rows, columns : width - columns])


def frame(pixels: Grey, share: float, value: float) -> Grey:
    """Return a picture in a border of one grey, so wide as a share of its larger side."""
    return np.pad(pixels, round(share * max(pixels.shape)), constant_values=np.float32(value))


def window(pixels: Grey, coloured: bool) -> NDArray[np.uint8]:
    """Return a screenshot of a viewer: a title, a row of buttons, a list at the left, and the picture."""
    height, width = pixels.shape
    unit = max(height, width) // 20
    canvas = np.full((height + 4 * unit, width + 5 * unit, 3), 60, np.uint8)
    canvas[: 3 * unit] = DESK
    canvas[:unit] = BAR if coloured else DESK[0] // 2
    for left in range(unit, width, 2 * unit):
        canvas[unit + unit // 2 : 2 * unit + unit // 2, left : left + unit] = BUTTON if coloured else 110
    canvas[3 * unit : 3 * unit + height, 4 * unit : 4 * unit + width] = rgb(pixels)
    return canvas


def rgb(pixels: Grey, red: float = 1.0, green: float = 1.0, blue: float = 1.0) -> NDArray[np.uint8]:
    """Return a grey picture in colours, each a multiple of the grey."""
    tinted: NDArray[np.uint8] = np.round(pixels[..., None] * np.array([red, green, blue]) * 255).astype(np.uint8)
    return tinted


KINDS: dict[str, Callable[[Case], Picture]] = {
    "as stored": lambda case: case.chest,
    "two frontals side by side": lambda case: beside(case.chest, case.other),
    "frontal beside a lateral": beside_lateral,
    "frontal beside a lateral, squeezed into a square": partial(beside_lateral, squeezed=True),
    **{f"turned by {degrees} degrees": partial(turn, degrees=degrees) for degrees in DEGREES},
    **{f"turned by {degrees}, edges repeated": partial(turn, degrees=degrees, corners="edge") for degrees in (15, 30)},
    **{f"turned by {degrees}, corners cut off": partial(turn, degrees=degrees, corners="cut") for degrees in (15, 30)},
    "middle nine tenths": lambda case: crop(case.chest, 0.9),
    "middle three quarters": lambda case: crop(case.chest, 0.75),
    "middle half": lambda case: crop(case.chest, 0.5),
    "middle three quarters of the width": lambda case: crop(case.chest, 0.75, 1),
    "middle half of the width": lambda case: crop(case.chest, 0.5, 1),
    "in a white border": lambda case: frame(case.chest, 0.1, 1),
    "in a wide black border": lambda case: frame(case.chest, 0.4, 0),
    "screenshot of a grey window": lambda case: window(case.chest, coloured=False),
    "screenshot of a coloured window": lambda case: window(case.chest, coloured=True),
    "sepia": lambda case: rgb(case.chest, 1.0, 0.85, 0.6),
    "blue": lambda case: rgb(case.chest, 0.6, 0.8, 1.0),
}


def screen(picture: Picture, folder: Path) -> Screening:
    """Return what the companions say; a picture in colour goes through a file, as an upload does."""
    if picture.ndim == 2:
        return builtin_companions().screen(np.ascontiguousarray(picture, np.float32), {})
    Image.fromarray(picture).save(folder / "picture.png")
    radiograph = read(folder / "picture.png")
    return builtin_companions().screen(radiograph.pixels, radiograph.metadata)


def find_laterals(folder: Path) -> list[Path]:
    """Return the lateral radiographs of covid-chestxray-dataset whose patient has an odd number.

    Those of the other patients served to choose the limits.
    """
    with (folder / "metadata.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["view"] == "L" and row["modality"] == "X-ray"]
    names = [row["filename"] for row in rows if int(re.sub(r"\D", "", row["patientid"])) % 2]
    return [path for name in names if (path := folder / "images" / name).is_file()]


def draw_cases(manifest: Manifest, per_source: int) -> pd.DataFrame:
    """Return rows of the manifest, as many of each source, and one image a patient."""
    table = (
        manifest.table.assign(path=[str(path) for path in manifest.paths()])
        .sample(frac=1, random_state=0)
        .drop_duplicates("group")
    )
    return table.groupby("source").head(per_source).sort_values("source", kind="stable").reset_index(drop=True)


def measure_kinds(rows: pd.DataFrame, laterals: list[Path], kinds: list[str], console: Console) -> None:
    """Print how often each kind is refused or warned of."""
    out = Table("kind", "images", "refused, %", "warned, %", "codes", title="made from real frontal chests")
    groups = group_index(rows["group"].to_numpy(str))
    with tempfile.TemporaryDirectory() as temporary:
        for kind in kinds:
            refused, warned, codes = [], [], Counter[str]()
            for row, path in enumerate(rows["path"]):
                draws = np.random.default_rng([row, len(kind)])
                partner = rows["path"][(row + 1) % len(rows)]
                lateral = str(laterals[draws.integers(len(laterals))]) if laterals else path
                case = Case(read(path).pixels, read(partner).pixels, read(lateral).pixels, draws)
                found = screen(KINDS[kind](case), Path(temporary))
                refused.append(bool(found.refusals))
                warned.append(bool(found.warnings))
                codes.update(finding.code for finding in (*found.refusals, *found.warnings))
            named = ", ".join(f"{code} {count}" for code, count in codes.most_common())
            out.add_row(kind, str(len(rows)), percent(refused, groups), percent(warned, groups), named)
    console.print(out)


def measure_upright(manifest: Manifest, models: list[str], console: Console) -> None:
    """Print how often frontal chests are refused as they are, by source."""
    table = manifest.table[["source", "group"]].reset_index(drop=True)
    counted = [f"refused with {name}" for name in models]
    table[["refused", *counted]] = False
    loaded = [load(name) for name in models]
    codes: dict[str, Counter[str]] = {}
    for row, path in enumerate(manifest.paths()):
        radiograph = read(path)
        found = builtin_companions().screen(radiograph.pixels, radiograph.metadata)
        table.loc[row, "refused"] = bool(found.refusals)
        codes.setdefault(table["source"][row], Counter()).update(finding.code for finding in found.refusals)
        for name, model in zip(counted, loaded, strict=True):
            ood = model.run(radiograph.pixels).ood
            table.loc[row, name] = bool(found.refusals) or not ood <= model.card.refusal.ood_threshold
    out = Table("source", "images", "refused, %", *(f"{name}, %" for name in counted), "codes")
    for source, part in [("all", table), *table.groupby("source")]:
        groups = group_index(part["group"].to_numpy(str))
        shares = [percent(part[name].tolist(), groups) for name in ("refused", *counted)]
        found_here = sum(codes.values(), Counter()) if source == "all" else codes[str(source)]
        named = ", ".join(f"{code} {count}" for code, count in found_here.most_common())
        out.add_row(str(source), str(len(part)), *shares, named)
    console.print(out)


def percent(found: list[Any], groups: NDArray[np.intp]) -> str:
    """Return a share in percent with Wilson's interval."""
    estimate = estimate_proportion(np.array(found, np.bool_), groups, what="set of images")
    if estimate.value is None or estimate.low is None or estimate.high is None:
        return f"{100 * np.mean(found):.1f}"
    return f"{100 * estimate.value:.1f} [{100 * estimate.low:.1f}, {100 * estimate.high:.1f}]"


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument(
        "--laterals", type=Path, help="folder of covid-chestxray-dataset; without it, no pairs with them"
    )
    parser.add_argument("--sources", default="", help="of the manifest, with commas; all by default")
    parser.add_argument("--per-source", type=int, default=25)
    parser.add_argument("--kinds", default="", help="words; the kinds whose names hold one of them, with commas")
    parser.add_argument("--upright", action="store_true", help="ask about the frontal chests as they are")
    parser.add_argument("--model", action="append", default=[], dest="models", help="with --upright")
    parser.add_argument("--split", help="a part of the manifest")
    options = parser.parse_args()
    manifest = read_manifest(options.manifest)
    if options.split:
        manifest = manifest.part(options.split)
    if options.sources:
        manifest = manifest.where(manifest.table["source"].isin(options.sources.split(",")))
    console = Console(width=200)
    if options.upright:
        measure_upright(manifest, options.models, console)
        return
    words = options.kinds.split(",")
    kinds = [
        name for name in KINDS if any(word in name for word in words) and (options.laterals or "lateral" not in name)
    ]
    laterals = find_laterals(options.laterals) if options.laterals else []
    measure_kinds(draw_cases(manifest, options.per_source), laterals, kinds, console)


if __name__ == "__main__":
    main()
