"""CheckContext without files: rows and pairs as a test says them, all else ordinary."""

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
    """``context(rows, pairs, facts)``: each row as a mapping of what is not ordinary, pairs as (first, second, r)."""

    def build(
        rows: Sequence[Row], pairs: Sequence[tuple[int, int, float]] = (), facts: Sequence[Row] | None = None
    ) -> CheckContext:
        manifest = Manifest.from_rows([make_row(number, **row) for number, row in enumerate(rows)], {})
        ordinary = [FileFacts(format="png", mean=0.5, commonest=0.1, sha256=sha256) for sha256 in manifest.table.sha256]
        table = pd.DataFrame(
            [
                {field.name: getattr(fact, field.name) for field in fields(FileFacts)} | said
                for fact, said in zip(ordinary, facts or [{}] * len(rows), strict=True)
            ]
        ).astype({"quality": np.float64})
        labels = tuple(manifest.table.label)
        return CheckContext(manifest, labels, table, tuple(Pair(*pair) for pair in pairs))

    return build
