"""Compare runtimes and formats of bundles: milliseconds of processor time for an image of three sizes, and memory.

    python benchmarks/formats.py opacity covid opacity=opacity-int8

A bundle after an equals sign is an 8-bit one of the bundle before it. All are measured in turn in one run, so that
other work on the machine touches each alike; each line has the ratio to ONNX Runtime with float32. Memory is that of a
fresh process. Settings of ONNX Runtime and OpenVINO are compared at one size: threads, and whether they keep memory.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np

from pneumoscope.bundle.benchmark import _peak
from pneumoscope.bundle.runtime import load

SIDES = (299, 1024, 2048)
ROUNDS = 25


def main(names: list[str]) -> None:
    for name in names:
        plain, _, small = name.partition("=")
        models = {
            "ONNX Runtime float32": load(plain, gatekeeper=False),
            "OpenVINO float32": load(plain, gatekeeper=False, runtime="openvino"),
        }
        if small:
            models["ONNX Runtime int8"] = load(small, gatekeeper=False)
            models["OpenVINO int8"] = load(small, gatekeeper=False, runtime="openvino")
        for side in SIDES:
            image = np.random.default_rng(0).random((side, side), dtype=np.float32)
            found = measure({label: lambda m=model, x=image: m.run(x) for label, model in models.items()})
            report(f"{plain}, {side} x {side}", found)
        batches(plain)
        threads(plain)
        print("memory of a fresh process, MB:", {label: memory(plain, small, label) for label in models})


def measure(calls: dict[str, Callable[[], object]]) -> dict[str, float]:
    """Return the median processor time of each call in milliseconds; they take turns."""
    seconds: dict[str, list[float]] = {name: [] for name in calls}
    for number in range(ROUNDS + 3):
        for name, call in calls.items():
            before = time.process_time()
            call()
            if number >= 3:
                seconds[name].append(time.process_time() - before)
    return {name: 1000 * float(np.median(each)) for name, each in seconds.items()}


def report(title: str, found: dict[str, float]) -> None:
    first = next(iter(found.values()))
    print(title + ": " + "; ".join(f"{name} {ms:.1f} ms ({ms / first:.2f})" for name, ms in found.items()), flush=True)


def batches(name: str) -> None:
    """Give ONNX Runtime several images of one size at once."""
    session = load(name, gatekeeper=False)._session
    found = {}
    for count in (1, 4, 8):
        images = np.random.default_rng(0).random((count, 1, 224, 224), dtype=np.float32)
        found[f"batch of {count}"] = measure({"": lambda x=images: session.run(None, {"image": x})})[""] / count
    report(f"{name}, for each image", found)


def threads(name: str) -> None:
    """Compare ONNX Runtime's settings by the clock, since threads trade processor time for waiting."""
    import onnxruntime as ort

    path = str(load(name).folder / "model.onnx")
    image = np.random.default_rng(0).random((1, 1, 1024, 1024), dtype=np.float32)
    for count, arena in ((1, False), (1, True), (2, False)):
        options = ort.SessionOptions()
        options.intra_op_num_threads = count
        options.enable_cpu_mem_arena = options.enable_mem_pattern = arena
        session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        clock, used = [], []
        for _ in range(ROUNDS):
            before, began = time.process_time(), time.perf_counter()
            session.run(None, {"image": image})
            clock.append(time.perf_counter() - began)
            used.append(time.process_time() - before)
        print(
            f"{name}, {count} thread(s), memory {'kept' if arena else 'given back'}: waiting "
            f"{1000 * np.median(clock):.1f} ms, processor {1000 * np.median(used):.1f} ms",
            flush=True,
        )


def memory(plain: str, small: str, label: str) -> float:
    """Return what a fresh process needs for a model and an image of 1,024 pixels, beyond its imports."""
    bundle, runtime = (small if "int8" in label else plain), ("openvino" if "OpenVINO" in label else "onnxruntime")
    done = subprocess.run(
        [sys.executable, __file__, "--memory", bundle, runtime], capture_output=True, text=True, check=True
    )
    return float(json.loads(done.stdout.splitlines()[-1]))


def measure_memory(bundle: str, runtime: str) -> None:
    before = _peak() or 0
    model = load(bundle, gatekeeper=False, runtime=runtime)
    model.run(np.random.default_rng(0).random((1024, 1024), dtype=np.float32))
    print(json.dumps(round(((_peak() or 0) - before) / 1e6, 1)))


if __name__ == "__main__":
    if sys.argv[1:2] == ["--memory"]:
        measure_memory(*sys.argv[2:4])
    else:
        main(sys.argv[1:] or ["opacity", "covid"])
