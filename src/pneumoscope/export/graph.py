"""The one graph: raw grey image of any size in, calibrated probabilities, heatmap, embedding and distance out.

What follows the network is plain tensor arithmetic, so that the graph can be exported and run where torch is not:
calibration, the heatmap by the head's own matrix products (HiResCAM, Draelos & Carin, arXiv 2011.08891), and the
Mahalanobis distance of the pooled features to the nearest class (Lee et al., NeurIPS 2018) in at most 128 principal
directions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pneumoscope.stats.calibration import Scaling
from pneumoscope.training.input.cache import resize_square
from pneumoscope.training.input.dataset import Part, loader
from pneumoscope.training.networks.build import Classifier

EMBEDDING = 128


@dataclass(frozen=True)
class FeatureSpace:
    """Where training images lie: ``centre`` [D], ``directions`` [D, k] (whitened), ``means`` [C, k] of the classes."""

    centre: Tensor
    directions: Tensor
    means: Tensor


def fit_feature_space(features: NDArray[np.float32], targets: NDArray[np.int64], classes: int) -> FeatureSpace:
    """Fit centre, directions and class means to pooled features.

    The covariance is that within the classes, shrunk a tenth towards a multiple of the identity: with fewer images than
    directions the sample covariance has no inverse (Ledoit and Wolf 2004 give the reason; the share is fixed so that
    the score means the same in every bundle).

    Args:
        features: [N, D] of the training part, without augmentation.
        targets: [N] in 0..classes-1; of a multi-label model, whose classes do not exclude each other, all 0.
        classes: C; of a multi-label model 1.
    """
    x = features.astype(np.float64)
    centre = x.mean(0)
    means = np.stack([x[targets == k].mean(0) for k in range(classes)])
    _, _, basis = np.linalg.svd(x - centre, full_matrices=False)
    basis = basis[: min(EMBEDDING, len(basis))].T  # [D, k]
    within = (x - means[targets]) @ basis
    covariance = within.T @ within / len(x)
    k = covariance.shape[0]
    covariance = 0.9 * covariance + 0.1 * np.trace(covariance) / k * np.eye(k) + 1e-9 * np.eye(k)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance)).T
    directions = basis @ whitening
    return FeatureSpace(
        torch.from_numpy(centre.astype(np.float32)),
        torch.from_numpy(directions.astype(np.float32)),
        torch.from_numpy(((means - centre) @ directions).astype(np.float32)),
    )


class BundleGraph(nn.Module):
    """A calibrated classifier as one graph; outputs as in `pneumoscope.bundle.card.OUTPUTS`."""

    bias: Tensor
    temperature: Tensor
    centre: Tensor
    directions: Tensor
    means: Tensor

    def __init__(self, model: Classifier, size: int, scalings: Sequence[Scaling], space: FeatureSpace) -> None:
        """Calibrate a classifier.

        Args:
            model: The classifier.
            size: Side of its square, in pixels.
            scalings: One; of a multi-label model one for each finding, of the pair (present, absent).
            space: Where the training images lie.
        """
        super().__init__()
        self.model = model
        self.size = size
        self.multilabel = model.multilabel
        biases = [one.bias[0] - one.bias[1] for one in scalings] if self.multilabel else scalings[0].bias
        temperatures = [one.temperature for one in scalings]
        self.register_buffer("bias", torch.tensor(biases, dtype=torch.float32))
        self.register_buffer("temperature", torch.tensor(temperatures, dtype=torch.float32))
        for name in ("centre", "directions", "means"):
            self.register_buffer(name, getattr(space, name))

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Return probabilities [N, C], logits [N, C], heatmap [N, C, h, w], embedding [N, k], ood [N].

        Args:
            image: [N, 1, H, W] float32, 0 = black, 1 = white, any H and W.
        """
        features = self.model.features(resize_square(image, self.size)).contiguous()
        logits = self.model.to_logits(self.model.head(features))
        scaled = logits / self.temperature + self.bias
        probabilities = torch.sigmoid(scaled) if self.multilabel else torch.softmax(scaled, dim=1)
        embedding = (features.mean((2, 3)) - self.centre) @ self.directions
        distance = ((embedding[:, None] - self.means) ** 2).mean(2)
        return probabilities, logits, self._heatmap(features), embedding, distance.min(1).values

    def _heatmap(self, features: Tensor) -> Tensor:
        """Return what each place adds to each class, 1 for the largest; 0 where it adds nothing."""
        parts = self.model.head.attribute(features)
        if self.model.unit_of is not None:  # one unit: evidence against its class is evidence for the other class
            pair = (parts, -parts)
            parts = torch.cat(pair if self.model.unit_of == 0 else pair[::-1], dim=1)
        maps = torch.relu(parts)
        scaled: Tensor = maps / maps.amax((2, 3), keepdim=True).clamp_min(1e-12)
        return scaled


def forward_part(model: Classifier, part: Part, device: str = "cpu") -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return logits [N, C] and pooled features [N, D] of a part, without augmentation, in float32."""
    logits, pooled = [], []
    model = model.to(device).eval()
    with torch.inference_mode():
        for batch in loader(part, 64):
            features = model.features(batch.image.to(device).float() / 255)
            logits.append(model.to_logits(model.head(features)).cpu())
            pooled.append(features.mean((2, 3)).cpu())
    model.to("cpu")
    return torch.cat(logits).numpy(), torch.cat(pooled).numpy()
