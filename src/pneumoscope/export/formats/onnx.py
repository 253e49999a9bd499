"""ONNX: the graph of every bundle, which server, browser and phone run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.export.format import Format
from pneumoscope.export.graph import BundleGraph
from pneumoscope.export.onnx import check_parity, export_onnx


def _write(graph: BundleGraph, path: Path, images: Sequence[NDArray[np.float32]]) -> Mapping[str, float]:
    export_onnx(graph, path)
    return check_parity(graph, path, images)


FORMAT = Format("onnx", "model.onnx", "ONNX with float32 weights, for ONNX Runtime and onnxruntime-web.", _write)
