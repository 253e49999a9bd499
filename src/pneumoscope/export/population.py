"""Count whom and what the training images show, so that a model refuses what it has never met."""

from __future__ import annotations

import pandas as pd

from pneumoscope.bundle.card import Population
from pneumoscope.core.labels import ADULT_AGE

UNKNOWN = "unknown"


def count_population(table: pd.DataFrame) -> Population:
    """Return the views and ages of the training images.

    Args:
        table: Their rows of a manifest, with ``view`` and ``age`` in years.
    """
    views = table["view"].fillna(UNKNOWN).value_counts()
    ages = table["age"].map(_age_group).value_counts()
    return Population(
        views={str(name): int(count) for name, count in sorted(views.items())},
        ages={str(name): int(count) for name, count in sorted(ages.items())},
    )


def _age_group(age: float) -> str:
    return UNKNOWN if pd.isna(age) else "child" if age < ADULT_AGE else "adult"
