"""Copies with the corners of other images: pixels by hand, and the training part that they make."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pneumoscope.recipes.recipe import Augment  # noqa: E402
from pneumoscope.training.input.corners import (  # noqa: E402
    SIDES,
    CornerCopies,
    add_corner_copies,
    name_corner_copies,
    with_corners_of,
)
from pneumoscope.training.input.dataset import Part  # noqa: E402


class Shades:
    """Images [n, 1, 10, 10] whose grey is their position."""

    def take(self, indices: list[int]) -> torch.Tensor:
        return torch.tensor(indices, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 10, 10).clone()


def part(count: int = 5) -> Part:
    return Part(Shades(), np.arange(count) % 2, np.arange(100, 100 + count, dtype=np.uint64))


def test_only_the_four_corners_come_from_the_donor() -> None:
    changed = with_corners_of(torch.zeros(1, 10, 10), torch.ones(1, 10, 10), 0.2)[0]
    expected = torch.zeros(10, 10)
    for rows in (slice(0, 2), slice(8, 10)):
        for columns in (slice(0, 2), slice(8, 10)):
            expected[rows, columns] = 1
    assert torch.equal(changed, expected)


def test_each_image_has_its_copies_with_its_class_and_the_corners_of_a_donor() -> None:
    with_copies = add_corner_copies(part(), 2, seed=3)
    assert isinstance(with_copies.images, CornerCopies)
    assert len(with_copies) == 15
    assert with_copies.targets.tolist() == [0, 1, 0, 1, 0] * 3
    assert len(set(with_copies.keys.tolist())) == 7  # 100 to 106: the keys of hashes do not lie side by side
    images = with_copies.images.take(list(range(15)))
    assert images[:, 0, 5, 5].tolist() == [0, 1, 2, 3, 4] * 3
    assert images[:5].flatten(1).float().std(1).tolist() == [0] * 5
    corners = images[5:, 0, 0, 0]
    assert corners.tolist() == with_copies.images.donors.tolist()
    assert sorted(corners[:5].tolist()) == sorted(corners[5:].tolist()) == [0, 1, 2, 3, 4]
    assert with_copies.images.sides.min() >= SIDES[0]
    assert with_copies.images.sides.max() <= SIDES[1]


def test_names_tell_copies_apart_and_depend_on_the_seed() -> None:
    hashes = [f"sha-{number}" for number in range(6)]
    names = name_corner_copies(hashes, 2, seed=1)
    assert names[:6] == hashes
    assert len(set(names)) == 18
    assert names == name_corner_copies(hashes, 2, seed=1) != name_corner_copies(hashes, 2, seed=2)
    copies = add_corner_copies(part(6), 2, seed=1).images
    assert isinstance(copies, CornerCopies)
    assert names[6].startswith(f"sha-0 with corners of sha-{copies.donors[0]},")


def test_no_copies_change_nothing() -> None:
    assert add_corner_copies(part(), 0, seed=1).images is not None
    assert isinstance(add_corner_copies(part(), 0, seed=1).images, Shades)
    assert name_corner_copies(["a", "b"], 0, seed=1) == ["a", "b"]


def test_copies_are_made_once_so_that_a_frozen_network_still_learns_from_kept_maps() -> None:
    assert Augment(corner_copies=3).off
    assert not Augment(corner_copies=3, rotation=1).off
