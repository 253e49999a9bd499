"""A bundle's ONNX graph as a torch module: each node as the torch operation that the ONNX standard defines.

The bundles that ship with the package have no weights beside their graph, and the graph is what was measured. So what
needs torch (Core ML's converter, the comparison of ONNX Runtime with torch) takes it from the graph.
https://onnx.ai/onnx/operators/ defines the operators.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pneumoscope.core.errors import BundleError

Values = Sequence[Tensor | None]
Operation = Callable[[Values, Mapping[str, Any]], Tensor]


class TorchGraph(nn.Module):
    """A graph that torch runs, on one image of any size.

    Args:
        model: The graph, an ``onnx.ModelProto``.
        name: What to call it in an error.
        outputs: Names of the values to compute.

    Raises:
        BundleError: It has an operator that is not in `OPERATIONS`.
    """

    def __init__(self, model: Any, name: str, outputs: Sequence[str]) -> None:
        super().__init__()
        from onnx import numpy_helper

        self.outputs = tuple(outputs)
        self.nodes: list[tuple[Operation, tuple[str, ...], tuple[str, ...], dict[str, Any]]] = []
        self.constants = {
            tensor.name: torch.from_numpy(np.array(numpy_helper.to_array(tensor))) for tensor in model.graph.initializer
        }
        needed = set(outputs)
        for node in reversed(model.graph.node):
            if not needed.intersection(node.output):
                continue
            needed.update(node.input)
            if node.op_type not in OPERATIONS:
                raise BundleError(
                    name,
                    f"has the operator {node.op_type}, which torch cannot be given here.",
                    f"Known operators: {', '.join(sorted(OPERATIONS))}.",
                )
            facts = _attributes(node) | {"inputs": len(node.input)}
            self.nodes.insert(0, (OPERATIONS[node.op_type], tuple(node.input), tuple(node.output), facts))

    def forward(self, image: Tensor, extra: Mapping[str, Tensor] | None = None) -> tuple[Tensor, ...]:
        """Return the outputs for one image.

        Args:
            image: [1, 1, H, W] float32, 0 = black, 1 = white.
            extra: Other inputs and known values by name.
        """
        values: dict[str, Tensor] = {**self.constants, "image": image, **(extra or {})}
        for operation, inputs, outputs, facts in self.nodes:
            if outputs[0] not in values:
                values[outputs[0]] = operation([values[name] if name else None for name in inputs], facts)
        return tuple(values[name] for name in self.outputs)

    def fixed_values(self, image: Tensor) -> dict[str, Tensor]:
        """Return every value that depends on the size of the image alone, for a program that knows one size.

        Args:
            image: [1, 1, H, W] of that size.
        """
        fixed = dict(self.constants)
        values: dict[str, Tensor] = {**self.constants, "image": image}
        for operation, inputs, outputs, facts in self.nodes:
            values[outputs[0]] = operation([values[name] if name else None for name in inputs], facts)
            if operation is _shape or all(name in fixed for name in inputs if name):
                fixed[outputs[0]] = values[outputs[0]]
        return fixed


def _attributes(node: Any) -> dict[str, Any]:
    from onnx import helper

    return {each.name: helper.get_attribute_value(each) for each in node.attribute}


def _numbers(value: Tensor | None) -> list[int]:
    return [] if value is None else [int(number) for number in value.tolist()]


def _need(value: Tensor | None) -> Tensor:
    assert value is not None
    return value


def _reduce(function: Callable[[Tensor, list[int], bool], Tensor]) -> Operation:
    def operation(x: Values, facts: Mapping[str, Any]) -> Tensor:
        data = _need(x[0])
        axes = list(facts.get("axes") or (_numbers(x[1]) if len(x) > 1 else [])) or list(range(data.dim()))
        return function(data, axes, bool(facts.get("keepdims", 1)))

    return operation


def _shape(x: Values, facts: Mapping[str, Any]) -> Tensor:
    data = _need(x[0])
    return torch.tensor([int(side) for side in data.shape[facts.get("start", 0) : facts.get("end", data.dim())]])


def _pads(facts: Mapping[str, Any], dims: int) -> tuple[list[int], list[int]]:
    """Return the padding before and after each axis."""
    pads = list(facts.get("pads", [0] * 2 * dims))
    if facts.get("auto_pad", b"NOTSET") not in (b"NOTSET", b"VALID"):
        raise BundleError("graph", "pads by itself (auto_pad), which this program does not read.")
    return pads[:dims], pads[dims:]


def _padded(data: Tensor, facts: Mapping[str, Any], value: float = 0.0) -> Tensor:
    before, after = _pads(facts, data.dim() - 2)
    flat = [side for pair in zip(reversed(before), reversed(after), strict=True) for side in pair]
    return functional.pad(data, flat, value=value) if any(flat) else data


def _conv(x: Values, facts: Mapping[str, Any]) -> Tensor:
    data = _need(x[0])
    before, after = _pads(facts, data.dim() - 2)
    same = before == after  # as the convolution's own padding, which converters recognise
    return functional.conv2d(
        data if same else _padded(data, facts),
        _need(x[1]),
        x[2] if len(x) > 2 else None,
        stride=list(facts.get("strides", [1, 1])),
        padding=before if same else 0,
        dilation=list(facts.get("dilations", [1, 1])),
        groups=facts.get("group", 1),
    )


def _max_pool(x: Values, facts: Mapping[str, Any]) -> Tensor:
    return functional.max_pool2d(
        _padded(_need(x[0]), facts, -torch.inf),
        list(facts["kernel_shape"]),
        list(facts.get("strides", [1, 1])),
        ceil_mode=bool(facts.get("ceil_mode", 0)),
    )


def _average_pool(x: Values, facts: Mapping[str, Any]) -> Tensor:
    before, after = _pads(facts, 2)
    if before != after:
        raise BundleError("graph", "has a pooling with uneven padding, which this program does not read.")
    return functional.avg_pool2d(
        _need(x[0]),
        list(facts["kernel_shape"]),
        list(facts.get("strides", [1, 1])),
        before,
        bool(facts.get("ceil_mode", 0)),
        bool(facts.get("count_include_pad", 0)),
    )


def _resize(x: Values, facts: Mapping[str, Any]) -> Tensor:
    data, size = _need(x[0]), _numbers(x[3] if len(x) > 3 else None)
    if not size:
        axes = list(facts.get("axes", range(data.dim())))
        scales = dict(zip(axes, _need(x[2]).tolist(), strict=True))
        size = [int(side * scales.get(axis, 1.0)) for axis, side in enumerate(data.shape)]
    mode = facts.get("mode", b"nearest")
    if facts.get("antialias") and not facts.get("exclude_outside"):
        raise BundleError("graph", "has a resize that repeats the edge (exclude_outside=0); this program's has none.")
    if mode == b"linear" and facts.get("coordinate_transformation_mode", b"half_pixel") == b"half_pixel":
        return functional.interpolate(data, size[-2:], mode="bilinear", antialias=bool(facts.get("antialias", 0)))
    if mode == b"nearest":
        return functional.interpolate(data, size[-2:], mode="nearest")
    raise BundleError("graph", f"has a resize of the kind {mode!r}, which this program does not read.")


def _gemm(x: Values, facts: Mapping[str, Any]) -> Tensor:
    a, b = _need(x[0]), _need(x[1])
    a, b = (a.T if facts.get("transA") else a), (b.T if facts.get("transB") else b)
    product = float(facts.get("alpha", 1.0)) * (a @ b)
    return product if len(x) < 3 else product + float(facts.get("beta", 1.0)) * _need(x[2])


def _slice(x: Values, facts: Mapping[str, Any]) -> Tensor:
    data = _need(x[0])
    starts, ends = _numbers(x[1]), _numbers(x[2])
    axes = _numbers(x[3] if len(x) > 3 else None) or list(range(len(starts)))
    steps = _numbers(x[4] if len(x) > 4 else None) or [1] * len(starts)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        side = data.shape[axis]
        if step == -1 and start in (-1, side - 1) and end < -side:
            data = torch.flip(data, [axis])
        elif step > 0:
            here = [slice(None)] * data.dim()
            here[axis] = slice(start, min(end, side), step)
            data = data[tuple(here)]
        else:
            raise BundleError("graph", f"has a slice with step {step}, which this program does not read.")
    return data


def _reshape(x: Values, facts: Mapping[str, Any]) -> Tensor:
    data = _need(x[0])
    return data.reshape([data.shape[axis] if side == 0 else side for axis, side in enumerate(_numbers(x[1]))])


def _cast(x: Values, facts: Mapping[str, Any]) -> Tensor:
    kinds = {1: torch.float32, 6: torch.int32, 7: torch.int64, 9: torch.bool, 10: torch.float16, 11: torch.float64}
    return _need(x[0]).to(kinds[facts["to"]])


def _clip(x: Values, facts: Mapping[str, Any]) -> Tensor:
    low, high = (x[place] if len(x) > place else None for place in (1, 2))
    return torch.clamp(_need(x[0]), None if low is None else low.item(), None if high is None else high.item())


def _batch_norm(x: Values, facts: Mapping[str, Any]) -> Tensor:
    scale, shift, mean, variance = (_need(value) for value in x[1:5])
    return functional.batch_norm(_need(x[0]), mean, variance, scale, shift, eps=facts.get("epsilon", 1e-5))


def _quantize(x: Values, facts: Mapping[str, Any]) -> Tensor:
    """Return whole numbers of steps of a scale, as float32."""
    data, scale, zero = (_need(value) for value in x)
    limits = torch.iinfo(zero.dtype)
    return torch.clamp(torch.round(data / scale) + zero.float(), limits.min, limits.max)


def _dequantize(x: Values, facts: Mapping[str, Any]) -> Tensor:
    numbers, scale, zero = _need(x[0]).float(), _need(x[1]), x[2] if len(x) > 2 else None
    shape = [1] * numbers.dim()
    if scale.dim():
        shape[facts.get("axis", 1)] = -1
    centred = numbers if zero is None else numbers - zero.float().reshape(shape)
    return centred * scale.reshape(shape)


def _unsqueeze(x: Values, facts: Mapping[str, Any]) -> Tensor:
    data = _need(x[0])
    for axis in sorted(_numbers(x[1])):
        data = data.unsqueeze(axis)
    return data


def _plain(function: Callable[..., Tensor]) -> Operation:
    return lambda x, facts: function(*x)


def _amax(data: Tensor, axes: list[int], keep: bool) -> Tensor:
    return torch.amax(data, axes, keepdim=keep)


OPERATIONS: Mapping[str, Operation] = {
    "Add": _plain(torch.add),
    "AveragePool": _average_pool,
    "BatchNormalization": _batch_norm,
    "Cast": _cast,
    "Clip": _clip,
    "Concat": lambda x, facts: torch.cat([_need(value) for value in x], facts["axis"]),
    "Conv": _conv,
    "DequantizeLinear": _dequantize,
    "Div": _plain(torch.div),
    "Equal": _plain(torch.eq),
    "Erf": _plain(torch.erf),
    "Exp": _plain(torch.exp),
    "Expand": lambda x, facts: (
        # A side of 1 in the shape keeps the value's own.
        _need(x[0]) * torch.ones(_numbers(x[1]), dtype=_need(x[0]).dtype)
    ),
    "Flatten": lambda x, facts: torch.flatten(_need(x[0]), facts.get("axis", 1)),
    "Gather": lambda x, facts: torch.index_select(_need(x[0]), facts.get("axis", 0), _need(x[1]).reshape(-1)).reshape(
        *_need(x[0]).shape[: facts.get("axis", 0)], *_need(x[1]).shape, *_need(x[0]).shape[facts.get("axis", 0) + 1 :]
    ),
    "Gemm": _gemm,
    "GlobalAveragePool": lambda x, facts: _need(x[0]).mean((2, 3), keepdim=True),
    "HardSigmoid": lambda x, facts: torch.clamp(
        facts.get("alpha", 0.2) * _need(x[0]) + facts.get("beta", 0.5), 0.0, 1.0
    ),
    "HardSwish": _plain(functional.hardswish),
    "Identity": lambda x, facts: _need(x[0]),
    "LeakyRelu": lambda x, facts: functional.leaky_relu(_need(x[0]), facts.get("alpha", 0.01)),
    "MatMul": _plain(torch.matmul),
    "MaxPool": _max_pool,
    "Mul": _plain(torch.mul),
    "Neg": _plain(torch.neg),
    "Pow": lambda x, facts: torch.pow(_need(x[0]), _need(x[1]).item()),
    "QuantizeLinear": _quantize,
    "ReduceMax": _reduce(_amax),
    "ReduceMean": _reduce(lambda data, axes, keep: torch.mean(data, axes, keepdim=keep)),
    "ReduceMin": _reduce(lambda data, axes, keep: torch.amin(data, axes, keepdim=keep)),
    "ReduceSum": _reduce(lambda data, axes, keep: torch.sum(data, axes, keepdim=keep)),
    "ReduceSumSquare": _reduce(lambda data, axes, keep: torch.sum(data * data, axes, keepdim=keep)),
    "Relu": _plain(torch.relu),
    "Reshape": _reshape,
    "Resize": _resize,
    "Shape": _shape,
    "Sigmoid": _plain(torch.sigmoid),
    "Slice": _slice,
    "Softmax": lambda x, facts: torch.softmax(_need(x[0]), facts.get("axis", -1)),
    "Sqrt": _plain(torch.sqrt),
    "Squeeze": lambda x, facts: torch.squeeze(_need(x[0]), tuple(_numbers(x[1]))),
    "Sub": _plain(torch.sub),
    "Tanh": _plain(torch.tanh),
    "Tile": lambda x, facts: _need(x[0]).repeat(_numbers(x[1])),
    "Transpose": lambda x, facts: _need(x[0]).permute(list(facts["perm"])),
    "Unsqueeze": _unsqueeze,
}
"""ONNX operator -> what computes it."""
