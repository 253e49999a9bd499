"""The small networks of the published systems, layer by layer: the convolutional trunks (heads are in heads.py).

Each returns its last feature map, so that every system shares one kind of head, heatmap and export.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn

from pneumoscope.core.errors import RecipeError
from pneumoscope.core.registry import Registry
from pneumoscope.training.networks.dropout import Dropout


def keras_batch_norm(width: int) -> nn.BatchNorm2d:
    """Return batch-norm with Keras's defaults; it counts momentum the other way round: its .99 is torch's .01."""
    return nn.BatchNorm2d(width, momentum=0.01, eps=1e-3)


@dataclass(frozen=True)
class Classic:
    """A trunk and the number of channels of its last feature map."""

    trunk: nn.Module
    features: int


class Builder(Protocol):
    """Builds a trunk for images of so many channels, with the given dropout rates (none given: its own)."""

    def __call__(self, channels: int, dropout: tuple[float, ...] = ()) -> Classic:
        """Return the trunk."""
        ...


CLASSICS: Registry[Builder] = Registry("classic network")


def _rates(name: str, given: tuple[float, ...], own: tuple[float, ...]) -> tuple[float, ...]:
    """Return the rate of each dropout layer of a trunk."""
    if given and len(given) != len(own):
        raise RecipeError(
            f"network.dropout {list(given)}",
            f"{name} has {len(own)} dropout layers in its trunk.",
            f"Give {len(own)} rates (its own: {list(own)})." if own else "Leave network.dropout out.",
        )
    return given or own


@CLASSICS.register("cnn-150")
def cnn_150(channels: int, dropout: tuple[float, ...] = ()) -> Classic:
    """Five convolutions with batch-norm and ceil-mode pooling: [N, c, 150, 150] to [N, 256, 5, 5]."""
    rates = iter(_rates("cnn-150", dropout, (0.1, 0.2, 0.2)))
    layers: list[nn.Module] = []
    previous = channels
    for width, drops in ((32, False), (64, True), (64, False), (128, True), (256, True)):
        layers += [nn.Conv2d(previous, width, 3, padding="same"), nn.ReLU(inplace=True)]
        if drops:
            layers.append(Dropout(next(rates)))
        layers += [keras_batch_norm(width), nn.MaxPool2d(2, ceil_mode=True)]
        previous = width
    return Classic(nn.Sequential(*layers), previous)


def _valid_convolutions(channels: int) -> list[list[nn.Module]]:
    """Return the three blocks that cnn-224 and cnn-299 share: 3x3 without padding, ReLU, max-pool 2."""
    return [
        [nn.Conv2d(before, width, 3), nn.ReLU(inplace=True), nn.MaxPool2d(2)]
        for before, width in ((channels, 32), (32, 64), (64, 128))
    ]


@CLASSICS.register("cnn-224")
def cnn_224(channels: int, dropout: tuple[float, ...] = ()) -> Classic:
    """Three unpadded convolutions, each with pooling and dropout: [N, c, 224, 224] to [N, 128, 26, 26]."""
    rates = _rates("cnn-224", dropout, (0.3, 0.3, 0.3))
    blocks = zip(_valid_convolutions(channels), rates, strict=True)
    return Classic(nn.Sequential(*(layer for block, rate in blocks for layer in (*block, Dropout(rate)))), 128)


@CLASSICS.register("cnn-299")
def cnn_299(channels: int, dropout: tuple[float, ...] = ()) -> Classic:
    """Batch-norm on the input, three unpadded convolutions with pooling: [N, c, 299, 299] to [N, 128, 35, 35].

    The source's two dropouts in a row come after the flattening. The first is here, before it, which changes nothing;
    the second is the head's.
    """
    (rate,) = _rates("cnn-299", dropout, (0.3,))
    convolutions = (layer for block in _valid_convolutions(channels) for layer in block)
    return Classic(nn.Sequential(keras_batch_norm(channels), *convolutions, Dropout(rate)), 128)


@CLASSICS.register("lenet-128")
def lenet_128(channels: int, dropout: tuple[float, ...] = ()) -> Classic:
    """Two unpadded 5x5 convolutions, each with max-pool 8: [N, c, 128, 128] to [N, 16, 1, 1]."""
    _rates("lenet-128", dropout, ())
    layers: list[nn.Module] = []
    for before, width in ((channels, 6), (6, 16)):
        layers += [nn.Conv2d(before, width, 5), nn.ReLU(inplace=True), nn.MaxPool2d(8)]
    return Classic(nn.Sequential(*layers), 16)


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
