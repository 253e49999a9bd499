"""Latency and memory of a bundle, measured in a process of its own.

The measurement runs the graph alone, without reading files, on one image at a time and on one thread, as a phone or one
worker of a server does. Latency is processor time: on one thread that is the waiting time on a free core, whatever else
the machine does. The peak is that of a fresh process, so that no earlier model's memory counts.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pneumoscope.bundle.runtime import load
from pneumoscope.core.errors import BundleError

WARM, RUNS = 3, 25


@dataclass(frozen=True)
class Benchmark:
    """Seconds for one image (median, 10th and 90th percentile) and the memory that the graph adds, in bytes.

    The memory is None where the system does not tell (Windows).
    """

    latency: float
    low: float
    high: float
    memory_bytes: int | None


def measure_bundle(bundle: Path, side: int) -> Benchmark:
    """Measure a bundle in a fresh process on images of ``side`` x ``side`` pixels.

    Raises:
        BundleError: The bundle cannot be loaded or run there.
    """
    command = [sys.executable, "-m", "pneumoscope.bundle.benchmark", str(bundle), str(side)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise BundleError(str(bundle), f"cannot be measured: {last}", "Check it with `pneumoscope.verify`.")
    return Benchmark(**json.loads(done.stdout))


def _measure(bundle: Path, side: int) -> Benchmark:
    before = _peak()
    model = load(bundle)
    # The content of an image makes no difference to the time; its size does.
    image = np.random.default_rng(0).random((side, side), dtype=np.float32)
    seconds = []
    for _ in range(WARM + RUNS):
        started = time.process_time()
        model.run(image)
        seconds.append(time.process_time() - started)
    low, middle, high = np.quantile(seconds[WARM:], (0.1, 0.5, 0.9))
    after = _peak()
    return Benchmark(
        float(middle), float(low), float(high), None if before is None or after is None else after - before
    )


def _peak() -> int | None:
    """Return this process's largest resident memory so far, in bytes; None where the system does not tell."""
    status = Path("/proc/self/status")
    if status.is_file():
        # Not getrusage: its figure outlives exec, so that a child starts with its parent's peak.
        line = next(text for text in status.read_text().splitlines() if text.startswith("VmHWM:"))
        return 1024 * int(line.split()[1])
    try:
        import resource
    except ModuleNotFoundError:
        return None
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss  # bytes on macOS


if __name__ == "__main__":
    print(json.dumps(_measure(Path(sys.argv[1]), int(sys.argv[2])).__dict__))
