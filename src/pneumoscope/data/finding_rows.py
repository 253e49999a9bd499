"""What sources of several findings an image share: the one label of the row, findings that agree, boxes in pixels."""

from __future__ import annotations

import json
import math
from collections.abc import Collection, Mapping, Sequence

from pneumoscope.core.arguments import quote
from pneumoscope.core.counts import format_count
from pneumoscope.core.errors import ManifestError
from pneumoscope.core.labels import SEVERAL, LabelSet
from pneumoscope.core.registry import several
from pneumoscope.data.findings import label_of

NOTHING_STATED = "nothing is stated about its findings"


def stated_label(findings: Mapping[str, bool], labels: LabelSet, *, normal: bool) -> str:
    """Return the one label of an image whose findings are stated.

    Args:
        findings: Label -> present or absent; not empty.
        labels: The vocabulary.
        normal: Whether the source says that nothing was found. Otherwise an image without a present finding is no
            normal one: it may have a finding that is uncertain, or that the vocabulary lacks.

    Returns:
        As `label_of` says, and `SEVERAL` for an image that is neither normal nor has a present finding.
    """
    label = label_of(findings, labels)
    return SEVERAL if label is None or (label == labels.none_label and not normal) else label


def without_contradictions(
    findings: Mapping[str, bool], uncertain: Collection[str], labels: LabelSet
) -> dict[str, bool]:
    """Return findings without the absent ones that contradict a narrower finding.

    Who has, or may have, pneumonia does not surely have no opacity of the lung. The narrower statement counts, since
    from an absent opacity the manifest would conclude that pneumonia is absent.

    Args:
        findings: Label -> present or absent.
        uncertain: Labels that the source calls uncertain.
        labels: The vocabulary.
    """
    possible = {*uncertain, *(name for name, present in findings.items() if present)}
    wider = {parent for name in possible for parent in labels.ancestors(name)}
    return {name: present for name, present in findings.items() if present or name not in wider}


class PixelBoxes:
    """Boxes by image, as a table gives them in pixels; a manifest holds them in shares of the image."""

    def __init__(self) -> None:
        self._boxes: dict[str, list[tuple[float, float, float, float]]] = {}
        self._known: set[tuple[str, str, tuple[float, float, float, float]]] = set()
        self._clipped = self._repeated = 0

    def __contains__(self, image: str) -> bool:
        return image in self._boxes

    def has_boxes(self, image: str) -> bool:
        """Return whether an image has a box."""
        return bool(self._boxes.get(image))

    def look(self, image: str) -> None:
        """Record that somebody looked at an image, and perhaps drew no box."""
        self._boxes.setdefault(image, [])

    def add(self, image: str, cells: tuple[str, str, str, str], where: str, finding: str = "") -> None:
        """Record a box; the same one around the same finding counts once.

        Args:
            image: The image that the table names.
            cells: Left, top, width and height in pixels.
            where: The file and row, for the error.
            finding: What it is around, where the table says so.

        Raises:
            ManifestError: A cell is no number, or the box has no area.
        """
        left, top, width, height = _numbers(cells, where)
        self._add(image, (left, top, left + width, top + height), cells, where, finding)

    def add_corners(self, image: str, cells: tuple[str, str, str, str], where: str, finding: str = "") -> None:
        """Record a box by its corners, as `add` does.

        Args:
            image: The image that the table names.
            cells: Left, top, right and bottom in pixels.
            where: The file and row, for the error.
            finding: What it is around, where the table says so.

        Raises:
            ManifestError: A cell is no number, or the box has no area.
        """
        self._add(image, _numbers(cells, where), cells, where, finding)

    def _add(
        self, image: str, corners: tuple[float, float, float, float], cells: Sequence[str], where: str, finding: str
    ) -> None:
        left, top, right, bottom = corners
        if not (math.isfinite(sum(corners)) and right > left and bottom > top):
            raise ManifestError(where, f"has the box {quote(', '.join(cells))}.", "A box has an area, in pixels.")
        boxes = self._boxes.setdefault(image, [])
        if (image, finding, corners) in self._known:
            self._repeated += 1
            return
        self._known.add((image, finding, corners))
        boxes.append(corners)

    def extent(self, image: str) -> tuple[float, float]:
        """Return how far to the right and down the boxes of an image reach, in pixels; 0, 0 without a box."""
        boxes = self._boxes.get(image, ())
        return max((box[2] for box in boxes), default=0), max((box[3] for box in boxes), default=0)

    def cell(self, image: str, width: float, height: float) -> str | None:
        """Return the cell ``boxes`` of an image of this size, what leaves the image cut off; None if nobody looked."""
        if image not in self._boxes:
            return None
        shares = []
        for left, top, right, bottom in self._boxes[image]:
            self._clipped += not (left >= 0 and top >= 0 and right <= width and bottom <= height)
            # The corners are rounded, not the sides: a box then ends inside the image.
            x, y = (round(max(start, 0) / side, 6) for start, side in ((left, width), (top, height)))
            far, low = (round(min(end, side) / side, 6) for end, side in ((right, width), (bottom, height)))
            if far > x and low > y:
                shares.append([x, y, round(far - x, 6), round(low - y, 6)])
        return json.dumps(shares)

    def notes(self, table: str, images: Collection[str]) -> list[str]:
        """Return remarks: boxes that are there again, those that were cut, and those of images that no row names.

        Args:
            table: Name of the table of boxes.
            images: All images that have a row.
        """
        notes = []
        if self._repeated:
            notes.append(f"{table} repeats {format_count(self._repeated, 'box', 'boxes')}: each counts once")
        if self._clipped:
            notes.append(f"{self._clipped:,} boxes of {table} leave the image: what is outside is cut off")
        if absent := [image for image in self._boxes if image not in images]:
            notes.append(f"{table} has boxes of {len(absent):,} images without a row: {several(absent)}")
        return notes


def _numbers(cells: tuple[str, str, str, str], where: str) -> tuple[float, float, float, float]:
    try:
        first, second, third, fourth = (float(cell) for cell in cells)
    except ValueError as error:
        raise ManifestError(
            where, f"has the box {quote(', '.join(cells))}.", "Write four numbers, in pixels."
        ) from error
    return first, second, third, fourth
