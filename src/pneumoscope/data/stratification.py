"""Deal groups to parts so that every part has its share of each label and finding.

Where images have one label each, groups are dealt in one pass, each to the part that is furthest behind its share of
the group's label and source. Where they state findings, one pass is not enough: a finding of twenty groups among
thousands would fall by chance. Then the rarest finding is dealt first (iterative stratification after Sechidis,
Tsoumakas and Vlahavas, On the Stratification of Multi-Label Data, ECML PKDD 2011), by groups and not by single samples.
What few images state absent is as rare as what few images have, so that both count.

The order of groups that are alike comes from a hash of the seed and the group's name: the same images give the same
parts on every machine, in whatever order the files were found.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.data.findings import finding_targets, parse_findings

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from pneumoscope.core.labels import LabelSet

# The weight of a deficit at each level. The coarser levels only break near ties within a stratum, so that the rounding
# of many small strata does not leave a small part empty.
_WEIGHTS = {"label and source": 1.0, "label": 0.3, "all": 0.1}


def order_key(group: str, seed: int) -> bytes:
    """Return the place of a group in the order of a seed: a hash of both."""
    return hashlib.sha256(f"{seed}|{group}".encode()).digest()


def assign_groups(table: pd.DataFrame, share: Mapping[str, float], seed: int, labels: LabelSet) -> dict[str, str]:
    """Return the part of each group.

    Args:
        table: Rows of a manifest: ``group``, ``label``, ``source`` and ``findings``.
        share: Part -> share of the images, over 0; they sum to 1.
        seed: Another seed gives another division of the same shares.
        labels: The vocabulary of the findings.
    """
    import pandas as pd

    group, names = pd.factorize(table["group"], sort=True)
    groups, fraction = [str(name) for name in names], np.array(list(share.values()))
    size = np.bincount(group, minlength=len(groups))
    keys = [order_key(name, seed) for name in groups]
    order = sorted(range(len(groups)), key=lambda i: (-size[i], keys[i]))  # the large ones while there is room
    if table["findings"].notna().any():
        chosen = _deal_by_finding(_count_columns(table, group, len(groups), labels), size, order, fraction)
    else:
        chosen = np.array(_deal_by_label(table, group, len(groups), order, fraction))
    parts = list(share)
    return {name: parts[place] for name, place in zip(groups, chosen.tolist(), strict=True)}


def _count_strata(table: pd.DataFrame, group: NDArray[np.intp], groups: int) -> dict[str, NDArray[np.int32]]:
    """Return level -> [G, S] images of each group in each stratum."""
    import pandas as pd

    levels = {
        "label and source": table["label"] + " " + table["source"],
        "label": table["label"],
        "all": pd.Series("", index=table.index),
    }
    counts = {}
    for level, keys in levels.items():
        stratum, strata = pd.factorize(keys, sort=True)
        count = np.bincount(group * len(strata) + stratum, minlength=groups * len(strata))
        counts[level] = count.reshape(groups, len(strata)).astype(np.int32)
    return counts


def _deal_by_label(
    table: pd.DataFrame, group: NDArray[np.intp], groups: int, order: list[int], fraction: NDArray[np.float64]
) -> list[int]:
    """Return the place of each group's part, by label and source.

    A part's target is its share of all groups so far, so that each prefix of the order is divided in proportion.
    """
    counts = _count_strata(table, group, groups)
    amount = np.hstack(list(counts.values())).astype(np.float64)
    weight = np.concatenate([np.full(count.shape[1], _WEIGHTS[level]) for level, count in counts.items()])
    total = np.zeros(amount.shape[1])
    assigned: NDArray[np.float64] = np.zeros((len(fraction), amount.shape[1]))
    places = [0] * groups
    for row in order:
        total += amount[row]
        deficit = fraction[:, None] * total - assigned  # [parts, strata], in images
        chosen = int(np.argmax(deficit @ (weight * amount[row])))
        assigned[chosen] += amount[row]
        places[row] = chosen
    return places


def _stated(table: pd.DataFrame, labels: LabelSet) -> tuple[list[str], NDArray[np.float32]]:
    """Return the findings that the rows' cells name, and what each row states of them [N, F]; see `finding_targets`."""
    import pandas as pd

    texts = table["findings"]
    named = {name for text in texts.dropna().unique() for name in parse_findings(str(text), "findings", labels)}
    findings = [name for name in labels if name in named]
    code, kinds = pd.factorize(table["label"] + "\n" + texts.fillna(""))
    cells = (str(kind).split("\n", 1) for kind in kinds)
    return findings, finding_targets(((label, text or None) for label, text in cells), findings, labels)[code]


def find_holders(table: pd.DataFrame, labels: LabelSet) -> dict[str, NDArray[np.bool_]]:
    """Return which rows have each finding that any cell of the column ``findings`` names, and any row has.

    Args:
        table: N rows of a manifest.
        labels: The vocabulary.

    Returns:
        Label -> [N] whether the row has it.
    """
    if table["findings"].isna().all():
        return {}
    findings, targets = _stated(table, labels)
    return {name: held for name, column in zip(findings, targets.T, strict=True) if (held := column == 1).any()}


def _count_columns(table: pd.DataFrame, group: NDArray[np.intp], groups: int, labels: LabelSet) -> NDArray[np.int32]:
    """Return [G, K] images of each group that have a finding, that are said not to have it, or of a label and source.

    A finding that every image states has no column for its absence, which follows from its presence.
    """
    columns = [_count_strata(table, group, groups)["label and source"]]
    for column in _stated(table, labels)[1].T:
        states = (1, 0) if np.isnan(column).any() else (1,)
        columns += [np.bincount(group[column == state], minlength=groups).astype(np.int32)[:, None] for state in states]
    return np.hstack(columns)


def _deal_by_finding(
    amount: NDArray[np.int32], size: NDArray[np.intp], order: list[int], fraction: NDArray[np.float64]
) -> NDArray[np.intp]:
    """Return the place [G] of each group's part, by iterative stratification over groups.

    Of the columns that still have groups, the one with the fewest is dealt: each of its groups goes to the part that is
    furthest behind its share of what was dealt of the column, and where two are about alike, of all images. Sechidis
    takes the share of the whole column, so that the largest part comes first: with groups of many sizes it would get
    the large ones.
    """
    groups, columns = amount.shape
    places: NDArray[np.intp] = np.full(groups, -1)
    dealt: NDArray[np.float64] = np.zeros((len(fraction), columns + 1))  # the last column: all images
    amount = np.hstack([amount, size[:, None]])
    total = np.zeros(columns + 1)
    rank: NDArray[np.intp] = np.empty(groups, np.intp)
    rank[order] = np.arange(groups)
    holders = {k: np.flatnonzero(amount[:, k]) for k in range(columns)}
    while holders:
        for k in list(holders):
            holders[k] = holders[k][places[holders[k]] < 0]
            if not len(holders[k]):
                del holders[k]
        if not holders:
            break
        rarest = min(holders, key=lambda k: (len(holders[k]), k))
        left = holders.pop(rarest)
        for row in left[np.lexsort((rank[left], -amount[left, rarest]))].tolist():
            total += amount[row]
            behind = fraction * total[rarest] - dealt[:, rarest]
            behind += _WEIGHTS["all"] * (fraction * total[-1] - dealt[:, -1])
            chosen = int(behind.argmax())
            dealt[chosen] += amount[row]
            places[row] = chosen
    return places
