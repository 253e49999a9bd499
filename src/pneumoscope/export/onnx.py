"""Write the graph as ONNX and refuse to keep it unless ONNX Runtime and torch agree."""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from numpy.typing import NDArray
from torch import nn

from pneumoscope.bundle.card import OUTPUTS
from pneumoscope.core.errors import ParityError

OPSET = 20
TOLERANCE = 1e-4
"""Largest difference in probability between ONNX Runtime and torch."""
IMAGES = 32
HALVED_TOLERANCE = 0.01
"""The same for a graph whose weights are stored as float16: they are rounded after the batch-norms were folded in."""
_LEAST_HALVED = 1000  # values: smaller tensors are not worth a node


def export_onnx(graph: nn.Module, path: Path, outputs: Sequence[str] = OUTPUTS) -> None:
    """Write ``graph`` to ``path`` with dynamic N, H and W, weights inside the file.

    Args:
        graph: Takes ``image`` [N, 1, H, W].
        path: The file.
        outputs: Names of its outputs, in order.
    """
    dynamic = {"image": {0: torch.export.Dim("n"), 2: torch.export.Dim("h"), 3: torch.export.Dim("w")}}
    quiet = logging.getLogger("torch.onnx")
    level = quiet.level
    quiet.setLevel(logging.ERROR)
    # The exporter reports its own progress on stdout and warns of its own deprecations. Without gradients it traces
    # the forward pass alone, which takes a fifth of the time less.
    with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()), torch.no_grad():
        warnings.simplefilter("ignore")
        program = torch.onnx.export(
            graph.eval(),
            (torch.rand(2, 1, 250, 270),),
            dynamo=True,
            opset_version=OPSET,
            input_names=["image"],
            output_names=list(outputs),
            dynamic_shapes=dynamic,
        )
        if program is None:
            raise ParityError(str(path), "torch's exporter returned no graph.")
        program.save(path, external_data=False)
    quiet.setLevel(level)
    _remove_traces(path)


def _remove_traces(path: Path) -> None:
    """Remove what the exporter notes for debugging: names and lines of source files on the machine that exported."""
    model = onnx.load(path)
    graphs = [model.graph, *model.functions]
    for graph in graphs:
        for part in (*graph.node, *graph.value_info, *getattr(graph, "initializer", ())):
            part.ClearField("metadata_props")
            part.ClearField("doc_string")
        graph.ClearField("metadata_props")
        graph.ClearField("doc_string")
    for part in (*model.graph.input, *model.graph.output):
        part.ClearField("metadata_props")
        part.ClearField("doc_string")
    onnx.save(model, path)


def mixed_sizes(images: Sequence[NDArray[np.float32]], seed: int = 0) -> list[NDArray[np.float32]]:
    """Return ``IMAGES`` images of mixed sizes made from ``images``: cropped and stretched by whole pixels."""
    generator = np.random.Generator(np.random.Philox(seed))
    result = []
    for index in range(IMAGES):
        source = images[index % len(images)]
        height, width = (int(side) for side in generator.integers(40, 900, 2))
        rows = np.linspace(0, source.shape[0] - 1, height).round().astype(int)
        columns = np.linspace(0, source.shape[1] - 1, width).round().astype(int)
        result.append(np.ascontiguousarray(source[rows][:, columns]))
    return result


def check_parity(
    graph: nn.Module, path: Path, images: Sequence[NDArray[np.float32]], tolerance: float = TOLERANCE
) -> dict[str, float]:
    """Compare ONNX Runtime with torch on images [H, W] of mixed sizes.

    Returns:
        The largest absolute difference of each output.

    Raises:
        ParityError: Probabilities differ by more than ``tolerance``.
    """
    worst = dict(zip(OUTPUTS, _largest_differences(graph, path, images), strict=True))
    if not worst["probabilities"] <= tolerance:  # written so that NaN fails too
        raise ParityError(
            str(path),
            f"ONNX Runtime and torch differ by {worst['probabilities']:.2e} in probability on {len(images)} images "
            f"of mixed sizes; the limit is {tolerance:g}.",
            "No bundle was written. Report the network's name and the versions in environment.json.",
        )
    return worst


def require_parity(graph: nn.Module, path: Path, images: Sequence[NDArray[np.float32]], tolerance: float) -> None:
    """Compare ONNX Runtime with torch on images of mixed sizes made from some, for a companion's graph.

    Args:
        graph: As torch runs it; all its outputs are probabilities.
        path: The exported graph, which is deleted where they differ.
        images: [H, W] float32 in 0..1.
        tolerance: Largest difference in probability.

    Raises:
        ParityError: They differ by more.
    """
    worst = max(_largest_differences(graph, path, mixed_sizes(images)))
    if not worst <= tolerance:  # written so that NaN fails too
        path.unlink()
        raise ParityError(str(path), f"ONNX Runtime and torch differ by {worst:.2e} in probability.")


def _largest_differences(graph: nn.Module, path: Path, images: Sequence[NDArray[np.float32]]) -> list[float]:
    """Return the largest absolute difference of each output between torch and ONNX Runtime; NaN where one gives it."""
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    rows = []
    with torch.inference_mode():
        for image in images:
            x = image[None, None]
            expected = graph(torch.from_numpy(x))
            outputs = expected if isinstance(expected, tuple) else (expected,)
            answers = session.run(None, {"image": x})
            rows.append([float(np.abs(a.numpy() - b).max()) for a, b in zip(outputs, answers, strict=True)])
    return [float(np.max(column)) for column in zip(*rows, strict=True)]


def halve_weights(path: Path) -> None:
    """Store the convolutions' weights of a graph as float16, which the runtime widens to float32 when it loads them.

    The file has half the size; every computation stays float32.

    Args:
        path: The graph, which is rewritten.
    """
    model = onnx.load(path)
    nodes = []
    for tensor in model.graph.initializer:
        values = onnx.numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 4 and values.size >= _LEAST_HALVED:
            name, small = tensor.name, f"{tensor.name}.float16"
            tensor.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float16), small))
            nodes.append(onnx.helper.make_node("Cast", [small], [name], to=onnx.TensorProto.FLOAT))
    rest = list(model.graph.node)
    del model.graph.node[:]
    model.graph.node.extend([*nodes, *rest])
    onnx.save(model, path)
