"""Augmentation of whole batches, with randomness that depends on the image, not on the batch.

Each image draws from its own counter-based stream, Philox keyed by (run seed, image) and started at the epoch (Salmon
et al., Parallel Random Numbers: As Easy as 1, 2, 3, SC 2011). So a resumed run equals an uninterrupted one, and the
number of workers and ranks does not matter. The geometry of a whole batch is one grid-sample, many times faster than
one image at a time.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from numpy.typing import NDArray
from torch import Tensor

from pneumoscope.recipes.settings import Augment

_DRAWS = 20


def streams(seed: int, epoch: int, keys: NDArray[np.uint64]) -> list[np.random.Generator]:
    """Return one generator an image: the same for the same (seed, epoch, key), whatever the batch."""
    return [
        np.random.Generator(np.random.Philox(key=np.array([seed, key], np.uint64), counter=[0, 0, 0, epoch]))
        for key in keys
    ]


def _affine(recipe: Augment, u: Tensor) -> Tensor:
    """Return [N, 2, 3] matrices from output to input coordinates (-1..1), as grid_sample wants them."""
    angle = torch.deg2rad(recipe.rotation * u[:, 0])
    shear = torch.tan(torch.deg2rad(recipe.shear * u[:, 1]))
    scale = 1 / (1 + recipe.zoom * u[:, 2])
    flip = torch.where((u[:, 3] + 1) / 2 < recipe.horizontal_flip, -1.0, 1.0)
    cos, sin = torch.cos(angle) * scale, torch.sin(angle) * scale
    row0 = torch.stack((cos * flip, shear * cos - sin, 2 * recipe.shift * u[:, 4]), 1)
    row1 = torch.stack((sin * flip, shear * sin + cos, 2 * recipe.shift * u[:, 5]), 1)
    return torch.stack((row0, row1), 1)


def _blurred(x: Tensor, sigma: Tensor) -> Tensor:
    """Blur each image [N, 1, S, S] with its own Gaussian (7 taps, separable)."""
    n = x.shape[0]
    taps = torch.arange(-3, 4, device=x.device, dtype=x.dtype)
    kernel = torch.exp(-0.5 * (taps / sigma.clamp_min(1e-3)[:, None]) ** 2)
    kernel = (kernel / kernel.sum(1, keepdim=True)).view(n, 1, 1, 7)
    y = F.pad(x.transpose(0, 1), (3, 3, 3, 3), mode="replicate")
    y = F.conv2d(F.conv2d(y, kernel, groups=n), kernel.transpose(2, 3), groups=n)
    return y.transpose(0, 1)


def augment(image: Tensor, recipe: Augment, seed: int, epoch: int, keys: NDArray[np.uint64]) -> Tensor:
    """Return changed copies of ``image``.

    Args:
        image: [N, 1, S, S] float, 0..1.
        recipe: Which changes, how strong.
        seed: The run's.
        epoch: Counted from 0.
        keys: [N], one number an image.
    """
    if recipe.off:
        return image
    generators = streams(seed, epoch, keys)
    draws = np.stack([generator.uniform(-1, 1, _DRAWS) for generator in generators]).astype(np.float32)
    u = torch.from_numpy(draws).to(image.device)

    def column(values: Tensor) -> Tensor:
        return values.view(-1, 1, 1, 1)

    x = image
    if recipe.rotation or recipe.zoom or recipe.shift or recipe.shear or recipe.horizontal_flip:
        grid = F.affine_grid(_affine(recipe, u), list(x.shape), align_corners=False)
        x = F.grid_sample(x, grid, mode="bilinear", padding_mode=recipe.fill, align_corners=False)
    if recipe.gamma:
        x = x.clamp_min(1e-6) ** column((1 + recipe.gamma) ** u[:, 6])
    if recipe.contrast:
        mean = x.mean((1, 2, 3), keepdim=True)
        x = mean + (x - mean) * column(1 + recipe.contrast * u[:, 7])
    if recipe.brightness:
        x = x + column(recipe.brightness * u[:, 8])
    if recipe.blur:
        x = _blurred(x, recipe.blur * (u[:, 9] + 1) / 2)
    if recipe.noise:
        field = np.stack([g.standard_normal(image.shape[1:], np.float32) for g in generators])
        x = x + torch.from_numpy(field).to(x.device) * column(recipe.noise * (u[:, 10] + 1) / 2)
    if recipe.erase:
        x = _erased(x, recipe.erase, u[:, 11:16])
    return x.clamp(0, 1)


def _erased(x: Tensor, probability: float, u: Tensor) -> Tensor:
    """Fill one rectangle of 10 to 30% of the sides with one grey, in a share of the images.

    After Zhong et al., Random Erasing Data Augmentation, AAAI 2020.
    """
    size = x.shape[-1]
    v = (u + 1) / 2
    half = (0.05 + 0.1 * v[:, 1:3]) * size
    centre = v[:, 3:5] * size
    axis = torch.arange(size, device=x.device, dtype=x.dtype) + 0.5
    inside_rows = (axis[None] - centre[:, :1]).abs() < half[:, :1]
    inside_columns = (axis[None] - centre[:, 1:]).abs() < half[:, 1:]
    mask = inside_rows[:, :, None] & inside_columns[:, None, :] & (v[:, 0] < probability)[:, None, None]
    # The grey is the draw that decided, stretched back to 0..1: independent of place and size.
    grey = (v[:, 0] / max(probability, 1e-6)).clamp(0, 1)
    return torch.where(mask[:, None], grey.view(-1, 1, 1, 1), x)
