"""Erasing studies, and removing what a crash or an unreachable folder left of erased ones."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import delete, func, select
from sqlalchemy.exc import SQLAlchemyError

from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.storage import blobs, export_ledger
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import (
    Event,
    Identity,
    Image,
    KeptFile,
    QuarantinedObject,
    ResultObject,
    StoredPrediction,
    Study,
)
from pneumoscope.server.studies.priors import PRIORS, find_unneeded


@dataclass(frozen=True, slots=True)
class Erasure:
    """What was erased."""

    studies: int
    images: int
    predictions: int
    exports_cleared: tuple[str, ...]
    """Numbers of the exports that lost their copies."""
    exports_unreached: tuple[str, ...]
    """Numbers of the exports whose folder could not be reached; every later erasure tries again."""


def erase(store: Store, studies: Sequence[str], entries: Sequence[AuditEntry] = ()) -> Erasure:
    """Erase studies with their images, predictions, heatmaps, reads and identities; return what was erased.

    What was fetched for them alone goes with them. A patient without a further study is forgotten too, and exports that
    can be reached lose their copies. What was deleted leaves the database's files as well (`Store.clear_erased`). The
    audit log keeps the opaque numbers.

    Args:
        store: The store.
        studies: Their numbers.
        entries: Lines of the audit log that are written in the same transaction.
    """
    with store.write() as session:
        store.lock_exclusive(session)
        audit_log.record_all(session, entries)
        fetched = sorted(set(find_unneeded(session, studies)) - set(studies)) if studies else []
        lines = [AuditEntry(PRIORS, "DELETE /api/studies/{study}", study) for study in fetched]
        audit_log.record_all(session, lines)
        studies = [*studies, *fetched]
        images = list(session.scalars(select(Image.id).where(Image.study.in_(studies))))
        apart = list(session.scalars(select(QuarantinedObject.id).where(QuarantinedObject.study.in_(studies))))
        kept = list(session.scalars(select(KeptFile.blob).where(KeptFile.study.in_(studies))))
        made = list(session.scalars(select(ResultObject.blob).where(ResultObject.study.in_(studies))))
        predictions = session.scalar(
            select(func.count()).select_from(StoredPrediction).where(StoredPrediction.study.in_(studies))
        )
        patients = set(session.scalars(select(Study.patient).where(Study.id.in_(studies)))) - {None}
        session.execute(delete(Event).where(Event.study.in_(studies)))
        export_ledger.mark_erased(session, studies)
        session.execute(delete(Study).where(Study.id.in_(studies)))
        remaining = set(session.scalars(select(Study.patient).where(Study.patient.in_(patients))))
        session.execute(delete(Identity).where(Identity.patient.in_(patients - remaining)))
        session.add_all(Event(kind="study", study=study, subject=study, state="erased", at=now()) for study in studies)
    for image in (*images, *apart, *kept, *made):
        blobs.delete(store.settings.files, image)
    try:
        store.clear_erased()
    except SQLAlchemyError as error:  # the rows are gone; a full disk or a busy database must not hide that
        logging.getLogger(__name__).warning(
            "erased rows may still be in the database's files: %s", type(error).__name__
        )
    exports = export_ledger.clear(store)
    return Erasure(len(studies), len(images), predictions or 0, exports.reached, exports.unreached)


def remove_leftovers(store: Store) -> int:
    """Remove files that no row names, and what exports still hold of erased studies; return how many files."""
    export_ledger.clear(store)

    def has_row(image: str) -> bool:
        with store.read() as session:
            if session.get(Image, image) is not None or session.get(QuarantinedObject, image) is not None:
                return True
            if session.scalar(select(KeptFile.key).where(KeptFile.blob == image)) is not None:
                return True
            return session.scalar(select(ResultObject.sop_uid).where(ResultObject.blob == image)) is not None

    return blobs.remove_orphans(store.settings.files, has_row)
