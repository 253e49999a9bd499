"""Import a folder or table as its publisher made it into a manifest, with an account of everything left out.

The source (``data/sources``) lists images and labels. This module reads each image once, hashes it and groups it, by
patients where they are known and by near-duplicates, so that a split can keep a group on one side.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pneumoscope.core.errors import ImageError, ManifestError
from pneumoscope.core.labels import LabelSet
from pneumoscope.data.cells import MAX_AGE, CellReader, view_of_tag
from pneumoscope.data.conflicts import find_conflicts, without_conflicts
from pneumoscope.data.grouping import group_names
from pneumoscope.data.image_scan import Progress, ScannedImage, scan_images, silent
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.masks import describe_stretched_masks, draw_masks
from pneumoscope.data.similarity import Pair, find_near_duplicates
from pneumoscope.data.source import DroppedFile, ImportOptions, Listing, Row, Source

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ImportReport:
    """The images that an import kept and dropped.

    Args:
        source: Name in the manifest.
        kept: Label -> images.
        dropped: Every file or row that was left out, with its reason.
        pairs: Near-duplicates within the source.
        groups: Kind of group -> number of groups.
        conflicts: The same picture under different labels, in words.
        notes: Remarks.
    """

    source: str
    kept: dict[str, int]
    dropped: tuple[DroppedFile, ...]
    pairs: int
    groups: dict[str, int]
    conflicts: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def reasons(self) -> dict[str, int]:
        """Reason -> number of dropped files or rows, the most frequent first."""
        return dict(Counter(dropped.reason for dropped in self.dropped).most_common())

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values.

        Returns:
            What ``data import --json`` prints: the numbers, and every dropped file with its reason.
        """
        return {
            "source": self.source,
            "images": sum(self.kept.values()),
            "kept": self.kept,
            "dropped": self.reasons,
            "dropped_files": [{"file": dropped.file, "reason": dropped.reason} for dropped in self.dropped],
            "near_duplicate_pairs": self.pairs,
            "groups": self.groups,
            "label_conflicts": list(self.conflicts),
            "notes": list(self.notes),
        }


def import_source(
    source: Source,
    path: Path,
    options: ImportOptions,
    *,
    drop_unreadable: bool = False,
    drop_conflicts: bool = False,
    progress: Progress = silent,
) -> tuple[Manifest, ImportReport]:
    """List, read and group the images of a source.

    Args:
        source: The layout.
        path: The folder or table.
        options: The user's options.
        drop_unreadable: List unreadable images as dropped, instead of refusing.
        drop_conflicts: List every image that is the same picture as another with a different label as dropped.
        progress: Shows how far it is.

    Raises:
        UsageError, LabelError, ManifestError: As the source says.
        ImageError: Images cannot be read; the message names all.
    """
    import numpy as np

    from pneumoscope.imaging.read import describe_damaged_exif, describe_low_values, has_damaged_exif

    listing = source.list_images(path, options)
    name = options.source_name or source.name
    results = scan_images(
        [listing.root / row.image for row in listing.rows],
        progress("reading images", len(listing.rows)),
        options.depth,
    )
    rows, pictures = _readable(listing, results, drop_unreadable, options.min_side)
    roots = {name: listing.root.resolve()}
    listing.notes += describe_stretched_masks(rows, pictures, listing.root)
    if options.masks is not None and listing.outlines:
        roots[f"{name}-masks"] = options.masks.resolve()
        rows, remarks = draw_masks(rows, pictures, listing.outlines, options.masks, f"{name}-masks")
        listing.notes += remarks
    if low := sum(isinstance(picture.facts.get("largest_value"), int) for picture in pictures):
        listing.notes.append(describe_low_values(low))
    if damaged := sum(has_damaged_exif(picture.facts) for picture in pictures):
        listing.notes.append(describe_damaged_exif(damaged))
    small = np.stack([picture.small for picture in pictures])
    reader = CellReader(options.lenient_columns)
    table_rows = [_manifest_row(name, row, picture, reader) for row, picture in zip(rows, pictures, strict=True)]
    listing.notes += reader.finish()
    manifest, pairs = build_manifest(table_rows, small, roots, (), progress, listing.labels)
    conflicts = find_conflicts(manifest, pairs)
    if drop_conflicts and conflicts.rows:
        for row in sorted(conflicts.rows):
            listing.drop(manifest.table.image[row], "the same picture has another label")
        manifest = without_conflicts(manifest, conflicts)
        if not len(manifest):
            raise ManifestError(str(path), "has no image left without its label conflicts.", "Correct the labels.")
    reasons = Counter(dropped.reason for dropped in listing.dropped)
    left_out = "; ".join(f"{count} {reason}" for reason, count in reasons.most_common()) or "nothing"
    notes = [f"import {source.name} as {name}: {len(manifest)} images; dropped: {left_out}", *listing.notes]
    if options.design is not None:
        notes.append(f"design: {options.design}")
    manifest = replace(manifest, notes=tuple(notes), design=options.design)
    report = ImportReport(
        source=name,
        kept={str(label): int(count) for label, count in manifest.table.label.value_counts().items()},
        dropped=tuple(listing.dropped),
        pairs=len(pairs),
        groups={str(kind): int(count) for kind, count in manifest.kinds.value_counts().items()},
        conflicts=conflicts.sentences,
        notes=tuple(listing.notes),
    )
    return manifest, report


def _readable(
    listing: Listing, results: list[ScannedImage | ImageError], drop: bool, min_side: int
) -> tuple[list[Row], list[ScannedImage]]:
    """Return the rows with a readable image that is large enough; drop unreadable ones, or refuse them together."""
    failed = [
        (row, result) for row, result in zip(listing.rows, results, strict=True) if isinstance(result, ImageError)
    ]
    if failed and not drop:
        lines = "\n".join(f"  {row.image}: {error.problem}" for row, error in failed)
        raise ImageError(
            f"{len(failed)} of {len(results)} images",
            f"cannot be read:\n{lines}\n",
            "Repair them, or drop them: `drop_unreadable=True`.",
        )
    for row, error in failed:
        listing.drop(row.image, f"unreadable: {error.problem}")
    readable = [
        (row, result) for row, result in zip(listing.rows, results, strict=True) if isinstance(result, ScannedImage)
    ]
    kept = [(row, result) for row, result in readable if min(result.width, result.height) >= min_side]
    for row, result in readable:
        if min(result.width, result.height) < min_side:
            listing.drop(row.image, f"a side of less than {min_side} pixels")
    if not kept:
        raise ManifestError(
            str(listing.root), "has no readable image" + (f" of {min_side} pixels or more." if min_side else ".")
        )
    return [row for row, _ in kept], [picture for _, picture in kept]


def _manifest_row(source: str, row: Row, picture: ScannedImage, reader: CellReader) -> dict[str, Any]:
    """Combine the facts of the source and of the file; where both state one, the source's table wins."""
    file_facts = picture.facts
    values = {name: getattr(row, name) for name in Row.__slots__}
    values["view"] = row.view or view_of_tag(file_facts.get("view"))
    values["sex"] = row.sex or (file_facts.get("sex") if file_facts.get("sex") in ("M", "F") else None)
    values["age"], age = row.age, file_facts.get("age")
    if row.age is None and isinstance(age, int | float):
        if age <= MAX_AGE:
            values["age"] = age
        else:
            reader.add_bad("age", f"{age:g} years", row.image)
    measured = {name: getattr(picture, name) for name in ("width", "height", "bits", "sha256", "phash")}
    return {**values, **measured, "source": source}


def build_manifest(
    rows: list[dict[str, Any]],
    small: NDArray[np.float32],
    roots: dict[str, Path],
    together: list[str | None] | tuple[()],
    progress: Progress,
    labels: LabelSet,
) -> tuple[Manifest, list[Pair]]:
    """Find near-duplicates and return the manifest of the rows, each in its group, with the pairs.

    Args:
        rows: Rows without ``group``.
        small: [N, 64, 64] float32 thumbnails, in the same order.
        roots: Source -> folder.
        together: [N] a name for rows that belong together for another reason, or None; or empty.
        progress: Shows how far it is.
        labels: The vocabulary of the labels.
    """
    import pandas as pd

    pairs = find_near_duplicates(small, progress("comparing images", len(rows)))
    table = pd.DataFrame(rows)
    names = group_names(table, pairs, together)
    grouped = [{**row, "group": name} for row, name in zip(rows, names, strict=True)]
    return Manifest.from_rows(grouped, roots, labels=labels), pairs
