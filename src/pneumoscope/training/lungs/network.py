"""A small U-Net for lungs and heart (Ronneberger et al., U-Net, MICCAI 2015).

Plain 3x3 convolutions: on a CPU they train three times as fast as the depthwise ones of MobileNetV2, whose first layers
hold 96 channels at half the input's size.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from pneumoscope.training.input.cache import resize_square

SIDE = 192
"""Side of the square that the network sees, in pixels."""

_WIDTHS = (16, 32, 64, 128, 128)  # channels at 1/2, 1/4, 1/8, 1/16 and 1/32 of the input
_LEAST_SPREAD = 1e-3  # standard deviation below which a picture is one grey


class _Block(nn.Sequential):
    """Two 3x3 convolutions, each with batch normalisation and ReLU; the first may halve the size."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        layers: list[nn.Module] = []
        for width, step in ((inputs, stride), (outputs, 1)):
            layers += [
                nn.Conv2d(width, outputs, 3, stride=step, padding=1, bias=False),
                nn.BatchNorm2d(outputs),
                nn.ReLU(inplace=True),
            ]
        super().__init__(*layers)


class LungUNet(nn.Module):
    """Logits of the structures, as large as the square that comes in.

    Args:
        structures: Their number K.
    """

    def __init__(self, structures: int) -> None:
        super().__init__()
        inputs = (1, *_WIDTHS[:-1])
        self.down = nn.ModuleList(_Block(a, b, stride=2) for a, b in zip(inputs, _WIDTHS, strict=True))
        self.bottom = _Block(_WIDTHS[-1], _WIDTHS[-1])
        levels = range(len(_WIDTHS) - 2, -1, -1)
        self.up = nn.ModuleList(_Block(_WIDTHS[level + 1] + _WIDTHS[level], _WIDTHS[level]) for level in levels)
        self.last = nn.Conv2d(_WIDTHS[0], structures, 1)

    def forward(self, square: Tensor) -> Tensor:
        """Return logits [N, K, S, S] for the K structures.

        Args:
            square: [N, 1, S, S] float32 in 0..1, S a multiple of 32.
        """
        mean = square.mean((2, 3), keepdim=True)
        spread = (square - mean).square().mean((2, 3), keepdim=True).sqrt()
        # Each picture loses its own mean and contrast: windows differ by maker and by exporter.
        x = (square - mean) / (spread + _LEAST_SPREAD)
        maps: list[Tensor] = []
        for block in self.down:
            x = block(x)
            maps.append(x)
        x = self.bottom(x)
        for block, skip in zip(self.up, reversed(maps[:-1]), strict=True):
            x = block(torch.cat([F.interpolate(x, scale_factor=2.0, mode="nearest"), skip], 1))
        return F.interpolate(self.last(x), scale_factor=2.0, mode="bilinear", align_corners=False)


class OutlineGraph(nn.Module):
    """The graph of a lungs bundle: a raw grey image of any size in, one probability map a structure out."""

    def __init__(self, network: LungUNet) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        """Return probabilities [N, K, S, S].

        Args:
            image: [N, 1, H, W] float32, 0 = black, 1 = white, any H and W.
        """
        return torch.sigmoid(self.network(resize_square(image, SIDE)))
