"""How many decisions a flat border changes, with and without cutting it off, and how many real images have one.

    python benchmarks/borders.py m.parquet [--per-source 25] [--model opacity --model covid]
    python benchmarks/borders.py m.parquet --real [--model opacity --model covid]

The first form puts real frontal chests of a manifest, one a patient and as many of each source, into borders and bars
of a sixteenth, an eighth and a quarter of a side, black, white, grey, and through a JPEG. It prints the share of
decisions that differ from those about the same image without a border (through the same JPEG, where there is one): with
the border left, as a model sees it that does not cut, and with it cut off. The second form counts the real images that
have a flat border, by source, and the decisions that change because it is cut off. Intervals are Wilson's, clustered by
patient. Nothing made from a patient's image is kept.
"""

from __future__ import annotations

import argparse
import io
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from gatekeeper_kinds import Grey, draw_cases, percent
from numpy.typing import NDArray
from PIL import Image
from rich.console import Console
from rich.table import Table

from pneumoscope.bundle.runtime import Model, load
from pneumoscope.bundle.screening import builtin_companions
from pneumoscope.data.manifest import Manifest, read_manifest
from pneumoscope.imaging.border import NO_BORDER, find_border
from pneumoscope.imaging.read import read
from pneumoscope.stats.metrics import group_index

SHARES = {"a sixteenth": 1 / 16, "an eighth": 1 / 8, "a quarter": 1 / 4}
PLACES = {"all around": (1, 1), "left and right": (0, 1), "top and bottom": (1, 0)}
GREYS: dict[str, tuple[float, int | None]] = {
    "black": (0, None),
    "white": (1, None),
    "grey": (0.5, None),
    "black, JPEG 60": (0, 60),
    "white, JPEG 60": (1, 60),
}


def compress(pixels: Grey, quality: int | None) -> Grey:
    """Return a picture as a JPEG of a quality gives it back; None: as it is."""
    if quality is None:
        return pixels
    file = io.BytesIO()
    Image.fromarray(np.round(pixels * 255).astype(np.uint8)).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file)).astype(np.float32) / 255


def surround(pixels: Grey, share: float, places: tuple[int, int], grey: float) -> Grey:
    """Return a picture with a border of one grey: a share of its height above and below, of its width at the sides."""
    rows, columns = (round(share * side) * place for side, place in zip(pixels.shape, places, strict=True))
    return np.pad(pixels, ((rows, rows), (columns, columns)), constant_values=np.float32(grey))


def decide(models: list[Model], pixels: Grey, *, cut: bool) -> list[bool]:
    """Return whether each model's score reaches its threshold, with a border cut off or left."""
    seen = np.ascontiguousarray(find_border(pixels).cut(pixels) if cut else pixels)
    return [bool(model.probabilities(seen)[0] >= model.card.operating_point.threshold) for model in models]


def measure_borders(rows: pd.DataFrame, models: list[Model], console: Console) -> None:
    """Print the share of decisions that each border changes."""
    names = [model.card.name for model in models]
    head = [f"{name}: {what}, %" for name in names for what in ("left", "cut off")]
    out = Table("border", "width", "grey", "images", *head, title="decisions that a border changes")
    groups = group_index(rows["group"].to_numpy(str))

    def ask(path: str, share: float, places: tuple[int, int], grey: float, quality: int | None) -> NDArray[np.bool_]:
        pixels = read(path).pixels
        plain, bordered = compress(pixels, quality), compress(surround(pixels, share, places, grey), quality)
        # Both are compared with the image as the same kind of model sees it without the border.
        return np.array(
            [np.not_equal(decide(models, plain, cut=cut), decide(models, bordered, cut=cut)) for cut in (False, True)]
        )

    with ThreadPoolExecutor() as pool:
        for place, places in PLACES.items():
            for width, share in SHARES.items():
                for name, (grey, quality) in GREYS.items():
                    tasks = [(path, share, places, grey, quality) for path in rows["path"]]
                    changed = np.array(list(pool.map(lambda task: ask(*task), tasks)))
                    pairs = [(cut, model) for model in range(len(models)) for cut in (0, 1)]
                    cells = [percent(changed[:, cut, model].tolist(), groups) for cut, model in pairs]
                    out.add_row(place, width, name, str(len(rows)), *cells)
    console.print(out)


def measure_real(manifest: Manifest, models: list[Model], console: Console) -> None:
    """Print how many images have a border of their own, and how many decisions change because it is cut off."""
    table = manifest.table[["source", "group"]].reset_index(drop=True)
    seconds = 0.0
    for row, path in enumerate(manifest.paths()):
        pixels = read(path).pixels
        started = time.perf_counter()
        border = find_border(pixels)
        seconds += time.perf_counter() - started
        table.loc[row, "bordered"] = border != NO_BORDER
        for name, cut in (("refused", False), ("refused inside", True)):
            found = builtin_companions().screen(pixels, {}, cut_border=cut) if border != NO_BORDER else None
            table.loc[row, name] = found is not None and bool(found.refusals)
        changed = [False] * len(models)
        if border != NO_BORDER:
            pairs = zip(decide(models, pixels, cut=False), decide(models, pixels, cut=True), strict=True)
            changed = [before != after for before, after in pairs]
        for model, one in zip(models, changed, strict=True):
            table.loc[row, model.card.name] = one
    names = [model.card.name for model in models]
    out = Table(
        "source",
        "images",
        "with a border",
        "%",
        "refused, left",
        "cut off",
        *(f"{name}: decisions that change" for name in names),
    )
    for source, part in [("all", table), *table.groupby("source")]:
        groups = group_index(part["group"].to_numpy(str))
        bordered = part["bordered"].astype(bool)
        changes = [str(int(part[name].sum())) for name in ("refused", "refused inside", *names)]
        out.add_row(str(source), str(len(part)), str(bordered.sum()), percent(bordered.tolist(), groups), *changes)
    console.print(out)
    console.print(f"The search for a border took {1000 * seconds / len(table):.2f} ms an image.")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--per-source", type=int, default=25)
    parser.add_argument("--real", action="store_true", help="count the images with a border of their own")
    parser.add_argument("--model", action="append", default=[], dest="models", help="opacity and covid by default")
    options = parser.parse_args()
    models = [load(name) for name in options.models or ("opacity", "covid")]
    manifest, console = read_manifest(options.manifest), Console(width=200)
    if options.real:
        measure_real(manifest, models, console)
    else:
        measure_borders(draw_cases(manifest, options.per_source), models, console)


if __name__ == "__main__":
    main()
