"""``transfer-mobilenetv2`` in Pneumoscope's own training loop, timed. Runs in the package's environment.

    python train_pneumoscope.py --manifest manifest.parquet --recipe recipe.yaml --epochs 30 --seed 0 --out out.json

It is the function behind ``pneumoscope train``, with checkpoints, metrics and TensorBoard's log. ``--each-epoch`` keeps
no feature maps: what remains is the rest of the difference.
"""

from __future__ import annotations

import argparse
import csv
import json
import tempfile
import time
from pathlib import Path

import torch

from pneumoscope.data.manifest import read_manifest
from pneumoscope.recipes.recipe import load_recipe
from pneumoscope.training.features import FeatureStore
from pneumoscope.training.loop import fit
from pneumoscope.training.networks.build import count_parameters
from pneumoscope.training.plan import load_part, make_plan


def main() -> None:
    """Train once and write what was measured."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--manifest", type=Path, required=True)
    parser.add_argument("--recipe", type=Path, required=True)
    parser.add_argument("--epochs", type=int, required=True)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--each-epoch", action="store_true", help="without stored feature maps")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    changes = {"epochs": options.epochs, "batch_size": options.batch, "seed": options.seed}
    recipe = load_recipe(str(options.recipe), [f"training.{key}={value}" for key, value in changes.items()])
    training_plan = make_plan(recipe, read_manifest(options.manifest))
    for part in ("train", "validation", "calibration"):
        load_part(training_plan, part)  # decoded before the clock starts, as those of Keras are
    with tempfile.TemporaryDirectory() as name, FeatureStore(0 if options.each_epoch else None) as features:
        folder = Path(name) / "run"
        started, cpu = time.perf_counter(), time.process_time()
        run = fit.fit(training_plan, folder, device="cpu", features=features)
        seconds, cpu = time.perf_counter() - started, time.process_time() - cpu
        read = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in folder.glob("*.json")}
        with (folder / "metrics.csv").open(encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
    result = {
        "parameters": count_parameters(run.model, "keras"),
        "images": len(run.parts["train"]),
        "seconds": seconds,
        "cpu": cpu,
        "pass_seconds": read.get("features", {"seconds": 0.0})["seconds"],
        "epoch_seconds": read["timing"]["epoch_seconds"],
        "validation_accuracy": [float(row["validation_accuracy"]) for row in rows],
        "software": f"Pneumoscope {read['environment']['pneumoscope']}, torch {torch.__version__}, "
        f"{read['environment']['precision']}",
        "threads": read["environment"]["threads"],
    }
    options.out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
