"""The names of the devices that a training can run on, and what can be said of them before torch is imported."""

from __future__ import annotations

import ctypes
import os
import platform
import sys
from importlib.metadata import PackageNotFoundError, version

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import UsageError

DEVICES = ("auto", "cpu", "cuda", "mps")
"""``auto`` takes the fastest that is available."""


def check_available(device: str) -> None:
    """Check what needs no torch: its build, the driver, the processor. An unsure answer counts as available.

    Args:
        device: One of `DEVICES`.

    Raises:
        UsageError: This machine surely cannot run on that device.
    """
    lacks = {"cuda": _lacks_cuda, "mps": _lacks_mps}.get(device)
    if lacks is not None and lacks():
        raise missing_device(device)


def missing_device(device: str) -> UsageError:
    """Return the error for a device that this machine does not have."""
    way_out = f"Take the fastest that is: {argument('device', 'auto')}"
    return UsageError(argument("device", device), "is not available on this machine.", way_out)


def _lacks_cuda() -> bool:
    """Return whether torch was built for processors alone, or no driver of NVIDIA or AMD is there."""
    try:
        if version("torch").endswith("+cpu"):
            return True
    except PackageNotFoundError:
        return False  # the command says which extra is missing
    if not sys.platform.startswith("linux"):
        return sys.platform == "darwin"
    if os.path.exists("/dev/kfd"):  # noqa: PTH110  AMD: torch calls it cuda too
        return False
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return True
    return False


def _lacks_mps() -> bool:
    return not (sys.platform == "darwin" and platform.machine() == "arm64")
