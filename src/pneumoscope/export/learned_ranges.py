"""Learn the ranges of a graph's 8-bit values, so that it answers as the graph in float32 does.

A range that holds every value that was seen has wide steps, since a few values lie far out. Whether these matter, the
answers say: the scale of each range is a parameter, a gradient passes the rounding unchanged, and the difference of the
answers from those in float32 is made small (learned step sizes, Esser et al., ICLR 2020). No label is looked at. The
weights stay as they are, and the scales alone are learned, one number for each place.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pneumoscope.bundle.graph_split import find_resize, open_graph, split_at_resize
from pneumoscope.bundle.runtime import Model
from pneumoscope.core.callbacks import Callbacks
from pneumoscope.export.torch_graph import OPERATIONS, TorchGraph, Values

BATCH = 4
"""Images in an optimizer step; each image is looked at once."""
RATE = 0.03
"""First learning rate of the logarithms of the scales; it falls to 0 along a cosine."""
EMBEDDING_WEIGHT = 0.3
"""Of the embedding in the loss, beside the logits: the out-of-distribution score is made of it."""


@dataclass(frozen=True)
class _Example:
    """One image as the learning sees it.

    Args:
        inputs: Of the graph behind its resize.
        logits: [1, C] of the float32 graph.
        embedding: [1, k] of the same.
    """

    inputs: Mapping[str, Tensor]
    logits: Tensor
    embedding: Tensor


class _Rounded(torch.autograd.Function):
    """A value rounded to steps of a scale, inside its range; backwards as if only the range had cut it off."""

    @staticmethod
    def forward(context: Any, value: Tensor, scale: Tensor, zero: Tensor) -> Tensor:
        """Return the value that 8 bits hold.

        Args:
            context: Keeps what the way back needs.
            value: Any shape.
            scale: [], one step.
            zero: [], the number that stands for 0; its type has the limits.
        """
        limits = torch.iinfo(zero.dtype)
        near = torch.fake_quantize_per_tensor_affine(value, scale, zero.int(), limits.min, limits.max)
        context.save_for_backward(value, scale, near)
        return near

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, None]:
        """Return the gradients of the value and of the scale.

        Args:
            context: What was kept.
            gradients: Of what `forward` gave.
        """
        value, scale, near = context.saved_tensors
        off = near - value
        inside = off.abs() <= scale / 2 * (1 + 1e-4)
        of_value = gradients[0] * inside
        # d near / d scale: inside (near - value) / scale, outside the limit, which is near / scale.
        of_scale = (gradients[0] * near).sum() - (of_value * value).sum()
        return of_value, of_scale / scale, None


def _round(x: Values, facts: Mapping[str, Any]) -> Tensor:
    rounded: Tensor = _Rounded.apply(*x)  # type: ignore[no-untyped-call]
    return rounded


def _pass(x: Values, facts: Mapping[str, Any]) -> Tensor:
    assert x[0] is not None
    return x[0]


def learn_ranges(
    graph: Any, parent: Model, images: Iterator[NDArray[np.float32]], *, seed: int, callbacks: Callbacks
) -> None:
    """Learn the scales of what flows between the operators of a quantised graph, in place.

    No range grows beyond what it was: it held every value that was seen.

    Args:
        graph: With QuantizeLinear and DequantizeLinear, an ``onnx.ModelProto``.
        parent: The bundle in float32.
        images: [H, W] float32 each; they are kept in memory at the network's size.
        seed: Decides the order of the images.
        callbacks: Receive the progress.
    """
    resized = find_resize(graph) is not None
    head, rest, name = split_at_resize(graph) if resized else (None, graph, "image")
    student = TorchGraph(rest, parent.card.name, ("logits", "embedding"))
    examples = list(_answer(parent, images, None if head is None else open_graph(head.SerializeToString()), name))
    _make_differentiable(rest, student)
    start = {scale: student.constants[scale].log() for scale in _scales(rest)}
    learned = {scale: value.clone().requires_grad_() for scale, value in start.items()}
    optimizer = torch.optim.Adam(learned.values(), lr=RATE, betas=(0.9, 0.99))
    order = np.random.default_rng(seed).permutation(len(examples))
    batches = [order[first : first + BATCH] for first in range(0, len(order), BATCH)]
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, len(batches))
    with _one_thread(), callbacks.counting("learning the ranges", len(order)) as advance:
        for batch in batches:
            optimizer.zero_grad()
            for number in batch:
                student.constants.update({scale: value.exp() for scale, value in learned.items()})
                loss = _difference(student, examples[number], parent.card.multilabel) / len(batch)
                loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            schedule.step()
            with torch.no_grad():
                for scale, value in learned.items():
                    value.clamp_(max=start[scale])
            advance(len(batch))
    _store(graph, {scale: float(value.detach().exp()) for scale, value in learned.items()})


@contextmanager
def _one_thread() -> Iterator[None]:
    """Let torch use one thread.

    An image alone is too little work for two: they wait for each other at each of some 400 operators, and while other
    programs run, that takes five times the processor time (docs/results.md).
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _answer(parent: Model, images: Iterator[NDArray[np.float32]], head: Any | None, name: str) -> Iterator[_Example]:
    """Yield the images at the network's size, with the answers of the float32 graph."""
    for pixels in images:
        inputs = parent.graph_inputs(pixels)
        output = parent.run(pixels)
        if head is not None:
            inputs = {**inputs, name: head.run([name], {"image": inputs.pop("image")})[0]}
        yield _Example(
            {key: torch.from_numpy(value) for key, value in inputs.items()},
            torch.from_numpy(np.array(output.logits, np.float32))[None],
            torch.from_numpy(np.array(output.embedding, np.float32))[None],
        )


def _difference(student: TorchGraph, example: _Example, multilabel: bool) -> Tensor:
    """Return how far the answer to one image is from that in float32."""
    inputs = dict(example.inputs)
    logits, embedding = student(next(iter(inputs.values())), inputs)
    off = logits - example.logits
    if not multilabel:  # what all logits share changes no probability
        off = off - off.mean(1, keepdim=True)
    loss: Tensor = off.square().sum() + EMBEDDING_WEIGHT * (embedding - example.embedding).square().mean()
    return loss


def _constants(graph: Any) -> set[str]:
    return {tensor.name for tensor in graph.initializer}


def _scales(model: Any) -> list[str]:
    """Return the names of the scales of values that are no constants."""
    constants = _constants(model.graph)
    return list(
        dict.fromkeys(
            node.input[1]
            for node in model.graph.node
            if node.op_type == "QuantizeLinear" and node.input[0] not in constants
        )
    )


def _make_differentiable(model: Any, student: TorchGraph) -> None:
    """Give the rounding of values a gradient, and compute weights and biases once, which stay as they are.

    Args:
        model: The quantised graph, an ``onnx.ModelProto``.
        student: The same in torch.
    """
    constants = _constants(model.graph)
    for place, (operation, inputs, outputs, facts) in enumerate(student.nodes):
        if operation is OPERATIONS["QuantizeLinear"]:
            student.nodes[place] = (_round, inputs, outputs, facts)
        elif operation is OPERATIONS["DequantizeLinear"] and constants.issuperset(inputs):
            student.constants[outputs[0]] = operation([student.constants[name] for name in inputs], facts)
        elif operation is OPERATIONS["DequantizeLinear"]:
            student.nodes[place] = (_pass, inputs, outputs, facts)


def _store(model: Any, scales: Mapping[str, float]) -> None:
    """Write scales into a graph, and the biases in steps of the input's scale times that of the weights."""
    from onnx import numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    values = {name: numpy_helper.to_array(tensor) for name, tensor in tensors.items()}
    makers = {node.output[0]: node for node in model.graph.node}
    changed: dict[str, NDArray[Any]] = {name: np.asarray(scale, np.float32) for name, scale in scales.items()}
    for node in model.graph.node:
        parts = [makers[name] for name in node.input if name in makers]
        if node.op_type != "Conv" or len(parts) < 3:
            continue
        data, weight, bias = parts
        number, scale = bias.input[:2]
        plain = values[number].astype(np.float64) * values[scale]
        step = (changed.get(data.input[1], values[data.input[1]]) * values[weight.input[1]]).astype(np.float32)
        changed[scale] = step
        changed[number] = np.round(plain / step).astype(np.int32)
    for name, value in changed.items():
        tensors[name].CopyFrom(numpy_helper.from_array(value.reshape(values[name].shape), name))
