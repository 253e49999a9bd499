"""Measures how long a head on a frozen backbone takes to train here, against Keras 3 + TensorFlow, in one run.

    python benchmarks/keras_frozen/compare.py [--images 600] [--keras-epochs 5] [--rounds 1] [-o result.json]

``transfer-mobilenetv2`` is trained by Keras (train_keras.py) and by Pneumoscope (train_pneumoscope.py) in turn, each in
a fresh process, from the same weights and the same 299 x 299 pixels, for 30 epochs with validation in each. The time
goes from building the network to the end of the last epoch: the pass through the backbone, the head, validation, and
for Pneumoscope the checkpoints. Starting Python and decoding are not counted. Where Keras gets fewer epochs, its later
ones are taken to last as long as those after its first, and the table shows how alike they are.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import nn

from pneumoscope.core.errors import WeightsError
from pneumoscope.core.files import write_json, write_text
from pneumoscope.data.importing import import_source
from pneumoscope.data.manifest import Manifest, write_manifest
from pneumoscope.data.phantoms.dataset import write_set
from pneumoscope.data.source import ImportOptions
from pneumoscope.data.sources import SOURCES
from pneumoscope.recipes.recipe import load_recipe
from pneumoscope.training.networks.build import Classifier, build, count_parameters
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

CLASSES = "task.classes=[covid-19, normal, viral-pneumonia]"
EPOCHS = 30
PROBE = 4
TARGET = 12.0


def images(data: Path | None, wanted: int | None) -> tuple[Manifest, str]:
    """Return a manifest without parts, of all images or of about so many, and what they are in words."""
    if data is None:
        folder = Path(tempfile.gettempdir()) / "pneumoscope-bench-phantoms"
        labels = ("covid-19", "normal", "viral-pneumonia")
        manifest, words = write_set(folder, (wanted or 600) // 4, labels), "phantoms (synthetic, drawn by the package)"
    else:
        manifest, _ = import_source(SOURCES.get("radiography"), data, ImportOptions())
        words = "COVID-19 Radiography"
    if wanted is not None and wanted < len(manifest):
        manifest = manifest.where(np.random.default_rng(0).permutation(len(manifest)) < wanted)
    return manifest, words


def keras_weights(model: Classifier) -> list[np.ndarray]:
    """Return the backbone's weights in the order and layout of ``keras.applications.MobileNetV2``.

    Keras adds 1e-3 to a variance and timm 1e-5: the difference goes into the variance.
    """
    images: list[np.ndarray] = []
    for layer in model.trunk.modules():
        if isinstance(layer, nn.Conv2d):
            order = (2, 3, 0, 1) if layer.groups > 1 else (2, 3, 1, 0)
            images.append(layer.weight.detach().permute(*order).numpy())
        elif isinstance(layer, nn.BatchNorm2d):
            if layer.running_mean is None or layer.running_var is None:
                raise TypeError("batch-norm without statistics")
            variance = layer.running_var + layer.eps - 1e-3
            images += [t.detach().numpy() for t in (layer.weight, layer.bias, layer.running_mean, variance)]
    return images


def write_inputs(made: Plan, model: Classifier, folder: Path) -> None:
    """Write what both sides read: manifest, recipe; pixels, classes, weights, and what the backbone makes of four."""
    write_manifest(made.manifest, folder / "manifest.parquet")
    write_text(folder / "recipe.yaml", made.recipe.to_yaml())
    parts = {part: load_part(made, part) for part in ("train", "validation")}
    arrays = {part: loaded.images.take(range(len(loaded)))[:, 0].numpy() for part, loaded in parts.items()}
    with torch.inference_mode():
        probe = model.eval().features(parts["train"].images.take(range(PROBE)).float() / 255).mean((2, 3)).numpy()
    np.savez(
        folder / "images.npz",
        **arrays,
        **{f"{part}_y": loaded.targets for part, loaded in parts.items()},
        **{f"w{number}": value for number, value in enumerate(keras_weights(model))},
        probe=probe,
    )


def whole_run(result: dict[str, Any]) -> tuple[float, float]:
    """Return seconds and CPU seconds of 30 epochs; missing ones are as long as the median of those after the first."""
    seconds = result["epoch_seconds"]
    missing = EPOCHS - len(seconds)
    # Where processor time is not known epoch by epoch, it is shared out like the time.
    cpu = result.get("epoch_cpu") or [result["cpu"] * part / result["seconds"] for part in seconds]
    clock = result["seconds"] + missing * statistics.median(seconds[1:] or seconds)
    return float(clock), float(result["cpu"] + missing * statistics.median(cpu[1:] or cpu))


def show(report: dict[str, Any]) -> None:
    """Print the table."""
    print(f"\ntransfer-mobilenetv2, {report['parameters']:,} parameters on both sides; {report['images']}")
    print(f"{EPOCHS} epochs, batch {report['batch']}, {report['rounds']} round(s), load {report['load']}")
    for side, software in report["software"].items():
        print(f"  {side:16} {software}")
    titles = ("epochs run", "the pass, s", "an epoch after the first, s", "30 epochs, s", "CPU seconds")
    print(f"\n  {'':16} {titles[0]:>10} {titles[1]:>14} {titles[2]:>28} {titles[3]:>22} {titles[4]:>22}")
    for side, figures in report["sides"].items():
        columns = f"{figures['epochs']:>10} {as_text(figures['pass'], 1):>14} {as_text(figures['epoch'], 2):>28}"
        print(f"  {side:16} {columns} {as_text(figures['whole'], 1):>22} {as_text(figures['cpu'], 1):>22}")
    for side, ratio in report["ratios"].items():
        print(
            f"  keras / {side:16} {as_text(ratio['clock'], 1)} by the clock, {as_text(ratio['cpu'], 1)} in CPU seconds"
        )
    print(f"  target: keras takes at least {TARGET:g} times as long")
    print(f"  same backbone: pooled features differ by {report['probe']:.1e} of the largest")
    for side, figures in report["sides"].items():
        print(f"  {side:16} best validation accuracy {figures['best']:.3f} in {figures['epochs']} epochs")


def main() -> None:
    """Prepare, alternate, report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    beside = HERE.parents[2] / "shared" / "data" / "radiography"
    parser.add_argument("--data", type=Path, default=beside if beside.is_dir() else None, help="the Radiography set")
    parser.add_argument("--images", type=int, help="of all parts together; all of them by default")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument(
        "--keras-epochs", type=int, default=EPOCHS, help="of the sides that run the backbone each epoch"
    )
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--by-hand", action="store_true", help="a third side: Keras with features computed once")
    parser.add_argument("--each-epoch", action="store_true", help="a further side: Pneumoscope without stored features")
    parser.add_argument("--environment", type=Path, default=ENVIRONMENT, help="of Keras; made if absent")
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    keras_side, own_side = (
        [keras_environment(options.environment), HERE / "train_keras.py"],
        [sys.executable, HERE / "train_pneumoscope.py"],
    )
    sides: dict[str, tuple[list[Any], int]] = {
        "keras": (keras_side, options.keras_epochs),
        "pneumoscope": (own_side, EPOCHS),
    }
    if options.by_hand:
        sides["keras by hand"] = ([*keras_side, "--by-hand"], EPOCHS)
    if options.each_epoch:
        sides["pneumoscope, each epoch"] = ([*own_side, "--each-epoch"], options.keras_epochs)
    manifest, words = images(options.data, options.images)
    recipe = load_recipe("transfer-mobilenetv2", [CLASSES])
    try:
        model = build(recipe)
    except WeightsError as error:
        print(f"{error} Random weights instead: times are the same, accuracies mean nothing.", file=sys.stderr)
        recipe = load_recipe("transfer-mobilenetv2", [CLASSES, "network.pretrained=null"])
        model = build(recipe)
    made, parameters = make_plan(recipe, manifest), count_parameters(model, "keras")
    runs: dict[str, list[dict[str, Any]]] = {side: [] for side in sides}
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_inputs(made, model, folder)
        del model
        reads = {
            "keras": ["--images", folder / "images.npz"],
            "pneumoscope": ["--manifest", folder / "manifest.parquet", "--recipe", folder / "recipe.yaml"],
        }
        for number in range(options.rounds):
            for side, (command, epochs) in sides.items():
                same = ["--epochs", epochs, "--batch", options.batch, "--seed", number]
                done = in_fresh_process([*command, *reads[side.split()[0]], *same], folder / "result.json", parameters)
                runs[side].append(done)
                line = f"{side:16} {epochs} epochs in {done['seconds']:.0f} s, load {done['load'][1]:.1f}"
                print(f"round {number + 1}: {line}", file=sys.stderr, flush=True)
    parts = ", ".join(f"{part} {len(made.manifest.part(part))}" for part in ("train", "validation"))
    loads = [value for of_side in runs.values() for run in of_side for value in run["load"]]
    whole = {side: [whole_run(run) for run in of_side] for side, of_side in runs.items()}
    keras_run = runs["keras"][0]
    report = {
        "images": f"{words}: {parts}",
        "parameters": parameters,
        "rounds": options.rounds,
        "batch": options.batch,
        "cores": os.cpu_count(),
        "load": format_loads(loads),
        "software": {side: of_side[0]["software"] for side, of_side in runs.items()},
        "probe": keras_run["probe_difference"] / keras_run["probe_largest"],
        "sides": {
            side: {
                "epochs": sides[side][1],
                "pass": spread([run["pass_seconds"] for run in of_side]),
                "epoch": spread([s for run in of_side for s in run["epoch_seconds"][1:]]),
                "whole": spread([clock for clock, _ in whole[side]]),
                "cpu": spread([cpu for _, cpu in whole[side]]),
                "best": max(max(run["validation_accuracy"]) for run in of_side),
            }
            for side, of_side in runs.items()
        },
        "ratios": {
            side: {
                name: spread([a[i] / b[i] for a, b in zip(whole["keras"], values, strict=True)])
                for i, name in enumerate(("clock", "cpu"))
            }
            for side, values in whole.items()
            if side != "keras"
        },
        "runs": runs,
    }
    show(report)
    if options.out:
        options.out.parent.mkdir(parents=True, exist_ok=True)
        write_json(options.out, report)


if __name__ == "__main__":
    main()
