"""Periods, by which studies are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy import select, true

from pneumoscope.server.storage.tables import Study

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Select
    from sqlalchemy.orm import InstrumentedAttribute

    Studies = Select[str, str | None]
    """A query for (study, patient)."""


@dataclass(frozen=True, slots=True)
class Period:
    """Studies received in ``start`` <= time < ``end``, in seconds since 1970; None: no limit."""

    start: float | None = None
    end: float | None = None

    def studies(self) -> Studies:
        """Return the query for the studies of this period and their patients."""
        query = select(Study.id, Study.patient)
        if self.start is not None:
            query = query.where(Study.received >= self.start)
        return query if self.end is None else query.where(Study.received < self.end)


def is_among(study: InstrumentedAttribute[str], studies: Studies) -> ColumnElement[bool]:
    """Return the condition that a row is about one of some studies.

    Args:
        study: The column of the row that names its study.
        studies: The query for the studies; where it has no condition, every row is about one of them.
    """
    return true() if studies.whereclause is None else study.in_(studies.with_only_columns(Study.id))
