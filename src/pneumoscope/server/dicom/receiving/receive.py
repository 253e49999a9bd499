"""What becomes of an object that a peer sends: stored and queued, known already, quarantined, or refused.

An object is known by its SOPInstanceUID. The same object again is one job, whatever its transfer syntax; other pixels
under the same UID are a fault of the sender, and are quarantined for a person to look at. Every answer but a success
leaves the object with its sender.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from types import MappingProxyType

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError, SQLAlchemyError

from pneumoscope.core.errors import ImageError, PneumoscopeError
from pneumoscope.server.dicom.calling import prior_queue
from pneumoscope.server.dicom.objects import analysed
from pneumoscope.server.dicom.objects.analysed import check_object
from pneumoscope.server.dicom.objects.kept import StagedCopy, add_copy, add_missing_copy, replace_copy, stage_copy
from pneumoscope.server.dicom.receiving.correction import HeaderCorrection, correct, find_changes, is_other_study
from pneumoscope.server.dicom.receiving.refused import RefusedUids
from pneumoscope.server.dicom.receiving.retraction import retract
from pneumoscope.server.dicom.results.rejection import INCORRECT_ENTRY
from pneumoscope.server.dicom.routing.prior_rule import PriorRule
from pneumoscope.server.errors import StoreFullError, TooLargeError, UnavailableError
from pneumoscope.server.inference import queue
from pneumoscope.server.security import audit_log
from pneumoscope.server.security.audit_log import AuditEntry
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.crypto import new_id
from pneumoscope.server.storage.database import Store, now
from pneumoscope.server.storage.failures import as_refusal
from pneumoscope.server.storage.tables import (
    ArchivedObject,
    ArrivingObject,
    Image,
    KeptFile,
    QuarantinedObject,
    Study,
)
from pneumoscope.server.storage.transaction import Transaction
from pneumoscope.server.studies.priors import forget_fetches, promote
from pneumoscope.server.uploads.headers import ObjectHeader
from pneumoscope.server.uploads.outcome import NothingStoredError
from pneumoscope.server.uploads.service import PendingUpload, StoredUpload, UploadService
from pneumoscope.server.uploads.staging import source_key

# Statuses of C-STORE (PS3.4 B.2.3, PS3.7 C.5). Within a range the last digits are ours to choose.
SUCCESS = 0x0000
OUT_OF_RESOURCES = 0xA700
TOO_BUSY = 0xA701
WRONG_ADDRESS = 0xA900
NOT_AS_ANNOUNCED = 0xA901
NO_IMAGE = 0xC001
NAMES_IN_PIXELS = 0xC002
OTHER_PATIENT = 0xC003
NEVER_ANALYSED = 0xC004
NO_IDENTITY = 0xC005
OTHER_PIXELS = 0xC006
OTHER_STUDY = 0xC007
UNEXPECTED = 0xC008
FAILED = 0xC010
DISCARDED = 0xB006
"""A warning of the standard (Elements Discarded, PS3.4 B.2.3); other than a failure it ends no archive's C-MOVE."""
STATUSES: Mapping[int, str] = MappingProxyType(
    {
        SUCCESS: "the object is on the disk and its predictions are queued, or both were so before",
        OUT_OF_RESOURCES: "the disk is full",
        TOO_BUSY: "the server has too much to do, or stops",
        WRONG_ADDRESS: "it belongs to another study than the address says (STOW-RS alone)",
        NOT_AS_ANNOUNCED: "its SOP class or SOPInstanceUID is not the one that C-STORE announced",
        NO_IMAGE: "its pixels can't be read",
        NAMES_IN_PIXELS: "it declares names in its pixels (BurnedInAnnotation)",
        OTHER_PATIENT: "its study is here with another patient",
        NEVER_ANALYSED: "it is a result, of modality OT, or was made after the examination",
        NO_IDENTITY: "its SOPInstanceUID, series or study is missing, or is no UID",
        OTHER_PIXELS: "another object here has its SOPInstanceUID; this one is quarantined",
        OTHER_STUDY: "the same object is here in another study",
        UNEXPECTED: "it is of a C-MOVE that this server has not under way, or is not what was asked for there",
        FAILED: "another failure, of which the server's log says more",
        DISCARDED: "it came because this server asked for its study, and is not kept; the audit log has its status",
    }
)
"""What each status means."""
CORRECTED = -1
"""No status: the header is another one, and is taken."""
_OF_CODE = {
    "burned-in": NAMES_IN_PIXELS,
    "other-patient": OTHER_PATIENT,
    analysed.NO_IDENTITY: NO_IDENTITY,
    analysed.NEVER_ANALYSED: NEVER_ANALYSED,
    analysed.OTHER_STUDY: WRONG_ADDRESS,
    analysed.UNEXPECTED: UNEXPECTED,
}
_HTTP = {SUCCESS: 201, OUT_OF_RESOURCES: 507, TOO_BUSY: 503, FAILED: 500}
"""Statuses as the audit log has them; all others are refusals (422)."""
_REFUSED = " refused "
PRIOR = "C-STORE of an earlier study"
"""What stands in the audit log where an archive sends what this server asked for."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What became of an object."""

    status: int
    """Of C-STORE."""
    comment: str = ""
    """Why it was not stored; names no patient."""
    study: str = ""
    """Number of the study, where it is stored."""


@dataclass(frozen=True, slots=True)
class Sender:
    """The peer that sends, or the account that does so by STOW-RS."""

    title: str
    """Of a peer; empty for an account."""
    address: str
    user: str = ""
    """Number of the account; empty for a peer."""
    is_asked: bool = False
    """The peer is an archive that this server has asked for an earlier study."""
    sop_class: str = ""
    """That it announces for the object at hand; empty: none."""
    sop_uid: str = ""
    """SOPInstanceUID that it announces."""

    @property
    def account(self) -> str:
        """What stands in place of an account in rows and in the audit log."""
        return self.user or f"dicom:{self.title}"

    @property
    def action(self) -> str:
        """What stands in the audit log."""
        if self.is_asked:
            return PRIOR
        return "STOW-RS" if self.user else "C-STORE"

    def refusal(self, status: int) -> str:
        """Return what stands in the audit log where an object is refused with a status; see `read_refusal`."""
        sop_class = f" {self.sop_class}" if analysed.is_uid(self.sop_class) else ""
        return f"{self.action}{_REFUSED}{status:04X}{sop_class}"


class Receiver:
    """Takes objects into the store of a server."""

    def __init__(
        self, store: Store, uploads: UploadService, models: Sequence[str], priors: PriorRule | None = None
    ) -> None:
        """Set where objects go.

        Args:
            store: Of the server.
            uploads: Of the same server.
            models: Names of the models that are asked about each image.
            priors: Which earlier studies are fetched where a peer sends a study; None: none.
        """
        self._priors = priors
        self._store = store
        self._uploads = uploads
        self._models = models
        self._keeps = store.settings.dicom is not None and store.settings.dicom.keep_files
        self.refused = RefusedUids()

    def receive(self, data: bytes, sender: Sender, study_uid: str = "") -> Receipt:
        """Store an object and queue its predictions; a success is durable when this returns.

        Args:
            data: The object as a file (PS3.10).
            sender: Who sends it.
            study_uid: The study that it has to belong to; empty: any.
        """
        try:
            receipt = self._store_object(data, sender, study_uid)
        except Exception as error:
            receipt = answer_error(error)
            if receipt.status == FAILED:
                logging.getLogger(__name__).error("an object could not be stored: %s", type(error).__name__)
        if receipt.status != SUCCESS:
            self.record_refusal(sender, receipt)
        return receipt

    def _store_object(self, data: bytes, sender: Sender, study_uid: str) -> Receipt:
        if data[128:132] != b"DICM":  # by STOW-RS anything may come, such as a ZIP archive
            return Receipt(NO_IMAGE, "It is no DICOM file.")
        secret = self._store.secret
        content = secret.lookup_key("object-content", data)
        if not study_uid and (study := self._find_same_bytes(data, content)) is not None:
            return Receipt(SUCCESS, study=study)
        check = partial(check_object, study_uid=study_uid)
        with self._uploads.stage([BytesIO(data)], self._models, sender.account, check=check) as pending:
            (decoded,) = pending.decoded
            header = decoded.header
            assert header is not None  # of a DICOM file
            key = secret.lookup_key("object", header.sop_uid)
            rows = partial(self._write_rows, pending=pending, header=header, key=key, content=content, sender=sender)
            with stage_copy(self._store, data) if self._keeps else nullcontext() as copy:
                receipt, stored = self._store.commit(partial(rows, copy=copy), exclusive=True)
                if stored is not None:
                    pending.confirm(stored)
                if receipt.status == CORRECTED:
                    return self._correct(pending, header, key, content, sender, receipt.study, copy)
        if receipt.status == OTHER_PIXELS:
            self._keep_apart(data, key, content, receipt.study, sender)
        return receipt

    def _find_same_bytes(self, data: bytes, content: str) -> str | None:
        """Return the study of an object that is here in the very same bytes, which are not read for that.

        Where files are kept and this one is not, it came before that was asked for, and has to be read again.
        """
        source = source_key(self._store.secret, hashlib.sha256(data).digest())
        query = select(ArchivedObject.study).join(Image, Image.id == ArchivedObject.image)
        query = query.join(Study, Study.id == ArchivedObject.study)
        query = query.where(Image.source == source, ArchivedObject.content == content, Study.prior.is_(False))
        if self._keeps:
            query = query.join(KeptFile, KeptFile.key == ArchivedObject.key)
        with self._store.read() as session:
            return session.scalars(query).first()

    def _write_rows(
        self,
        session: Transaction,
        *,
        pending: PendingUpload,
        header: ObjectHeader,
        key: str,
        content: str,
        sender: Sender,
        copy: StagedCopy | None,
    ) -> tuple[Receipt, StoredUpload | None]:
        """Write the rows of a new object; of a known one say whether it is the same."""
        (pixels,) = pending.pixel_hashes
        if self._is_of_own_move(session, header, sender):
            return Receipt(UNEXPECTED, "Its study is being moved here, and it does not name the C-MOVE."), None
        if (known := find_known(session, key)) is not None:
            study, known_pixels = known
            if known_pixels == pixels:
                receipt = self._compare_headers(session, key, header, study, sender)
                if receipt.status in (SUCCESS, CORRECTED):
                    self._promote(session, key, study, pending.models, sender)
                if receipt.status == SUCCESS:
                    add_missing_copy(session, key, study, copy)
                return receipt, None
            return Receipt(OTHER_PIXELS, "Another object here has its SOPInstanceUID (0008,0018).", study), None
        stored = pending.write_rows(session, sender.account, keeps_headers=False)
        (image,) = stored.images
        time = now()
        session.append(
            ArchivedObject,
            {
                **{"key": key, "content": content, "image": image.image, "study": image.study},
                **{"sealed": self._store.secret.seal_bytes(header.json.encode(), key), "sender": sender.account},
                "received": time,
            },
        )
        add_copy(session, key, image.study, copy)
        session.append(ArrivingObject, {"key": key, "study": image.study, "received": time})
        session.objects[key] = image.study, pixels
        self._ask_for_priors(session, image.study, sender)
        entry = AuditEntry(sender.account, sender.action, image.study, sender.address, status=_HTTP[SUCCESS], at=time)
        audit_log.record(session, entry)
        return Receipt(SUCCESS, study=image.study), stored

    def _is_of_own_move(self, session: Transaction, header: ObjectHeader, sender: Sender) -> bool:
        """Return whether an object belongs to a move that is under way, although its archive does not say so."""
        if self._priors is None or sender.title != self._priors.archive.sender:
            return False
        return prior_queue.is_running_for(session, self._store.secret.lookup_key("study", header.study_uid.encode()))

    def _promote(self, session: Transaction, key: str, study: str, models: Sequence[str], sender: Sender) -> None:
        """Make a study that was fetched for comparison one like all others, since a peer sends an image of it."""
        session.write_appended()
        if not promote(session, [study], sender.account):
            return
        row = session.get_one(ArchivedObject, key)
        row.sender = sender.account
        queue.enqueue(self._store, session, [(study, row.image)], models, sender.account)
        session.append(ArrivingObject, {"key": key, "study": study, "received": now()})
        entry = AuditEntry(sender.account, sender.action, study, sender.address, status=_HTTP[SUCCESS])
        audit_log.record(session, entry)
        self._ask_for_priors(session, study, sender)

    def _ask_for_priors(self, session: Transaction, study: str, sender: Sender) -> None:
        if self._priors is not None and not sender.user:
            session.write_appended()
            prior_queue.ask_for(session, study)

    def _compare_headers(
        self, session: Transaction, key: str, header: ObjectHeader, study: str, sender: Sender
    ) -> Receipt:
        """Say what becomes of an object whose pixels are here. Who was examined is for a peer to correct alone."""
        changes = find_changes(self._store, session, key, header)
        if is_other_study(changes):
            return Receipt(OTHER_STUDY, "It is here in another study (StudyInstanceUID, 0020,000D).", study)
        if changes and sender.user:
            return Receipt(OTHER_PATIENT, "It is here with other tags of patient or study, which peers correct.", study)
        return Receipt(CORRECTED if changes else SUCCESS, study=study)

    def _correct(
        self,
        pending: PendingUpload,
        header: ObjectHeader,
        key: str,
        content: str,
        sender: Sender,
        study: str,
        copy: StagedCopy | None,
    ) -> Receipt:
        """Take a corrected header; the results are retracted first, so that a crash leaves none that stays."""
        retract(self._store, study, None, INCORRECT_ENTRY)
        (decoded,) = pending.decoded
        correction = HeaderCorrection(key, content, header, decoded, pending.models)

        def write(session: Transaction) -> str | None:
            patient = session.get_one(Study, study).patient
            correct(self._store, session, correction, sender.account, sender.address)
            if session.get_one(Study, study).patient != patient:  # the earlier studies are of somebody else
                forget_fetches(session, study)
                self._ask_for_priors(session, study, sender)
            return replace_copy(session, key, study, copy)

        if (former := self._store.commit(write, exclusive=True)) is not None:  # it names the former patient
            blobs.delete(self._store.settings.files, former)
        return Receipt(SUCCESS, study=study)

    def _keep_apart(self, data: bytes, key: str, content: str, study: str, sender: Sender) -> None:
        """Put an object into quarantine: its bytes, encrypted, and a row. Sent again, it is kept once."""
        number = new_id()
        blobs.write_pixels(
            self._store.settings.files, number, self._store.secret.seal_bytes(data, number), kind=blobs.SEALED
        )
        row = {"id": number, "key": key, "content": content, "study": study, "sender": sender.account}
        try:
            with self._store.write() as session:
                session.add(QuarantinedObject(**row, received=now()))
        except IntegrityError:  # it is here, or the study was erased meanwhile
            blobs.delete(self._store.settings.files, number)

    def record_refusal(self, sender: Sender, receipt: Receipt) -> None:
        """Write a refusal to the audit log; where that fails too, the peer still gets its answer.

        Args:
            sender: Who sent the object.
            receipt: What became of it.
        """
        action, status = sender.refusal(receipt.status), _HTTP.get(receipt.status, 422)
        entry = AuditEntry(sender.account, action, receipt.study, sender.address, status=status)
        self.refused.add(entry.request, sender.sop_uid)
        with suppress(SQLAlchemyError, OSError):
            self._store.commit(lambda session: audit_log.record(session, entry))


def read_refusal(action: str) -> tuple[str, str, str]:
    """Return action, status, as 4 hexadecimal digits, and SOP class of what `Sender.refusal` made; else empty texts.

    Args:
        action: Of an entry of the audit log.
    """
    way, _, rest = action.partition(_REFUSED)
    status, _, sop_class = rest.partition(" ")
    return way, status, sop_class


def find_known(session: Transaction, key: str) -> tuple[str, str] | None:
    """Return the study of an object and the hash of its pixels; None where it was never received."""
    if key in session.objects:
        return session.objects[key]
    query = select(ArchivedObject.study, Image.sha256).join(Image, Image.id == ArchivedObject.image)
    row = session.execute(query.where(ArchivedObject.key == key)).one_or_none()
    return None if row is None else (row[0], row[1])


def answer_error(error: Exception) -> Receipt:
    """Return the answer to an error that occurred while an object was stored."""
    if isinstance(error, NothingStoredError):
        refusals = [outcome.refusal for outcome in error.outcomes if outcome.refusal is not None]
        error = refusals[0] if refusals else error
    refusal = error if isinstance(error, PneumoscopeError) else as_refusal(error)
    if refusal is None:
        return Receipt(FAILED, "It could not be stored; the server's log says why.")
    words = f"{refusal.problem} {refusal.way_out}".strip()
    if isinstance(refusal, StoreFullError):
        return Receipt(OUT_OF_RESOURCES, words)
    if isinstance(refusal, UnavailableError):
        return Receipt(TOO_BUSY, words)
    if isinstance(refusal, ImageError | TooLargeError):
        return Receipt(_OF_CODE.get(refusal.code, NO_IMAGE), words)
    return Receipt(FAILED, words)
