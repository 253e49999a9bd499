"""Stored answers as DICOM objects, for those who may see both the answer and the patient."""

from __future__ import annotations

from sqlalchemy import select

from pneumoscope.server.dicom.objects import load_header
from pneumoscope.server.dicom.report import write_report
from pneumoscope.server.errors import ConflictError, ForbiddenError, NotFoundError
from pneumoscope.server.inference.models import Catalogue
from pneumoscope.server.reading.answers import show_prediction
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ArchivedObject, Image


def export_report(store: Store, catalogue: Catalogue, prediction: str, reader: str) -> bytes:
    """Return an answer as a structured report (a DICOM file), and record that it is shown.

    Args:
        store: The store.
        catalogue: The models of this server.
        prediction: Number of the answer.
        reader: Id of the account, which may see names.

    Raises:
        NotFoundError: There is no such answer, its image did not come from a DICOM peer, or its model is gone.
        ForbiddenError: The reader may not see the answer yet.
        ConflictError: The answer is not there yet.
        MissingExtraError: highdicom is not installed.
    """
    with store.write() as session:
        answer = show_prediction(session, store.settings, prediction, reader)
        if answer.withheld is not None:
            raise ForbiddenError("the answer", f"is withheld: {answer.withheld}.", code="withheld")
        if answer.result is None:
            raise ConflictError("the answer", "is not there yet.", "Ask again when it is.")
        image = answer.row.image
        row = session.execute(
            select(ArchivedObject.key, ArchivedObject.sealed, Image.sha256)
            .join(Image, Image.id == ArchivedObject.image)
            .where(ArchivedObject.image == image)
            .order_by(ArchivedObject.received)
        ).first()
    if row is None:
        raise NotFoundError(
            "report",
            "needs the header of a DICOM object.",
            "It is kept of objects that a DICOM peer sent to this server.",
        )
    model = catalogue.get(answer.row.model)
    header = load_header(store.secret.unseal_bytes(row.sealed, row.key).decode())
    finished = answer.row.finished
    assert finished is not None  # an answer with a result
    return write_report(header, model.card, model.identity, answer.result, row.sha256, finished)
