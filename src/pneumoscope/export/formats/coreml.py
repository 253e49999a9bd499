"""Core ML: the graph as an ML program for Apple's devices, with an image as its input.

coremltools converts from torch alone, so that torch is given the graph's own nodes (`export.torch_graph`). The
converter maps an antialiased resize to a plain one and says nothing: here the resize is two matrix products, for
pictures of one size, and the finished program is searched for any other resize. Everything is computed in float32: half
precision would change answers at thresholds, and nobody could measure by how much without a device.

Core ML runs on Apple's systems only. What other machines can check is checked here: the program's structure, its
constants, and its numbers, which `mil_reference` computes from the finished program operation by operation.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.core.errors import BundleError, MissingExtraError, ParityError
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.export.companion_files import copy_description
from pneumoscope.export.fold import fold_constants
from pneumoscope.export.format import ExportJob, ExportReport, Format
from pneumoscope.export.matrix_resize import resize_matrix

SIDE = 1024
"""Rows and columns of the picture that the program takes; the app stretches a radiograph to it."""
OUTPUTS = ("probabilities", "heatmap", "ood")
TOLERANCE = 1e-4
"""Largest difference in probability from the bundle's graph on the same picture."""
CHECKED = 3
"""Pictures on which the numbers are compared."""
RESIZES = ("resize", "upsample", "crop_resize")
"""How the names of Core ML's own operations that resize begin."""


def _write(job: ExportJob) -> ExportReport:
    try:
        with _quiet():
            import coremltools
    except ModuleNotFoundError as error:
        raise MissingExtraError("the format coreml", "coreml") from error
    model, card = job.model, job.model.card
    outputs = [name for name in OUTPUTS if name != "heatmap" or card.heatmap_size is not None]
    with _quiet():
        traced, matrix = _trace(job, outputs)
        image = coremltools.ImageType(
            name="image", shape=(1, 1, SIDE, SIDE), color_layout=coremltools.colorlayout.GRAYSCALE, scale=1 / 255
        )
        how = {
            "inputs": [image],
            "compute_precision": coremltools.precision.FLOAT32,
            "minimum_deployment_target": coremltools.target.iOS16,
        }
        # The converter chooses names of its own for the outputs; a classifier has to name one of them first.
        drafted = coremltools.convert(traced, convert_to="milinternal", **how)
        names = [value.name for value in drafted.functions["main"].outputs]
        if not card.multilabel:  # findings do not exclude each other, which Core ML's classifiers assume
            how["classifier_config"] = coremltools.ClassifierConfig(
                list(model.labels), predicted_feature_name="label", predicted_probabilities_output=names[0]
            )
        converted = coremltools.convert(traced, convert_to="mlprogram", **how)
        program = converted._mil_program
        check_program(program, matrix, str(job.folder))
        spec = converted.get_spec()
        given = {item.name for item in spec.description.output}
        for old, new in zip(names, outputs, strict=True):
            if old in given:
                coremltools.utils.rename_feature(spec, old, new)
        probabilities = spec.description.predictedProbabilitiesName
        if probabilities:
            coremltools.utils.rename_feature(spec, probabilities, "probabilities")
        _describe(spec, job)
        path = job.folder / f"{card.name}.mlpackage"
        coremltools.models.MLModel(spec, weights_dir=converted.weights_dir, skip_model_load=True).save(str(path))
    differences = _compare(job, program, dict(zip(names, outputs, strict=True)))
    if not differences["probabilities"] <= TOLERANCE:  # written so that NaN fails too
        raise ParityError(
            str(path),
            f"the program computes probabilities that differ by {differences['probabilities']:.2e} from the bundle's; "
            f"the limit is {TOLERANCE:g}.",
            "Report the versions of coremltools and torch.",
        )
    copy_description(job, {"file": path.name, "format": "Core ML ML program", "picture": f"{SIDE} x {SIDE}, grey"})
    return ExportReport(
        differences,
        CHECKED,
        (
            "Checked here: the program's operations, its resize matrices, and its numbers, operation by operation in "
            "numpy and torch.",
            "Not checked here: Core ML itself, which runs on Apple's systems only. docs/guides/export.md has the steps "
            "on a Mac.",
            f"The app stretches a radiograph to {SIDE} x {SIDE}; one that is smaller may then get another decision.",
            "Core ML's own label is the likeliest class; the card's decision applies its threshold to the first one.",
        ),
    )


def _trace(job: ExportJob, outputs: list[str]) -> tuple[Any, NDArray[np.float32]]:
    """Return the traced torch module and the matrix of its resize."""
    import onnx
    import torch

    from pneumoscope.bundle.graph_split import find_resize, split_at_resize
    from pneumoscope.export.phone_graph import PhoneGraph

    folder = job.model.folder
    model = onnx.load(folder / "model.onnx")
    if [item.name for item in model.graph.input] != ["image"]:
        raise BundleError(
            str(folder), "takes the lungs beside the image, which an app would have to compute.", "Export it to ort."
        )
    resize = find_resize(model)
    if resize is None:
        raise BundleError(str(folder), "has no antialiased resize of its image.", "Export it with this version again.")
    size = split_at_resize(model)[1].graph.input[0].type.tensor_type.shape.dim[2].dim_value
    fold_constants(model)
    jit: Any = torch.jit  # which has no types
    graph = PhoneGraph(model, str(folder), outputs, resize.output[0], size, SIDE).eval()
    with torch.no_grad():
        traced = jit.trace(graph, torch.rand(1, 1, SIDE, SIDE), check_trace=False)
    return traced, resize_matrix(size, SIDE).astype(np.float32)


def check_program(program: Any, matrix: NDArray[np.float32], name: str) -> None:
    """Check that a program resizes by two matrix products, with the right matrix, and by nothing else.

    Args:
        program: Core ML's own form of the graph, a ``Program`` of coremltools.
        matrix: [S, side] weights of the resize.
        name: What to call the program in an error.

    Raises:
        ParityError: It has another resize, or not the two products.
    """
    operations = list(program.functions["main"].operations)
    other = [one.op_type for one in operations if one.op_type.startswith(RESIZES)]
    if other:
        raise ParityError(name, f"the program has Core ML's own {other[0]}, which does not antialias.")
    used = {"rows": False, "columns": False}
    for one in operations:
        if one.op_type != "matmul":
            continue
        for side, expected in (("x", matrix), ("y", matrix.T)):
            value = one.inputs[side].val
            if value is not None and value.shape == expected.shape and np.array_equal(value, expected):
                used["rows" if side == "x" else "columns"] = True
    if not all(used.values()):
        raise ParityError(name, f"the program does not hold the two matrix products of its resize: {used}.")


def _compare(job: ExportJob, program: Any, names: dict[str, str]) -> dict[str, float]:
    """Return the largest difference of each output between the program, run here, and the bundle's graph."""
    from pneumoscope.data.phantoms.phantom import draw
    from pneumoscope.export.mil_reference import run_program

    worst = dict.fromkeys(names.values(), 0.0)
    for number in range(CHECKED):
        grey = np.round(255 * draw(0, number, "normal", size=SIDE).pixels).astype(np.float32)  # as a picture stores it
        found = run_program(program, {"image": grey[None, None]}, list(names))
        expected = job.model.run(np.asarray(grey / 255, np.float32))
        for value, name in names.items():
            difference = np.abs(np.asarray(getattr(expected, name)) - found[value][0]).max()
            worst[name] = float(np.maximum(worst[name], difference))
    return worst


def _describe(spec: Any, job: ExportJob) -> None:
    """Write what Xcode and an app show: purpose, licence, disclaimer, inputs and outputs."""
    card = job.model.card
    about = spec.description.metadata
    about.shortDescription = f"{DISCLAIMER} {card.summary}"
    about.author = "Pneumoscope"
    about.license = "; ".join(f"{one.source}: {one.licence}" for one in card.licences)
    about.versionString = card.version
    about.userDefined.update(
        {
            "bundle": job.model.identity,
            "labels": ", ".join(card.label_names),
            "ood_threshold": repr(card.refusal.ood_threshold),
            "not_looked_for": "; ".join(card.not_looked_for),
            **({} if card.multilabel else {"threshold": repr(card.operating_point.threshold)}),
            **{
                f"threshold_{f.name}": repr(p.threshold)
                for f, p in zip(card.findings, card.finding_points, strict=True)
            },
        }
    )
    words = {
        "image": f"One upright frontal chest radiograph, without a flat border, stretched to {SIDE} x {SIDE}, grey.",
        "label": "The likeliest class. The card's decision is another: the first class from its threshold on.",
        "probabilities": f"Calibrated probability of: {', '.join(card.label_names)}.",
        "heatmap": "What each place adds to each class, 0 to 1: [1, C, h, w].",
        "ood": f"Distance from the training images; above {card.refusal.ood_threshold:.4g} there is no answer.",
    }
    for item in (*spec.description.input, *spec.description.output):
        item.shortDescription = words[item.name]


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Silence what coremltools says of versions and of its missing runtime when it is imported, and its bars."""
    logger = logging.getLogger("coremltools")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.simplefilter("ignore")
        try:
            yield
        finally:
            logger.setLevel(level)


FORMAT = Format("coreml", "A Core ML ML program for iPhones, iPads and Macs.", _write)
