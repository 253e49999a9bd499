"""A bundle's graph for pictures of one size, with its resize as two matrix products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from pneumoscope.export.matrix_resize import resize_matrix
from pneumoscope.export.torch_graph import TorchGraph


class PhoneGraph(nn.Module):
    """A graph that takes a square picture of one size.

    Args:
        model: The graph, an ``onnx.ModelProto``.
        name: What to call it in an error.
        outputs: Names of its outputs.
        resized: Name of the value that its resize computes.
        size: Side of the resized image.
        side: Side of the picture.
    """

    rows: Tensor
    columns: Tensor

    def __init__(self, model: Any, name: str, outputs: Sequence[str], resized: str, size: int, side: int) -> None:
        super().__init__()
        self.graph = TorchGraph(model, name, outputs)
        self.resized = resized
        matrix = torch.from_numpy(resize_matrix(size, side).astype(np.float32))
        self.register_buffer("rows", matrix)
        self.register_buffer("columns", matrix.T.contiguous())
        with torch.no_grad():
            self.fixed = self.graph.fixed_values(torch.zeros(1, 1, side, side))

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Return the outputs.

        Args:
            image: [1, 1, side, side] float32, 0 = black, 1 = white.
        """
        small = torch.matmul(torch.matmul(self.rows, image), self.columns)
        outputs: tuple[Tensor, ...] = self.graph(image, {**self.fixed, self.resized: small})
        return outputs
