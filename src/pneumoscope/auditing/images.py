"""The images of an audit, in memory: chosen by group, shrunk to what the network can see, with the lungs outlined."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from pneumoscope.auditing.perturbations import AuditImage, Mask, resize
from pneumoscope.bundle.card import Card
from pneumoscope.bundle.lungs import LungModel
from pneumoscope.core.engine import Engine
from pneumoscope.core.errors import (
    ImageError,
    ManifestError,
    PneumoscopeError,
    UnusableManifestError,
    describe_unexpected,
)
from pneumoscope.data.boxes import Box, parse_boxes
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.masks import read_mask
from pneumoscope.imaging.border import NO_BORDER, Border, find_border
from pneumoscope.imaging.proportions import check_no_strip
from pneumoscope.imaging.read import read
from pneumoscope.stats.kernels import Bools, Ints
from pneumoscope.stats.metrics import group_index

_LEAST_LUNGS = 0.05
"""Share of the picture under which an outline is no pair of lungs."""
_DETAIL = 2
"""Pixels that are kept for each one that the network sees."""


@dataclass(frozen=True)
class AuditSet:
    """The images of an audit and what is known of them; N images.

    Args:
        rows: Their rows.
        images: [N] pictures with lungs.
        positive: [N] whether an image is of the primary class.
        group: [N] in 0..G-1.
        outlined: How many outlines come from the manifest; the others are the lung graph's.
    """

    rows: Manifest
    images: tuple[AuditImage, ...]
    positive: Bools
    group: Ints
    outlined: int

    def __len__(self) -> int:
        return len(self.images)

    @property
    def with_lungs(self) -> Bools:
        """[N] whether the lungs of an image are known."""
        return np.array([image.lungs is not None for image in self.images], dtype=np.bool_)


def choose_rows(
    manifest: Manifest, card: Card, part: str, limit: int, seed: int, name: str = "the manifest"
) -> Manifest:
    """Return the rows that an audit uses: of the part, of the model's classes, never of the part test.

    Args:
        manifest: All rows.
        card: Of the model.
        part: A part, or ``all`` for every row that is not of the part test.
        limit: Most images. Whole groups are left out, so that classes stay as even as they can be.
        seed: Decides which groups.
        name: Of the manifest, for the error.

    Raises:
        UnusableManifestError: No row is left.
    """
    try:
        rows = manifest if part == "all" else manifest.part(part)
    except ManifestError as error:
        raise UnusableManifestError(error.thing, error.problem, error.way_out) from error
    known = {member for label in card.labels for member in label.members}
    table = rows.table
    usable = table["label"].isin(known) & (table["split"] != "test")
    rows = rows.where(usable)
    if not len(rows):
        there = f"Labels there: {_count_labels(table)}; " if len(table) else ""
        raise UnusableManifestError(
            f"{name}, part {part}",
            "has no image of this model's classes for an audit; images of the part test do not count. "
            f"{there}labels of the model: {', '.join(sorted(known))}.",
            "Name another part, or import the data with labels of the model.",
        )
    if len(rows) <= limit:
        return rows
    group = group_index(rows.table["group"].to_numpy(dtype=str))
    positive = positives_of(rows, card)
    keep: set[int] = set()
    rng = np.random.default_rng(seed)
    sizes = np.bincount(group)
    for side in (positive, ~positive):
        room = limit - int(sizes[list(keep)].sum()) if keep and side is not positive else limit // 2
        short = min(room, limit - min(limit // 2, int((~side).sum())))
        for number in rng.permutation(np.unique(group[side])):
            if short < sizes[number]:
                break
            if number not in keep:
                keep.add(int(number))
                short -= int(sizes[number])
    return rows.where(np.isin(group, list(keep)))


def _count_labels(table: pd.DataFrame) -> str:
    return ", ".join(f"{label} {count}" for label, count in table["label"].value_counts().items())


def positives_of(rows: Manifest, card: Card) -> Bools:
    """Return [N] whether the label of a row is of the primary class."""
    return rows.table["label"].isin(card.labels[0].members).to_numpy(dtype=np.bool_)


def read_audit_set(
    rows: Manifest,
    card: Card,
    lungs: Callable[[], LungModel] | None,
    *,
    seed: int,
    engine: Engine,
    advance: Callable[[int], None],
    cut_borders: bool = False,
) -> AuditSet:
    """Read the images and outline their lungs.

    Args:
        rows: Of the images.
        card: Of the model.
        lungs: Returns the graph for images without a mask in the manifest; None: they stay without lungs.
        seed: Of what is random in changes.
        engine: Where it is done.
        advance: Called with the number of images that are read.
        cut_borders: Cut off flat borders, as before the model looks; changes are made inside.

    Raises:
        ManifestError: An image cannot be read, or is not the one that was imported.
    """
    masks, table = rows.mask_paths("lung_mask"), rows.table
    boxes = [
        parse_boxes(text, f"row {row}, boxes") if isinstance(text, str) else ()
        for row, text in enumerate(table["boxes"])
    ]
    items = zip(rows.paths(), rows.depths(), masks, table["sha256"], table["image"], boxes, strict=True)
    images: list[AuditImage] = []
    with closing(engine.map(_ReadImage(lungs, seed, card.input_size, cut_borders), map(_Item._make, items))) as results:
        for image in results:
            images.append(image)
            advance(1)
    group = group_index(table["group"].to_numpy(dtype=str))
    outlined = sum(mask is not None for mask in masks)
    return AuditSet(rows, tuple(images), positives_of(rows, card), group, outlined)


def _cut_mask(mask: Mask, border: Border, shape: tuple[int, int]) -> Mask:
    """Return what of a mask, which is stretched over a picture of a shape, lies inside the picture's border."""
    if border == NO_BORDER:
        return mask
    inside: Mask = border.cut(resize(mask.astype(np.float32), *shape)) >= 0.5
    return inside


def _move_box(box: Box, border: Border, shape: tuple[int, int]) -> Box:
    """Return a box in shares of what lies inside a border; it may reach beyond."""
    height, width = shape
    inner_height, inner_width = height - border.top - border.bottom, width - border.left - border.right
    return Box(
        (box.left * width - border.left) / inner_width,
        (box.top * height - border.top) / inner_height,
        box.width * width / inner_width,
        box.height * height / inner_height,
    )


class _Item(NamedTuple):
    """What the manifest says of one image."""

    path: Path
    depth: int | None
    mask: Path | None
    sha256: str
    name: str
    boxes: tuple[Box, ...]


@dataclass(frozen=True, slots=True)
class _ReadImage:
    """Reads one image and outlines its lungs, in whatever process an engine calls it."""

    lungs: Callable[[], LungModel] | None
    seed: int
    input_size: int
    cut_borders: bool

    def __call__(self, item: _Item) -> AuditImage:
        try:
            return self._read(item)
        except PneumoscopeError:
            raise
        except Exception as error:
            problem = f"cannot be used ({describe_unexpected(error)})."
            raise ImageError(str(item.name), problem, "Report it, and leave the image out meanwhile.") from error

    def _read(self, item: _Item) -> AuditImage:
        radiograph = read(item.path, depth=item.depth)
        if radiograph.sha256 != item.sha256:
            raise ManifestError(str(item.name), "is not the file that was imported.", "Import the data again.")
        whole = np.asarray(radiograph.pixels, np.float32)
        check_no_strip(whole.shape, str(item.name))
        # All changes are made inside the border: a cut after them would undo some, such as a black surrounding.
        border = find_border(whole) if self.cut_borders else NO_BORDER
        pixels = np.ascontiguousarray(border.cut(whole))
        lungs: Mask | None = None if item.mask is None else _cut_mask(read_mask(item.mask), border, whole.shape)
        if lungs is None and self.lungs is not None:
            lungs = self.lungs().outline(pixels).square("lungs")
        height, width = pixels.shape
        scale = min(1.0, _DETAIL * self.input_size / min(height, width))
        if scale < 1:
            height, width = max(1, round(scale * height)), max(1, round(scale * width))
            pixels = resize(pixels, height, width)
        if lungs is not None:
            lungs = resize(lungs.astype(np.float32), height, width) >= 0.5
            lungs = lungs if lungs.mean() >= _LEAST_LUNGS else None
        inside = tuple(_move_box(box, border, whole.shape) for box in item.boxes)
        return AuditImage(pixels, lungs, int(item.sha256[:8], 16) ^ self.seed, self.input_size, inside)


def choose_donors(images: AuditSet, *, same_class: bool, seed: int) -> Ints:
    """Return [N] for each image another image, of another group and of the same class or of another one; else itself.

    Args:
        images: The images.
        same_class: Whether both are of the primary class, or both are not.
        seed: Decides which.
    """
    rng = np.random.default_rng([seed, int(same_class)])
    donors = np.arange(len(images))
    for place in range(len(images)):
        alike = images.positive == images.positive[place]
        others = np.flatnonzero((alike == same_class) & (images.group != images.group[place]))
        if len(others):
            donors[place] = rng.choice(others)
    return donors
