"""AUROC at a source that a recipe's training never saw, for each source that holds both classes.

    python benchmarks/source_left_out.py merged.parquet --out results.json [--recipe NAME] [--set KEY=VALUE]

The manifest is the one that docs/results.md merges from six sets. For each source all images that share its origin
leave the training, by any set they came: the RSNA's images are NIH's and are in the Radiography database too, whose
viral pneumonias and some of whose normal images are Kermany's children, and whose COVID-19 is in part ieee8023's. Nine
tenths of the other images train, one tenth chooses the epoch. A frozen backbone runs once for all trainings.

Printed are AUROC with a 95% interval by patients, the share of decisions that change when the image is mirrored, and
the mean over the sources with at least 30 images of either class. A result is kept as soon as it is known: the same
command goes on.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch

from pneumoscope.core.files import write_text
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.splits import assign_parts
from pneumoscope.export.graph import forward_part
from pneumoscope.recipes.recipe import load_recipe
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.training.features import FeatureStore
from pneumoscope.training.input.dataset import loader
from pneumoscope.training.loop.fit import FittedRun, fit
from pneumoscope.training.plan import Plan, make_plan

LEFT_OUT = "calibration"
"""The part that holds the source that is left out: training neither learns nor chooses from it."""
FEW = 30
"""Fewest images of a class with which a source counts in the mean."""


def families(table: pd.DataFrame) -> dict[str, tuple[pd.Series, pd.Series]]:
    """Return source -> (its images, the images that leave the training with it)."""
    source, label = table.source, table.label
    archive = source == "radiography"
    name = table.image.str.split("/").str[-1]
    rsna = (source == "nih") | archive & ((label == "lung-opacity") | name.str.startswith("Normal-r"))
    normal = archive & (label == "normal")
    found = {
        "RSNA (adults, USA)": (rsna, rsna | normal),
        "Shenzhen (adults, China)": (source == "shenzhen", source == "shenzhen"),
        "Kermany (children, China)": (
            source == "kaggle-pneumonia",
            (source == "kaggle-pneumonia") | normal & ~rsna | archive & (label == "viral-pneumonia"),
        ),
        "ieee8023 (case reports)": (source == "ieee8023", (source == "ieee8023") | archive & (label == "covid-19")),
    }
    return {name: pair for name, pair in found.items() if pair[0].any()}


def plan_without(plan: Plan, tested: pd.Series, excluded: pd.Series) -> Plan:
    """Return the plan whose part calibration, which training never sees, is the source that is left out."""
    table = plan.manifest.table
    kept = ~excluded & ~table.group.isin(table.group[tested | excluded])
    parts = assign_parts(plan.manifest.where(kept), {"train": 0.9, "validation": 0.1}, seed=0).table
    part_of = dict(zip(parts.group, parts["split"], strict=True))
    split = [LEFT_OUT if test else part_of.get(group) for test, group in zip(tested, table.group, strict=True)]
    placed = plan.manifest.with_split(split, "one source left out")
    return Plan(plan.recipe, placed.where(placed.table["split"].notna()), ())


def mirrored_scores(fitted: FittedRun) -> np.ndarray[Any, Any]:
    """Return the difference of the logits [N] of the mirrored images of the source that was left out."""
    out = []
    with torch.inference_mode():
        for batch in loader(fitted.parts[LEFT_OUT], 64):
            logits = fitted.model(batch.image.flip(3).float() / 255)
            out.append((logits[:, 0] - logits[:, 1]).numpy())
    return np.concatenate(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("--recipe", default="mobilenetv2-opacity")
    parser.add_argument("--set", action="append", default=[], dest="sets")
    parser.add_argument("--runs", type=Path, default=Path("runs/left-out"))
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    plan = make_plan(load_recipe(options.recipe, options.sets), Manifest.read(options.manifest))
    results: dict[str, Any] = json.loads(options.out.read_text()) if options.out.is_file() else {}
    positive = str(plan.recipe.task.sigmoid_of)
    unit = list(plan.recipe.task.classes).index(positive)
    with FeatureStore() as store:
        for name, (tested, excluded) in families(plan.manifest.table).items():
            if name in results:
                continue
            part = plan_without(plan, tested, excluded)
            fitted = fit(part, options.runs / name.split()[0].lower(), features=store, resume=True)
            logits, _ = forward_part(fitted.model, fitted.parts[LEFT_OUT])
            score = (logits[:, unit] - logits[:, 1 - unit]).astype(np.float64)
            truth = part.targets(LEFT_OUT) == unit
            group = pd.factorize(part.manifest.part(LEFT_OUT).table.group)[0]
            area = estimate_auroc(score, truth, group)
            threshold = np.median(score)
            changed = (score >= threshold) != ((mirrored_scores(fitted) * (1 if unit == 0 else -1)) >= threshold)
            results[name] = {
                "auroc": area.value,
                "low": area.low,
                "high": area.high,
                "positive": int(truth.sum()),
                "negative": int((~truth).sum()),
                "mirrored_changes": float(changed.mean()),
            }
            write_text(options.out, json.dumps(results, indent=1) + "\n")
            rounded = {key: value if value is None else round(value, 3) for key, value in results[name].items()}
            print(name, rounded, flush=True)
    counted = [r["auroc"] for r in results.values() if min(r["positive"], r["negative"]) >= FEW]
    print(f"mean over the {len(counted)} sources with {FEW} images of either class: {np.mean(counted):.3f}")


if __name__ == "__main__":
    main()
