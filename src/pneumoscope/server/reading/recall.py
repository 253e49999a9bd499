"""The recall of a model: which patients it has answered for, and who saw the answers."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.inference.models import SHORT, Catalogue
from pneumoscope.server.reading.shown import find_readers, record_display
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import StoredPrediction, Study


@dataclass(frozen=True, slots=True)
class RecalledAnswer:
    """An answer of a model, with the patient and the readers who saw it."""

    prediction: StoredPrediction
    patient: str | None
    """Pseudonym; None where the file named no patient."""
    readers: tuple[str, ...]


def find_identity(store: Store, catalogue: Catalogue, model: str) -> str:
    """Return the identity of a model that is here, or was when it answered: a recall must reach both.

    Raises:
        NotFoundError: No model and no answer has this number, or several have.
    """
    try:
        return catalogue.get(model).identity
    except NotFoundError:
        with store.read() as session:
            column = StoredPrediction.model
            query = select(column).where(column.startswith(model, autoescape=True)).distinct()
            identities = session.scalars(query).all() if len(model) >= SHORT else []
        if len(identities) != 1:
            raise
        return identities[0]


def list_answers(store: Store, model: str, reader: str, *, limit: int, offset: int) -> list[RecalledAnswer]:
    """Return the answers of a model, the newest first, and record that they are shown to the reader.

    Args:
        store: The store.
        model: The model's identity, whole.
        reader: Id of the account that asks.
        limit: How many, at most.
        offset: How many of the newest to pass over.
    """
    with store.write() as session:
        rows = session.execute(
            select(StoredPrediction, Study.patient)
            .join(Study, Study.id == StoredPrediction.study)
            .where(StoredPrediction.model == model, StoredPrediction.state == "done")
            .order_by(StoredPrediction.finished.desc(), StoredPrediction.id)
            .limit(limit)
            .offset(offset)
        ).all()
        readers = find_readers(session, [prediction.id for prediction, _ in rows])
        record_display(session, [prediction for prediction, _ in rows], reader, "list")
    return [
        RecalledAnswer(prediction, patient, tuple(sorted(readers.get(prediction.id, ()))))
        for prediction, patient in rows
    ]
