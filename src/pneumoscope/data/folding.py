"""One image, one row: where two sources hold the same file, a merge keeps one row and what both know of it.

V7's annotations are the case: their images are ieee8023's own files. Two rows would count each of them twice, and
would make ``source`` a clue to the label. The row of the manifest that is named first stays; the other fills in what
it lacks, above all the masks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

FILLED = ("view", "sex", "age", "lung_mask", "ignore_mask", "license")
"""Columns that are filled in. Numbers of patients and studies are not: each source counts for itself."""
MASKS = ("lung_mask", "ignore_mask")
_COMPARED = ("view", "sex", "age")


@dataclass(frozen=True)
class Folded:
    """What became of images that several sources hold.

    Args:
        images: ``source/image, as source/image`` for each row that went.
        filled: Column -> images that it was filled in for.
        disagreements: Where the two rows say different things, in words.
    """

    images: tuple[str, ...]
    filled: dict[str, int]
    disagreements: tuple[str, ...]


def fold(table: pd.DataFrame, origin: Sequence[int], roots: Mapping[str, Path]) -> tuple[pd.DataFrame, Folded]:
    """Return the table with one row for each file that several manifests have under the same label.

    A file that one manifest has twice stays twice, and so does one whose labels differ: that is a conflict, to be seen.

    Args:
        table: Rows of all manifests, in the order of the manifests; groups are made already.
        origin: [N] the number of the manifest that each row is from.
        roots: Name -> folder of all of them.

    Returns:
        The table, rows in the same order and with their old index, and an account.
    """
    first: dict[tuple[str, str], int] = {}
    gone: list[int] = []
    images, disagreements = [], []
    filled = dict.fromkeys(FILLED, 0)
    rows = table.to_dict("records")
    for place, row in enumerate(rows):
        kept_at = first.setdefault((row["sha256"], row["label"]), place)
        if origin[kept_at] == origin[place]:
            continue
        kept = rows[kept_at]
        gone.append(place)
        images.append(f"{row['source']}/{row['image']}, as {kept['source']}/{kept['image']}")
        for column in FILLED:
            value = row[column]
            if _known(value) and not _known(kept[column]):
                kept[column] = _qualified(value, row["source"], roots) if column in MASKS else value
                filled[column] += 1
            elif column in _COMPARED and _known(value) and value != kept[column]:
                disagreements.append(
                    f"{kept['source']}/{kept['image']}: {column} {kept[column]}, {row['source']} says {value}"
                )
    result = table.copy()
    for column in FILLED:
        result[column] = [row[column] for row in rows]
    counts = {column: number for column, number in filled.items() if number}
    return result.drop(index=result.index[gone]), Folded(tuple(images), counts, tuple(disagreements))


def _known(value: object) -> bool:
    return value is not None and value == value  # NaN is unlike itself


def _qualified(mask: str, source: str, roots: Mapping[str, Path]) -> str:
    """Return a mask's path with the name of its root, since its new row belongs to another source."""
    name, colon, _ = mask.partition(":")
    return mask if colon and name in roots else f"{source}:{mask}"
