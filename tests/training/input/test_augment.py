"""Augmentation: geometry against torchvision, and randomness that depends only on image, epoch and seed."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

import pneumoscope.training  # noqa: E402, F401  # makes torchvision importable
from pneumoscope.recipes.settings import Augment  # noqa: E402
from pneumoscope.training.input import augment as module  # noqa: E402
from pneumoscope.training.input.augment import augment  # noqa: E402

FULL = Augment(
    rotation=20, zoom=0.2, shift=0.1, shear=5, horizontal_flip=0.5, brightness=0.1, contrast=0.2, gamma=0.3, noise=0.05,
    blur=1.0, erase=0.5,
)  # fmt: skip


def smooth(n: int, side: int = 64) -> torch.Tensor:
    """Images with one off-centre Gaussian blob each: smooth, so that interpolation hardly matters."""
    axis = torch.arange(side, dtype=torch.float32)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    return torch.stack([torch.exp(-((y - 20 - i) ** 2 + (x - 40) ** 2) / 60)[None] for i in range(n)])


def draws(**columns: float) -> torch.Tensor:
    places = {"rotation": 0, "shear": 1, "zoom": 2, "flip": 3, "shift_x": 4, "shift_y": 5}
    u = torch.zeros(1, 20)
    u[0, 3] = 1.0  # no flip
    for name, value in columns.items():
        u[0, places[name]] = value
    return u


@pytest.mark.parametrize(
    ("recipe", "u", "expected"),
    [
        (Augment(rotation=15), draws(rotation=1.0), {"angle": -15.0}),
        (Augment(zoom=0.2), draws(zoom=1.0), {"scale": 1.2}),
        (Augment(shift=0.125), draws(shift_x=1.0), {"translate": [-8, 0]}),
        (Augment(shift=0.125), draws(shift_y=-1.0), {"translate": [0, 8]}),
    ],
)
def test_geometry_agrees_with_torchvision(recipe: Augment, u: torch.Tensor, expected: dict[str, object]) -> None:
    from torchvision.transforms.v2 import InterpolationMode
    from torchvision.transforms.v2.functional import affine

    arguments = {"angle": 0.0, "translate": [0, 0], "scale": 1.0, "shear": [0.0, 0.0]} | expected
    image = smooth(1)
    grid = torch.nn.functional.affine_grid(module._affine(recipe, u), list(image.shape), align_corners=False)
    ours = torch.nn.functional.grid_sample(image, grid, align_corners=False)
    theirs = affine(image, interpolation=InterpolationMode.BILINEAR, **arguments)
    assert float((ours - theirs).abs().max()) < 0.02


def test_flip_mirrors_left_and_right() -> None:
    image = smooth(1)
    matrix = module._affine(Augment(horizontal_flip=1.0), draws(flip=-1.0))
    grid = torch.nn.functional.affine_grid(matrix, list(image.shape), align_corners=False)
    ours = torch.nn.functional.grid_sample(image, grid, align_corners=False)
    torch.testing.assert_close(ours, image.flip(3), atol=1e-5, rtol=0)


def test_an_image_is_augmented_alike_in_any_batch() -> None:
    image, keys = smooth(6), np.arange(6, dtype=np.uint64)
    together = augment(image, FULL, 3, 2, keys)
    order = [4, 1, 5]
    apart = augment(image[order], FULL, 3, 2, keys[order])
    torch.testing.assert_close(apart, together[order])


@pytest.mark.parametrize(("seed", "epoch"), [(3, 3), (4, 2)])
def test_another_epoch_or_seed_augments_differently(seed: int, epoch: int) -> None:
    image, keys = smooth(2), np.arange(2, dtype=np.uint64)
    assert not torch.allclose(augment(image, FULL, 3, 2, keys), augment(image, FULL, seed, epoch, keys))


def test_an_empty_augmentation_changes_nothing() -> None:
    image = smooth(2)
    assert augment(image, Augment(), 0, 0, np.arange(2, dtype=np.uint64)) is image


def test_blur_agrees_with_torchvision() -> None:
    from torchvision.transforms.v2.functional import gaussian_blur

    image = smooth(1) + torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0)) * 0.2
    ours = module._blurred(image, torch.tensor([0.9]))[..., 4:-4, 4:-4]
    theirs = gaussian_blur(image, [7, 7], [0.9, 0.9])[..., 4:-4, 4:-4]
    torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)


def test_brightness_and_contrast_stay_in_their_ranges() -> None:
    image = torch.full((200, 1, 8, 8), 0.5)
    keys = np.arange(200, dtype=np.uint64)
    shifted = augment(image, Augment(brightness=0.1), 0, 0, keys)[:, 0, 0, 0]
    assert 0.4 <= float(shifted.min()) < 0.42
    assert 0.58 < float(shifted.max()) <= 0.6
    assert float(shifted.mean()) == pytest.approx(0.5, abs=0.01)
