"""Label conflicts: one picture under two labels, of which one must be wrong.

Near-duplicates that are less alike than one exposure may be two studies of one patient, whose labels may well differ:
they are no conflict.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

from pneumoscope.data.image_scan import Progress, imported_thumbnails, silent
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.similarity import SAME, Pair, find_near_duplicates


@dataclass(frozen=True, slots=True)
class Conflicts:
    """The label conflicts of a manifest.

    Attributes:
        sentences: Each pair in words, the most alike first.
        rows: Positions of all rows concerned.
    """

    sentences: tuple[str, ...]
    rows: frozenset[int]


def find_conflicts(manifest: Manifest, pairs: Iterable[Pair]) -> Conflicts:
    """Return where one picture carries two labels.

    Args:
        manifest: The radiographs.
        pairs: Near-duplicates among its rows, by position.
    """
    source, image, label = (manifest.table[name].tolist() for name in ("source", "image", "label"))
    conflicting = sorted(
        (pair for pair in pairs if pair.similarity >= SAME and label[pair.first] != label[pair.second]),
        key=lambda pair: -pair.similarity,
    )
    return Conflicts(
        tuple(
            f"{source[a]}/{image[a]} is {label[a]}, {source[b]}/{image[b]} is {label[b]} "
            f"(similarity {pair.similarity:.2f})"
            for pair in conflicting
            for a, b in [(pair.first, pair.second)]
        ),
        frozenset(row for pair in conflicting for row in (pair.first, pair.second)),
    )


def conflict_images(manifest: Manifest, conflicts: Conflicts) -> list[str]:
    """Return the images of all conflicts as ``source/image``, sorted."""
    return sorted(manifest.table.source[row] + "/" + manifest.table.image[row] for row in conflicts.rows)


def without_conflicts(manifest: Manifest, conflicts: Conflicts) -> Manifest:
    """Return the manifest without the rows of its conflicts, with a note that says so."""
    kept = manifest.where(~manifest.table.index.isin(sorted(conflicts.rows)))
    note = f"left out {len(conflicts.rows)} images whose picture has another label elsewhere"
    return replace(kept, notes=(*kept.notes, note))


def drop_conflicts(manifest: Manifest, progress: Progress = silent) -> tuple[Manifest, Conflicts]:
    """Read a manifest's images again and leave out every image whose picture carries another label elsewhere.

    Groups and parts stay as they are.

    Args:
        manifest: Any manifest.
        progress: Shows how far it is.

    Returns:
        The manifest without them, and the conflicts, whose rows are positions in the manifest that was given.

    Raises:
        ManifestError: An image is absent or is not the one that was imported.
    """
    thumbnails = imported_thumbnails([manifest], progress)
    pairs = find_near_duplicates(thumbnails, progress("comparing images", len(manifest)))
    conflicts = find_conflicts(manifest, pairs)
    return (without_conflicts(manifest, conflicts) if conflicts.rows else manifest), conflicts
