"""Several manifests into one, with near-duplicates found again across all of them.

Public sets copy from each other: only where they meet does it show that two of them hold the same picture, sometimes
under different labels. The images are read again for that, and must still be the ones that were imported.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from pneumoscope.core.errors import ManifestError, UsageError
from pneumoscope.data.folding import Folded, fold
from pneumoscope.data.image_scan import Picture, read_pictures
from pneumoscope.data.importing import Progress, conflicting, grouped, silent
from pneumoscope.data.manifest import Manifest, validated
from pneumoscope.data.similarity import Pair
from pneumoscope.data.source import several
from pneumoscope.data.splits import balance_rows, parse_balance


@dataclass(frozen=True)
class MergeReport:
    """What a merge found.

    Args:
        images: Source -> images.
        across: ``source label = source label`` -> near-duplicate pairs between two sources.
        conflicts: The same picture under different labels, in words.
        dropped: Images left out because of such a conflict (``source/image``).
        groups: Kind of group -> number of groups.
        unsplit: Whether parts that an input had were taken away.
        balanced: Images left out to bring the labels to the ratio asked for (``source/image``).
        same: Images that two sources hold as the same file, with one row here.
        filled: Column -> rows that the other source's row filled in.
        disagreements: Where two rows of one file say different things, in words.
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
        """Return it as plain values."""
        return {name: list(value) if isinstance(value, tuple) else value for name, value in vars(self).items()}


def merge(
    manifests: Sequence[Manifest],
    *,
    drop_conflicts: bool = False,
    balance: str | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> tuple[Manifest, MergeReport]:
    """Join manifests; groups are made anew over all images, and parts are taken away.

    What was one group in an input stays one group. A file that several sources hold gets one row (``folding.py``).

    Args:
        manifests: Two or more, with different sources.
        drop_conflicts: Leave out every image that is the same picture as another with a different label.
        balance: Ratio of the labels of the whole result, ``1:1`` or ``covid-19=1,normal=2``; None keeps all images.
        seed: Decides which groups stay, where ``balance`` leaves some out.
        progress: Shows how far it is.

    Raises:
        UsageError: Fewer than two manifests, or a ratio that is none.
        ManifestError: A source occurs in two of them, or an image is absent or altered.
    """
    if len(manifests) < 2:
        raise UsageError("merge", "needs two or more manifests.")
    roots = _roots(manifests)
    small = np.concatenate([_thumbnails(manifest, progress) for manifest in manifests])
    rows: list[dict[str, Any]] = []
    together: list[str | None] = []
    origin: list[int] = []
    for number, manifest in enumerate(manifests):
        origin += [number] * len(manifest)
        together += [f"{number}:{group}" for group in manifest.table.group]
        kept = manifest.table.drop(columns=["group", "split"])
        rows += [{str(name): value for name, value in row.items()} for row in kept.to_dict("records")]
    merged, pairs = grouped(rows, small, roots, together, progress)

    table = merged.table
    conflicts, places = conflicting(merged, pairs)
    dropped = (
        tuple(sorted(table.source[place] + "/" + table.image[place] for place in places)) if drop_conflicts else ()
    )
    across = _across(merged, pairs)
    notes = [f"{' + '.join(_sources(manifest))}: {note}" for manifest in manifests for note in manifest.notes]
    notes.append(f"merge of {len(manifests)} manifests: {len(merged)} images, {len(conflicts)} label conflicts")
    kept, folded = fold(table, origin, roots)
    if folded.images:
        notes.append(_folding_note(folded))
    if drop_conflicts:
        kept = kept[~kept.index.isin(sorted(places))]
        notes.append(f"left out {len(dropped)} images whose picture has another label elsewhere")
    merged = Manifest(kept.reset_index(drop=True), roots, tuple(notes))
    balanced: list[str] = []
    if balance is not None:
        merged, balanced = balance_rows(merged, parse_balance(balance, sorted(set(merged.table.label))), seed)
    merged = validated(merged)
    return merged, MergeReport(
        images={str(source): int(count) for source, count in merged.table.source.value_counts().items()},
        across=across,
        conflicts=tuple(conflicts),
        dropped=dropped,
        groups={str(kind): int(count) for kind, count in merged.kinds.value_counts().items()},
        unsplit=any(manifest.parts_present for manifest in manifests),
        balanced=tuple(balanced),
        same=folded.images,
        filled=folded.filled,
        disagreements=folded.disagreements,
    )


def _sources(manifest: Manifest) -> list[str]:
    return sorted(set(manifest.table.source))


def _folding_note(folded: Folded) -> str:
    filled = ", ".join(f"{column} {number}" for column, number in folded.filled.items()) or "nothing"
    return (
        f"{len(folded.images)} images are the same file in two sources: one row each; filled in from the other: "
        f"{filled}; {len(folded.disagreements)} disagreements"
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
                    "Import one of them with another --source-name.",
                )
            roots[source] = manifest.roots.get(source)
        for name, root in manifest.roots.items():
            if roots.get(name) not in (None, root):
                raise ManifestError(f"root {name!r}", "is two folders in two of the manifests.", "Import one again.")
            roots[name] = root
    return {source: root for source, root in roots.items() if root is not None}


def _thumbnails(manifest: Manifest, progress: Progress) -> np.ndarray[Any, np.dtype[np.float32]]:
    """Read a manifest's images again and return [N, 64, 64]; each must have the SHA-256 that the manifest says."""
    paths = manifest.paths()
    read = read_pictures(paths, progress(f"reading {', '.join(_sources(manifest))}", len(paths)))
    wrong = [
        f"{path.name} ({found.problem if not isinstance(found, Picture) else 'another SHA-256 than at import'})"
        for path, found, sha256 in zip(paths, read, manifest.table.sha256, strict=True)
        if not isinstance(found, Picture) or found.sha256 != sha256
    ]
    if wrong:
        raise ManifestError(
            f"{len(wrong)} images of {', '.join(_sources(manifest))}",
            f"are not as they were imported: {several(wrong)}.",
            "Import the source again.",
        )
    return np.stack([found.small for found in read if isinstance(found, Picture)])


def _across(merged: Manifest, pairs: Sequence[Pair]) -> dict[str, int]:
    """Count near-duplicates between sources, by source and label of both."""
    names = (merged.table.source + " " + merged.table.label).tolist()
    sources = merged.table.source.tolist()
    found = Counter(
        " = ".join(sorted((names[pair.first], names[pair.second])))
        for pair in pairs
        if sources[pair.first] != sources[pair.second]
    )
    return dict(found.most_common())
