"""Fold what a graph computes from constants alone into its weights, before another format is made of it.

Batch-norms after a convolution become part of its weights, and weights that are stored as float16 become float32. A
convolution that runs twice with the same weights (a symmetric network sees the image and its mirror image) keeps one
copy of them; ONNX Runtime's own folding makes two.
"""

from __future__ import annotations

from collections import Counter
from typing import Any

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]


def fold_constants(model: Any) -> None:
    """Fold casts of constants and batch-norms after convolutions, in place.

    Args:
        model: The graph, an ``onnx.ModelProto``.
    """
    from onnx import numpy_helper

    graph = model.graph
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    _fold_casts(graph, values)
    _fold_batch_norms(graph, values)
    used = {name for node in graph.node for name in node.input} | {output.name for output in graph.output}
    del graph.initializer[:]
    graph.initializer.extend(numpy_helper.from_array(value, name) for name, value in values.items() if name in used)


def _fold_casts(graph: Any, values: dict[str, NDArray[Any]]) -> None:
    """Compute the casts of constants to float32."""
    import onnx

    kept = []
    for node in graph.node:
        to = next((a.i for a in node.attribute if a.name == "to"), None)
        if node.op_type == "Cast" and node.input[0] in values and to == onnx.TensorProto.FLOAT:
            values[node.output[0]] = values[node.input[0]].astype(np.float32)
        else:
            kept.append(node)
    del graph.node[:]
    graph.node.extend(kept)


def _fold_batch_norms(graph: Any, values: dict[str, NDArray[Any]]) -> None:
    """Multiply batch-norms into the weights of the convolution before them, where nothing else reads its output."""
    uses = Counter(name for node in graph.node for name in node.input)
    uses.update(output.name for output in graph.output)
    makers = {node.output[0]: node for node in graph.node}
    kept = []
    for node in graph.node:
        before = makers.get(node.input[0]) if node.input else None
        if (
            node.op_type != "BatchNormalization"
            or before is None
            or before.op_type != "Conv"
            or uses[node.input[0]] != 1
            or any(name not in values for name in (*node.input[1:], *before.input[1:]))
        ):
            kept.append(node)
            continue
        scale, shift, mean, variance = (values[name].astype(np.float64) for name in node.input[1:5])
        epsilon = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        factor = scale / np.sqrt(variance + epsilon)
        weight = f"{before.input[1]}*{node.input[1]}"  # the same pair of names is the same pair of constants
        bias = f"{weight}.bias"
        if weight not in values:
            plain = values[before.input[1]].astype(np.float64)
            offset = values[before.input[2]].astype(np.float64) if len(before.input) > 2 else 0.0
            values[weight] = (plain * factor[:, None, None, None]).astype(np.float32)
            values[bias] = ((offset - mean) * factor + shift).astype(np.float32)
        del before.input[1:]
        before.input.extend([weight, bias])
        before.output[0] = node.output[0]
        makers[node.output[0]] = before
    del graph.node[:]
    graph.node.extend(kept)
