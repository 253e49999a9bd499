"""The subgroups of patients that a table of radiographs can tell: by age, sex, view, source and maker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_AGES = ((0, 18, "children"), (18, 40, "18 to 39 years"), (40, 65, "40 to 64 years"), (65, 200, "65 years and more"))
_AP = ("AP", "AP Supine")


def number_comparisons(subgroups: Sequence[tuple[NDArray[np.bool_], NDArray[np.bool_]]]) -> list[int]:
    """Return a number for each comparison of a subgroup with the others; the same two sets of images have the same.

    Men against women is the comparison of women against men, and counts once where p-values are adjusted.

    Args:
        subgroups: For each, [N] who is in it and [N] who is known to be in it or not.
    """
    numbers: dict[frozenset[bytes], int] = {}
    sides = (frozenset({(inside & known).tobytes(), (known & ~inside).tobytes()}) for inside, known in subgroups)
    return [numbers.setdefault(side, len(numbers)) for side in sides]


def subgroups_of(table: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield each subgroup's name, [N] who is in it and [N] who is known to be in it or not.

    Args:
        table: Rows of a manifest.
    """
    age = table["age"].to_numpy(dtype=np.float64)
    for low, high, name in _AGES:
        yield f"age: {name}", (age >= low) & (age < high), ~np.isnan(age)
    for column in ("sex", "view", "source", "manufacturer"):
        known = table[column].notna().to_numpy(dtype=np.bool_)
        for value in sorted(table[column].dropna().unique()):
            yield f"{column}: {value}", (table[column] == value).to_numpy(dtype=np.bool_), known
    if set(_AP) <= set(table["view"].dropna()):  # else it is one of the views above
        known = table["view"].notna().to_numpy(dtype=np.bool_)
        yield "view: AP, upright or supine", table["view"].isin(_AP).to_numpy(dtype=np.bool_), known
