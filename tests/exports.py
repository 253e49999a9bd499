"""Trace each network once a test run: a later one of the same structure gets its own weights in the first one's graph.

torch's exporter traces even a small network for four seconds of a core, and a run of all tests exports dozens of them,
of few structures. The check of parity that follows each export compares the file with its own network in torch, so
that a wrong graph fails the test. The tests of the exporter (tests/export) go without this.
"""

from __future__ import annotations

import hashlib
import os
import sys
from collections.abc import Iterator
from contextlib import suppress
from functools import cache, wraps
from importlib import import_module
from pathlib import Path
from typing import Any


def reuse_exports(folder: Path) -> None:
    """Let `torch.onnx.export` keep what it traced in ``folder``, where torch is imported.

    Args:
        folder: Folder of the test run, which all its processes share.
    """
    torch = sys.modules.get("torch")
    if torch is None or hasattr(torch.onnx.export, "__wrapped__"):
        return
    export = torch.onnx.export

    @wraps(export)
    def export_once(graph: Any, args: tuple[Any, ...], **options: Any) -> Any:
        if not isinstance(graph, torch.nn.Module) or options.get("optimize") is False or not options.get("dynamo"):
            return export(graph, args, **options)
        facts = [*_structure(graph), *((tuple(each.shape), each.dtype) for each in args), sorted(options.items())]
        path = folder / "exports" / f"{hashlib.sha256(repr(facts).encode()).hexdigest()}.onnx"
        if not path.is_file():
            reuse_operator_table()
            traced = export(graph, args, optimize=False, **options).model_proto.SerializeToString()
            path.parent.mkdir(exist_ok=True)
            draft = path.with_suffix(f".{os.getpid()}")
            draft.write_bytes(traced)
            draft.replace(path)
        program = _with_weights(path, graph)
        program.optimize()
        return program

    torch.onnx.export = export_once


def reuse_operator_table() -> None:
    """Let torch's ONNX exporter build its table of operators once a process: a second each."""
    with suppress(ModuleNotFoundError):  # torch's own module, which another version may not have
        module = import_module("torch.onnx._internal.exporter._registration")
        build = module.ONNXRegistry.from_torchlib
        if not hasattr(build, "cache_info"):
            module.ONNXRegistry.from_torchlib = staticmethod(cache(build))


def _with_weights(path: Path, graph: Any) -> Any:
    """Return the kept graph with a network's own weights, before anything is computed from them."""
    import onnx
    import onnx_ir
    from torch.onnx import ONNXProgram

    model = onnx_ir.from_proto(onnx.load(path))
    own = dict(_tensors(graph))
    for name, value in model.graph.initializers.items():
        if name in own:
            value.const_value = onnx_ir.tensor(own[name].detach().numpy().copy(), name=name)
    return ONNXProgram(model, None)


def _tensors(graph: Any) -> Iterator[tuple[str, Any]]:
    yield from graph.named_parameters(remove_duplicate=False)
    yield from graph.named_buffers(remove_duplicate=False)


def _structure(graph: Any) -> Iterator[tuple[Any, ...]]:
    """Yield all that makes a network but the values of its weights.

    A value that has no text of its own, such as a function, is known by its address: such a network is traced again.
    """
    import torch

    bookkeeping = vars(torch.nn.Module())
    for name, tensor in _tensors(graph):
        yield name, tuple(tensor.shape), tensor.dtype
    for name, module in graph.named_modules(remove_duplicate=False):
        yield name, type(module).__module__, type(module).__qualname__, module.training
        for key, value in sorted(vars(module).items()):
            if key not in bookkeeping:
                yield key, value.tolist() if isinstance(value, torch.Tensor) else value
