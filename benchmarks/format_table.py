"""One table of all formats and engines of a bundle: size, memory, time of an image, and how far its answers are off.

    pneumoscope export opacity --to int8 --data m.parquet -o exports/opacity-int8     and the same for the other formats
    python benchmarks/format_table.py opacity --data m.parquet --exports exports [--images 200] [--rounds 3]
    python benchmarks/format_table.py opacity --data m.parquet --exports exports --browser browser.json

The folder of exports has NAME-ort, NAME-int8, NAME-weights8 and NAME-coreml; what is not there has no row. Each image
is read once and given to every engine in turn, on one thread; all of that is repeated in each round. So other work on
the machine meets every engine alike. Times are of the processor, and ratios are to ONNX Runtime with float32 in the
same round. Memory is what a fresh process adds for the graph and one image of 1,024 pixels. Images are drawn from the
part validation, as `certify` draws them; `--images-csv FILE` writes their list for a browser.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.benchmark import _peak
from pneumoscope.bundle.runtime import Model, load
from pneumoscope.certification.browser import match_images, read_browser_run
from pneumoscope.certification.differences import Answers, compare_engine, measure_auroc
from pneumoscope.data.imported_images import read_imported
from pneumoscope.data.manifest import Manifest
from pneumoscope.workflows.certify import _choose_rows, _questions, _write_images

Run = Callable[[NDArray[np.float32]], tuple[NDArray[np.float32], float | None]]
Open = Callable[[str, Path], Run]

REFERENCE = "ONNX, float32"


def _run_model(model: Model) -> Run:
    def run(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], float | None]:
        output = model.run(pixels)
        return output.probabilities, output.ood

    return run


def _open_onnx(name: str, exports: Path) -> Run:
    return _run_model(load(name, gatekeeper=False))


def _open_export(to: str) -> Open:
    return lambda name, exports: _run_model(load(exports / f"{name}-{to}", gatekeeper=False))


def _open_torch(name: str, exports: Path) -> Run:
    from pneumoscope.workflows.torch_answers import open_torch

    return open_torch(load(name, gatekeeper=False))[1]


def _open_ort(name: str, exports: Path) -> Run:
    import onnxruntime as ort

    model, options = load(name, gatekeeper=False), ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    session = ort.InferenceSession(
        str(exports / f"{name}-ort" / "model.ort"), options, providers=["CPUExecutionProvider"]
    )
    outputs = ["probabilities", "ood", "logits", "heatmap", "embedding"]  # all, as `Model.run`

    def run(pixels: NDArray[np.float32]) -> tuple[NDArray[np.float32], float | None]:
        probabilities, ood, *_ = session.run(outputs, model.graph_inputs(pixels))
        return probabilities[0], float(ood[0])

    return run


def _open_openvino(precision: str) -> Open:
    def open_it(name: str, exports: Path) -> Run:
        import openvino

        compile_model = openvino.Core.compile_model

        def with_precision(core: Any, model: Any, device: str, settings: dict[str, Any], *rest: Any) -> Any:
            return compile_model(core, model, device, settings | {"INFERENCE_PRECISION_HINT": precision}, *rest)

        openvino.Core.compile_model = with_precision  # the package asks for float32 and offers nothing else
        try:
            return _run_model(load(name, gatekeeper=False, runtime="openvino"))
        finally:
            openvino.Core.compile_model = compile_model

    return open_it


ENGINES: dict[str, tuple[Open, str]] = {
    REFERENCE: (_open_onnx, ""),
    "torch, the graph's nodes": (_open_torch, ""),
    "ORT format": (_open_ort, "ort"),
    "int8": (_open_export("int8"), "int8"),
    "weights8": (_open_export("weights8"), "weights8"),
    "OpenVINO, float32": (_open_openvino("f32"), ""),
    "OpenVINO, bfloat16": (_open_openvino("bf16"), ""),
}
"""Row -> how to open it, and the export that it is made of; empty: of the bundle itself."""


def size_on_disk(name: str, exports: Path, to: str) -> float:
    """Return the size of what holds the network, in MB: card and evidence left out."""
    folder = exports / f"{name}-{to}" if to else load(name, gatekeeper=False).folder
    files = [path for path in folder.rglob("*") if path.suffix in (".onnx", ".ort", ".mlmodel", ".bin")]
    return sum(path.stat().st_size for path in files) / 1e6


def measure_memory(name: str, exports: Path, engine: str) -> None:
    """Print what this process needs for one engine, beyond its imports, in MB."""
    import onnxruntime  # noqa: F401

    if engine.startswith("torch"):
        import onnx  # noqa: F401
        import torch  # noqa: F401

        import pneumoscope.export.torch_graph  # noqa: F401
    if engine.startswith("OpenVINO"):
        import openvino  # noqa: F401
    before = _peak() or 0
    ENGINES[engine][0](name, exports)(np.random.default_rng(0).random((1024, 1024), dtype=np.float32))
    print(round(((_peak() or 0) - before) / 1e6, 1))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("name", help="opacity or covid")
    parser.add_argument("--data", type=Path, help="manifest")
    parser.add_argument("--exports", type=Path, default=Path())
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--browser", type=Path, help="what a browser answered; see `certify --browser`")
    parser.add_argument("--images-csv", type=Path, help="write the list of the images, and end")
    parser.add_argument("--memory", choices=list(ENGINES), help="measure the memory of this one, in this process")
    options = parser.parse_args()
    name, exports = options.name, options.exports
    if options.memory:
        measure_memory(name, exports, options.memory)
        return
    model = load(name, gatekeeper=False)
    rows = _choose_rows(Manifest.read(options.data), load(name), "validation", options.images, 0)
    if options.images_csv:
        _write_images(options.images_csv, rows, rows.table["sha256"].tolist())
        return
    there = {row: to for row, (_, to) in ENGINES.items() if not to or (exports / f"{name}-{to}").is_dir()}
    runs = {row: ENGINES[row][0](name, exports) for row in there}
    answers: dict[str, list[tuple[NDArray[np.float32], float | None]]] = {row: [] for row in runs}
    seconds: dict[str, list[list[float]]] = {row: [[] for _ in range(options.rounds)] for row in runs}
    images = [
        np.ascontiguousarray(model.find_border(radiograph.pixels).cut(radiograph.pixels))
        for radiograph in read_imported(rows)
    ]
    for run in runs.values():
        run(images[0])
    began, load_before = time.perf_counter(), os.getloadavg()[0]
    for number in range(options.rounds):
        for place, pixels in enumerate(images):
            order = list(runs)[place % len(runs) :] + list(runs)[: place % len(runs)]
            for row in order:
                before = time.process_time()
                answer = runs[row](pixels)
                seconds[row][number].append(time.process_time() - before)
                if not number:
                    answers[row].append(answer)
        print(f"round {number + 1}: load {os.getloadavg()[0]:.1f}", file=sys.stderr, flush=True)
    memory = {row: _memory_of(name, exports, row) for row in runs}
    print(
        f"{name} ({model.identity[:12]}): {len(rows)} images of the part validation, data {rows.rows_hash()[:12]}, "
        f"{options.rounds} rounds in {(time.perf_counter() - began) / 60:.1f} min, load {load_before:.1f} before and "
        f"{os.getloadavg()[0]:.1f} after\n"
    )
    head = ["bundle", "format, engine", "file", "memory", "ms an image: median, p95", "of ONNX float32"]
    head += ["largest difference", "decisions changed", "AUROC difference"]
    print(_line(head) + "\n|" + "---|" * len(head))
    medians = {row: [1000 * float(np.median(one)) for one in rounds] for row, rounds in seconds.items()}
    groups, questions = rows.table["group"].to_numpy(dtype=str), _questions(rows, model)
    reference = _as_answers(answers[REFERENCE])
    area, label = measure_auroc(reference, questions, groups)
    for row in runs:
        ratios = [own / of for own, of in zip(medians[row], medians[REFERENCE], strict=True)]
        ratio = "1" if row == REFERENCE else f"{np.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        tail = 1000 * float(np.quantile(np.concatenate(seconds[row]), 0.95))
        off = ["reference"] * 3
        if row != REFERENCE:
            given = _as_answers(answers[row])
            off = _describe(compare_engine("int8", "", given, reference, questions, groups, model.card))
        cells = [name, row, f"{size_on_disk(name, exports, there[row]):.1f} MB", f"{memory[row]:.0f} MB"]
        print(_line([*cells, f"{np.median(medians[row]):.1f}, {tail:.1f}", ratio, *off]))
    if options.browser:
        run = read_browser_run(options.browser, model.identity, model.labels)
        here, given = match_images(run, rows.table["sha256"].tolist(), options.browser, 1)
        same = Answers(reference.probabilities[here], None if reference.ood is None else reference.ood[here])
        asked = _questions(rows.where(here), model)
        off = _describe(compare_engine("browser", "", given, same, asked, groups[here], model.card))
        times = [one.milliseconds for one in run.images if one.milliseconds is not None]
        clock = f"{np.median(times):.1f}, {np.quantile(times, 0.95):.1f} by the clock"
        about = ", ".join(run.about.split(", ")[:2])
        print(_line([name, f"browser: {about}", f"{size_on_disk(name, exports, ''):.1f} MB", "", clock, "", *off]))
    print(f"\nAUROC of {label} in {REFERENCE}: {area}", file=sys.stderr)
    if (exports / f"{name}-coreml").is_dir():
        size = f"{size_on_disk(name, exports, 'coreml'):.1f} MB"
        print(_line([name, "Core ML (cannot run on Linux)", size, *["not run"] * 6]))


def _memory_of(name: str, exports: Path, row: str) -> float:
    command = [sys.executable, __file__, name, "--exports", str(exports), "--memory", row]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return float(json.loads(done.stdout.splitlines()[-1]))


def _as_answers(given: list[tuple[NDArray[np.float32], float | None]]) -> Answers:
    scores = [score for _, score in given]
    return Answers(
        np.array([p for p, _ in given], np.float64), None if None in scores else np.array(scores, np.float64)
    )


def _describe(figures: Any) -> list[str]:
    area = figures.auroc_difference
    if "alike" in area.note:
        said = "0, all ranked alike"
    else:
        said = f"{area.value:.4f}" + ("" if area.low is None else f" [{area.low:.4f}, {area.high:.4f}]")
    at = f" ({figures.at_threshold} at a threshold)" if figures.at_threshold else ""
    return [f"{figures.largest:.1e}", f"{figures.flipped} of {figures.images}{at}", said]


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    main()
