"""The findings of a manifest's rows: as targets of all findings, and as one yes-or-no question for each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from pneumoscope.core.labels import absent_name
from pneumoscope.data.columns import TEXT
from pneumoscope.data.label_rows import LabelRows
from pneumoscope.data.manifest import Manifest


def label_rows(manifest: Manifest) -> LabelRows:
    """Return the columns of a manifest that decide what a recipe can learn from it."""
    table = manifest.table
    return LabelRows(
        table["label"].tolist(),
        table["split"].fillna("").tolist(),
        table["group"].tolist(),
        vocabulary=manifest.labels,
        findings=[None if pd.isna(cell) else str(cell) for cell in table.findings],
    )


def manifest_targets(manifest: Manifest, classes: Sequence[str]) -> NDArray[np.float32]:
    """Return what each row of a manifest states of each finding.

    Args:
        manifest: N rows.
        classes: C labels.

    Returns:
        [N, C] float32: 1 present, 0 absent, NaN unknown.
    """
    return label_rows(manifest).targets(classes)


def select_cases(
    manifest: Manifest, finding: str, target: NDArray[np.float32] | None = None
) -> tuple[Manifest, NDArray[np.bool_]]:
    """Return the rows that state a finding, with the answer as their label.

    Args:
        manifest: N rows.
        finding: A label.
        target: Its column [N] of `manifest_targets`, where that was read for all findings at once; None reads it.

    Returns:
        The rows that state it, with it or `core.labels.absent_name` of it as label, and [N] which rows these are.
    """
    if target is None:
        target = manifest_targets(manifest, [finding])[:, 0]
    stated: NDArray[np.bool_] = ~np.isnan(target)
    chosen = manifest.where(stated)
    labels = pd.array(np.where(target[stated] == 1, finding, absent_name(finding)), dtype=TEXT)
    return replace(chosen, table=chosen.table.assign(label=labels)), stated
