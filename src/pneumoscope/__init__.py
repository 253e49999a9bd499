"""Pneumoscope: train, compare, audit and deploy chest X-ray classifiers, and say honestly how far each can be trusted.

    import pneumoscope as ps
    radiograph = ps.read("study.dcm")                    # -> Radiograph, float32 [H, W], 0 = black, 1 = white
    table = ps.load("runs/flagship/bundle").predict(["study.dcm"])

Research software, not a medical device; see `pneumoscope.core.labels.DISCLAIMER`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"
__all__ = ["__version__", "load", "read"]

if TYPE_CHECKING:
    from pneumoscope.bundle.runtime import load
    from pneumoscope.imaging.read import read


def __getattr__(name: str) -> Any:
    # Lazy, so that `pneumoscope --help` does not pay for NumPy, Pillow and ONNX Runtime.
    if name == "read":
        from pneumoscope.imaging.read import read

        return read
    if name == "load":
        from pneumoscope.bundle.runtime import load

        return load
    raise AttributeError(f"module 'pneumoscope' has no attribute {name!r}")
