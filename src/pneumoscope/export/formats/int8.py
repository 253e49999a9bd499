"""int8: a bundle of a quarter of the weights' size, quantised after training and calibrated on real radiographs.

Static quantisation (Jacob et al., CVPR 2018): weights have 8 bits with a scale for each channel, the values between
convolutions 8 bits with a scale that is learned from the float32 network's answers to real images. Only what lies
between the convolutions of the network is quantised: the resize, the head, the calibration, the heatmap and the
out-of-distribution score stay float32, since they are small and sums of them are compared with thresholds. The first
convolutions stay float32 too: `float_depth`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.runtime import Model
from pneumoscope.core.errors import BundleError, MissingExtraError, UsageError
from pneumoscope.data.manifest import Manifest
from pneumoscope.export.derived import complete_bundle, has_eight_bits
from pneumoscope.export.fold import fold_constants
from pneumoscope.export.format import ExportJob, ExportReport, Format

QUANTISED = ("Conv", "Add", "Clip")
"""Operators that compute with 8 bits; Clip (ReLU6) becomes part of the scale."""
MOST_FLOAT = 9
"""Convolutions from the image on that stay float32 in a deep network: the first ones make much of the noise for few of
the products (docs/decisions.md)."""
COMPARED = 32
"""Images on which the new bundle is compared with the old one."""


def _check(model: Model) -> None:
    """Refuse a bundle that has 8-bit weights already: the quantiser stops at them with an error of its own."""
    if has_eight_bits(model.folder):
        parent = model.card.derived_from
        whose = "the bundle that it was made of" if parent is None else f"its parent, {parent[:12]}"
        raise UsageError(
            str(model.folder),
            "has 8-bit weights already; int8 quantises float32.",
            f"Use it as it is, or name {whose}.",
        )


def _write(job: ExportJob) -> ExportReport:
    import onnx
    from onnxruntime.quantization import CalibrationMethod, QuantFormat, QuantType, quantize_static

    try:
        from pneumoscope.export.learned_ranges import learn_ranges
    except ModuleNotFoundError as error:
        raise MissingExtraError("the format int8", "train") from error
    parent = job.model
    plain = job.folder / "float.onnx"
    model = onnx.load(parent.folder / "model.onnx")
    fold_constants(model)
    for number, node in enumerate(model.graph.node):
        node.name = node.name or f"node{number}"
    names = choose_nodes(model.graph)
    if not names:
        raise BundleError(
            str(parent.folder), "has no convolutions that could be quantised.", "Export it to another format."
        )
    onnx.save(model, plain)
    path = job.folder / "model.onnx"
    reader = _Reader(job.read_images("looking at images"), parent)
    with _without_advice():
        quantize_static(
            str(plain),
            str(path),
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=list(QUANTISED),
            nodes_to_quantize=names,
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
            calibrate_method=CalibrationMethod.MinMax,
        )
    plain.unlink()
    finished = onnx.load(path)
    keep_standard_operators(finished)
    make_weights_unsigned(finished)
    learn_ranges(finished, parent, job.read_images("answering in float32"), seed=job.seed, callbacks=job.callbacks)
    onnx.checker.check_model(finished)
    onnx.save(finished, path)
    said = (
        f"An 8-bit copy of {parent.card.name} {parent.card.version} ({parent.identity[:12]}), with ranges that were "
        f"learned from its answers to {_describe_images(job.rows)}. All figures and thresholds here are those of that "
        "bundle; how far this one differs is measured by certify."
    )
    note = (
        "It is not audited, and its card's figures are those of the bundle that it was made of. How many decisions "
        "differ is counted by certify."
    )
    notes = (note,) if not reader.flat else (note, describe_flat(reader.flat, reader.images))
    return complete_bundle(job, "int8", said, list(islice(job.read_images("comparing"), COMPARED)), notes)


def describe_flat(flat: int, images: int) -> str:
    """Return what to say about images of one colour.

    Args:
        flat: How many of the images are so, one or more.
        images: Of all.
    """
    how_many = "All images have" if flat == images else f"{flat} of {images} images {'has' if flat == 1 else 'have'}"
    return (
        f"{how_many} one colour alone. The ranges come from images without contrast: answers to radiographs may be far "
        "off."
    )


@contextmanager
def _without_advice() -> Iterator[None]:
    """Silence the quantiser's advice to prepare the graph, which it gives on the root logger: the graph is folded."""
    logger = logging.getLogger()
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


class _Reader:
    """The images, one at a time, as the quantiser asks for them."""

    def __init__(self, images: Iterator[NDArray[np.float32]], model: Model) -> None:
        self._images = images
        self._model = model
        self.images = 0
        self.flat = 0
        """Images that have one colour alone."""

    def get_next(self) -> dict[str, NDArray[np.float32]] | None:
        pixels = next(self._images, None)
        if pixels is None:
            return None
        self.images += 1
        self.flat += int(pixels.min() == pixels.max())
        return self._model.graph_inputs(pixels)


def choose_nodes(graph: Any) -> list[str]:
    """Return the names of the nodes to quantise: the convolutions and what lies between them, less the first ones.

    Args:
        graph: Of the ONNX model; its nodes have names.
    """
    depth: dict[str, int] = {}  # value -> convolutions on the longest way to it
    for node in graph.node:
        before = max((depth.get(name, 0) for name in node.input), default=0)
        for output in node.output:
            depth[output] = before + (node.op_type == "Conv")
    to_convolution: set[str] = set()  # values that a later convolution needs
    for node in reversed(graph.node):
        if node.op_type == "Conv" or any(output in to_convolution for output in node.output):
            to_convolution.update(node.input)
    kept = float_depth(max(depth.values(), default=0))
    return [
        node.name
        for node in graph.node
        if node.op_type in QUANTISED
        and depth[node.output[0]] > kept
        and (node.op_type == "Conv" or node.output[0] in to_convolution)
    ]


def float_depth(convolutions: int) -> int:
    """Return how many convolutions from the image on stay float32.

    Args:
        convolutions: Of the network, one after another.
    """
    return min(MOST_FLOAT, convolutions // 4)


def keep_standard_operators(model: Any) -> None:
    """Remove the domains that the quantiser declares without need: a bundle has operators of ONNX's standard alone."""
    used = {node.domain for node in model.graph.node}
    imports = [item for item in model.opset_import if item.domain in used]
    del model.opset_import[:]
    model.opset_import.extend(imports)
    del model.metadata_props[:]


def make_weights_unsigned(model: Any) -> None:
    """Store 8-bit weights as 0..255 around 128, in place, which is the same numbers.

    x86 processors without VNNI add two products of an unsigned and a signed byte in 16 bits, which overflow, and ONNX
    Runtime lets them. Products of two unsigned bytes it computes exactly on every processor. Processors with VNNI run
    either by the same instruction.

    Args:
        model: With 8-bit weights, an ``onnx.ModelProto``.
    """
    from onnx import TensorProto, numpy_helper

    tensors = {tensor.name: tensor for tensor in model.graph.initializer}
    weights = [node.input for node in model.graph.node if node.op_type == "DequantizeLinear"]
    for name in dict.fromkeys(each for inputs in weights for each in (inputs[0], inputs[2])):
        tensor = tensors.get(name)
        if tensor is not None and tensor.data_type == TensorProto.INT8:
            value = numpy_helper.to_array(tensor).astype(np.int16) + 128
            tensor.CopyFrom(numpy_helper.from_array(value.astype(np.uint8), name))


def _describe_images(rows: Manifest | None) -> str:
    """Return the number of the images that set the ranges, their sources, and how many are drawn."""
    if rows is None:
        return "no images"
    sources = rows.table["source"]
    drawn = int(sources.str.startswith("synthetic").sum())
    said = f"{len(rows)} images ({', '.join(sorted(set(sources)))})"
    if not drawn:
        return said
    how_many = "all of them drawn (phantoms)" if drawn == len(rows) else f"{drawn} of them drawn (phantoms)"
    return f"{said}, {how_many}, which set ranges that no patient has"


FORMAT = Format(
    "int8",
    "A bundle with 8-bit weights and values: smaller, and faster on processors with 8-bit products.",
    _write,
    "needed",
    check=_check,
)
