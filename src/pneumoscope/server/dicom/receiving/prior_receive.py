"""What becomes of an object that an archive sends because this server asked for an earlier study.

It is stored beside the study that came, if it is what was asked for: of the same patient, the same study, earlier. No
model is asked about it, and nothing is made of it. All else is refused, and the audit log says so.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from io import BytesIO

from sqlalchemy import select

from pneumoscope.server.dicom.calling import prior_queue
from pneumoscope.server.dicom.calling.query_retrieve import StudyInHand
from pneumoscope.server.dicom.objects.analysed import check_prior, load_header
from pneumoscope.server.dicom.receiving.receive import (
    DISCARDED,
    FAILED,
    OTHER_PATIENT,
    OTHER_PIXELS,
    OTHER_STUDY,
    OUT_OF_RESOURCES,
    SUCCESS,
    TOO_BUSY,
    UNEXPECTED,
    Receipt,
    Receiver,
    Sender,
    answer_error,
    find_known,
)
from pneumoscope.server.dicom.routing.prior_rule import PriorRule
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.tables import ArchivedObject, PriorFetch, RejectedObject, Study
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies.patients import match_person
from pneumoscope.server.uploads.headers import ObjectHeader
from pneumoscope.server.uploads.service import PendingUpload, StoredUpload, UploadService

MOST_OBJECTS = 20
"""Images of an earlier study; a radiograph of the chest has two."""
MOST_BYTES = 512 * 2**20
"""Bytes of them all."""
_FOR_A_WHILE = frozenset({OUT_OF_RESOURCES, TOO_BUSY, FAILED})
_DATE, _TIME, _BODY_PART = "00080020", "00080030", "00180015"


@dataclass(frozen=True, slots=True)
class _Expected:
    """A fetch that is under way."""

    row: str
    study: str
    message: int
    study_uid: str
    series_uids: tuple[str, ...]


class PriorReceiver:
    """Takes what an archive sends because it was asked."""

    def __init__(
        self, store: Store, uploads: UploadService, receiver: Receiver, rule: PriorRule | None, titles: frozenset[str]
    ) -> None:
        """Set where objects go.

        Args:
            store: Of the server.
            uploads: Of the same server.
            receiver: Writes refusals down.
            rule: What was asked for, and where; None: nothing is asked for.
            titles: AE titles of this server, under which it asks.
        """
        self._store, self._uploads, self._receiver = store, uploads, receiver
        self._rule, self._titles = rule, titles

    def is_own_move(self, originator: str | None) -> bool:
        """Return whether an object is sent because of a C-MOVE of this server: then no model ever sees it.

        Args:
            originator: AE title in the C-STORE's MoveOriginatorApplicationEntityTitle; None: it has none.
        """
        return originator is not None and originator.strip() in self._titles

    def take(self, read: Callable[[], bytes], sender: Sender, message: int | None) -> Receipt:
        """Store an object of an earlier study; a success is durable when this returns.

        Args:
            read: Returns it as a file (PS3.10).
            sender: The archive.
            message: Message ID of the C-MOVE or C-GET that it belongs to.
        """
        sender, fetch = replace(sender, is_asked=True), None
        try:
            fetch = self._find_fetch(sender, message)
            receipt = self._reject() if fetch is None else self._store_object(read(), fetch, sender)
        except Exception as error:
            receipt = answer_error(error)
            if receipt.status == FAILED:
                logging.getLogger(__name__).error("an earlier study could not be stored: %s", type(error).__name__)
        if receipt.status != SUCCESS:
            self._receiver.record_refusal(sender, receipt)
            if fetch is not None and receipt.status not in _FOR_A_WHILE:  # those the archive may send again
                row = fetch.row
                came = self._store.commit(lambda session: prior_queue.count_dropped(session, row))
                # A failure would end the whole move at some archives, Orthanc among them, with the next images unsent.
                if came <= MOST_OBJECTS:
                    return replace(receipt, status=DISCARDED)
        return receipt

    def _reject(self) -> Receipt:
        return Receipt(UNEXPECTED, "This server has no C-MOVE under way that it belongs to.")

    def _find_fetch(self, sender: Sender, message: int | None) -> _Expected | None:
        if self._rule is None or message is None or sender.title != self._rule.archive.sender:
            return None
        with self._store.read() as session:
            row = prior_queue.find_running(session, message)
        if row is None:
            return None
        target = prior_queue.read_target(self._store.secret, row.id, row.sealed)
        return _Expected(row.id, row.study, message, target.study_uid, target.series_uids)

    def _store_object(self, data: bytes, fetch: _Expected, sender: Sender) -> Receipt:
        check = partial(check_prior, study_uid=fetch.study_uid, series_uids=fetch.series_uids)
        with self._uploads.stage([BytesIO(data)], (), sender.account, check=check) as pending:
            (decoded,) = pending.decoded
            header = decoded.header
            assert header is not None  # of a DICOM file
            write = partial(self._write_rows, pending=pending, header=header, data=data, fetch=fetch, sender=sender)
            receipt, stored = self._store.commit(write, exclusive=True)
            if stored is not None:
                pending.confirm(stored)
        return receipt

    def _write_rows(
        self,
        session: Transaction,
        *,
        pending: PendingUpload,
        header: ObjectHeader,
        data: bytes,
        fetch: _Expected,
        sender: Sender,
    ) -> tuple[Receipt, StoredUpload | None]:
        """Write the rows of an object, if it is what was asked for."""
        assert self._rule is not None
        session.write_appended()
        secret = self._store.secret
        row = session.get(PriorFetch, fetch.row, populate_existing=True)
        if row is None or row.state != "running" or row.message != fetch.message:
            return self._reject(), None
        if row.taken + row.dropped >= MOST_OBJECTS or row.size + len(data) > MOST_BYTES:
            return Receipt(UNEXPECTED, "More comes than an earlier study has."), None
        key = secret.lookup_key("object", header.sop_uid)
        (pixels,) = pending.pixel_hashes
        if (known := find_known(session, key)) is not None:
            study, known_pixels = known
            if known_pixels != pixels:
                return Receipt(OTHER_PIXELS, "Another object here has its SOPInstanceUID (0008,0018).", study), None
            here = session.get_one(Study, study)
            if here.key != secret.lookup_key("study", header.study_uid.encode()):
                return Receipt(OTHER_STUDY, "It is here in another study (StudyInstanceUID, 0020,000D).", study), None
            if here.patient != session.get_one(Study, row.study).patient:
                return Receipt(OTHER_PATIENT, "It is here with another patient.", study), None
            prior_queue.count_taken(session, row.id, len(data), study)
            return Receipt(SUCCESS, study=study), None
        if session.get(RejectedObject, key) is not None:
            return Receipt(UNEXPECTED, "It was rejected after the examination."), None
        if (problem := self._find_problem(session, row.study, pending, header)) is not None:
            return problem, None
        stored = pending.write_rows(session, sender.account, keeps_headers=False, prior=True)
        (image,) = stored.images
        time = now()
        session.append(
            ArchivedObject,
            {
                **{"key": key, "content": secret.lookup_key("object-content", data), "image": image.image},
                **{"study": image.study, "sealed": secret.seal_bytes(header.json.encode(), key)},
                **{"sender": sender.account, "received": time},
            },
        )
        session.objects[key] = image.study, pixels
        entry = AuditEntry(sender.account, sender.action, image.study, sender.address, status=201, at=time)
        audit_log.record(session, entry)
        session.write_appended()
        prior_queue.count_taken(session, row.id, len(data), image.study)
        return Receipt(SUCCESS, study=image.study), stored

    def _find_problem(
        self, session: Transaction, study: str, pending: PendingUpload, header: ObjectHeader
    ) -> Receipt | None:
        """Return why an object is not what was asked for; None where it is."""
        assert self._rule is not None
        (decoded,) = pending.decoded
        person = None if decoded.exam is None else decoded.exam.person()
        match = None if person is None else match_person(self._store, session, person)
        current = session.get_one(Study, study)
        if match is None or match.row is None or match.row.patient != current.patient:
            return Receipt(OTHER_PATIENT, "It is of another patient than was asked for.")
        key = self._store.secret.lookup_key("study", header.study_uid.encode())
        if session.scalar(select(Study.prior).where(Study.key == key)) is False:
            return Receipt(UNEXPECTED, "Its study was sent meanwhile, and is here.")
        tags = json.loads(header.json)
        if not self._rule.takes_part(_text(tags, _BODY_PART)):
            return Receipt(UNEXPECTED, "It is of another body part than was asked for.")
        in_hand = read_in_hand(self._store, session, study)
        if in_hand is None or not in_hand.is_after(_text(tags, _DATE), _text(tags, _TIME)):
            return Receipt(UNEXPECTED, "Its study is not an earlier one.")
        return None


def read_in_hand(store: Store, session: Transaction, study: str) -> StudyInHand | None:
    """Return what the header of a study that came says; None where there is none.

    Raises:
        QueryError: Nothing can be asked with it.
    """
    query = select(ArchivedObject.key, ArchivedObject.sealed).where(ArchivedObject.study == study)
    row = session.execute(query.order_by(ArchivedObject.received, ArchivedObject.key).limit(1)).one_or_none()
    if row is None:
        return None
    return StudyInHand.of(load_header(store.secret.unseal_bytes(row.sealed, row.key).decode()))


def _text(tags: dict[str, dict[str, list[object]]], tag: str) -> str:
    values = tags.get(tag, {}).get("Value") or [""]
    return str(values[0])
