"""The table of predictions as a notebook shows it: results in the words of the screens, never a bare "normal"."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pandas as pd

from pneumoscope.bundle.card import Card
from pneumoscope.bundle.prediction import columns, result_words
from pneumoscope.core.labels import display_name
from pneumoscope.core.notebook import html_disclaimer, html_heading, html_table, html_text

SHOWN = 50
"""Rows that a notebook shows; the rest is counted."""


class PredictionTable(pd.DataFrame):
    """A pandas table of predictions, one row an image, with the columns of `bundle.prediction.columns`.

    ``attrs`` say which model answered: ``model``, ``labels``, ``primary``.
    """

    @property
    def _constructor(self) -> Callable[..., PredictionTable]:
        return PredictionTable

    @classmethod
    def of(cls, rows: list[dict[str, Any]], card: Card) -> PredictionTable:
        """Return the table of some rows.

        Args:
            rows: As `Prediction.row` gives them.
            card: Of the model that answered.

        Returns:
            The table, with ``attrs``.
        """
        table = cls(rows, columns=list(columns(card.label_names)))
        table.attrs = {
            "model": f"{card.name} {card.version}",
            "labels": list(card.label_names),
            "primary": card.primary,
        }
        return table

    def _repr_html_(self) -> str | None:
        """Return results in words, with the primary label's score; as any table where columns were left out."""
        labels = self.attrs.get("labels", [])
        if not labels or not set(columns(labels)) <= set(self.columns):
            return pd.DataFrame(self)._repr_html_()  # type: ignore[operator, no-any-return]
        primary = self.attrs["primary"]
        rows = [
            (
                row["path"],
                result_words(row["decision"], row["error"]),
                None if row[f"p_{primary}"] is None else f"{row[f'p_{primary}']:.3f}",
                row["error"] or row["reason"],
            )
            for row in self._rows(SHOWN)
        ]
        more = html_text(f"and {len(self) - SHOWN} more") if len(self) > SHOWN else ""
        head = ("image", "result", f"score of {display_name(primary)}", "why there is no answer")
        return html_heading(self.attrs["model"]) + html_table(head, rows) + more + html_disclaimer()

    def _rows(self, most: int) -> list[dict[str, Any]]:
        """Return the first rows with None for what is missing, where pandas has NaN."""
        records = self.head(most).to_dict("records")
        return [{str(name): None if pd.isna(value) else value for name, value in row.items()} for row in records]
