"""The gatekeeper's graph: frozen features of an ImageNet network, and linear answers on top of them.

Nothing of the backbone is trained. A few hundred pictures of what is no chest would teach a network those pictures;
a linear answer on features of a million photographs also knows what it has not met. The features are the mean of
MobileNetV2's last map (1,280) and its 320 channels in 3 x 3 places, which tell left from right and up from down.
Sandler et al., MobileNetV2, CVPR 2018.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor, nn

from pneumoscope.training.input.cache import resize_square
from pneumoscope.training.networks.weights import load_into, load_tensors
from pneumoscope.training.torchvision_shim import ensure_torchvision

SIDE = 224
"""Side of the square that the network sees, in pixels."""
FEATURES = 1280 + 9 * 320
"""Features of a picture."""
BACKBONE = "mobilenetv2_100"


class FeatureGraph(nn.Module):
    """A raw grey image of any size in, its features out.

    Args:
        weights: safetensors file of timm's ``mobilenetv2_100``, learnt from ImageNet.

    Raises:
        WeightsError: The file is not one, or does not fit.
    """

    def __init__(self, weights: Path) -> None:
        super().__init__()
        ensure_torchvision()
        import timm

        self.network: Any = timm.create_model(BACKBONE, pretrained=False, num_classes=0, pad_type="same")
        load_into(self.network, load_tensors(weights), str(weights), spare=("classifier.",))
        self.network.eval().requires_grad_(False)

    def forward(self, image: Tensor) -> Tensor:
        """Return features [N, ``FEATURES``].

        Args:
            image: [N, 1, H, W] float32, 0 = black, 1 = white, any H and W.
        """
        x = (resize_square(image, SIDE) * 2 - 1).repeat(1, 3, 1, 1)
        maps = self.network.blocks(self.network.bn1(self.network.conv_stem(x)))
        whole = self.network.bn2(self.network.conv_head(maps)).mean((2, 3))
        places = F.avg_pool2d(maps, 3, 2).flatten(1)  # 7 x 7 to 3 x 3
        return torch.cat([whole, places], 1)


class GatekeeperGraph(nn.Module):
    """A raw grey image of any size in; the probabilities of what it shows, of a mirrored chest and of a child out.

    Args:
        features: The frozen features.
        weights: [K + 2, ``FEATURES``] of the K answers, then of "mirrored" and "child".
        biases: [K + 2].
    """

    def __init__(self, features: FeatureGraph, weights: Tensor, biases: Tensor) -> None:
        super().__init__()
        self.features = features
        self.linear = nn.Linear(weights.shape[1], weights.shape[0])
        self.linear.load_state_dict({"weight": weights.float(), "bias": biases.float()})

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return probabilities [N, K], sum 1; that of a mirrored chest [N]; that of a child's chest [N].

        Args:
            image: [N, 1, H, W] float32, 0 = black, 1 = white, any H and W.
        """
        logits = self.linear(self.features(image))
        chances = torch.sigmoid(logits[:, -2:])
        return torch.softmax(logits[:, :-2], 1), chances[:, 0], chances[:, 1]
