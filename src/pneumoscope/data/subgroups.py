"""The subgroups of patients that a table of radiographs can tell: by age, sex, view, portable exposure and source."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

_AGES = ((0, 18, "children"), (18, 40, "18 to 39 years"), (40, 65, "40 to 64 years"), (65, 200, "65 years and more"))
_PORTABLE = ("AP", "AP Supine")


def subgroups_of(table: pd.DataFrame) -> Iterator[tuple[str, NDArray[np.bool_], NDArray[np.bool_]]]:
    """Yield each subgroup's name, [N] who is in it and [N] who is known to be in it or not.

    Args:
        table: Rows of a manifest.
    """
    age = table["age"].to_numpy(dtype=np.float64)
    for low, high, name in _AGES:
        yield f"age: {name}", (age >= low) & (age < high), ~np.isnan(age)
    for column in ("sex", "view", "source"):
        known = table[column].notna().to_numpy(dtype=np.bool_)
        for value in sorted(table[column].dropna().unique()):
            yield f"{column}: {value}", (table[column] == value).to_numpy(dtype=np.bool_), known
    known = table["view"].notna().to_numpy(dtype=np.bool_)
    yield "portable exposure (AP)", table["view"].isin(_PORTABLE).to_numpy(dtype=np.bool_), known
