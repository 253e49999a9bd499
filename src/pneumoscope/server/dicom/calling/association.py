"""One association with an archive: objects go there by C-STORE, and the archive is asked to commit itself to them.

The protocol is pynetdicom's. What an answer means for the queue is decided here, by PS3.4 B.2.3 and PS3.7 C.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pneumoscope.core.errors import MissingExtraError, PneumoscopeError
from pneumoscope.server.dicom.calling.outbound_queue import LEASE
from pneumoscope.server.dicom.routing.address import ArchiveAddress
from pneumoscope.server.dicom.routing.routes import Destination

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.association import Association
    from pynetdicom.events import Event

COMMITMENT = "1.2.840.10008.1.20.1"
"""Storage Commitment Push Model."""
COMMITMENT_INSTANCE = "1.2.840.10008.1.20.1.1"
"""Its well-known instance."""
VERIFICATION = "1.2.840.10008.1.1"
PLAIN_SYNTAXES = (
    "1.2.840.10008.1.2.1",  # explicit, little endian: what results are written in
    "1.2.840.10008.1.2",  # implicit, little endian
)
RUN_LENGTHS = "1.2.840.10008.1.2.5"
IMAGE_SYNTAXES = (
    *PLAIN_SYNTAXES,
    "1.2.840.10008.1.2.4.50",  # JPEG baseline
    "1.2.840.10008.1.2.4.51",  # JPEG extended, 12 bits
    "1.2.840.10008.1.2.4.57",  # JPEG lossless
    "1.2.840.10008.1.2.4.70",  # JPEG lossless, first-order prediction
    "1.2.840.10008.1.2.4.80",  # JPEG-LS lossless
    "1.2.840.10008.1.2.4.81",  # JPEG-LS near-lossless
    "1.2.840.10008.1.2.4.90",  # JPEG 2000 lossless
    "1.2.840.10008.1.2.4.91",  # JPEG 2000
    RUN_LENGTHS,
)
"""Transfer syntaxes in which images are taken; the imaging room decodes all of them."""
_ASSOCIATION_SECONDS = 30
_ANSWER_SECONDS = LEASE / 2
_REPORT_SECONDS = 1.0
"""For which an association stays open after a request for storage commitment."""
_WARNINGS = frozenset({0x0001, 0x0107, 0x0116, *range(0xB000, 0xC000)})
"""The archive has the object, and says something about it."""
_DUPLICATE = 0x0111
"""The archive has an object of this UID; ours never has other bytes."""
_FOR_GOOD = frozenset({0x0106, 0x0115, 0x0117, 0x0118, 0x0119, 0x0122, 0x0124, *range(0xA900, 0xAA00)})
"""No SOP class or instance, not authorised, data set does not match: the same object again can't succeed."""
_NEVER_UNDERSTOOD = range(0xC000, 0xD000)


class NoAssociationError(PneumoscopeError):
    """An archive can't be reached, or takes no association."""


@dataclass(frozen=True, slots=True)
class SendOutcome:
    """What an archive answered to an object."""

    stored: bool
    for_good: bool = False
    """It is not stored, and sending it again can't help."""
    problem: str = ""
    """Why it is not stored; names no patient."""


def judge_status(status: int | None) -> SendOutcome:
    """Return what a status of C-STORE means for the queue.

    Args:
        status: Of the answer; None: there was none.
    """
    if status is None:
        return SendOutcome(False, problem="no answer, or the association was aborted")
    if status in (0x0000, _DUPLICATE) or status in _WARNINGS:
        return SendOutcome(True)
    return SendOutcome(False, status in _FOR_GOOD or status in _NEVER_UNDERSTOOD, f"status {status:04X}")


class ArchiveAssociation:
    """An open association."""

    def __init__(self, association: Association, reported: threading.Event) -> None:
        self._association, self._reported = association, reported

    def store(self, data: bytes) -> SendOutcome:
        """Send an object.

        Args:
            data: A DICOM file.
        """
        from pydicom import dcmread

        dataset = dcmread(BytesIO(data))
        try:
            status = self._association.send_c_store(dataset)
        except ValueError:  # pynetdicom's: the archive took no presentation context for it
            return SendOutcome(False, True, "the archive does not take this SOP class (no presentation context)")
        except RuntimeError:  # the association is over
            return judge_status(None)
        return judge_status(int(status.Status) if "Status" in status else None)

    @property
    def is_open(self) -> bool:
        """Whether more can be sent."""
        return bool(self._association.is_established)

    def ask_commitment(self, request: str, objects: Sequence[tuple[str, str]]) -> SendOutcome:
        """Ask the archive to commit itself to keeping objects; its word comes later (N-EVENT-REPORT).

        Args:
            request: Transaction UID.
            objects: SOP class and SOP instance of each.
        """
        from pydicom import Dataset
        from pydicom.sequence import Sequence as Items

        action = Dataset()
        action.TransactionUID = request
        items = []
        for sop_class, sop_uid in objects:
            item = Dataset()
            item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_uid
            items.append(item)
        action.ReferencedSOPSequence = Items(items)
        try:
            status, _ = self._association.send_n_action(action, 1, COMMITMENT, COMMITMENT_INSTANCE)
        except ValueError:
            return SendOutcome(False, True, "the archive gives no storage commitment (no presentation context)")
        except RuntimeError:
            return judge_status(None)
        if "Status" in status and int(status.Status) == 0x0000:
            self._reported.wait(_REPORT_SECONDS)  # an archive may give its word here, and not call back
        return judge_status(int(status.Status) if "Status" in status else None)


@contextmanager
def associate(
    destination: Destination, calling: str, classes: Iterable[str], on_report: Callable[[Event], int]
) -> Iterator[ArchiveAssociation]:
    """Open an association with an archive for the length of a block.

    Args:
        destination: The archive.
        calling: AE title of this server.
        classes: SOP classes of what will be sent.
        on_report: Called with the event of an N-EVENT-REPORT that comes in this association; returns the status.

    Raises:
        NoAssociationError: The archive can't be reached, or takes no association.
        MissingExtraError: pynetdicom is not installed.
    """
    try:
        from pynetdicom import evt
    except ImportError as error:
        raise MissingExtraError("an outbound queue", "pacs") from error
    # Else there would be no association where an archive takes none of the classes, and nobody could say why.
    contexts: list[tuple[str, Sequence[str]]] = [(VERIFICATION, PLAIN_SYNTAXES)]
    contexts += [(sop_class, (syntax,)) for sop_class in dict.fromkeys(classes) for syntax in PLAIN_SYNTAXES]
    if destination.commit:
        contexts.append((COMMITMENT, PLAIN_SYNTAXES))
    reported = threading.Event()

    def take(event: Event) -> tuple[int, None]:
        try:
            return on_report(event), None  # the answer has no data set
        finally:
            reported.set()

    handlers = [(evt.EVT_N_EVENT_REPORT, take)]
    with open_association(destination, calling, contexts, handlers, _ANSWER_SECONDS) as association:
        yield ArchiveAssociation(association, reported)


@contextmanager
def open_association(
    archive: ArchiveAddress,
    calling: str,
    contexts: Sequence[tuple[str, Sequence[str]]],
    handlers: Sequence[Any],
    answer_seconds: float,
    roles: Sequence[Any] = (),
) -> Iterator[Association]:
    """Open an association with an archive for the length of a block, and release it.

    Args:
        archive: Where it is.
        calling: AE title of this server.
        contexts: SOP class and transfer syntaxes of each presentation context that is proposed.
        handlers: Of pynetdicom's events.
        answer_seconds: For which an answer is waited for.
        roles: SOP classes in which the archive is to be the user, as pynetdicom has them.

    Raises:
        NoAssociationError: The archive can't be reached, or takes no association.
    """
    from pynetdicom import AE

    entity = AE(ae_title=archive.calling or calling)
    entity.acse_timeout = entity.connection_timeout = _ASSOCIATION_SECONDS
    entity.dimse_timeout = entity.network_timeout = answer_seconds
    for sop_class, syntaxes in contexts:
        entity.add_requested_context(sop_class, list(syntaxes))
    association = entity.associate(
        archive.host,
        archive.port,
        ae_title=archive.title,
        tls_args=archive.encryption(),
        evt_handlers=list(handlers),
        ext_neg=list(roles) or None,
    )
    if not association.is_established:
        why = "rejected the association" if association.is_rejected else "can't be reached, or ended the association"
        connection = association.dul.socket
        if connection is not None and connection.socket is not None:
            connection.socket.close()  # pynetdicom leaves it open
        raise NoAssociationError("the archive", f"{why}.")
    keep_answers(association)
    try:
        yield association
    finally:
        if association.is_established:
            association.release()


def keep_answers(association: Association) -> None:
    """Let the thread of an association that was opened here take no answer from the thread that waits for it.

    pynetdicom pauses its thread while it sends, and looks at a flag for that. The flag may be of the moment before
    (pynetdicom 3.0, `Association._run_reactor`): then its thread takes the answer, drops it, and no answer comes to who
    asked. That was one of hundreds on a machine with much to do.

    Args:
        association: That nothing was sent in yet.
    """
    provider: Any = association.dimse
    take = provider.get_msg

    def get_msg(block: bool = False) -> Any:
        if not block:  # its thread, which is there for what the archive asks
            with provider.msg_queue.mutex:
                first = next(iter(provider.msg_queue.queue), None)
            if first is not None and getattr(first[1], "MessageIDBeingRespondedTo", None) is not None:
                return None, None
        return take(block)

    provider.get_msg = get_msg


def read_report(information: Dataset) -> tuple[str, list[str], dict[str, int]]:
    """Return what an archive says about a request: transaction UID, instances that it keeps, and those it does not.

    Args:
        information: Event information of the N-EVENT-REPORT.
    """
    failed = {
        str(item.ReferencedSOPInstanceUID): int(item.get("FailureReason", 0))
        for item in information.get("FailedSOPSequence") or ()
    }
    kept = [str(item.ReferencedSOPInstanceUID) for item in information.get("ReferencedSOPSequence") or ()]
    return str(information.get("TransactionUID", "")), kept, failed
