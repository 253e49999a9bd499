"""Run a bundle's graph with OpenVINO, behind the one method that ONNX Runtime's sessions have: `run`.

OpenVINO computes an antialiased resize without antialiasing and says nothing (2026.4, its CPU plugin, also where the
attribute is set): radiographs of 1,024 pixels then give other answers. So the graph is cut behind its resize: ONNX
Runtime computes what comes before, OpenVINO the network, whose input then has one size. The network is computed in
float32: in bfloat16, which OpenVINO takes by itself on processors that have it, probabilities changed by up to .29.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.graph_split import find_resize, open_graph, split_at_resize
from pneumoscope.core.errors import BundleError, MissingExtraError

_SETTINGS = {
    "INFERENCE_NUM_THREADS": 1,  # one thread an image, and as many images at once as there are cores
    "NUM_STREAMS": 1,
    "INFERENCE_PRECISION_HINT": "f32",
    "ENABLE_CPU_PINNING": False,  # else threads of several workers may be tied to one core
}


class GraphValue(NamedTuple):
    """An input or output of a graph, as ONNX Runtime describes it.

    Args:
        name: Its name.
        shape: Numbers, and names of axes of any size.
    """

    name: str
    shape: list[int | str]


class OpenVinoSession:
    """A graph whose network OpenVINO runs. Threads may share it.

    Args:
        graph: The bytes of an ONNX model that `graph_check` has passed.
        name: What to call it in an error.
    """

    def __init__(self, graph: bytes, name: Path) -> None:
        try:
            import onnx
            import openvino
        except ModuleNotFoundError as error:
            raise MissingExtraError("the runtime openvino", "openvino") from error
        model = onnx.load_model_from_string(graph)
        self._inputs = [_describe(item) for item in model.graph.input]
        self._outputs = [_describe(item) for item in model.graph.output]
        self._before, self._resized = None, "image"
        if find_resize(model) is not None:
            before, model, self._resized = split_at_resize(model)
            self._before = open_graph(before.SerializeToString())
        _prepare_binding(openvino)
        core = openvino.Core()
        try:
            compiled = core.read_model(model.SerializeToString())
            compiled.reshape({item.get_any_name(): _one_image(item) for item in compiled.inputs})
            self._compiled = core.compile_model(compiled, "CPU", _SETTINGS)
        except RuntimeError as error:
            reason = str(error).strip().splitlines()[-1][:300]
            raise BundleError(
                str(name), f"cannot be run by OpenVINO {openvino.__version__}: {reason}", "Use ONNX Runtime."
            ) from error
        self._local = threading.local()

    def get_inputs(self) -> list[GraphValue]:
        """Return the graph's inputs."""
        return self._inputs

    def get_outputs(self) -> list[GraphValue]:
        """Return the graph's outputs."""
        return self._outputs

    def run(self, names: Sequence[str] | None, inputs: Mapping[str, NDArray[np.float32]]) -> list[NDArray[Any]]:
        """Run the graph on one image.

        Args:
            names: Of the outputs; None: all.
            inputs: Input -> array with an axis of one image.

        Returns:
            The outputs, in the order of the names.
        """
        values = dict(inputs)
        if self._before is not None:
            (values[self._resized],) = self._before.run([self._resized], {"image": values.pop("image")})
        if not hasattr(self._local, "request"):
            self._local.request = self._compiled.create_infer_request()  # a request is of one thread
        results = self._local.request.infer(values)
        return [np.array(results[name]) for name in (names or [item.name for item in self._outputs])]


def _prepare_binding(openvino: Any) -> None:
    """Let OpenVINO's binding find NumPy, by one thread, before threads share a session.

    Its first access to an array's memory initialises a static variable, for which it waits with Python's lock held
    (2026.4): two threads that come there at once wait for each other forever.
    """
    with _PREPARING:
        openvino.Tensor(openvino.Type.f32, openvino.Shape([1])).data[:] = np.zeros(1, np.float32)


_PREPARING = threading.Lock()


def _describe(item: Any) -> GraphValue:
    dims = item.type.tensor_type.shape.dim
    return GraphValue(item.name, [dim.dim_value or dim.dim_param for dim in dims])


def _one_image(item: Any) -> list[int]:
    """Return the shape of an input of the cut graph for one image; axes of any size stay so."""
    shape = [-1 if dim.is_dynamic else dim.get_length() for dim in item.get_partial_shape()]
    return [1, *shape[1:]]
