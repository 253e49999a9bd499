"""Measures how fast a small network trains here, against Keras 3 + TensorFlow on the same images, in one run.

    python benchmarks/keras_cnn150/compare.py [--rounds 4] [--epochs 3] [--learn 30] [--float32] [-o result.json]

``cnn-150`` is trained by Keras (train_keras.py, in an environment of its own that is made on first use) and by
Pneumoscope (train_pneumoscope.py) in turn, A B A B, each in a fresh process: whatever else the machine does meets both.
The first epoch of each process warms up and is not counted. The images are the Kaggle pneumonia set where it lies
beside the project (or where ``--data`` says), else phantoms; both sides get the same 150 x 150 pixels.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from pneumoscope.core.files import write_json
from pneumoscope.data.importing import import_source
from pneumoscope.data.manifest import write_manifest
from pneumoscope.data.phantoms.dataset import write_set
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES
from pneumoscope.data.splits import assign_parts
from pneumoscope.recipes.recipe import load_recipe
from pneumoscope.training.plan import Plan, load_part, make_plan

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent))

from keras_comparison import (  # noqa: E402
    ENVIRONMENT,
    as_text,
    format_loads,
    in_fresh_process,
    keras_environment,
    spread,
)

PARAMETERS = 1_246_401
"""What the source prints, batch-norm statistics included, as Keras counts."""
SHARES = {"train": 0.7, "validation": 0.25, "calibration": 0.05}
TARGET = 2.0


def images(data: Path | None, patients: int, folder: Path) -> tuple[Plan, str]:
    """Return the plan of ``cnn-150`` on the images, and what they are in words."""
    if data is None:
        labels = ("viral-pneumonia", "normal")
        manifest, words = write_set(folder / "phantoms", patients, labels), "phantoms (synthetic, drawn by the package)"
    else:
        manifest, _ = import_source(SOURCES.get("kaggle-pneumonia"), data, ImportOptions())
        words = "Kaggle pneumonia (children; Kermany 2018)"
    training_plan = make_plan(load_recipe("cnn-150"), assign_parts(manifest, SHARES, seed=0))
    return training_plan, words


def write_images(made: Plan, folder: Path) -> None:
    """Write what both sides read: the manifest, and its 150 x 150 pixels (uint8) with their classes (1 = normal)."""
    write_manifest(made.manifest, folder / "manifest.parquet")
    train, validation = load_part(made, "train"), load_part(made, "validation")
    np.savez(
        folder / "images.npz",
        train=train.images.take(range(len(train)))[:, 0].numpy(),
        train_y=train.targets,
        validation=validation.images.take(range(len(validation)))[:, 0].numpy(),
        validation_y=validation.targets,
    )


def one_run(command: list[Any], out: Path) -> dict[str, Any]:
    """Run one side in a fresh process and return what it measured, with its rates after the first epoch."""
    result = in_fresh_process(command, out, PARAMETERS)
    counted = slice(1, None)
    epochs = len(result["train_seconds"]) - 1
    if epochs:
        result["images_per_second"] = epochs * result["images"] / sum(result["train_seconds"][counted])
        result["images_per_second_whole_epoch"] = epochs * result["images"] / sum(result["epoch_seconds"][counted])
        result["images_per_cpu_second"] = epochs * result["images"] / sum(result["cpu_seconds"][counted])
    return result


RATES = {
    "images_per_second": "training batches",
    "images_per_second_whole_epoch": "whole epochs",
    "images_per_cpu_second": "per CPU second",
}
"""Whole epochs hold validation, metrics and, in Pneumoscope, checkpoints. A CPU second moves less with the load."""


def summary(runs: dict[str, list[dict[str, Any]]]) -> dict[str, Any]:
    """Return images a second of each side, and the ratio of each to Keras, round by round."""
    result: dict[str, Any] = {}
    for key in RATES:
        rates = {side: [run[key] for run in of_side] for side, of_side in runs.items()}
        result[key] = {side: spread(values) for side, values in rates.items()}
        result[f"ratio_{key}"] = {
            side: spread([a / b for a, b in zip(values, rates["keras"], strict=True)])
            for side, values in rates.items()
            if side != "keras"
        }
    return result


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    print(f"\ncnn-150, {PARAMETERS:,} parameters on both sides; {report['images']}")
    print(
        f"{report['rounds']} rounds of {report['epochs']} epochs, the first of each not counted; load {report['load']}"
    )
    for side, software in report["software"].items():
        print(f"  {side:13} {software}")
    print(f"\n  {'images a second: median (low to high)':38}" + "".join(f"{title:>26}" for title in RATES.values()))
    for side in report["software"]:
        print(f"  {side:38}" + "".join(f"{as_text(report[key][side], 1):>26}" for key in RATES))
    for side in report["ratio_images_per_second"]:
        print(f"  {side + ' / keras':38}" + "".join(f"{as_text(report[f'ratio_{key}'][side], 2):>26}" for key in RATES))
    print(f"  target: pneumoscope / keras at least {TARGET:g} in training batches")
    for side, figures in report["learning"].items():
        print(f"  {side}: {len(figures['validation_accuracy'])} epochs: {figures['words']}")


def learnt(result: dict[str, Any]) -> dict[str, Any]:
    """Return a run's accuracies, and their last five epochs in words."""
    validation, training = result["validation_accuracy"], result["train_accuracy"]
    words = (
        f"accuracy of the last five: training {np.mean(training[-5:]):.3f}, validation {np.mean(validation[-5:]):.3f}"
    )
    return {"validation_accuracy": validation, "train_accuracy": training, "words": words}


def main() -> None:
    """Prepare, alternate, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = HERE.parents[2] / "shared" / "data" / "kaggle-pneumonia"
    parser.add_argument(
        "--data", type=Path, default=beside if beside.is_dir() else None, help="folder of the Kaggle set"
    )
    parser.add_argument("--phantoms", type=int, metavar="PATIENTS", help="of each class, in place of the Kaggle set")
    parser.add_argument("--rounds", type=int, default=4)
    parser.add_argument("--epochs", type=int, default=3, help="of each process, the first not counted")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument(
        "--learn", type=int, default=0, metavar="EPOCHS", help="train both once more, to compare accuracy"
    )
    parser.add_argument("--float32", action="store_true", help="a third side: Pneumoscope without bf16")
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT, help="of Keras; made if absent")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    if options.epochs < 2 or options.rounds < 1:
        parser.error("at least 2 epochs (the first is not counted) and 1 round")
    sides: dict[str, list[Any]] = {
        "keras": [keras_environment(options.environment), HERE / "train_keras.py"],
        "pneumoscope": [sys.executable, HERE / "train_pneumoscope.py"],
    }
    if options.float32:
        sides["pneumoscope-float32"] = [*sides["pneumoscope"], "--float32"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        made, words = images(None if options.phantoms else options.data, options.phantoms or 150, folder)
        write_images(made, folder)
        reads = {
            "keras": ["--images", folder / "images.npz"],
            "pneumoscope": ["--manifest", folder / "manifest.parquet"],
        }

        def command(side: str, epochs: int, seed: int) -> list[Any]:
            same = ["--epochs", epochs, "--batch", options.batch, "--seed", seed]
            return [*sides[side], *reads[side.partition("-")[0]], *same]

        runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
        for number in range(options.rounds):
            for side, of_side in runs.items():
                of_side.append(one_run(command(side, options.epochs, number), folder / "result.json"))
                print(
                    f"round {number + 1}: {side:13} {of_side[-1]['images_per_second']:7.1f} images/s, "
                    f"load {of_side[-1]['load'][1]:.1f}",
                    file=sys.stderr,
                    flush=True,
                )
        learning = {}
        if options.learn:
            learning = {s: learnt(one_run(command(s, options.learn, 0), folder / "result.json")) for s in sides}
    loads = [value for of_side in runs.values() for run in of_side for value in run["load"]]
    parts = ", ".join(f"{part} {len(made.manifest.part(part))}" for part in ("train", "validation"))
    report = {
        "images": f"{words}: {parts}",
        "parameters": PARAMETERS,
        "rounds": options.rounds,
        "epochs": options.epochs,
        "batch": options.batch,
        "cores": os.cpu_count(),
        "load": format_loads(loads),
        "software": {side: of_side[0]["software"] for side, of_side in runs.items()},
        **summary(runs),
        "learning": learning,
        "runs": runs,
    }
    show(report)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.out, report)


if __name__ == "__main__":
    main()
