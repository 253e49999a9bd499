"""Import a folder or table as its publisher made it into a manifest, with an account of everything left out.

The source (``data/sources``) lists images and labels. This module reads each image once, hashes it and groups it, by
patients where they are known and by near-duplicates, so that a split can keep a group on one side.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from pneumoscope.core.engine import Engine
from pneumoscope.core.errors import ImageError, ManifestError
from pneumoscope.core.labels import LabelSet
from pneumoscope.data.cells import MAX_AGE, CellReader, clean_manufacturer, view_of_tag
from pneumoscope.data.conflicts import find_conflicts, without_conflicts
from pneumoscope.data.describe import count_findings
from pneumoscope.data.grouping import group_names, plausible_pairs
from pneumoscope.data.image_scan import Progress, Scan, scan_files, silent
from pneumoscope.data.manifest import Manifest, validate, with_all_columns
from pneumoscope.data.masks import describe_stretched_masks, draw_masks, join_masks
from pneumoscope.data.scan_shards import ScanShards, temporary_shards
from pneumoscope.data.similarity import Pair, find_near_duplicates
from pneumoscope.data.source import DroppedFile, ImportOptions, Listing, Row, Source
from pneumoscope.data.thumbnails import Pictures

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


@dataclass(frozen=True)
class ImportReport:
    """The images that an import kept and dropped.

    Args:
        source: Name in the manifest.
        kept: Label -> images.
        dropped: Every file or row that was left out, with its reason.
        pairs: Near-duplicates within the source.
        pairs_apart: Those of them that patient numbers tell apart: they join no group, and no check counts them.
        groups: Kind of group -> number of groups.
        conflicts: The same picture under different labels, in words.
        notes: Remarks.
        findings: Label -> "present" and "absent" -> images that state it; empty where the source states none.
    """

    source: str
    kept: dict[str, int]
    dropped: tuple[DroppedFile, ...]
    pairs: int
    groups: dict[str, int]
    conflicts: tuple[str, ...]
    notes: tuple[str, ...]
    findings: dict[str, dict[str, int]] = field(default_factory=dict)
    pairs_apart: int = 0

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
            "findings": self.findings,
            "dropped": self.reasons,
            "dropped_files": [{"file": dropped.file, "reason": dropped.reason} for dropped in self.dropped],
            "near_duplicate_pairs": self.pairs,
            "near_duplicate_pairs_apart": self.pairs_apart,
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
    engine: Engine | None = None,
    progress: Progress = silent,
    shards: ScanShards | None = None,
    workers: int | None = None,
    say: Callable[[str], None] = lambda _: None,
) -> tuple[Manifest, ImportReport]:
    """List, read and group the images of a source.

    Args:
        source: The layout.
        path: The folder or table.
        options: The user's options.
        drop_unreadable: List unreadable images as dropped, instead of refusing.
        drop_conflicts: List every image that is the same picture as another with a different label as dropped.
        engine: Where the images are read; processes and threads of this machine by default.
        progress: Shows how far it is.
        shards: Where what was read goes, and where that of an interrupted import is; None: nothing is kept.
        workers: Processes that read, see `scan_files`.
        say: Receives a sentence where an interrupted import goes on.

    Raises:
        UsageError, LabelError, ManifestError: As the source says.
        ImageError: Images cannot be read; the message names all.
    """
    from pneumoscope.imaging.read import describe_damaged_exif, describe_low_values

    if shards is None:
        with temporary_shards() as own:
            return import_source(
                source,
                path,
                options,
                drop_unreadable=drop_unreadable,
                drop_conflicts=drop_conflicts,
                engine=engine,
                progress=progress,
                shards=own,
                workers=workers,
                say=say,
            )
    listing = source.list_images(path, options)
    name = options.source_name or source.name
    tick = progress("reading images", len(listing.rows))
    scan = scan_files(
        [listing.root / row.image for row in listing.rows],
        tick,
        options.depth,
        shards=shards,
        workers=workers,
        engine=engine,
        say=say,
    )
    kept = _readable(listing, scan, drop_unreadable, options.min_side)
    rows, files = [listing.rows[place] for place in kept.tolist()], scan.table.iloc[kept].reset_index(drop=True)
    sizes = list(zip(files["width"].astype(int), files["height"].astype(int), strict=True))
    roots = {name: listing.root.resolve()}
    listing.notes += describe_stretched_masks(rows, sizes, listing.root, listing.mask_parts)
    if options.masks is not None and (listing.outlines or listing.mask_parts):
        root = f"{name}-masks"
        roots[root] = options.masks.resolve()
        rows, remarks = draw_masks(rows, sizes, listing.outlines, options.masks, root)
        rows = join_masks(rows, listing.mask_parts, options.masks, root)
        listing.notes += remarks
    if low := int(files["largest_value"].notna().sum()):
        listing.notes.append(describe_low_values(low))
    if damaged := int((files["exif"] == "damaged").sum()):
        listing.notes.append(describe_damaged_exif(damaged))
    reader = CellReader(options.lenient_columns)
    table = _manifest_table(name, rows, files, reader)
    listing.notes += reader.finish()
    manifest, pairs = build_manifest(table, scan.thumbnails(kept), roots, (), progress, listing.labels)
    apart = len(pairs) - len(plausible_pairs(manifest.table, pairs))
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
        findings=count_findings(manifest),
        pairs_apart=apart,
    )
    return manifest, report


def _readable(listing: Listing, scan: Scan, drop: bool, min_side: int) -> NDArray[np.intp]:
    """Return the places of rows with a readable image of that size; drop unreadable ones, or refuse them together."""
    failed = [(listing.rows[place], error) for place, error in sorted(scan.errors.items())]
    if failed and not drop:
        lines = "\n".join(f"  {row.image}: {error.problem}" for row, error in failed)
        raise ImageError(
            f"{len(failed)} of {len(scan)} images",
            f"cannot be read:\n{lines}\n",
            "Repair them, or drop them: `drop_unreadable=True`.",
        )
    for row, error in failed:
        listing.drop(row.image, f"unreadable: {error.problem}")
    side = scan.table[["width", "height"]].min(axis=1)  # null where it could not be read
    for place in np.flatnonzero((side < min_side).to_numpy()).tolist():
        listing.drop(listing.rows[place].image, f"a side of less than {min_side} pixels")
    kept = np.flatnonzero((side >= min_side).to_numpy())
    if not len(kept):
        raise ManifestError(
            str(listing.root), "has no readable image" + (f" of {min_side} pixels or more." if min_side else ".")
        )
    return kept


_STATED = ("view", "sex", "age", "manufacturer")


def _manifest_table(source: str, rows: list[Row], files: pd.DataFrame, reader: CellReader) -> pd.DataFrame:
    """Combine the facts of the source and of the files; where both state one, the source's table wins."""
    import pandas as pd

    columns: dict[str, Any] = {name: [getattr(row, name) for row in rows] for name in Row.__slots__}
    stated = {name: files[name].astype(object).where(files[name].notna(), None) for name in _STATED}
    columns["view"] = [own or view_of_tag(tag) for own, tag in zip(columns["view"], stated["view"], strict=True)]
    columns["sex"] = [
        own or (tag if tag in ("M", "F") else None) for own, tag in zip(columns["sex"], stated["sex"], strict=True)
    ]
    columns["manufacturer"] = [
        own or clean_manufacturer(tag) for own, tag in zip(columns["manufacturer"], stated["manufacturer"], strict=True)
    ]
    for place, age in enumerate(stated["age"]):
        if age is None or columns["age"][place] is not None:
            continue
        if age <= MAX_AGE:
            columns["age"][place] = age
        else:
            reader.add_bad("age", f"{age:g} years", rows[place].image)
    measured = {name: files[name].astype(np.int64) for name in ("width", "height", "bits")}
    hashes = {name: files[name] for name in ("sha256", "phash")}
    return pd.DataFrame({**columns, **measured, **hashes, "source": source})


def build_manifest(
    table: pd.DataFrame,
    small: Pictures,
    roots: dict[str, Path],
    together: Sequence[str | None],
    progress: Progress,
    labels: LabelSet,
) -> tuple[Manifest, list[Pair]]:
    """Find near-duplicates and return the manifest of the rows, each in its group, with the pairs.

    Args:
        table: Rows without ``group``; a column of the manifest that it lacks is null.
        small: [N, 64, 64] thumbnails, in the same order.
        roots: Source -> folder.
        together: [N] a name for rows that belong together for another reason, or None; or empty.
        progress: Shows how far it is.
        labels: The vocabulary of the labels.
    """
    pairs = find_near_duplicates(small, progress("comparing images", len(table)))
    grouped = table.assign(group=group_names(table, pairs, together))
    return validate(Manifest(with_all_columns(grouped), roots, labels=labels)), pairs
