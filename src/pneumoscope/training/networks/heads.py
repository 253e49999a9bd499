"""Heads: from the last feature map to one score a unit, and from a score back to the map.

``attribute`` gives what each place of the map adds to a score: the derivative by the map times the map (HiResCAM,
Draelos & Carin, arXiv 2011.08891). It is made of plain matrix products, since an exported graph has no automatic
differentiation. On a head that takes the mean of the map it is Grad-CAM (Selvaraju et al., ICCV 2017).
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from pneumoscope.recipes.settings import Head
from pneumoscope.training.networks.dropout import Dropout


class ClassifierHead(nn.Module):
    """Dense layers with ReLU between them, on the pooled or the flattened feature map.

    Args:
        recipe: Kind, hidden sizes and dropout.
        features: (channels, rows, columns) of the feature map.
        outputs: Units of the last layer.
    """

    def __init__(self, recipe: Head, features: tuple[int, int, int], outputs: int) -> None:
        super().__init__()
        channels, rows, columns = features
        self.flat = recipe.kind == "flatten-mlp"
        self.maximum = recipe.pool == "mean-max"
        width = channels * rows * columns if self.flat else channels * (1 + self.maximum)
        self.standardisation = nn.BatchNorm1d(width, affine=False, momentum=None) if recipe.standardise else None
        sizes = [width, *recipe.hidden, outputs]
        self.dense = nn.ModuleList(nn.Linear(a, b) for a, b in itertools.pairwise(sizes))
        self.dropout = nn.ModuleList(Dropout(rate) for rate in recipe.dropout_rates)

    def _start(self, feature_map: Tensor) -> Tensor:
        if self.flat:
            return feature_map.flatten(1)
        pooled = feature_map.mean((2, 3))
        if self.maximum:
            pooled = torch.cat((pooled, feature_map.amax((2, 3))), 1)
        return pooled if self.standardisation is None else self.standardisation(pooled)

    def forward(self, feature_map: Tensor) -> Tensor:
        """Return scores [N, units] of a feature map [N, D, h, w]."""
        x = self._start(feature_map)
        for index, (dropout, dense) in enumerate(zip(self.dropout, self.dense, strict=True)):
            x = dense(dropout(x))
            if index < len(self.dense) - 1:
                x = torch.relu(x)
        return x

    def attribute(self, feature_map: Tensor) -> Tensor:
        """Return [N, units, h, w]: each score's derivative by the map [N, D, h, w] times the map, over all channels."""
        x = self._start(feature_map)
        masks: list[Tensor] = []
        for dense in list(self.dense)[:-1]:
            x = dense(x)
            masks.append((x > 0).to(x.dtype))
            x = torch.relu(x)
        weights = [layer.weight for layer in self.dense if isinstance(layer, nn.Linear)]
        gradient = weights[-1].unsqueeze(0)  # [1, units, last hidden]
        for mask, weight in zip(reversed(masks), reversed(weights[:-1]), strict=True):
            gradient = (gradient * mask.unsqueeze(1)) @ weight
        n, d, h, w = feature_map.shape
        places = feature_map.reshape(n, d, h * w)
        if self.flat:
            parts = (gradient.reshape(gradient.shape[0], -1, d, h * w) * places.unsqueeze(1)).sum(2)
            return parts.reshape(n, -1, h, w)
        if self.standardisation is not None and self.standardisation.running_var is not None:
            gradient = gradient / (self.standardisation.running_var + self.standardisation.eps).sqrt()
        parts = gradient[..., :d] @ places / (h * w)  # d mean / d pixel = 1 / (h * w)
        if self.maximum:
            largest = (places == places.amax(2, keepdim=True)).to(places.dtype)
            parts = parts + gradient[..., d:] @ (places * largest / largest.sum(2, keepdim=True))
        return parts.reshape(n, -1, h, w)
