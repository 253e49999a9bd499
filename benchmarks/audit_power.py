"""How often an audit finds a marker that was planted, and how often it blames a model that has none.

    python benchmarks/audit_power.py [--models 20] [--patients 130] [--out results.json]

Phantoms of 64 pixels, COVID-19 against normal. For each of the planted models a small bright sign is drawn at one of
eight places of the border, on a share (1 + r) / 2 of the images with COVID-19 and (1 - r) / 2 of the others; the
correlation r goes from .5 to 1. A clean model sees the same signs at random. Each model is a convolution with random
filters and a logistic regression (a second of processor time), written as an ONNX bundle, and audited on patients that
it did not learn from. The audit is the part that changes the input. A result is kept as soon as it is known: the same
command goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))

from bundles import card
from pneumoscope.auditing.answers import AnswerStore
from pneumoscope.auditing.images import AuditSet
from pneumoscope.auditing.logistic import fit_logistic
from pneumoscope.auditing.markers import exchange_corners, locate_marker
from pneumoscope.auditing.perturbations import AuditImage
from pneumoscope.auditing.removals import run_perturbations
from pneumoscope.auditing.verdicts import conclude
from pneumoscope.bundle.runtime import load
from pneumoscope.core.engines.local import LocalEngine
from pneumoscope.core.files import write_text
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.stats.auroc_interval import estimate_auroc
from pneumoscope.stats.intervals import estimate_proportion

SIDE, INPUT = 64, 32
SIGN = 5
"""Side of the sign, in pixels."""
PLACES = {
    "top, left": (2, 2),
    "top, right": (2, SIDE - SIGN - 2),
    "bottom, left": (SIDE - SIGN - 2, 2),
    "bottom, right": (SIDE - SIGN - 2, SIDE - SIGN - 2),
    "top, centre": (2, SIDE // 2 - 2),
    "middle, left": (SIDE // 2 - 2, 2),
    "middle, right": (SIDE // 2 - 2, SIDE - SIGN - 2),
    "upper, right": (18, SIDE - SIGN - 2),
}
"""Cell of the border -> row and column of the sign's first pixel."""
CORRELATIONS = (0.5, 0.6, 0.7, 0.8, 0.9, 1.0)


def write_model(folder: Path, filters: np.ndarray, head: np.ndarray | None) -> Path:
    """Write the bundle: resize, random filters, ReLU, means of 5 x 5 cells, a linear head."""
    import onnx
    from onnx import TensorProto, helper, numpy_helper

    count = filters.shape[0]
    size = count * 25
    weights = np.zeros((size, 2), np.float32)
    bias = np.zeros(2, np.float32)
    if head is not None:
        weights[:, 0], bias[0] = head[:-1], head[-1]
    constants = {
        "size": np.array([INPUT, INPUT], np.int64),
        "flat": np.array([-1, size], np.int64),
        "filters": filters,
        "weights": weights,
        "bias": bias,
        "zero": np.zeros(1, np.float32),
        "axis": np.array([1], np.int64),
    }
    node = helper.make_node
    nodes = [
        node("Resize", ["image", "", "", "size"], ["small"], axes=[2, 3], mode="linear", antialias=1),
        node("Conv", ["small", "filters"], ["maps"], kernel_shape=[5, 5], pads=[1, 1, 1, 1]),
        node("Relu", ["maps"], ["heat"]),
        node("AveragePool", ["heat"], ["pooled"], kernel_shape=[6, 6], strides=[6, 6]),
        node("Reshape", ["pooled", "flat"], ["embedding"]),
        node("Gemm", ["embedding", "weights", "bias"], ["logits"]),
        node("Softmax", ["logits"], ["probabilities"], axis=1),
        node("ReduceSum", ["logits", "axis"], ["sum"], keepdims=0),
        node("Mul", ["sum", "zero"], ["ood"]),
    ]

    def value(name: str, shape: list[str | int]) -> onnx.ValueInfoProto:
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    outputs = [value("probabilities", ["N", 2]), value("logits", ["N", 2]), value("embedding", ["N", size])]
    initializers = [numpy_helper.from_array(array, name) for name, array in constants.items()]
    graph = helper.make_graph(
        nodes, "planted", [value("image", ["N", 1, "H", "W"])], [*outputs, value("ood", ["N"])], initializers
    )
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(
        helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), folder / "model.onnx"
    )
    text = card(folder / "model.onnx", ("covid-19", "normal"), heatmap_size=None, input_size=INPUT).to_json()
    write_text(folder / "card.json", text)
    return folder


@cache
def draw_images(seed: int, patients: int) -> tuple[list[np.ndarray], list[np.ndarray], np.ndarray]:
    """Return pixels, lungs and whether it is COVID-19, one image a patient."""
    pixels, lungs, positive = [], [], np.arange(patients) % 2 == 0
    for number in range(patients):
        label = "covid-19" if positive[number] else "normal"
        source = ("synthetic-a", "synthetic-b")[number // 2 % 2]
        phantom = draw(seed, number, label, SIDE, source)
        pixels.append(phantom.pixels)
        lungs.append(phantom.lung_mask)
    return pixels, lungs, positive


def plant(
    pixels: list[np.ndarray], positive: np.ndarray, place: str, correlation: float, rng: np.random.Generator
) -> list[np.ndarray]:
    """Return the images with the sign on some of them."""
    row, column = PLACES[place]
    share = np.where(positive, (1 + correlation) / 2, (1 - correlation) / 2)
    planted = []
    for image, has in zip(pixels, rng.random(len(pixels)) < share, strict=True):
        changed = image.copy()
        if has:
            changed[row : row + SIGN, column : column + SIGN] = 0.95
        planted.append(changed)
    return planted


def audit_one(number: int, patients: int, correlation: float, place: str) -> dict[str, object]:
    """Train one model, audit it, and return what was found."""
    rng = np.random.default_rng([number, int(1000 * correlation)])
    pool, masks, kind = draw_images(1000, 4 * patients)
    order = rng.permutation(4 * patients)[: 2 * patients]
    pixels, lungs, positive = [pool[each] for each in order], [masks[each] for each in order], kind[order]
    pixels = plant(pixels, positive, place, correlation, rng)
    filters = rng.normal(0, 0.2, (16, 1, 5, 5)).astype(np.float32)
    filters -= filters.mean(axis=(2, 3), keepdims=True) * rng.random((16, 1, 1, 1)).astype(np.float32)
    with tempfile.TemporaryDirectory() as temporary:
        blank = load(write_model(Path(temporary) / "blank", filters, None))
        features = np.stack([blank.run(image).embedding for image in pixels[:patients]]).astype(np.float64)
        centre, spread = features.mean(axis=0), features.std(axis=0) + 1e-6
        weights = fit_logistic((features - centre) / spread, positive[:patients].astype(float), 20.0)
        head = np.append(weights[:-1] / spread, weights[-1] - (weights[:-1] * centre / spread).sum())
        model = load(write_model(Path(temporary) / "model", filters, head.astype(np.float32)))
        held = slice(patients, 2 * patients)
        images = tuple(
            AuditImage(image, mask, 17 * place_number, INPUT)
            for place_number, (image, mask) in enumerate(zip(pixels[held], lungs[held], strict=True))
        )
        table = pd.DataFrame({"sha256": [f"{number}-{each}" for each in range(patients)]})
        chosen = AuditSet(Manifest(table), images, positive[held], np.arange(patients), patients)
        store = AnswerStore(model, chosen, None, LocalEngine(1))
        intact = np.array([float(model.probabilities(image.pixels)[0]) for image in images])
        tests = run_perturbations(store, chosen, intact, threshold=0.5, seed=0, advance=lambda _: None)
        tests.append(exchange_corners(store, chosen, seed=0, advance=lambda _: None))
        marker = locate_marker(store, chosen, seed=0, advance=lambda _: None)
        tests.insert(0, marker)
        named = marker.title.removeprefix("Marker: ") if marker.verdict == "fail" else None
    auroc = estimate_auroc(intact, chosen.positive, chosen.group)
    verdict, reason = conclude(tests, auroc)
    return {
        "number": number,
        "correlation": correlation,
        "place": place,
        "auroc": auroc.value,
        "verdict": verdict,
        "named": named,
        "failed": [test.name for test in tests if test.verdict == "fail"],
        "reason": reason,
    }


def main() -> None:
    """Audit the models, and print power and false alarms."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", type=int, default=20)
    parser.add_argument("--patients", type=int, default=130)
    parser.add_argument("--out", type=Path, default=Path("audit-power.json"))
    options = parser.parse_args()
    rows = json.loads(options.out.read_text()) if options.out.is_file() else []
    known = {(row["number"], row["correlation"] > 0) for row in rows}
    for number in range(options.models):
        place = list(PLACES)[number % len(PLACES)]
        for correlation in (CORRELATIONS[number % len(CORRELATIONS)], 0.0):
            if (number, correlation > 0) in known:
                continue
            rows.append(audit_one(number, options.patients, correlation, place))
            write_text(options.out, json.dumps(rows, indent=1) + "\n")
            print(
                {key: rows[-1][key] for key in ("correlation", "place", "auroc", "verdict", "named", "failed")},
                flush=True,
            )
    planted = [row for row in rows if row["correlation"] > 0]
    clean = [row for row in rows if row["correlation"] == 0]
    print("planted: failed", share([row["verdict"] == "fail" for row in planted]))
    print("planted: the right cell named", share([row["named"] == row["place"] for row in planted]))
    print("clean: failed", share([row["verdict"] == "fail" for row in clean]))
    print("clean: a cell named", share([row["named"] is not None for row in clean]))


def share(found: list[bool]) -> str:
    """Return a share with Wilson's interval."""
    estimate = estimate_proportion(np.array(found), np.arange(len(found)), what="set of models")
    return f"{sum(found)} of {len(found)}, {estimate}"


if __name__ == "__main__":
    main()
