"""Cut a graph behind its antialiased resize, for programs that compute such a resize wrongly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def find_resize(model: Any) -> Any | None:
    """Return the antialiased resize of a graph's image.

    Args:
        model: The graph, an ``onnx.ModelProto``.

    Returns:
        Its node; None where there is none.
    """
    return next(
        (
            node
            for node in model.graph.node
            if node.op_type == "Resize"
            and node.input[0] == "image"
            and any(each.name == "antialias" and each.i for each in node.attribute)
        ),
        None,
    )


def split_at_resize(model: Any) -> tuple[Any, Any, str]:
    """Cut a graph behind its antialiased resize.

    Args:
        model: The graph, an ``onnx.ModelProto`` that `find_resize` finds a resize in.

    Returns:
        The graph that computes the resized image, the graph of the rest, and the name of the value between them. The
        rest has the shape [1, 1, S, S] for its input.
    """
    from onnx import TensorProto, helper

    resize = find_resize(model)
    assert resize is not None
    name = resize.output[0]
    head = _part(model, [name], ends={"image"})
    del head.graph.output[:], head.graph.input[:]
    head.graph.input.extend(item for item in model.graph.input if item.name == "image")
    head.graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, None))
    rest = _part(model, [item.name for item in model.graph.output], ends={name})
    for node in rest.graph.node:  # what asks for the number of images finds the same one here
        for place, value in enumerate(node.input):
            if value == "image":
                node.input[place] = name
    small = open_graph(head.SerializeToString()).run([name], {"image": np.zeros((1, 1, 8, 8), np.float32)})[0]
    del rest.graph.input[:]
    rest.graph.input.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, list(small.shape)))
    rest.graph.input.extend(item for item in model.graph.input if item.name != "image")
    return head, rest, name


def open_graph(graph: bytes) -> Any:
    """Return an ONNX Runtime session of a part of a graph, with the settings of `session.open_session_of`.

    Args:
        graph: Bytes of an ONNX model.
    """
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = options.enable_mem_pattern = False
    options.log_severity_level = 4
    return ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])


def _part(model: Any, names: Sequence[str], ends: set[str]) -> Any:
    """Return a copy of a graph with the nodes alone that compute some values from others.

    Args:
        model: The whole.
        names: The values to compute.
        ends: Values that are given.
    """
    part = type(model)()
    part.CopyFrom(model)
    wanted = set(names)
    nodes = []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output) - ends:
            nodes.append(node)
            wanted.update(node.input)
    del part.graph.node[:], part.graph.initializer[:], part.graph.value_info[:]
    part.graph.node.extend(reversed(nodes))
    part.graph.initializer.extend(tensor for tensor in model.graph.initializer if tensor.name in wanted)
    return part
