"""Groups: radiographs that must never be on two sides of a split, since they share a patient or a picture.

A test image that was also a training image measures nothing. Groups are the transitive closure of all known links:
patient numbers, identical files, and near-duplicates (``similarity.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.data.similarity import SAME, Pair

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def find_component_roots(size: int, links: Iterable[tuple[int, int]]) -> NDArray[np.intp]:
    """Return [N] the smallest position that each position is linked to, directly or through others (union-find)."""
    parent = np.arange(size)

    def root(place: int) -> int:
        while parent[place] != place:
            parent[place] = parent[parent[place]]
            place = int(parent[place])
        return place

    for one, other in links:
        low, high = sorted((root(one), root(other)))
        parent[high] = low
    return np.array([root(place) for place in range(size)], dtype=np.intp)


def plausible_pairs(table: pd.DataFrame, pairs: Iterable[Pair]) -> list[Pair]:
    """Return the pairs without those that the source's own patient numbers tell apart.

    Two chests can look alike. Where a source numbers both as different patients, a likeness short of one exposure does
    not contradict it. Drawn sets number their patients continuously, whatever the source.

    Args:
        table: Columns ``source``, ``patient_id``.
        pairs: Near-duplicates, by position.
    """
    numbered = [
        ("synthetic" if source.startswith("synthetic") else source, patient) if isinstance(patient, str) else None
        for source, patient in zip(table.source, table.patient_id, strict=True)
    ]

    def apart(pair: Pair) -> bool:
        one, other = numbered[pair.first], numbered[pair.second]
        return one is not None and other is not None and one[0] == other[0] and one != other

    return [pair for pair in pairs if pair.similarity >= SAME or not apart(pair)]


def group_names(table: pd.DataFrame, pairs: Iterable[Pair], together: Sequence[str | None] = ()) -> list[str]:
    """Return [N] the group of each row.

    Rows belong together if they share a patient, a file or a name in ``together``, or are near-duplicates; two patients
    that share a picture become one group. A group has the name of its first patient, else it is a cluster or an image
    named after the smallest of its SHA-256, so that the order of the rows does not matter.

    Args:
        table: Columns ``source``, ``patient_id``, ``sha256``.
        pairs: Near-duplicates, by position.
        together: [N] a name for rows that belong together for another reason, or None.
    """
    patients = [
        f"patient:{source}/{patient}" if isinstance(patient, str) else None
        for source, patient in zip(table.source, table.patient_id, strict=True)
    ]
    digests = table.sha256.tolist()
    links = [(pair.first, pair.second) for pair in pairs]
    for names in (patients, digests, together):
        first: dict[str, int] = {}
        links += [(first.setdefault(name, place), place) for place, name in enumerate(names) if name is not None]

    members: dict[int, list[int]] = {}
    for place, root in enumerate(find_component_roots(len(table), links)):
        members.setdefault(int(root), []).append(place)
    groups = [""] * len(table)
    for places in members.values():
        named = sorted(name for name in (patients[place] for place in places) if name is not None)
        kind = "cluster" if len(places) > 1 else "image"
        name = named[0] if named else f"{kind}:{min(digests[place] for place in places)[:16]}"
        for place in places:
            groups[place] = name
    return groups
