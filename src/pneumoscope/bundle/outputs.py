"""What is made of a graph's outputs: those of one finding, and numbers as a table shows them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray


def take_finding(outputs: Mapping[str, NDArray[np.float32]], place: int) -> dict[str, Any]:
    """Return a multi-label graph's outputs for one image as those of a binary model of one finding.

    Args:
        outputs: Name -> values, without the axis of the images.
        place: The finding's place.

    Returns:
        Probabilities, logits and heatmap of the finding and of its absence; the other outputs as they are.
    """
    taken: dict[str, Any] = dict(outputs)
    p = outputs["probabilities"][place]
    taken["probabilities"] = np.array([p, 1 - p], np.float32)
    if "logits" in outputs:
        taken["logits"] = np.array([outputs["logits"][place], 0], np.float32)
    if "heatmap" in outputs:
        heat = outputs["heatmap"][place]
        taken["heatmap"] = np.stack([heat, np.zeros_like(heat)])  # nothing in the graph argues for an absence alone
    return taken


def shortest_decimal(value: float) -> float:
    """Return the shortest decimal that is the same float32: 0.93 in a table, not 0.9300000071525574."""
    return float(str(np.float32(value)))
