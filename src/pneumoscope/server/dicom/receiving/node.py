"""The server's node on a DICOM network: C-ECHO and C-STORE for peers that are named (PS3.4 A and B, PS3.8).

The protocol is pynetdicom's. An association is taken from a peer only whose AE title and address are both named; AE
titles alone are no protection, since anyone may claim one. An object is answered with success when it is on the disk.
"""

from __future__ import annotations

import ipaddress
import logging
import ssl
import textwrap
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from pneumoscope.core.arguments import argument
from pneumoscope.core.errors import MissingExtraError, UsageError
from pneumoscope.server.dicom.calling.association import (
    COMMITMENT,
    IMAGE_SYNTAXES,
    PLAIN_SYNTAXES,
    RUN_LENGTHS,
    VERIFICATION,
)
from pneumoscope.server.dicom.calling.outbound import Outbound
from pneumoscope.server.dicom.calling.pdu_limits import PduLimits, clear_up
from pneumoscope.server.dicom.objects.analysed import ANALYSED, find_mismatch
from pneumoscope.server.dicom.receiving.admission import ASSOCIATIONS, REQUEST_SECONDS, WAITING, Admission
from pneumoscope.server.dicom.receiving.prior_receive import PriorReceiver
from pneumoscope.server.dicom.receiving.receive import FAILED, NOT_AS_ANNOUNCED, Receipt, Receiver, Sender
from pneumoscope.server.dicom.receiving.refused import RefusedContexts
from pneumoscope.server.dicom.receiving.returned import RETURNED, ReturnedObjects
from pneumoscope.server.settings import DicomSettings, read_address

if TYPE_CHECKING:
    from pydicom import Dataset
    from pynetdicom.events import Event
    from pynetdicom.transport import ThreadedAssociationServer

ACCEPTED: Mapping[str, Sequence[str]] = MappingProxyType(
    {
        VERIFICATION: PLAIN_SYNTAXES,
        **dict.fromkeys(ANALYSED, IMAGE_SYNTAXES),
        **dict.fromkeys(RETURNED, (*PLAIN_SYNTAXES, RUN_LENGTHS)),
    }
)
"""Transfer syntaxes that are taken for each SOP class, the preferred one first: what the node accepts."""
IDLE_SECONDS = 30
"""Seconds without a word after which an association ends."""
_LONGEST_COMMENT = 64
"""Characters of an ErrorComment (0000,0902), a LO."""
_FAILED_REPORT = 0x0110
"""Status of N-EVENT-REPORT: processing failure."""


class _LateHandshake(ssl.SSLContext):
    """Shakes hands at the first reading: pynetdicom's one thread that takes connections must not wait for a peer."""

    def wrap_socket(self, *connection: Any, **options: Any) -> ssl.SSLSocket:
        """Wrap a connection that was just taken.

        Args:
            connection: The socket.
            options: Of `ssl.SSLContext.wrap_socket`.
        """
        return super().wrap_socket(*connection, **{**options, "do_handshake_on_connect": False})


class DicomNode:
    """Takes objects from peers, from `start` until `stop`."""

    def __init__(
        self,
        settings: DicomSettings,
        receiver: Receiver,
        returned: ReturnedObjects,
        max_object_bytes: int,
        outbound: Outbound | None = None,
        *,
        priors: PriorReceiver,
    ) -> None:
        """Create the node; it listens only after `start`.

        Args:
            settings: Title, address, peers.
            receiver: Takes the objects.
            returned: Takes back own results.
            max_object_bytes: Larger objects end their association.
            outbound: Takes what archives commit themselves to; None: nothing is sent.
            priors: Takes what archives send because they were asked for earlier studies.
        """
        self._settings = settings
        self._receiver = receiver
        self._returned = returned
        self._max_object_bytes = max_object_bytes
        self._outbound = outbound
        self._priors = priors
        self._server: ThreadedAssociationServer | None = None
        self._refused_contexts = RefusedContexts()
        self._peers = [(title, read_address(address)) for title, address in settings.peers]

    @property
    def receiver(self) -> Receiver:
        """Takes the objects, those of STOW-RS too."""
        return self._receiver

    @property
    def is_listening(self) -> bool:
        """Whether it has started, and has not stopped."""
        return self._server is not None

    @property
    def port(self) -> int:
        """The port it listens at."""
        assert self._server is not None
        return int(self._server.server_address[1])

    def start(self) -> None:
        """Listen on threads of pynetdicom's own.

        Raises:
            MissingExtraError: pynetdicom is not installed.
            UsageError: The address can't be used.
        """
        try:
            from pynetdicom import AE, evt
        except ImportError as error:
            raise MissingExtraError("a DICOM node", "pacs") from error
        entity = AE(ae_title=self._settings.title)
        entity.require_called_aet = True
        admission = Admission(REQUEST_SECONDS)
        entity.maximum_associations = ASSOCIATIONS + 2 * WAITING  # never reached: `admission` has the limits
        entity.acse_timeout = REQUEST_SECONDS
        entity.dimse_timeout = entity.network_timeout = IDLE_SECONDS
        for sop_class, syntaxes in ACCEPTED.items():
            entity.add_supported_context(sop_class, list(syntaxes))
        if self._outbound is not None:
            # An archive calls back as the provider that it is, with the roles turned round (PS3.4 J.3.3).
            entity.add_supported_context(COMMITMENT, list(PLAIN_SYNTAXES), scu_role=True, scp_role=True)
        handlers: list[Any] = [
            (evt.EVT_CONN_OPEN, self._set_limits),
            (evt.EVT_CONN_CLOSE, _clear_up, [admission]),
            (evt.EVT_REQUESTED, self._check_peer, [admission]),
            (evt.EVT_REJECTED, _log_rejection),
            (evt.EVT_ACCEPTED, self._log_refused_contexts),
            (evt.EVT_C_ECHO, lambda event: 0x0000),
            (evt.EVT_C_STORE, self._store),
            (evt.EVT_N_EVENT_REPORT, self._take_report),
        ]
        where = (self._settings.host, self._settings.port)
        try:
            self._server = entity.start_server(
                where, block=False, evt_handlers=handlers, ssl_context=self._encryption()
            )
        except OSError as error:
            address = f"{argument('dicom_host', where[0])} {argument('dicom_port', where[1])}"
            raise UsageError(address, f"can't be used for DICOM: {error.strerror}.", "Name another.") from error
        server: Any = self._server
        server.verify_request = admission.admits  # before it starts threads for a connection
        logging.getLogger(__name__).info("DICOM node %s answers at %s:%s", self._settings.title, where[0], self.port)

    def stop(self) -> None:
        """End all associations; what was not answered is sent again by its peer."""
        if self._server is not None:
            self._server.shutdown()
            self._server = None

    def _encryption(self) -> ssl.SSLContext | None:
        if self._settings.tls_certificate is None:
            return None
        context = _LateHandshake(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self._settings.tls_certificate, self._settings.tls_key)
        if self._settings.tls_peers is not None:  # PS3.15 B.1: both sides show a certificate
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self._settings.tls_peers)
        return context

    def _set_limits(self, event: Event) -> None:
        """Put limits on what a peer sends that has just connected."""
        association: Any = event.assoc
        association.limits = PduLimits(association, self._max_object_bytes, REQUEST_SECONDS, IDLE_SECONDS)

    def _check_peer(self, event: Event, admission: Admission) -> None:
        """Reject an association of a peer that is not named, or that is one too many."""
        association: Any = event.assoc
        request = association.requestor.primitive
        title = "" if request is None else str(request.calling_ae_title).strip()
        if not self._is_known(title, read_address(association.requestor.address)):
            words = "an association with %s was rejected: its peer, which calls itself %a, is not named"
            logging.getLogger(__name__).warning(words, association.requestor.address, title)
            # PS3.8 9.3.4: permanent, by the service user, the calling AE title is not recognised.
            association.acse.send_reject(0x01, 0x01, 0x03)
            association.kill()
        elif admission.accept(association):
            association.limits.end_waiting()
        else:
            words = "an association with %s was rejected: %s associations are open already"
            logging.getLogger(__name__).warning(words, association.requestor.address, ASSOCIATIONS)
            # PS3.8 9.3.4: transient, by the service provider (presentation), a local limit is exceeded.
            association.acse.send_reject(0x02, 0x03, 0x02)
            association.kill()

    def _is_known(self, title: str, address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> bool:
        if not self._peers:  # this machine alone can reach it, see `Settings.validate`
            return address.is_loopback
        return any(title == known and address == where for known, where in self._peers)

    def _log_refused_contexts(self, event: Event) -> None:
        """Say what a peer proposed in vain: pynetdicom answers what it sends by that without asking the node."""
        association: Any = event.assoc
        peer = association.requestor
        self._refused_contexts.log(str(peer.ae_title).strip(), str(peer.address), association.rejected_contexts)

    def _store(self, event: Event) -> int | Dataset:
        request: Any = event.request
        sop_class, sop_uid = str(request.AffectedSOPClassUID), str(request.AffectedSOPInstanceUID)
        peer: Any = event.assoc.requestor
        sender = Sender(str(peer.ae_title).strip(), str(peer.address), sop_class=sop_class, sop_uid=sop_uid)
        try:
            mismatch = find_mismatch(request.DataSet.getbuffer(), event.context.transfer_syntax, sop_class, sop_uid)
            if mismatch is not None:
                receipt = Receipt(NOT_AS_ANNOUNCED, mismatch)
                self._receiver.record_refusal(sender, receipt)
            elif self._priors.is_own_move(request.MoveOriginatorApplicationEntityTitle):
                receipt = self._priors.take(event.encoded_dataset, sender, request.MoveOriginatorMessageID)
            elif sop_class in RETURNED:
                receipt = self._returned.receive(sop_class, sop_uid, event.encoded_dataset, sender)
            else:
                receipt = self._receiver.receive(event.encoded_dataset(), sender)
        except Exception as error:  # a failure must not look like success, nor end the node
            logging.getLogger(__name__).error("an object could not be received: %s", type(error).__name__)
            return FAILED
        return answer_store(receipt)

    def _take_report(self, event: Event) -> tuple[int, None]:
        """Take an archive's word; the answer has no data set."""
        try:
            return _FAILED_REPORT if self._outbound is None else self._outbound.take_report(event), None
        except Exception as error:  # as above; the archive reports again, or is asked again
            logging.getLogger(__name__).error("a storage commitment could not be taken: %s", type(error).__name__)
            return _FAILED_REPORT, None


def _clear_up(event: Event, admission: Admission) -> None:
    """Forget a connection that is over."""
    admission.leave(event.assoc)
    clear_up(event.assoc)


def _log_rejection(event: Event) -> None:
    """Say why pynetdicom rejected an association; it has one reason here (PS3.8 9.3.4)."""
    words = "an association with %s was rejected: it called another AE title"
    logging.getLogger(__name__).warning(words, event.assoc.requestor.address)


def answer_store(receipt: Receipt) -> int | Any:
    """Return the answer to C-STORE, with the reason where there is one."""
    if not receipt.comment:
        return receipt.status
    from pydicom import Dataset

    answer = Dataset()
    answer.Status = receipt.status
    plain = receipt.comment.encode("ascii", "replace").decode()
    answer.ErrorComment = textwrap.shorten(plain, _LONGEST_COMMENT, placeholder=" ...")
    return answer
