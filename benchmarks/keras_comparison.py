"""Shared by the benchmarks against Keras: its environment, one side in a fresh process, figures in words."""

from __future__ import annotations

import json
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

HOME = Path(__file__).resolve().parent / "keras_cnn150"
ENVIRONMENT = HOME / ".venv-keras"
"""The environment of Keras, made on first use; not part of the repository."""


def keras_environment(folder: Path = ENVIRONMENT) -> Path:
    """Return the Python of Keras; make its environment if it is not there or its requirements have changed."""
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    wanted, noted = (HOME / "requirements.txt").read_text(), folder / "installed.txt"
    if not (python.is_file() and noted.is_file() and noted.read_text() == wanted):
        print(f"making {folder} (TensorFlow, about 1.7 GB; once)", file=sys.stderr, flush=True)
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip: list[str | Path] = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", HOME / "requirements.txt"], check=True)
        noted.write_text(wanted)
    return python


def in_fresh_process(command: list[Any], out: Path, parameters: int) -> dict[str, Any]:
    """Run one side and return what it measured, with the machine's load before and after.

    Args:
        command: What to run; ``--out`` is added.
        out: Where it writes its figures.
        parameters: What its network must have, as Keras counts.
    """
    before, started = os.getloadavg()[0], time.perf_counter()
    done = subprocess.run([*map(str, command), "--out", str(out)], capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, command))} failed:\n{done.stderr}")
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    if result["parameters"] != parameters:
        raise SystemExit(f"{command[1]}: {result['parameters']:,} parameters, the source has {parameters:,}")
    return result | {"process_seconds": time.perf_counter() - started, "load": [before, os.getloadavg()[0]]}


def spread(values: list[float]) -> dict[str, float]:
    """Return median, smallest and largest."""
    return {"median": statistics.median(values), "low": min(values), "high": max(values)}


def as_text(value: dict[str, float], digits: int) -> str:
    """Return "median (low to high)", or the value where there is one."""
    if value["low"] == value["high"]:
        return f"{value['median']:.{digits}f}"
    return f"{value['median']:.{digits}f} ({value['low']:.{digits}f} to {value['high']:.{digits}f})"


def format_loads(loads: list[float]) -> str:
    """Return the range of the load averages in words."""
    return f"{min(loads):.1f} to {max(loads):.1f} on {os.cpu_count()} cores"
