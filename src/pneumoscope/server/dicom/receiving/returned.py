"""What comes back: own results that an archive routes to all its peers, and notes that reject images.

An own result that comes back is answered with success and dropped: it is here, with the same UID. A failure would stay
in the archive's queue and be sent again for ever. No object of these classes is ever analysed.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial

from sqlalchemy import insert, select, update
from sqlalchemy.exc import SQLAlchemyError

from pneumoscope.core.errors import ImageError, PneumoscopeError
from pneumoscope.server.dicom.objects.sop_classes import CAPTURE, KEY_OBJECTS, WRITTEN
from pneumoscope.server.dicom.receiving.receive import FAILED, NEVER_ANALYSED, NO_IMAGE, SUCCESS, Receipt, Sender
from pneumoscope.server.dicom.receiving.refused import RefusedUids
from pneumoscope.server.dicom.receiving.retraction import retract, retract_own
from pneumoscope.server.dicom.results.rejection import RejectionNote, read_note
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import ArchivedObject, RejectedObject, ResultObject, table_of
from pneumoscope.server.storage.transaction import Transaction

RETURNED = {uid: written.name for uid, written in WRITTEN.items()}
"""SOP classes of what this program writes, by UID: they are taken back, and notes of the last one are obeyed."""
_PORTION = 500
"""References of a note that are written in one transaction, since no other writer goes on meanwhile."""
_REJECTED = table_of(RejectedObject)
_NOT_ANALYSED = "A secondary capture is not analysed."
_NOT_OWN = "It is a result, and none of this server's."


class ReturnedObjects:
    """Takes back what this program wrote, and obeys rejection notes."""

    def __init__(self, store: Store, refused: RefusedUids) -> None:
        """Set whose results they are.

        Args:
            store: Of the server.
            refused: Keeps the UIDs of what is refused.
        """
        self._store, self._refused = store, refused

    def receive(self, sop_class: str, sop_uid: str, read: Callable[[], bytes], sender: Sender) -> Receipt:
        """Take an object of one of the classes of `RETURNED`.

        Args:
            sop_class: Its class.
            sop_uid: Its SOPInstanceUID.
            read: Returns it as a file (PS3.10); an own result is not read.
            sender: The peer.
        """
        with self._store.read() as session:
            known = session.get(ResultObject, sop_uid)
        if known is not None:
            self._record(sender, [known.study], "C-STORE of an own result", 200)
            return Receipt(SUCCESS, study=known.study)
        if sop_class != KEY_OBJECTS:
            return self._refuse(sender, _NOT_ANALYSED if sop_class == CAPTURE else _NOT_OWN)
        try:
            note = read_note(read())
            if note is None:
                return self._refuse(sender, "It is no rejection note.")
            self._obey(note, sender)
        except PneumoscopeError as error:
            logging.getLogger(__name__).error("a rejection note could not be obeyed: %s", type(error).__name__)
            status = NO_IMAGE if isinstance(error, ImageError) else FAILED
            with suppress(SQLAlchemyError, OSError):  # the peer still gets its answer
                self._record(sender, [""], sender.refusal(status), 422 if status == NO_IMAGE else 500)
            return Receipt(status, f"{error.problem} {error.way_out}".strip())
        return Receipt(SUCCESS)

    def _obey(self, note: RejectionNote, sender: Sender) -> None:
        """Write down what is rejected, so that no result is made of it; then retract the results that rest on it.

        A note that is cut short by a crash was not answered, and is sent again.
        """
        sop_uids = sorted(note.sop_uids)
        images: dict[str, set[str]] = {}
        studies: set[str] = set()
        for start in range(0, len(sop_uids), _PORTION):
            write = partial(self._reject, sop_uids=sop_uids[start : start + _PORTION], note=note, sender=sender)
            found, own = self._store.commit(write, exclusive=True)
            for study, image in found:
                images.setdefault(study, set()).add(image)
            studies.update(own)
        for study, rejected in images.items():
            retract(self._store, study, rejected if self._has_others(study, rejected) else None, note.code)
        self._record(sender, sorted({*images, *studies}), f"C-STORE of a rejection note {note.code}", 200)

    def _reject(
        self, session: Transaction, *, sop_uids: Sequence[str], note: RejectionNote, sender: Sender
    ) -> tuple[list[tuple[str, str]], list[str]]:
        """Write down what is rejected; return study and image of what is here, and the studies of own results."""
        keys = [self._store.secret.lookup_key("object", sop_uid) for sop_uid in sop_uids]
        values = {"code": note.code, "sender": sender.account, "received": now()}
        known = set(session.scalars(select(_REJECTED.c.key).where(_REJECTED.c.key.in_(keys))))
        connection = session.connection()
        if known:
            connection.execute(update(_REJECTED).where(_REJECTED.c.key.in_(known)).values(values))
        if new := [{"key": key, **values} for key in keys if key not in known]:
            connection.execute(insert(_REJECTED), new)
        query = select(ArchivedObject.study, ArchivedObject.image).where(ArchivedObject.key.in_(keys))
        return [(study, image) for study, image in session.execute(query)], retract_own(session, sop_uids)

    def _has_others(self, study: str, rejected: set[str]) -> bool:
        with self._store.read() as session:
            query = select(ArchivedObject.image).where(
                ArchivedObject.study == study, ArchivedObject.key.not_in(select(RejectedObject.key))
            )
            return bool(set(session.scalars(query)) - rejected)

    def _refuse(self, sender: Sender, words: str) -> Receipt:
        self._record(sender, [""], sender.refusal(NEVER_ANALYSED), 422)
        return Receipt(NEVER_ANALYSED, words)

    def _record(self, sender: Sender, studies: Sequence[str], action: str, status: int) -> None:
        entries = [AuditEntry(sender.account, action, study, sender.address, status=status) for study in studies]
        for entry in entries if status >= 400 else ():
            self._refused.add(entry.request, sender.sop_uid)
        self._store.commit(partial(audit_log.record_all, entries=entries))
