"""What an export format is. Each format is one module of ``formats/``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pneumoscope.export.graph import BundleGraph

Writer = Callable[[BundleGraph, Path, Sequence[NDArray[np.float32]]], Mapping[str, float]]
"""Writes a graph to a file and compares both on images [H, W] (float32, 0 = black, 1 = white).

Returns the largest absolute difference of each output; raises `ParityError` where they differ too much.
"""


@dataclass(frozen=True)
class Format:
    """An export format.

    Args:
        name: The name in the registry; a training writes `onnx`, and no command offers another one yet.
        file: Name of the file in a bundle.
        summary: One line on what the format is for.
        write: Writes the file and checks it.
    """

    name: str
    file: str
    summary: str
    write: Writer
