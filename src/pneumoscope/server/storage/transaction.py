"""One transaction: a session of the database, with what its changes plan and have looked up together.

Several changes share one transaction (`group_commit`). What one of them plans to add is no row yet, and the next change
must know it all the same: how many predictions wait, which files came just before. The fields below hold exactly that;
they end with the transaction, committed or not.
"""

from __future__ import annotations

from collections.abc import Mapping

from sqlalchemy import Engine
from sqlalchemy.orm import Session

from pneumoscope.server.storage.tables import Base, Event, table_of

_ORDER = {table.name: place for place, table in enumerate(Base.metadata.sorted_tables)}
"""The place of each table, parents before children."""
_Group = tuple[type[Base], tuple[str, ...]]
"""A table and the columns that are given."""


class Transaction(Session):
    """A session of one transaction."""

    def __init__(self, engine: Engine) -> None:
        super().__init__(engine, expire_on_commit=False)
        self.event_states: set[str] = set()
        """States of the events that this transaction has written."""
        self.queue_depth: int | None = None
        """Predictions that wait or run, those that this transaction adds among them; None: not counted yet."""
        self.switched_off: dict[str, bool] = {}
        """Whether a model, by its identity, is switched off; as far as it was looked up."""
        self.images: dict[str, tuple[str, str]] = {}
        """Image and study of each source (see `tables.Image.source`) that was looked up or is added."""
        self.studies: dict[str, tuple[str, str | None]] = {}
        """Study and patient's key of each study key (see `tables.Study.key`) that was looked up or is added."""
        self.objects: dict[str, tuple[str, str]] = {}
        """Study and hash of the pixels of each object (by `tables.ArchivedObject.key`) that this transaction adds."""
        self._rows: dict[_Group, list[Mapping[str, object]]] = {}

    def append(self, table: type[Base], values: Mapping[str, object]) -> None:
        """Add a row at the end of this transaction, together with all others of its table.

        For rows that nothing in the transaction reads again; a hundred cost little more than one.

        Args:
            table: Its class.
            values: By column; a column without a default must be there.
        """
        self._rows.setdefault((table, tuple(values)), []).append(values)

    def write_appended(self) -> None:
        """Write what `append` was given so far, parents before children; for a reader in this same transaction."""
        rows, self._rows = self._rows, {}
        if not rows:
            return
        self.flush()
        connection = self.connection()
        for table, columns in sorted(rows, key=lambda group: _ORDER[group[0].__tablename__]):
            group = rows[table, columns]
            connection.execute(table_of(table).insert(), group)
            if table is Event:
                self.event_states.update(str(row["state"]) for row in group)
