"""The views and ages on a card, counted by hand."""

from __future__ import annotations

import pandas as pd

from pneumoscope.export.population import count_population


def test_views_and_ages_are_counted() -> None:
    table = pd.DataFrame({"view": ["PA", "PA", "AP", None, "L"], "age": [4.0, 17.9, 18.0, None, 60.0]})
    population = count_population(table)
    assert population.views == {"AP": 1, "L": 1, "PA": 2, "unknown": 1}
    assert population.ages == {"adult": 2, "child": 2, "unknown": 1}
