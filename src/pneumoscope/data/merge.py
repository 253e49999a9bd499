"""Merge several manifests into one, with a new search for near-duplicates across all of them.

Public sets copy from each other. Only a merge shows that two of them hold the same picture, sometimes under different
labels. The images are read again for that, and must still be the ones that were imported.

A file that two sources hold gets one row. V7's annotations are the case: their images are ieee8023's own files. Two
rows would count each of them twice, and would make ``source`` a clue to the label. The row of the manifest that is
named first stays; the other fills in what it lacks, above all the masks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.core.labels import LabelSet
from pneumoscope.data.conflicts import StatedFindings, conflict_images, find_conflicts
from pneumoscope.data.image_scan import Progress, imported_thumbnails, silent
from pneumoscope.data.importing import build_manifest
from pneumoscope.data.manifest import Manifest, validate
from pneumoscope.data.scan_shards import ScanShards
from pneumoscope.data.similarity import Pair
from pneumoscope.data.splits import balance_rows, parse_balance
from pneumoscope.stats.design import Design

if TYPE_CHECKING:
    from numpy.typing import NDArray

FILLED = (
    "view", "sex", "age", "manufacturer", "lung_mask", "ignore_mask", "heart_mask", "lung_definition", "boxes",
    "findings", "license",
)  # fmt: skip
"""Columns that the other row fills in. Patient and study numbers are not among them: each source has its own."""
MASKS = ("lung_mask", "ignore_mask", "heart_mask")
_COMPARED = ("view", "sex", "age")


@dataclass(frozen=True)
class SameFiles:
    """The images that several sources hold as the same file.

    Args:
        images: ``source/image, as source/image`` for each row that was removed.
        filled: Column -> images for which the other row filled it in.
        disagreements: The differences between two rows of one file, in words.
    """

    images: tuple[str, ...]
    filled: dict[str, int]
    disagreements: tuple[str, ...]


def join_same_files(
    table: pd.DataFrame,
    origin: Sequence[int] | NDArray[np.intp],
    roots: Mapping[str, Path],
    labels: LabelSet | None = None,
) -> tuple[pd.DataFrame, SameFiles]:
    """Return the table with one row for each file that several manifests have under the same label.

    A file that one manifest has twice stays twice. So does a file with two labels, or with a finding that is present in
    one row and absent in another: that is a conflict, which stays visible.

    Args:
        table: Rows of all manifests, in the order of the manifests, with their groups.
        origin: [N] the number of the manifest that each row is from.
        roots: Name -> folder of all of them.
        labels: The vocabulary; None: the built-in one.

    Returns:
        The table, rows in the same order and with their old index, and the report.
    """
    label, different = pd.factorize(table["label"])
    code = pd.factorize(pd.factorize(table["sha256"])[0] * len(different) + label)[0]
    first = np.full(len(table), -1)
    first[code[::-1]] = np.arange(len(table))[::-1]
    numbers = np.asarray(origin)
    removed = np.flatnonzero(numbers[first[code]] != numbers)
    removed = removed[~np.isin(code[removed], _contradicting(table, code, removed, first, labels))]
    remaining_rows = first[code][removed]
    images, disagreements = [], []
    filled = dict.fromkeys(FILLED, 0)
    # Only the rows of a file that occurs twice are looked at one by one.
    places = np.union1d(removed, remaining_rows)
    rows = dict(zip(places.tolist(), table.iloc[places].to_dict("records"), strict=True))
    for place, first_place in zip(removed.tolist(), remaining_rows.tolist(), strict=True):
        row, remaining = rows[place], rows[first_place]
        images.append(f"{row['source']}/{row['image']}, as {remaining['source']}/{remaining['image']}")
        for column in FILLED:
            value = row[column]
            if column == "findings" and row["label"] == LabelSet.builtin().none_label:
                continue  # without findings of its own, such an image has none of any: a list would say less
            if _known(value) and not _known(remaining[column]):
                remaining[column] = _qualify(value, row["source"], roots) if column in MASKS else value
                filled[column] += 1
            elif column in _COMPARED and _known(value) and value != remaining[column]:
                disagreements.append(
                    f"{remaining['source']}/{remaining['image']}: {column} {remaining[column]}, "
                    f"{row['source']} says {value}"
                )
    result = table.copy()
    for column in (name for name in FILLED if filled[name]):
        values = table[column].to_numpy(dtype=object)
        values[remaining_rows] = [rows[place][column] for place in remaining_rows.tolist()]
        result[column] = pd.Series(values, index=table.index, dtype=table[column].dtype)
    counts = {column: number for column, number in filled.items() if number}
    return result.drop(index=result.index[removed]), SameFiles(tuple(images), counts, tuple(disagreements))


def _contradicting(
    table: pd.DataFrame,
    code: NDArray[np.intp],
    removed: NDArray[np.intp],
    first: NDArray[np.intp],
    labels: LabelSet | None,
) -> list[int]:
    """Return the files, by their code, of which one row states a finding present and another one absent."""
    stated = StatedFindings(table, labels or LabelSet.builtin())
    rows_of: dict[int, list[int]] = {}
    for row in removed.tolist():
        rows_of.setdefault(int(code[row]), [int(first[code[row]])]).append(row)
    return [file for file, rows in rows_of.items() if any(stated.contradiction(*two) for two in combinations(rows, 2))]


def _known(value: object) -> bool:
    return value is not None and value == value  # NaN differs from itself


def _qualify(mask: str, source: str, roots: Mapping[str, Path]) -> str:
    """Return a mask's path with the name of its root, since its new row belongs to another source."""
    name, colon, _ = mask.partition(":")
    return mask if colon and name in roots else f"{source}:{mask}"


@dataclass(frozen=True)
class MergeReport:
    """The outcome of a merge.

    Args:
        images: Source -> images.
        across: ``source label = source label`` -> near-duplicate pairs between two sources.
        conflicts: The same picture under different labels, in words.
        dropped: Images left out because of such a conflict (``source/image``).
        groups: Kind of group -> number of groups.
        unsplit: Whether an input had parts, which are removed.
        balanced: Images left out to bring the labels to the requested ratio (``source/image``).
        same: Images that two sources hold as the same file, with one row in the result.
        filled: Column -> rows that the other source's row filled in.
        disagreements: The differences between two rows of one file, in words.
    """

    images: dict[str, int]
    across: dict[str, int]
    conflicts: tuple[str, ...]
    dropped: tuple[str, ...]
    groups: dict[str, int]
    unsplit: bool
    balanced: tuple[str, ...] = ()
    same: tuple[str, ...] = ()
    filled: dict[str, int] = field(default_factory=dict)
    disagreements: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain values.

        Returns:
            Field -> value, with lists in place of tuples.
        """
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


def merge(
    manifests: Sequence[Manifest],
    *,
    drop_conflicts: bool = False,
    balance: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
    shards: ScanShards | None = None,
) -> tuple[Manifest, MergeReport]:
    """Join manifests; groups are formed over all images, and parts are removed.

    Rows that were one group in an input stay one group. A file that several sources hold gets one row
    (``join_same_files``).

    Args:
        manifests: Two or more, with different sources; one is enough with ``drop_conflicts``.
        drop_conflicts: Leave out every image that is the same picture as another with a different label.
        balance: Ratio of the labels of the whole result, ``1:1`` or ``covid-19=1,normal=2``; None keeps all images.
        seed: Decides which groups stay, where ``balance`` leaves some out.
        progress: Shows how far it is.
        shards: Where what was read goes, and where that of an interrupted merge is; None: nothing is kept.

    Raises:
        UsageError: Fewer than two manifests, or an invalid ratio.
        ManifestError: A source occurs in two of them, or an image is absent or altered.
    """
    if len(manifests) < (1 if drop_conflicts else 2):
        raise UsageError("merge", "needs two or more manifests.", "Of a single one it only leaves out conflicts.")
    roots = _roots(manifests)
    small = imported_thumbnails(manifests, progress, shards)
    origin = np.repeat(np.arange(len(manifests)), [len(manifest) for manifest in manifests])
    joined = pd.concat([manifest.table for manifest in manifests], ignore_index=True)
    together = pd.Series(origin).astype(str) + ":" + joined["group"]
    rows = joined.drop(columns=["group", "split"])
    merged, pairs = build_manifest(rows, small, roots, together.tolist(), progress, _joint_labels(manifests))

    table = merged.table
    conflicts = find_conflicts(merged, pairs)
    dropped = tuple(conflict_images(merged, conflicts)) if drop_conflicts else ()
    across = _across(merged, pairs)
    notes = [f"{' + '.join(_sources(manifest))}: {note}" for manifest in manifests for note in manifest.notes]
    notes.append(
        f"merge of {len(manifests)} manifests: {len(merged)} images, {len(conflicts.sentences)} label conflicts"
    )
    remaining, same = join_same_files(table, origin, roots, merged.labels)
    if same.images:
        notes.append(_same_files_note(same))
    if drop_conflicts:
        remaining = remaining[~remaining.index.isin(sorted(conflicts.rows))]
        notes.append(f"left out {len(dropped)} images whose picture has another label elsewhere")
    design = _joint_design(manifests, chosen=balance is not None)
    stated = {manifest.design for manifest in manifests}
    if stated != {design}:
        names = " and ".join(sorted(name or "not stated" for name in stated))
        notes.append(f"design of the inputs: {names}; of the result: {design or 'not stated'}")
    merged = Manifest(remaining.reset_index(drop=True), roots, tuple(notes), design, merged.labels)
    balanced: list[str] = []
    if balance is not None:
        merged, balanced = balance_rows(merged, parse_balance(balance, sorted(set(merged.table.label))), seed)
    merged = validate(merged)
    return merged, MergeReport(
        images={str(source): int(count) for source, count in merged.table.source.value_counts().items()},
        across=across,
        conflicts=conflicts.sentences,
        dropped=dropped,
        groups={str(kind): int(count) for kind, count in merged.kinds.value_counts().items()},
        unsplit=any(manifest.parts_present for manifest in manifests),
        balanced=tuple(balanced),
        same=same.images,
        filled=same.filled,
        disagreements=same.disagreements,
    )


def _joint_design(manifests: Sequence[Manifest], *, chosen: bool) -> Design | None:
    """Return the design of a merge: that of all inputs; case-control where the ratio of the labels was chosen."""
    if chosen:
        return "case-control"
    stated = {manifest.design for manifest in manifests}
    return stated.pop() if len(stated) == 1 else None


def _joint_labels(manifests: Sequence[Manifest]) -> LabelSet:
    """Return the vocabulary of all inputs.

    Raises:
        LabelError: A label of one input is a synonym of another label in another one.
    """
    labels = LabelSet.builtin()
    for manifest in manifests:
        labels = labels.extended(manifest.labels.own, " + ".join(_sources(manifest)))
    return labels


def _sources(manifest: Manifest) -> list[str]:
    return sorted(set(manifest.table.source))


def _same_files_note(same: SameFiles) -> str:
    filled = ", ".join(f"{column} {number}" for column, number in same.filled.items()) or "nothing"
    return (
        f"{len(same.images)} images are the same file in two sources: one row each; filled in from the other: "
        f"{filled}; {len(same.disagreements)} disagreements"
    )


def _roots(manifests: Sequence[Manifest]) -> dict[str, Any]:
    """Return all roots; a source, or another root of the same name, may come from one manifest only."""
    roots: dict[str, Any] = {}
    for manifest in manifests:
        for source in _sources(manifest):
            if source in roots:
                raise ManifestError(
                    f"source {source!r}",
                    "is in two of the manifests.",
                    "Import one of them with another `source_name`.",
                )
            roots[source] = manifest.roots.get(source)
        for name, root in manifest.roots.items():
            if roots.get(name) not in (None, root):
                raise ManifestError(f"root {name!r}", "is two folders in two of the manifests.", "Import one again.")
            roots[name] = root
    return {source: root for source, root in roots.items() if root is not None}


def _across(merged: Manifest, pairs: Sequence[Pair]) -> dict[str, int]:
    """Count near-duplicates between sources, by source and label of both."""
    names = (merged.table.source + " " + merged.table.label).tolist()
    sources = merged.table.source.tolist()
    counts = Counter(
        " = ".join(sorted((names[pair.first], names[pair.second])))
        for pair in pairs
        if sources[pair.first] != sources[pair.second]
    )
    return dict(counts.most_common())
