"""Run a Core ML program without Core ML: each operation of its intermediate language as torch defines it.

Core ML runs on Apple's systems only. This computes what a converted program says, with the program's own constants, so
that a wrong conversion shows on any machine. What Core ML makes of the same program is for a Mac to show.
https://apple.github.io/coremltools/source/coremltools.converters.mil.mil.ops.defs.html defines the operations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from pneumoscope.core.errors import BundleError

Arguments = Mapping[str, Any]


def run_program(
    program: Any, inputs: Mapping[str, NDArray[np.float32]], outputs: Sequence[str]
) -> dict[str, NDArray[Any]]:
    """Compute some values of a program.

    Args:
        program: A ``Program`` of coremltools.
        inputs: Input -> array; of a picture its stored values, 0 to 255.
        outputs: Names of the values to return.

    Raises:
        BundleError: The program has an operation that is not in `OPERATIONS`.
    """
    values: dict[str, Any] = {name: torch.from_numpy(array) for name, array in inputs.items()}

    def value_of(thing: Any) -> Any:
        if isinstance(thing, list | tuple):
            return [value_of(each) for each in thing]
        if thing is None:
            return None
        if thing.name in values:
            return values[thing.name]
        return thing.val

    with torch.inference_mode():
        for one in program.functions["main"].operations:
            if one.op_type in ("const", "classify"):
                continue
            if one.op_type not in OPERATIONS:
                raise BundleError("the Core ML program", f"has the operation {one.op_type}, which is not known here.")
            facts = {name: value_of(thing) for name, thing in one.inputs.items()}
            values[one.outputs[0].name] = OPERATIONS[one.op_type](facts)
    return {name: values[name].numpy() for name in outputs}


def _tensor(value: Any) -> Tensor:
    return value if isinstance(value, Tensor) else torch.from_numpy(np.asarray(value))


def _list(value: Any) -> list[int]:
    return [int(each) for each in np.asarray(value).reshape(-1)]


def _binary(function: Callable[[Tensor, Tensor], Tensor]) -> Callable[[Arguments], Tensor]:
    return lambda facts: function(_tensor(facts["x"]), _tensor(facts["y"]))


def _reduce(function: Callable[..., Tensor]) -> Callable[[Arguments], Tensor]:
    def operation(facts: Arguments) -> Tensor:
        data = _tensor(facts["x"])
        axes = list(range(data.dim())) if facts.get("axes") is None else _list(facts["axes"])
        return function(data, axes, keepdim=bool(facts["keep_dims"]))

    return operation


def _padded(facts: Arguments, value: float = 0.0) -> Tensor:
    """Pad rows and columns as a convolution or pooling says."""
    data, kind = _tensor(facts["x"]), str(facts["pad_type"])
    if kind == "valid":
        return data
    if kind != "custom":
        raise BundleError("the Core ML program", f"pads by the rule {kind}, which is not known here.")
    top, bottom, left, right = _list(facts["pad"])
    return functional.pad(data, [left, right, top, bottom], value=value)


def _conv(facts: Arguments) -> Tensor:
    bias = facts.get("bias")
    return functional.conv2d(
        _padded(facts),
        _tensor(facts["weight"]),
        None if bias is None else _tensor(bias),
        stride=_list(facts["strides"]),
        dilation=_list(facts["dilations"]),
        groups=int(facts["groups"]),
    )


def _pad(facts: Arguments) -> Tensor:
    sides = _list(facts["pad"])
    pairs = list(zip(sides[::2], sides[1::2], strict=True))
    flat = [side for pair in reversed(pairs) for side in pair]
    return functional.pad(_tensor(facts["x"]), flat, mode=str(facts["mode"]), value=float(facts["constant_val"]))


def _matmul(facts: Arguments) -> Tensor:
    x, y = _tensor(facts["x"]), _tensor(facts["y"])
    x = x.transpose(-1, -2) if facts.get("transpose_x") else x
    y = y.transpose(-1, -2) if facts.get("transpose_y") else y
    return torch.matmul(x, y)


def _pool(facts: Arguments, *, largest: bool) -> Tensor:
    sizes = (_list(facts["kernel_sizes"]), _list(facts["strides"]))
    ceil = bool(facts["ceil_mode"])
    if largest:
        return functional.max_pool2d(_padded(facts, -torch.inf), *sizes, ceil_mode=ceil)
    if any(_list(facts["pad"])) and facts.get("exclude_padding_from_average"):
        raise BundleError("the Core ML program", "averages without its padding, which is not known here.")
    return functional.avg_pool2d(_padded(facts), *sizes, ceil_mode=ceil)


def _batch_norm(facts: Arguments) -> Tensor:
    mean, variance, gamma, beta = (_tensor(facts[name]) for name in ("mean", "variance", "gamma", "beta"))
    return functional.batch_norm(_tensor(facts["x"]), mean, variance, gamma, beta, eps=float(facts["epsilon"]))


def _cast(facts: Arguments) -> Tensor:
    kinds = {"fp32": torch.float32, "fp16": torch.float16, "int32": torch.int32, "bool": torch.bool}
    return _tensor(facts["x"]).to(kinds[str(facts["dtype"])])


def _expand(facts: Arguments) -> Tensor:
    data = _tensor(facts["x"])
    for axis in sorted(_list(facts["axes"])):
        data = data.unsqueeze(axis)
    return data


def _linear(facts: Arguments) -> Tensor:
    bias = facts.get("bias")
    weight = _tensor(facts["weight"])
    return functional.linear(_tensor(facts["x"]), weight, None if bias is None else _tensor(bias))


OPERATIONS: Mapping[str, Callable[[Arguments], Tensor]] = {
    "add": _binary(torch.add),
    "avg_pool": lambda facts: _pool(facts, largest=False),
    "batch_norm": _batch_norm,
    "cast": _cast,
    "clip": lambda facts: torch.clamp(_tensor(facts["x"]), float(facts["alpha"]), float(facts["beta"])),
    "concat": lambda facts: torch.cat([_tensor(value) for value in facts["values"]], int(facts["axis"])),
    "conv": _conv,
    "equal": _binary(torch.eq),
    "erf": lambda facts: torch.erf(_tensor(facts["x"])),
    "exp": lambda facts: torch.exp(_tensor(facts["x"])),
    "expand_dims": _expand,
    "identity": lambda facts: _tensor(facts["x"]),
    "linear": _linear,
    "matmul": _matmul,
    "max_pool": lambda facts: _pool(facts, largest=True),
    "maximum": _binary(torch.maximum),
    "minimum": _binary(torch.minimum),
    "mul": _binary(torch.mul),
    "pad": _pad,
    "pow": _binary(torch.pow),
    "real_div": _binary(torch.div),
    "reduce_max": _reduce(torch.amax),
    "reduce_mean": _reduce(torch.mean),
    "reduce_min": _reduce(torch.amin),
    "reduce_sum": _reduce(torch.sum),
    "relu": lambda facts: torch.relu(_tensor(facts["x"])),
    "relu6": lambda facts: functional.relu6(_tensor(facts["x"])),
    "reshape": lambda facts: _tensor(facts["x"]).reshape(_list(facts["shape"])),
    "reverse": lambda facts: torch.flip(_tensor(facts["x"]), _list(facts["axes"])),
    "sigmoid": lambda facts: torch.sigmoid(_tensor(facts["x"])),
    "silu": lambda facts: functional.silu(_tensor(facts["x"])),
    "softmax": lambda facts: torch.softmax(_tensor(facts["x"]), int(facts["axis"])),
    "sqrt": lambda facts: torch.sqrt(_tensor(facts["x"])),
    "square": lambda facts: torch.square(_tensor(facts["x"])),
    "squeeze": lambda facts: torch.squeeze(_tensor(facts["x"]), tuple(_list(facts["axes"]))),
    "sub": _binary(torch.sub),
    "tanh": lambda facts: torch.tanh(_tensor(facts["x"])),
    "tile": lambda facts: _tensor(facts["x"]).repeat(_list(facts["reps"])),
    "transpose": lambda facts: _tensor(facts["x"]).permute(_list(facts["perm"])),
}
"""Operation -> what computes it."""
