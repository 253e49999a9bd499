"""This machine: its device and precision, and the versions that a run records."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from importlib.metadata import version
from typing import Any, Literal

import torch

from pneumoscope import __version__
from pneumoscope.core.devices import DEVICES, missing_device
from pneumoscope.core.registry import check_name

Precision = Literal["bf16-mixed", "16-mixed", "32-true"]


def choose_device(wanted: str) -> str:
    """Return ``cpu``, ``cuda`` or ``mps``; ``auto`` takes the fastest that is available.

    Raises:
        UsageError: The wanted one is unknown or not available.
    """
    check_name(wanted, DEVICES, "device", "device")
    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if wanted == "auto":
        return next(name for name, has in there.items() if has)
    if not there[wanted]:
        raise missing_device(wanted)
    return wanted


def choose_precision(device: str) -> Precision:
    """Return the precision that is fast here: bf16 autocast where the processor multiplies it natively.

    On a CPU without AVX512-BF16 or AMX, bf16 is emulated and slower than float32.
    """
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    if device == "cpu":
        capable = torch.cpu.get_capabilities()
        if capable.get("avx512_bf16") or capable.get("amx_bf16") or capable.get("bf16"):
            return "bf16-mixed"
    return "32-true"


def keep_freed_memory() -> None:
    """Let glibc keep what this process frees, for its next allocation; elsewhere do nothing.

    A small network's step allocates and frees feature maps of tens of MB. By default glibc returns each to the system,
    which then provides it again page by page, zeroed. That took a third of the processor time of ``cnn-150``'s step.
    """
    if sys.platform != "linux":
        return
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # musl has none
    if mallopt is not None:
        mallopt(-4, 0)  # M_MMAP_MAX: nothing by mmap (mallopt(3))
        mallopt(-1, -1)  # M_TRIM_THRESHOLD: never shrink the heap


def environment(device: str, precision: str) -> dict[str, Any]:
    """Return versions, processor and settings, for ``environment.json``."""
    packages = ("torch", "timm", "lightning", "numpy", "onnx", "onnxruntime", "pillow")
    return {
        "pneumoscope": __version__,
        "python": platform.python_version(),
        "packages": {name: version(name) for name in packages},
        "system": platform.platform(terse=True),
        "processor": torch.cuda.get_device_name() if device == "cuda" else torch.cpu.get_capabilities().get("cpu_name"),
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "device": device,
        "precision": precision,
    }
