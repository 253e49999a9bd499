"""Changes of a picture and its masks that another hospital could make: position, exposure, sharpness, markers, disease.

All are drawn for each picture from one generator. Masks move with the picture; nothing else changes them.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F  # noqa: N812  # torch's own name for it
from torch import Tensor


def augment(images: Tensor, masks: Tensor, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return changed images and masks.

    Args:
        images: [N, 1, S, S] float32 in 0..1.
        masks: [N, K, S, S] float32, 0 or 1.
        generator: Decides every change.

    Returns:
        Images and masks of the same shapes.
    """
    grid = F.affine_grid(_positions(len(images), generator), list(images.shape), align_corners=False)
    images = F.grid_sample(images, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    masks = F.grid_sample(masks, grid, mode="bilinear", padding_mode="zeros", align_corners=False)
    masks = (masks >= 0.5).float()
    images = torch.stack([_expose(image, mask, generator) for image, mask in zip(images, masks, strict=True)])
    return images, masks


def _draw(generator: torch.Generator, low: float, high: float) -> float:
    return low + (high - low) * float(torch.rand((), generator=generator))


def _chance(generator: torch.Generator, share: float) -> bool:
    return float(torch.rand((), generator=generator)) < share


def _positions(count: int, generator: torch.Generator) -> Tensor:
    """Return affine maps [N, 2, 3]: turned up to 15 degrees, .75 to 1.35 in size, shifted, half of them mirrored."""
    rows = []
    for _ in range(count):
        angle = math.radians(_draw(generator, -15, 15))
        across, down = (math.exp(_draw(generator, -0.3, 0.3)) for _ in range(2))
        if _chance(generator, 0.5):
            across = -across
        shift = [_draw(generator, -0.15, 0.15) for _ in range(2)]
        cos, sin = math.cos(angle), math.sin(angle)
        rows.append([[cos * across, -sin * down, shift[0]], [sin * across, cos * down, shift[1]]])
    return torch.tensor(rows)


def _smooth_field(side: int, cells: int, generator: torch.Generator) -> Tensor:
    """Return [1, S, S] noise that changes slowly, about -1 to 1."""
    coarse = torch.randn((1, 1, cells, cells), generator=generator)
    return F.interpolate(coarse, size=(side, side), mode="bicubic", align_corners=False)[0]


def _expose(image: Tensor, mask: Tensor, generator: torch.Generator) -> Tensor:
    side = image.shape[-1]
    if _chance(generator, 0.3):  # a consolidation: lung that has become white stays lung
        cloud = torch.sigmoid(4 * (_smooth_field(side, 6, generator) - _draw(generator, 0.2, 1.0)))
        weight = cloud * mask.amax(0, keepdim=True) * _draw(generator, 0.2, 0.9)
        image = image + weight * (image.amax() * _draw(generator, 0.6, 0.95) - image)
    if _chance(generator, 0.2):  # equalised, as some exporters do: each grey becomes its rank
        flat = image.flatten()
        ranks = torch.empty_like(flat)
        ranks[flat.argsort()] = torch.linspace(0, 1, flat.numel())
        image = torch.lerp(image, ranks.view_as(image), _draw(generator, 0.3, 1.0))
    image = image.clamp(0, 1) ** math.exp(_draw(generator, -0.7, 0.7))
    if _chance(generator, 0.5):
        image = image + _draw(generator, 0.02, 0.12) * _smooth_field(side, 4, generator)
    image = image * _draw(generator, 0.6, 1.3) + _draw(generator, -0.15, 0.15)
    if _chance(generator, 0.4):  # few pixels, or a soft detector
        less = int(_draw(generator, 64, side))
        small = F.interpolate(image[None], size=(less, less), mode="bilinear", antialias=True)
        image = F.interpolate(small, size=(side, side), mode="bilinear")[0]
    if _chance(generator, 0.5):
        image = image + _draw(generator, 0.005, 0.06) * torch.randn(image.shape, generator=generator)
    for _ in range(int(_draw(generator, 0, 3))):  # letters, markers and covered names
        height, width = (int(_draw(generator, 4, side / 6)) for _ in range(2))
        top, left = int(_draw(generator, 0, side - height)), int(_draw(generator, 0, side - width))
        value = float(_chance(generator, 0.5))
        image = image.clone()
        image[:, top : top + height, left : left + width] = value
    return image.clamp(0, 1)
