"""Reference results: what a test other than the radiograph found, entered beside the reads of a study."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

from sqlalchemy import select

from pneumoscope.server.errors import ForbiddenError
from pneumoscope.server.reading.reads import withheld_reason
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import Reference
from pneumoscope.server.studies.lookup import get_study
from pneumoscope.server.studies.priors import check_not_prior


@dataclass(frozen=True, slots=True)
class NewReference:
    """A reference result as it is entered."""

    standard: str
    label: str
    date: date


def add_reference(store: Store, study: str, entered: NewReference, account: str) -> Reference:
    """Add a reference result; its date is stored sealed. A correction is entered beside what it corrects.

    Raises:
        NotFoundError: There is no such study.
        ConflictError: The study was fetched for comparison alone.
    """
    number = new_id()
    row = Reference(
        id=number,
        study=study,
        standard=entered.standard,
        label=entered.label,
        sealed=store.secret.seal({"date": entered.date.isoformat()}, number),
        by=account,
        at=now(),
    )
    with store.write() as session:
        check_not_prior(get_study(session, study), "a reference result")
        session.add(row)
    return row


def list_references(store: Store, study: str, reader: str) -> Sequence[Reference]:
    """Return the reference results of a study, the oldest first.

    Raises:
        NotFoundError: There is no such study.
        ForbiddenError: The reader's own unaided read is not locked yet.
    """
    with store.read() as session:
        get_study(session, study)
        if why := withheld_reason(session, store.settings, study, reader):
            raise ForbiddenError("the reference results", f"are withheld: {why}.", code="withheld")
        return session.scalars(select(Reference).where(Reference.study == study).order_by(Reference.at)).all()


def read_date(store: Store, row: Reference) -> str | None:
    """Return the date of a reference result, ISO 8601, for those who may see dates."""
    date_text: str | None = store.secret.unseal(row.sealed, row.id).get("date")
    return date_text
