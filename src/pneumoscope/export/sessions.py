"""Sessions of ONNX Runtime for exports: with their own options, and compared with a bundle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pneumoscope.bundle.card import OUTPUTS
from pneumoscope.bundle.runtime import Model


def open_plain_session(
    path: Path,
    entries: Mapping[str, str] | None = None,
    *,
    optimized_model_filepath: str = "",
    disabled: Sequence[str] = (),
    level: str = "ORT_ENABLE_ALL",
) -> Any:
    """Return a session of a graph that this program wrote itself.

    `bundle.session.open_session` is for bundles, whose bytes it checks first; a file in the ORT format is none.

    Args:
        path: The graph.
        entries: Configuration entries of the session.
        optimized_model_filepath: Where ONNX Runtime writes the optimised graph; empty: nowhere.
        disabled: Names of optimisers that are left out.
        level: Name of the level of optimisation.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = getattr(onnxruntime.GraphOptimizationLevel, level)
    if optimized_model_filepath:
        options.optimized_model_filepath = optimized_model_filepath
    for key, value in (entries or {}).items():
        options.add_session_config_entry(key, value)
    return onnxruntime.InferenceSession(
        str(path), options, providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled)
    )


def largest_differences(model: Model, other: Any, images: Sequence[NDArray[np.float32]]) -> dict[str, float]:
    """Return the largest absolute difference of each output of a graph from that of a bundle.

    Args:
        model: Of the bundle; all findings of a multi-label one.
        other: A session of the other graph, or another model.
        images: [H, W] float32, 0 = black, 1 = white.

    Returns:
        Output -> difference; NaN where one of the graphs gives no number.
    """
    names = [name for name in OUTPUTS if name != "heatmap" or model.card.heatmap_size is not None]
    worst = dict.fromkeys(names, 0.0)
    for pixels in images:
        expected = model.run(pixels)
        if isinstance(other, Model):
            output = other.run(pixels)
            answers = [np.asarray(getattr(output, name)) for name in names]
        else:
            answers = [value[0] for value in other.run(names, model.graph_inputs(pixels))]
        for name, answer in zip(names, answers, strict=True):
            difference = np.abs(np.asarray(getattr(expected, name)) - answer)
            worst[name] = float(np.maximum(worst[name], difference.max()))  # np.maximum passes NaN on
    return worst
