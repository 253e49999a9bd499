"""The rule that chooses the epoch whose weights a run keeps."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Literal

from pneumoscope.core.frozen import Frozen


class Selection(Frozen):
    """Which epoch's weights are kept."""

    metric: Literal[
        "validation_loss", "validation_accuracy", "validation_balanced_accuracy", "validation_auroc", "last"
    ] = "validation_loss"

    @property
    def mode(self) -> Literal["min", "max"]:
        """Whether less is better."""
        return "min" if self.metric == "validation_loss" else "max"

    def value_of(self, row: Mapping[str, float]) -> float:
        """Return the figure of an epoch by which it is chosen: for ``last`` its number; NaN if the row has none."""
        return row["epoch"] if self.metric == "last" else row.get(self.metric, math.nan)

    def is_better(self, row: Mapping[str, float], best: Mapping[str, float] | None) -> bool:
        """Return whether an epoch replaces the best one so far.

        Of epochs with equal figures the one of lower validation loss is kept; of equals in both, the first.

        Args:
            row: The epoch's figures, as in ``metrics.csv``.
            best: Those of the best epoch so far; None if no epoch had a finite figure.
        """
        if not math.isfinite(value := self.value_of(row)):
            return False
        if best is None or value != (best_value := self.value_of(best)):
            return best is None or (value < best_value if self.mode == "min" else value > best_value)
        loss, best_loss = (one.get("validation_loss", math.nan) for one in (row, best))
        return math.isfinite(loss) and not loss >= best_loss

    def best_epoch(self, rows: Iterable[Mapping[str, float]]) -> int | None:
        """Return the number of the epoch whose weights are kept; None if no epoch has a finite figure.

        Args:
            rows: A row an epoch, as in ``metrics.csv``.
        """
        best: Mapping[str, float] | None = None
        for row in rows:
            if self.is_better(row, best):
                best = row
        return None if best is None else int(best["epoch"])
