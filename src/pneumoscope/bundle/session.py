"""Open a graph with ONNX Runtime, in one way for classifiers and their companions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pneumoscope.bundle.graph_check import check_graph
from pneumoscope.core.errors import BundleError
from pneumoscope.core.registry import check_name

ONNX_RUNTIME, OPENVINO = "onnxruntime", "openvino"
RUNTIMES = (ONNX_RUNTIME, OPENVINO)
"""The libraries that can run a classifier's graph."""


def open_session(path: Path, runtime: str = ONNX_RUNTIME) -> Any:
    """Return a session that several threads may share; ``run`` is its one method that work needs.

    Args:
        path: The graph.
        runtime: A name in `RUNTIMES`.

    Raises:
        BundleError: It reads other bytes than its own (`graph_check`), or the runtime cannot load it.
        UsageError: There is no such runtime.
        MissingExtraError: The runtime is not installed.
    """
    return open_session_of(str(path), path, runtime)


def open_session_of(graph: str | bytes, name: Path, runtime: str = ONNX_RUNTIME) -> Any:
    """Return a session of a graph in a file or in memory; see `open_session`.

    Args:
        graph: The file's path, or the graph's bytes.
        name: What to call it in an error.
        runtime: A name in `RUNTIMES`.

    Raises:
        BundleError: It reads other bytes than its own (`graph_check`), or the runtime cannot load it.
        UsageError: There is no such runtime.
        MissingExtraError: The runtime is not installed.
    """
    check_name(runtime, RUNTIMES, "runtime", "runtime")
    check_graph(graph if isinstance(graph, bytes) else Path(graph), name)
    if runtime == OPENVINO:
        from pneumoscope.bundle.openvino_session import OpenVinoSession

        return OpenVinoSession(graph if isinstance(graph, bytes) else Path(graph).read_bytes(), name)
    import onnxruntime as ort

    options = ort.SessionOptions()
    # One thread an image, and as many images at once as there are cores: no synchronisation inside an image.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    # Both keep memory for every image size met; sizes are mixed here (156 to 5,600 pixels in one set).
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4  # errors are raised, and reported once, by this package
    try:
        return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise BundleError(
            str(name), f"cannot be loaded by ONNX Runtime {ort.__version__}: {first_line(error)}", "Export it again."
        ) from error


def first_line(error: Exception) -> str:
    """Return the first line of an error of ONNX Runtime, at most 300 characters of it."""
    return str(error).strip().split("\n", 1)[0][:300]
