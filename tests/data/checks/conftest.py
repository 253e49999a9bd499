"""Check contexts without files: a test gives rows and pairs; other values have defaults."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import fields
from typing import Any

import numpy as np
import pandas as pd
import pytest

from pneumoscope.data.checks.context import CheckContext
from pneumoscope.data.checks.file_facts import FileFacts
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.similarity import Pair

Row = dict[str, Any]


@pytest.fixture
def context(make_row: Callable[..., Row]) -> Callable[..., CheckContext]:
    """A function ``context(rows, pairs, facts)``: rows as mappings of changed columns, pairs as (first, second, r)."""

    def build(
        rows: Sequence[Row], pairs: Sequence[tuple[int, int, float]] = (), facts: Sequence[Row] | None = None
    ) -> CheckContext:
        manifest = Manifest.from_rows([make_row(number, **row) for number, row in enumerate(rows)], {})
        defaults = [FileFacts(format="png", mean=0.5, commonest=0.1, sha256=sha256) for sha256 in manifest.table.sha256]
        table = pd.DataFrame(
            [
                {field.name: getattr(fact, field.name) for field in fields(FileFacts)} | values
                for fact, values in zip(defaults, facts or [{}] * len(rows), strict=True)
            ]
        ).astype({"quality": np.float64})
        labels = tuple(manifest.table.label)
        return CheckContext(manifest, labels, table, tuple(Pair(*pair) for pair in pairs))

    return build
