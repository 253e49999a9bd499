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
    """The answers of a model as a pandas table, one row for each image. `Model.predict` returns it.

    Everything that a `pandas.DataFrame` can do works here too. ``attrs`` says which model answered: ``model`` (name and
    version), ``labels`` (in the order of the card) and ``primary`` (the label that the operating point is for).

    The columns, in this order:

    - ``path``: the file, as it was named.
    - ``p_LABEL``: the calibrated probability of each label, 0 to 1; the labels of a row sum to 1.
    - ``decision``: the label that the model decides for; missing where it gives no answer.
    - ``refused``: whether the image is unlike those that the model was calibrated on.
    - ``reason``: why there is no answer; empty where there is one.
    - ``code``: the same as one word for a program, such as ``lateral``; empty where there is an answer.
    - ``warnings``: what to know beside the answer; empty where there is nothing.
    - ``outside_lungs``: whether the model is most active outside the lungs.
    - ``screened``: whether the gatekeeper looked at the image first; without it a model answers about anything.
    - ``audit``: the verdict of the model's newest audit: pass, caution, fail, not identifiable, or not audited.
    - ``ood``: the out-of-distribution score; above the card's limit the image is refused.
    - ``model``: the first 12 digits of the bundle's identity.
    - ``sha256``: of the file, 64 hexadecimal digits.
    - ``seconds``: for reading and running the image.
    - ``error``: why the image could not be read; missing where it could. Its other answers are then missing.

    Example:
        >>> table = ps.load("builtin").predict("images/")
        >>> table[["path", "decision", "p_covid-19"]]
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
