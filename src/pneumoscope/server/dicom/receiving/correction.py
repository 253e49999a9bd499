"""A corrected header: the same image comes again, and names another patient or examination than before.

So archives correct a wrong worklist entry or merge two patients. The newest word counts: the sealed header, the study's
patient and what is sealed of the examination become what it says, the results are retracted, and they are made again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import delete, select

from pneumoscope.server.dicom.receiving.retraction import arrive_again
from pneumoscope.server.inference import queue
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.storage.database import Store
from pneumoscope.server.storage.tables import ArchivedObject, ExamIdentity, Identity, Image, Study
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies.patients import join_person, match_person
from pneumoscope.server.uploads.deidentify import DecodedUpload
from pneumoscope.server.uploads.headers import ObjectHeader

_WATCHED = (
    *("00100020", "00100021", "00100010", "00100030", "00100040"),  # patient: number, issuer, name, birth date, sex
    *("00080050", "00080020", "00080030", "00200010", "00080090"),  # study: accession, date, time, id, referrer
)
"""Tags of DICOM JSON that say who was examined, when and for whom; others may change on the way."""
_STUDY = "0020000D"


@dataclass(frozen=True, slots=True)
class HeaderCorrection:
    """An image with another header than before."""

    key: str
    """See `ArchivedObject`."""
    content: str
    header: ObjectHeader
    decoded: DecodedUpload
    models: Sequence[str]
    """Identities of the models that are asked again, where what they know of the image has changed."""


def find_changes(store: Store, session: Transaction, key: str, header: ObjectHeader) -> frozenset[str]:
    """Return the tags in which a header differs from the kept one of the same object, of those that count.

    Args:
        store: The store.
        session: A transaction.
        key: See `ArchivedObject`.
        header: As it is now.
    """
    session.write_appended()
    row = session.get(ArchivedObject, key)
    if row is None:
        return frozenset()
    kept = json.loads(store.secret.unseal_bytes(row.sealed, key))
    sent = json.loads(header.json)
    return frozenset(tag for tag in (_STUDY, *_WATCHED) if _value(kept, tag) != _value(sent, tag))


def is_other_study(changes: frozenset[str]) -> bool:
    """Return whether an image names another study than before, to which it can't be moved."""
    return _STUDY in changes


def correct(store: Store, session: Transaction, correction: HeaderCorrection, account: str, address: str) -> str:
    """Write a corrected header down; return the study.

    Args:
        store: The store.
        session: A transaction that is exclusive.
        correction: What came.
        account: The peer, as in rows.
        address: Its network address.
    """
    key, decoded = correction.key, correction.decoded
    row = session.get_one(ArchivedObject, key)
    row.sealed = store.secret.seal_bytes(correction.header.json.encode(), key)
    row.content = correction.content
    _set_identity(store, session, row.study, decoded)
    image = session.get_one(Image, row.image)
    if image.facts != decoded.facts:
        image.facts = decoded.facts
        session.flush()
        queue.enqueue(store, session, [(row.study, row.image)], correction.models, account)
    arrive_again(session, row.study)
    session.studies.clear()  # what was looked up of patients holds no more
    audit_log.record(session, AuditEntry(account, "C-STORE of a corrected header", row.study, address, status=200))
    return row.study


def _set_identity(store: Store, session: Transaction, study: str, decoded: DecodedUpload) -> None:
    """Make the study that of the patient whom the file names, and forget a patient who has no other study."""
    exam, row = decoded.exam, session.get_one(Study, study)
    assert exam is not None  # a DICOM file
    person, former = exam.person(), row.patient
    row.patient = None if person is None else join_person(store, session, person, match_person(store, session, person))
    session.merge(ExamIdentity(study=study, sealed=store.secret.seal(exam.exam_identity(), study)))
    session.flush()
    if former != row.patient and session.scalar(select(Study.id).where(Study.patient == former).limit(1)) is None:
        session.execute(delete(Identity).where(Identity.patient == former))


def _value(header: dict[str, Any], tag: str) -> Any:
    """Return the value of an element; an absent one is as an empty one."""
    return header.get(tag, {}).get("Value") or None
