"""Copies of training images with the corners of other images, so that corners say little about the class.

Radiographs carry letters, signs and frames in their corners, and those tell one hospital from another; a network that
sees them learns the hospital (Zech et al., Variable generalization performance of a deep learning model to detect
pneumonia in chest radiographs, PLOS Medicine 2018). Each image has two copies: one with the corners of an image of
another class, one with those of any image. With two classes, the corners of a class then come equally often with
either. A network can see that a corner was exchanged. Were all donors of the other class, it would learn that such a
corner tells the opposite; donors of any class alone leave half of what the corners of the images tell (docs/results.md
has the figures).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from pneumoscope.imaging.corners import corner_places
from pneumoscope.training.input.dataset import ImageRows, Part

SIDES = (0.1, 0.3)
"""Smallest and largest side of a corner, as a share of the image's side."""
_STREAM = 1  # the second word of the key: the sampler's order has 0, and the images' streams have their hashes


@dataclass(frozen=True)
class CornerCopies:
    """Images, followed by copies of them with the corners of others.

    Args:
        images: The images, [n, 1, S, S] uint8.
        donors: [2, n] position of the image that gives the corners of each copy.
        sides: [2, n] side of the corners, as a share of S.
    """

    images: ImageRows
    donors: NDArray[np.int64]
    sides: NDArray[np.float64]

    def take(self, indices: Sequence[int]) -> Tensor:
        """Return the images and copies at ``indices``, [n, 1, S, S] uint8."""
        copies, places = np.divmod(np.asarray(indices, np.int64), self.donors.shape[1])
        pixels = self.images.take(places.tolist())
        rows = np.flatnonzero(copies)
        where = copies[rows] - 1, places[rows]
        donors = self.images.take(self.donors[where].tolist())
        for row, donor, side in zip(rows, donors, self.sides[where], strict=True):
            for place in corner_places((pixels.shape[-2], pixels.shape[-1]), side):
                pixels[row][:, *place] = donor[:, *place]
        return pixels


def add_corner_copies(part: Part, seed: int) -> Part:
    """Return a part with two copies of each image: with the corners of another class, and with those of any image.

    Args:
        part: Images of two or more classes, and keys.
        seed: Decides donors and sides.
    """
    donors, sides = _draw(part.targets, seed)
    # A key of its own, so that a copy is augmented in another way than its image.
    keys = np.concatenate([part.keys + np.uint64(number) for number in range(len(donors) + 1)])
    return Part(CornerCopies(part.images, donors, sides), np.tile(part.targets, len(donors) + 1), keys)


def name_corner_copies(hashes: Sequence[str], targets: NDArray[np.int64], seed: int) -> list[str]:
    """Return a name that tells the pixels of each image and copy of `add_corner_copies`.

    Args:
        hashes: SHA-256 of each image.
        targets: Class of each image [N].
        seed: The same as there.
    """
    donors, sides = _draw(targets, seed)
    copies = (
        f"{own} with corners of {hashes[donor]}, {side:.6f}"
        for row, row_sides in zip(donors, sides, strict=True)
        for own, donor, side in zip(hashes, row, row_sides, strict=True)
    )
    return [*hashes, *copies]


def _draw(targets: NDArray[np.int64], seed: int) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return donors and sides [2, N]: a donor of another class and one of any class for each image."""
    generator = np.random.Generator(np.random.Philox(key=np.array([seed, _STREAM], np.uint64)))
    count = len(targets)
    donors = np.stack([np.zeros(count, np.int64), generator.permutation(count)])
    for one in np.unique(targets):
        own, others = np.flatnonzero(targets == one), np.flatnonzero(targets != one)
        donors[0, own] = generator.choice(others, len(own))
    return donors, generator.uniform(*SIDES, (2, count))
