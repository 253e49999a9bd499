"""A reader's own labels of studies, such as "for the seminar": to find them again.

A label is its reader's alone. Others don't see it, because it could tell them what the study shows before their own
read. It is free text, in which a name can stand, so it is sealed; equal labels of a reader have the same key, by which
lists are filtered.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import ReaderLabel
from pneumoscope.server.studies.lookup import get_study
from pneumoscope.server.studies.search_text import SHORTEST, clean_text, fold_text


@dataclass(frozen=True, slots=True)
class OwnLabel:
    """A label of one reader."""

    key: str
    """The same for equal labels of this reader, whatever their case."""
    text: str
    studies: int = 1
    """How many studies have it."""


def set_label(store: Store, session: Session, study: str, reader: str, text: str) -> OwnLabel | None:
    """Give a study a reader's own label, in place of the one before; an empty text takes it away.

    Args:
        store: The store.
        session: A transaction.
        study: The study.
        reader: Number of the account.
        text: The label; it becomes one line without signs that no one sees.

    Raises:
        NotFoundError: There is no such study.
    """
    get_study(session, study)
    text = clean_text(text)
    row = session.get(ReaderLabel, (study, reader))
    if not text:
        if row is not None:
            session.delete(row)
        return None
    key = store.secret.lookup_key("label", reader, fold_text(text))
    if row is None:
        row = ReaderLabel(study=study, reader=reader)
        session.add(row)
    row.key, row.at = key, now()
    row.sealed = store.secret.seal({"text": text}, _row_of(study, reader))
    return OwnLabel(key, text)


def labels_of(store: Store, session: Session, studies: Sequence[str], reader: str) -> dict[str, OwnLabel]:
    """Return a reader's own labels of studies, by study; studies without one are left out."""
    rows = session.scalars(select(ReaderLabel).where(ReaderLabel.reader == reader, ReaderLabel.study.in_(studies)))
    return {row.study: OwnLabel(row.key, _text_of(store, row)) for row in rows}


def list_labels(store: Store, reader: str) -> list[OwnLabel]:
    """Return a reader's own labels in the order of the alphabet, each with the number of its studies."""
    with store.read() as session:
        newest = select(ReaderLabel.key, func.count().label("n"), func.max(ReaderLabel.study).label("study"))
        groups = newest.where(ReaderLabel.reader == reader).group_by(ReaderLabel.key).subquery()
        query = select(ReaderLabel, groups.c.n).join(groups, ReaderLabel.study == groups.c.study)
        rows = session.execute(query.where(ReaderLabel.reader == reader)).all()
    labels = [OwnLabel(row.key, _text_of(store, row), count) for row, count in rows]
    return sorted(labels, key=lambda label: fold_text(label.text))


def search_labels(store: Store, text: str, reader: str) -> list[OwnLabel]:
    """Return a reader's own labels that have this text in them; a text that is too short finds none.

    Args:
        store: The store.
        text: Compared by `fold_text`.
        reader: Number of the account.
    """
    wanted = fold_text(text)
    if len(wanted) < SHORTEST:
        return []
    return [label for label in list_labels(store, reader) if wanted in fold_text(label.text)]


def _text_of(store: Store, row: ReaderLabel) -> str:
    return str(store.secret.unseal(row.sealed, _row_of(row.study, row.reader))["text"])


def _row_of(study: str, reader: str) -> str:
    return f"{study} {reader}"
