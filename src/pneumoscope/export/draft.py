"""A bundle in the making: its files lie in a temporary folder until all of them are there.

The graph is written and checked first, then measured with ONNX Runtime as users run it, and only then described: so the
card holds the figures of the very graph that it describes. The bundle appears whole or not at all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch

from pneumoscope.bundle.card import Card, identity
from pneumoscope.core.callbacks import SILENT, Callbacks
from pneumoscope.core.files import write_json, write_text
from pneumoscope.export.calibrate import Calibration
from pneumoscope.export.graph import BundleGraph
from pneumoscope.export.onnx import (
    HALVED_TOLERANCE,
    IMAGES,
    check_parity,
    export_onnx,
    halve_weights,
    mixed_sizes,
)
from pneumoscope.imaging.read import read
from pneumoscope.reporting.model_card import render_model_card
from pneumoscope.training.loop.fit import FittedRun
from pneumoscope.training.networks.weights import save_tensors


@dataclass(frozen=True)
class ExportedGraph:
    """A graph that was written and checked.

    Args:
        path: The file.
        heatmap_size: Rows and columns of the heatmap.
        differences: Output -> largest absolute difference between the file and torch.
    """

    path: Path
    heatmap_size: tuple[int, int]
    differences: Mapping[str, float]


def export_graph(
    fitted: FittedRun, calibration: Calibration, draft: Path, *, callbacks: Callbacks = SILENT
) -> ExportedGraph:
    """Write the calibrated graph into a draft bundle and check it against torch.

    Args:
        fitted: A finished training.
        calibration: What its calibration part set.
        draft: The draft bundle's folder.
        callbacks: Receive the progress.

    Raises:
        ParityError: ONNX Runtime and torch differ.
    """
    size = fitted.plan.recipe.input.size
    path = draft / "model.onnx"
    with callbacks.counting("exporting"):
        graph = BundleGraph(fitted.model, size, [one.scaling for one in calibration.scores], calibration.space).eval()
        part = fitted.plan.manifest.part("validation")
        files = list(zip(part.paths(), part.depths(), strict=True))[:IMAGES]
        pixels = [read(path, depth=depth).pixels for path, depth in files]
        images = mixed_sizes(pixels)
        export_onnx(graph, path)
        differences = check_parity(graph, path, images)
        if fitted.plan.recipe.network.stored == "float16":
            halve_weights(path)
            differences = check_parity(graph, path, images, HALVED_TOLERANCE)
        with torch.inference_mode():
            heatmap = graph(torch.zeros(1, 1, size, size))[2]
    return ExportedGraph(path, (int(heatmap.shape[2]), int(heatmap.shape[3])), differences)


def write_bundle_files(draft: Path, card: Card, fitted: FittedRun, exported: ExportedGraph) -> str:
    """Write the card, the recipe, the weights and the evidence of parity into a draft bundle.

    Returns:
        The bundle's identity: the SHA-256 of its card.
    """
    text = card.to_json()
    name = identity(text.encode())
    write_text(draft / "card.json", text)
    write_text(draft / "recipe.yaml", fitted.plan.recipe.to_yaml())
    write_text(draft / "CARD.md", render_model_card(card, name))
    save_tensors(fitted.model, draft / "weights.safetensors")
    write_json(
        draft / "evidence" / "parity.json",
        {"bundle": name, "images": IMAGES, "largest difference": dict(exported.differences)},
    )
    return name
