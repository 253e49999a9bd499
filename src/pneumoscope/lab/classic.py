"""The small networks of the published systems, layer by layer: the convolutional trunks (heads are in heads.py).

Each returns its last feature map, so that every system shares one kind of head, heatmap and export.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from pneumoscope.registry import Registry


def keras_batch_norm(width: int) -> nn.BatchNorm2d:
    """Return batch-norm with Keras's defaults; it counts momentum the other way round: its .99 is torch's .01."""
    return nn.BatchNorm2d(width, momentum=0.01, eps=1e-3)


@dataclass(frozen=True)
class Classic:
    """A trunk and the number of channels of its last feature map."""

    trunk: nn.Module
    features: int


CLASSICS: Registry[Callable[[int], Classic]] = Registry("classic network")


@CLASSICS.register("cnn-150")
def cnn_150(channels: int) -> Classic:
    """Five convolutions with batch-norm and ceil-mode pooling: [N, c, 150, 150] to [N, 256, 5, 5]."""
    layers: list[nn.Module] = []
    previous = channels
    for width, dropout in ((32, 0.0), (64, 0.1), (64, 0.0), (128, 0.2), (256, 0.2)):
        layers += [nn.Conv2d(previous, width, 3, padding="same"), nn.ReLU(inplace=True)]
        if dropout:
            layers.append(nn.Dropout(dropout))
        layers += [keras_batch_norm(width), nn.MaxPool2d(2, ceil_mode=True)]
        previous = width
    return Classic(nn.Sequential(*layers), previous)


def initialise_like_keras(module: nn.Module) -> None:
    """Give every dense and convolutional layer Keras's defaults: Glorot-uniform weights and zero biases."""
    for layer in module.modules():
        if isinstance(layer, (nn.Conv2d, nn.Linear)):
            nn.init.xavier_uniform_(layer.weight)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def map_size(trunk: nn.Module, channels: int, size: int) -> tuple[int, int, int]:
    """Return (channels, rows, columns) of the feature map of an image of ``size`` squared, by running one."""
    was_training = trunk.training
    trunk.eval()
    with torch.no_grad():
        result: Tensor = trunk(torch.zeros(1, channels, size, size))
    trunk.train(was_training)
    return int(result.shape[1]), int(result.shape[2]), int(result.shape[3])
