"""Label conflicts: one picture under two labels, or with a finding both present and absent. One must be wrong.

Near-duplicates that are less alike than one exposure may be two studies of one patient, whose labels may well differ:
they are no conflict.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import pandas as pd

from pneumoscope.core.labels import LabelSet
from pneumoscope.core.registry import several
from pneumoscope.data.findings import parse_findings, stated_findings
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


class StatedFindings:
    """What the rows of a table state in their column ``findings``, to compare two rows of one picture.

    Args:
        table: Columns ``label`` and ``findings``.
        labels: The vocabulary.
    """

    def __init__(self, table: pd.DataFrame, labels: LabelSet) -> None:
        self._vocabulary = labels
        self._cells = list(zip(table["label"].tolist(), table["findings"].tolist(), strict=True))
        # A set has few different cells, compared with its images.
        self._known: dict[tuple[str, str], dict[str, bool]] = {}

    def contradiction(self, one: int, other: int) -> str:
        """Return which findings one row states present and the other one absent; empty where there are none.

        A row without findings of its own has its label alone, which other rules compare.
        """
        cells = self._cells[one], self._cells[other]
        if cells[0] == cells[1] or not all(isinstance(text, str) for _, text in cells):
            return ""
        first, second = (self._stated(label, text) for label, text in cells)
        names = sorted(name for name, present in first.items() if second.get(name, present) != present)
        return f"{several(names)} present in one, absent in the other" if names else ""

    def _stated(self, label: str, text: str) -> dict[str, bool]:
        if (label, text) not in self._known:
            findings = parse_findings(text, "column 'findings'", self._vocabulary)
            self._known[label, text] = stated_findings(label, findings, self._vocabulary)
        return self._known[label, text]


def find_conflicts(manifest: Manifest, pairs: Iterable[Pair]) -> Conflicts:
    """Return where one picture carries two labels.

    Args:
        manifest: The radiographs.
        pairs: Near-duplicates among its rows, by position.
    """
    source, image, label = (manifest.table[name].tolist() for name in ("source", "image", "label"))
    findings = StatedFindings(manifest.table, manifest.labels)
    sentences, rows = [], set()
    for pair in sorted(pairs, key=lambda pair: -pair.similarity):
        a, b = pair.first, pair.second
        if pair.similarity < SAME or not (label[a] != label[b] or findings.contradiction(a, b)):
            continue
        reason = "" if label[a] != label[b] else f": {findings.contradiction(a, b)}"
        sentences.append(
            f"{source[a]}/{image[a]} is {label[a]}, {source[b]}/{image[b]} is {label[b]}{reason} "
            f"(similarity {pair.similarity:.2f})"
        )
        rows |= {a, b}
    return Conflicts(tuple(sentences), frozenset(rows))


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
