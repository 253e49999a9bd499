"""Heads: from the last feature map to one score a unit, and from a score back to the map.

``backward_map`` gives the derivative of each unit's score by the feature map as plain matrix products, for Grad-CAM
(Selvaraju et al., ICCV 2017) inside an exported graph, where automatic differentiation is not at hand.
"""

from __future__ import annotations

import itertools

import torch
from torch import Tensor, nn

from pneumoscope.recipes.recipe import Head
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

    def backward_map(self, feature_map: Tensor) -> Tensor:
        """Return Grad-CAM's channel weights [N, units, D]: each score's derivative, averaged over the map."""
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
        if self.flat:
            return gradient.reshape(n, -1, d, h * w).mean(3)
        if self.standardisation is not None and self.standardisation.running_var is not None:
            gradient = gradient / (self.standardisation.running_var + self.standardisation.eps).sqrt()
        if self.maximum:  # the largest value's derivative is 1 at one place, and so 1 / (h * w) on average too
            gradient = gradient[..., :d] + gradient[..., d:]
        return gradient.expand(n, -1, -1) / (h * w)  # d mean / d pixel = 1 / (h * w)
