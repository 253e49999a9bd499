"""Groups: radiographs that must never be on two sides of a split, since they share a patient or a picture.

A test image that was also a training image measures nothing. Groups are the transitive closure of all known links:
patient numbers, identical files, and near-duplicates (``similarity.py``).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.data.known_names import find_links_by_file_name
from pneumoscope.data.similarity import SAME, Pair

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray


def find_component_roots(size: int, links: Iterable[tuple[int, int]] | NDArray[np.intp]) -> NDArray[np.intp]:
    """Return [N] the smallest position that each position is linked to, directly or through others.

    Args:
        size: N.
        links: [L, 2] positions that belong together.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ends = (links if isinstance(links, np.ndarray) else np.array(list(links), dtype=np.intp)).reshape(-1, 2)
    graph = coo_array((np.ones(len(ends), dtype=np.bool_), (ends[:, 0], ends[:, 1])), shape=(size, size))
    component = connected_components(graph, directed=False)[1]
    roots: NDArray[np.intp] = np.unique(component, return_index=True)[1][component]
    return roots


def plausible_pairs(table: pd.DataFrame, pairs: Iterable[Pair]) -> list[Pair]:
    """Return the pairs without those that the source's own patient numbers tell apart.

    Two chests can look alike. Where a source numbers both as different patients, a likeness short of one exposure does
    not contradict it. Drawn sets number their patients continuously, whatever the source.

    Args:
        table: Columns ``source``, ``patient_id``.
        pairs: Near-duplicates, by position.
    """
    sources, patients = (table[name].to_numpy(dtype=object) for name in ("source", "patient_id"))

    def apart(pair: Pair) -> bool:
        one, other = patients[pair.first], patients[pair.second]
        if not (isinstance(one, str) and isinstance(other, str)):
            return False
        numbering = {
            "synthetic" if name.startswith("synthetic") else name
            for name in (sources[pair.first], sources[pair.second])
        }
        return len(numbering) == 1 and one != other

    return [pair for pair in pairs if pair.similarity >= SAME or not apart(pair)]


def group_names(table: pd.DataFrame, pairs: Iterable[Pair], together: Sequence[str | None] = ()) -> list[str]:
    """Return [N] the group of each row.

    Rows belong together if they share a patient, a file or a name in ``together``, are near-duplicates, or if their
    files' names tell one person (`known_names`); two patients that share a picture become one group. A group has the
    name of its first patient, else it is a cluster or an image named after the smallest of its SHA-256, so that the
    order of the rows does not matter.

    Args:
        table: Columns ``source``, ``patient_id``, ``image``, ``sha256``.
        pairs: Near-duplicates, by position.
        together: [N] a name for rows that belong together for another reason, or None.
    """
    import pandas as pd

    count = len(table)
    text = pd.StringDtype(na_value=np.nan)
    patients = "patient:" + table["source"].astype(text) + "/" + table["patient_id"].astype(text)
    patient, patient_names = pd.factorize(patients, sort=True)
    digest, digests = pd.factorize(table["sha256"], sort=True)
    other = pd.factorize(pd.Series(list(together), dtype=text))[0] if len(together) else np.full(count, -1)
    links = [np.array([(pair.first, pair.second) for pair in pairs], dtype=np.intp).reshape(-1, 2)]
    links += [_link_equal(codes) for codes in (patient, digest, other)]
    by_name = [(one, two) for one, two, _ in find_links_by_file_name(table)]
    links.append(np.array(by_name, dtype=np.intp).reshape(-1, 2))
    root = find_component_roots(count, np.concatenate(links))

    # The smallest of each component, by the root's position; a code that no component has stays above all others.
    first_patient, first_digest = np.full(count, len(patient_names)), np.full(count, len(digests))
    known = patient >= 0
    np.minimum.at(first_patient, root[known], patient[known])
    np.minimum.at(first_digest, root, digest)
    sizes = np.bincount(root, minlength=count)
    names = np.empty(count, dtype=object)
    for place in np.flatnonzero(sizes).tolist():
        if first_patient[place] < len(patient_names):
            names[place] = patient_names[first_patient[place]]
        else:
            kind = "cluster" if sizes[place] > 1 else "image"
            names[place] = f"{kind}:{digests[first_digest[place]][:16]}"
    groups: list[str] = names[root].tolist()
    return groups


def join_known_persons(table: pd.DataFrame) -> tuple[pd.DataFrame, int]:
    """Return the table with groups joined where the names of files tell one person, and how many groups were joined.

    Manifests of before these names were looked at have such persons in several groups.

    Args:
        table: Columns ``source``, ``patient_id``, ``image``, ``sha256``, ``group``.
    """
    import pandas as pd

    before = [str(name) for name in table["group"].tolist()]
    if all(before[one] == before[two] for one, two, _ in find_links_by_file_name(table)):
        return table, 0
    after = group_names(table, [], before)
    members: dict[str, set[str]] = {}
    for old, new in zip(before, after, strict=True):
        members.setdefault(new, set()).add(old)
    # A group that was not joined keeps its name: it may be that of a row which is no longer there.
    names = [new if len(members[new]) > 1 else old for old, new in zip(before, after, strict=True)]
    groups = pd.Series(names, index=table.index, dtype=object).astype(table["group"].dtype)
    return table.assign(group=groups), sum(len(old) for old in members.values() if len(old) > 1)


def _link_equal(codes: NDArray[np.intp]) -> NDArray[np.intp]:
    """Return [L, 2] links of each position with the first one of the same code; -1 is no code."""
    places = np.flatnonzero(codes >= 0)
    first = np.zeros(int(codes.max(initial=-1)) + 1, dtype=np.intp)
    first[codes[places[::-1]]] = places[::-1]
    return np.stack([first[codes[places]], places], axis=1)
