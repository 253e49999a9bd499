"""Copies with the corners of other images: pixels by hand, and the training part that they make."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from pneumoscope.recipes.settings import Augment  # noqa: E402
from pneumoscope.training.input.corners import (  # noqa: E402
    SIDES,
    CornerCopies,
    add_corner_copies,
    name_corner_copies,
)
from pneumoscope.training.input.dataset import Part  # noqa: E402


class Shades:
    """Images [n, 1, 10, 10] whose grey is their position."""

    def take(self, indices: list[int]) -> torch.Tensor:
        return torch.tensor(indices, dtype=torch.uint8)[:, None, None, None].expand(-1, 1, 10, 10).clone()


def part(targets: list[int]) -> Part:
    return Part(Shades(), np.array(targets), np.arange(100, 100 + len(targets), dtype=np.uint64) << np.uint64(8))


def test_only_the_four_corners_come_from_the_donor() -> None:
    copies = CornerCopies(Shades(), np.array([[1, 0], [0, 1]]), np.full((2, 2), 0.2))
    expected = torch.zeros(10, 10)
    for rows in (slice(0, 2), slice(8, 10)):
        for columns in (slice(0, 2), slice(8, 10)):
            expected[rows, columns] = 1
    assert torch.equal(copies.take([2])[0, 0], expected)  # image 0 with the corners of image 1
    assert torch.equal(copies.take([0])[0, 0], torch.zeros(10, 10))


def test_one_copy_has_corners_of_another_class_and_one_those_of_any_image() -> None:
    targets = np.array([0, 1, 2, 0, 1, 1, 1])
    with_copies = add_corner_copies(part(targets.tolist()), seed=3)
    images = with_copies.images.take([*range(21)])
    assert images[:, 0, 5, 5].tolist() == [*range(7)] * 3  # the middle is the image's own
    assert with_copies.targets.tolist() == targets.tolist() * 3
    assert len(set(with_copies.keys.tolist())) == 21
    assert images[:7].flatten(1).float().std(1).tolist() == [0] * 7
    donors = images[:, 0, 0, 0].numpy().reshape(3, 7)
    assert (targets[donors[1]] != targets).all()
    assert sorted(donors[2]) == [*range(7)]


def test_corners_of_a_class_come_equally_often_with_either_of_two_classes() -> None:
    targets = np.array([0, 1, 1, 1] * 500)
    with_copies = add_corner_copies(part(targets.tolist()), seed=1)
    assert isinstance(with_copies.images, CornerCopies)
    corners = np.concatenate([targets, targets[with_copies.images.donors].ravel()])
    shares = [corners[with_copies.targets == one].mean() for one in (0, 1)]
    assert shares == pytest.approx([(1 + 0.75) / 3] * 2, abs=0.02)


def test_sides_and_donors_vary_and_depend_on_the_seed_alone() -> None:
    (one, other), again = (add_corner_copies(part([0, 1] * 50), seed=s).images for s in (1, 2)), part([0, 1] * 50)
    assert isinstance(one, CornerCopies) and isinstance(other, CornerCopies)
    assert SIDES[0] <= one.sides.min() < one.sides.max() <= SIDES[1]
    assert len(np.unique(one.donors[0])) > 50
    assert not np.array_equal(one.donors, other.donors)
    indices = [*range(200)]
    assert torch.equal(one.take(indices), add_corner_copies(again, seed=1).images.take(indices))
    assert not torch.equal(one.take(indices), other.take(indices))


def test_names_tell_copies_apart_and_name_the_donor() -> None:
    hashes, targets = [f"sha-{number}" for number in range(6)], [0, 1, 2] * 2
    names = name_corner_copies(hashes, np.array(targets), seed=1)
    copies = add_corner_copies(part(targets), seed=1).images
    assert isinstance(copies, CornerCopies)
    assert names[:6] == hashes
    assert len(set(names)) == 18
    assert names[6].startswith(f"sha-0 with corners of sha-{copies.donors[0, 0]},")


def test_copies_are_made_once_so_that_a_frozen_network_still_learns_from_kept_maps() -> None:
    assert Augment(exchange_corners=True).off
    assert not Augment(exchange_corners=True, rotation=1).off
