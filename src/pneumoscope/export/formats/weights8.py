"""weights8: a bundle whose weights are stored in 8 bits, and which computes in float32 as before.

Rounding the weights alone changes a score less than rounding what flows between the convolutions too, and the file is
smaller still. Of the shipped models it changes next to nothing, since the weights of their backbone are multiples of
1/127 already. It needs no radiographs, and gains no speed: ONNX Runtime multiplies the weights out when it loads the
graph. That is why they are a cast and a product here: it keeps a DequantizeLinear, so that a kernel of 8 bits can take
it, multiplies each weight out for each image, and was twice as slow as the parent.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.runtime import Model
from pneumoscope.core.errors import BundleError, UsageError
from pneumoscope.export.derived import complete_bundle, has_eight_bits
from pneumoscope.export.fold import fold_constants
from pneumoscope.export.format import ExportJob, ExportReport, Format, drawn_images

LEAST_NUMBERS = 1024
"""Smaller weights stay float32: they save nothing."""
LARGEST = 127
"""Of an 8-bit weight, positive or negative: zero is exact, and both signs are alike (Jacob et al., CVPR 2018)."""


def _check(model: Model) -> None:
    """Refuse a bundle that has 8-bit weights already."""
    if has_eight_bits(model.folder):
        raise UsageError(
            str(model.folder), "has 8-bit weights already.", "Use it as it is, or name the bundle that it was made of."
        )


def _write(job: ExportJob) -> ExportReport:
    import onnx

    model = onnx.load(job.model.folder / "model.onnx")
    fold_constants(model)
    if not store_weights(model.graph):
        raise BundleError(
            str(job.model.folder), "has no weights that 8 bits would make smaller.", "Export it to another format."
        )
    onnx.checker.check_model(model)
    onnx.save(model, job.folder / "model.onnx")
    said = (
        f"A copy of {job.model.card.name} {job.model.card.version} ({job.model.identity[:12]}) with 8-bit weights. All "
        "figures and thresholds here are those of that bundle; how far this one differs is measured by certify."
    )
    note = (
        "It is not audited, and its card's figures are those of the bundle that it was made of. It was compared on "
        "drawn images: certify compares on radiographs."
    )
    return complete_bundle(job, "weights8", said, drawn_images(), (note,))


def store_weights(graph: Any) -> int:
    """Store the weights of convolutions and dense layers in 8 bits, in place.

    Args:
        graph: Of the ONNX model; constants are folded.

    Returns:
        How many tensors are stored so.
    """
    from onnx import TensorProto, helper, numpy_helper

    weights = {node.input[1] for node in graph.node if node.op_type in ("Conv", "Gemm")}
    stored = 0
    for tensor in [tensor for tensor in graph.initializer if tensor.name in weights]:
        value = numpy_helper.to_array(tensor)
        if value.size < LEAST_NUMBERS or value.dtype != np.float32:
            continue
        rounded, scale = round_weights(value)
        whole, step, cast = (f"{tensor.name}.{part}" for part in ("int8", "scale", "whole"))
        graph.initializer.remove(tensor)
        graph.initializer.append(numpy_helper.from_array(rounded, whole))
        graph.initializer.append(numpy_helper.from_array(_across_rows(scale, value.ndim), step))
        graph.node.insert(2 * stored, helper.make_node("Cast", [whole], [cast], to=TensorProto.FLOAT))
        graph.node.insert(2 * stored + 1, helper.make_node("Mul", [cast, step], [tensor.name]))
        stored += 1
    return stored


def round_weights(weights: NDArray[np.float32]) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """Return weights in 8 bits, with a scale for each row (of a convolution: each output channel).

    Args:
        weights: [C, ...].

    Returns:
        [C, ...] from -127 to 127, and [C]: their product is the weight, within half a scale.
    """
    largest = np.abs(weights).reshape(len(weights), -1).max(axis=1)
    scale = np.where(largest > 0, largest / LARGEST, 1).astype(np.float32)
    rounded = np.round(weights / _across_rows(scale, weights.ndim))
    return rounded.astype(np.int8), scale


def _across_rows(scale: NDArray[np.float32], axes: int) -> NDArray[np.float32]:
    """Return [C] as [C, 1, ...], which multiplies the rows of an array of so many axes."""
    return scale.reshape(-1, *(1,) * (axes - 1))


FORMAT = Format(
    "weights8", "A bundle with 8-bit weights that computes in float32: smaller, equally fast.", _write, check=_check
)
