"""Copies of training images with the corners of other images, so that a corner says nothing about the class.

Radiographs carry letters, signs and frames in their corners, and those tell one hospital from another; a network that
sees them learns the hospital (Zech et al., Variable generalization performance of a deep learning model to detect
pneumonia in chest radiographs, PLOS Medicine 2018). In a copy, the corners come from an image that is drawn whatever
its class is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pneumoscope.training.input.dataset import ImageRows, Part

SIDES = (0.1, 0.3)
"""Smallest and largest side of a corner, as a share of the image's side."""
_STREAM = 1  # the second word of the key: the sampler's order has 0, and the images' streams have their hashes


@dataclass(frozen=True)
class CornerCopies:
    """Images, followed by copies of them with the corners of others.

    Args:
        images: The ``count`` images, [n, 1, S, S] uint8.
        count: How many there are.
        donors: [copies] position of the image that gives the corners of each copy; copy ``i`` is of ``i % count``.
        sides: [copies] side of the corners, as a share of the image's.
    """

    images: ImageRows
    count: int
    donors: NDArray[np.int64]
    sides: NDArray[np.float64]

    def take(self, indices: Sequence[int]) -> Tensor:
        """Return the images and copies at ``indices``, [n, 1, S, S] uint8."""
        chosen = np.asarray(indices, np.int64)
        own = self.images.take((chosen % self.count).tolist())
        for row in np.flatnonzero(chosen >= self.count):
            copy = chosen[row] - self.count
            donor = self.images.take([int(self.donors[copy])])[0]
            own[row] = with_corners_of(own[row], donor, self.sides[copy])
        return own


def with_corners_of(image: Tensor, donor: Tensor, side: float) -> Tensor:
    """Return ``image`` [1, S, S] with the four corners of ``donor`` [1, S, S]; ``side`` is a share of S."""
    size = image.shape[-1]
    width = max(1, round(side * size))
    middle = slice(width, size - width)
    changed = donor.clone()
    changed[:, middle, :] = image[:, middle, :]
    changed[:, :, middle] = image[:, :, middle]
    return changed


def add_corner_copies(part: Part, copies: int, seed: int) -> Part:
    """Return a part with copies of each of its images.

    Args:
        part: Images, classes and keys.
        copies: Copies of each image; 0 returns the part as it is.
        seed: Decides donors and sides.
    """
    if copies == 0:
        return part
    images = CornerCopies(part.images, len(part), *_draw(len(part), copies, seed))
    # A key of its own, so that a copy is augmented in another way than its image.
    keys = np.concatenate([part.keys + np.uint64(number) for number in range(copies + 1)])
    return Part(images, np.tile(part.targets, copies + 1), keys)


def name_corner_copies(hashes: Sequence[str], copies: int, seed: int) -> list[str]:
    """Return a name that tells the pixels of each image and copy of `add_corner_copies`, from the images' SHA-256."""
    donors, sides = _draw(len(hashes), copies, seed)
    return [
        *hashes,
        *(
            f"{hashes[copy % len(hashes)]} with corners of {hashes[donor]}, {side:.6f}"
            for copy, (donor, side) in enumerate(zip(donors, sides, strict=True))
        ),
    ]


def _draw(count: int, copies: int, seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return the donor and the side of the corners of each copy of ``count`` images."""
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, _STREAM], np.uint64)))
    donors = np.array([generator.permutation(count) for _ in range(copies)], np.int64).ravel()
    return donors, generator.uniform(*SIDES, count * copies)
