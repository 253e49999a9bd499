"""Who was examined: pseudonyms of patients, and the sealed identities behind them."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select

from pneumoscope.server.errors import NotFoundError
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ExamIdentity, Identity, Study
from pneumoscope.server.studies.lookup import get_study


@dataclass(frozen=True, slots=True)
class StudyIdentity:
    """Who was examined, and when, as the file said it; None where it said nothing."""

    patient: dict[str, str] | None
    examination: dict[str, str] | None


def patient_key(store: Store, issuer: str, patient_id: str) -> str:
    """Return the key of a patient: PatientID is unique under its issuer only (PS3.3 C.7.1.1)."""
    return store.secret.lookup_key("patient", issuer, patient_id)


def find_pseudonym(store: Store, issuer: str, patient_id: str) -> str:
    """Return the pseudonym of the patient with this number.

    Raises:
        NotFoundError: No study is this patient's.
    """
    with store.read() as session:
        row = session.get(Identity, patient_key(store, issuer, patient_id))
    if row is None:
        raise NotFoundError("patient")
    return row.patient


def studies_of(store: Store, patient: str) -> list[str]:
    """Return the numbers of the studies of a pseudonym.

    Raises:
        NotFoundError: There is none.
    """
    with store.read() as session:
        numbers = list(session.scalars(select(Study.id).where(Study.patient == patient)))
    if not numbers:
        raise NotFoundError("patient")
    return numbers


def identity_of(store: Store, study: str) -> StudyIdentity:
    """Return the unsealed identity of a study; the caller has checked that the account may see names.

    Raises:
        NotFoundError: There is no such study.
    """
    with store.read() as session:
        row = get_study(session, study)
        exam = session.get(ExamIdentity, study)
        person = session.scalar(select(Identity).where(Identity.patient == row.patient))
    unseal = store.secret.unseal
    return StudyIdentity(
        patient=None if person is None else unseal(person.sealed, person.key),
        examination=None if exam is None else unseal(exam.sealed, study),
    )
