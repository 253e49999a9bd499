"""Measures models on each kind of image of each source: do they know the disease, or the source?

    python benchmarks/source_breakdown.py m.parquet BUNDLE [BUNDLE ...] [--split validation]

For every bundle and every (source, label) of one part: the share called the primary class at the card's default
operating point, with its 95% interval, the share refused, and the AUROC of the primary class against that kind of
image, once with the primary images of all sources and once with those of the same source only. The last column is the
one to trust: within one source, the habits of the source give nothing away. Labels that a bundle has no class for are
measured too, which is the point: what does it make of a disease that it never met? Images that a bundle was trained
on (its own split was another) flatter it; the table cannot know.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import pandas as pd
from rich.console import Console
from rich.table import Table

from pneumoscope.bundle.runtime import Model, load
from pneumoscope.data.manifest import Manifest, read_manifest
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.intervals import estimate_proportion
from pneumoscope.stats.metrics import group_index


def answers(model: Model, manifest: Manifest) -> pd.DataFrame:
    """Return one row an image: source, label, group, the primary class's score, and whether it was refused."""
    table = manifest.table[["source", "label", "group"]].copy()
    predictions = list(model.stream(manifest.paths()))
    if failed := [p for p in predictions if p.error is not None]:
        raise SystemExit(f"{len(failed)} images could not be read, the first: {failed[0].error}")
    table["score"] = [p.probabilities[0] for p in predictions]
    table["refused"] = [p.refused for p in predictions]
    return table


def against(table: pd.DataFrame, primary: pd.Series, other: pd.Series) -> str:
    """Return the AUROC of the primary images against the others, with its interval where there are enough groups."""
    if not primary.any() or not other.any():
        return ""
    both = table[primary | other]
    return str(
        estimate_auroc(
            both["score"].to_numpy(), primary[both.index].to_numpy(), group_index(both["group"].to_numpy(str))
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("manifest", type=Path)
    parser.add_argument("bundles", nargs="+", type=Path)
    parser.add_argument("--split", default="validation", choices=["validation", "calibration"])
    options = parser.parse_args()
    manifest = read_manifest(options.manifest).part(options.split)
    console = Console(width=140)
    for folder in options.bundles:
        model = load(folder)
        rows = answers(model, manifest)
        threshold, primary = model.card.operating_point.threshold, model.card.primary
        is_primary = rows["label"] == primary
        out = Table(
            "source", "label", "images", f"called {primary}", "refused", "AUROC, all sources", "AUROC, same source",
            title=f"{model.card.name} ({model.identity[:12]}) on {options.split}, threshold {threshold:.3f}",
        )  # fmt: skip
        for (source, label), part in rows.groupby(["source", "label"]):
            here = (rows["source"] == source) & (rows["label"] == label)
            called = estimate_proportion(
                (part["score"] >= threshold).to_numpy(), group_index(part["group"].to_numpy(str))
            )
            out.add_row(
                str(source), str(label), str(len(part)), str(called), f"{np.mean(part['refused']):.2f}",
                "" if label == primary else against(rows, is_primary, here),
                "" if label == primary else against(rows, is_primary & (rows["source"] == source), here),
            )  # fmt: skip
        console.print(out)


if __name__ == "__main__":
    main()
