"""What a classifier's graph takes and gives: its inputs for one image, and the check that it is what its card says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.card import OUTPUTS, Card
from pneumoscope.bundle.lungs import LungOutlines, builtin_lungs
from pneumoscope.core.errors import BundleError
from pneumoscope.imaging.proportions import check_no_strip

LUNGS_INPUT = "lungs"
"""The name of a graph's second input, which few have: [N, 1, S, S] float32, the probability of lung by the lungs graph
on its own square, stretched over the image."""


def graph_inputs(
    session: Any, pixels: NDArray[np.float32], outlines: LungOutlines | None = None
) -> dict[str, NDArray[np.float32]]:
    """Return the inputs of a classifier's graph for one image.

    Args:
        session: Of the graph.
        pixels: [H, W] float32, 0 = black, 1 = white, row 0 = head, any size.
        outlines: Its lungs, for a graph that has an input for them; None: they are outlined where it needs them.

    Returns:
        ``image`` [1, 1, H, W] and, where the graph takes it, ``lungs`` [1, 1, S, S].

    Raises:
        ImageError: It is a strip.
    """
    check_no_strip(pixels.shape)
    inputs = {"image": np.ascontiguousarray(pixels, np.float32)[None, None]}
    if any(item.name == LUNGS_INPUT for item in session.get_inputs()):
        outlines = outlines or builtin_lungs().outline(pixels)
        inputs[LUNGS_INPUT] = outlines.probability("lungs")[None, None]
    return inputs


def check_signature(path: Path, card: Card, session: Any) -> None:
    """Refuse a graph that has other inputs, outputs or classes than its card says.

    Args:
        path: Of the graph, for the error.
        card: Of the bundle.
        session: Of the graph.

    Raises:
        BundleError: It has.
    """
    inputs = {item.name for item in session.get_inputs()}
    outputs = {item.name: item.shape for item in session.get_outputs()}
    required = {name for name in OUTPUTS if name != "heatmap" or card.heatmap_size is not None}
    if inputs - {LUNGS_INPUT} != {"image"} or required - set(outputs):
        raise BundleError(
            str(path),
            f"has inputs {sorted(inputs)} and outputs {sorted(outputs)}; a bundle's graph takes image (and "
            f"lungs) and gives {sorted(required)}.",
            "Export it again.",
        )
    classes = outputs["probabilities"][1]
    if isinstance(classes, int) and classes != len(card.labels):
        raise BundleError(
            str(path),
            f"gives {classes} probabilities; the card names {len(card.labels)} labels.",
            "Export it again.",
        )
