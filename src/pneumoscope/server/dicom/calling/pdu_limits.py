"""How much a peer may send: a PDU is refused by the length that its header states, before any of it is read.

A peer has a short time for the first PDU. What it sends without waiting for answers is not read until its turn comes.

pynetdicom 3 reads a PDU whole, whatever length its header states, and its events come after that: six bytes from
anybody who reaches the port would fill the memory. Its one seam before the reading is the `recv` of an association's
socket, which it calls for the header first.
"""

from __future__ import annotations

import logging
import struct
import time
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynetdicom.association import Association

_HEADER = struct.Struct(">BxL")
_P_DATA = 0x04
_LONGEST_ASSOCIATE = 2**20
"""Bytes of an A-ASSOCIATE: 128 contexts with each transfer syntax that there is have less than a fifth of that."""
_LONGEST = {0x01: _LONGEST_ASSOCIATE, 0x02: _LONGEST_ASSOCIATE, 0x03: 4, 0x05: 4, 0x06: 4, 0x07: 4}
"""Bytes of a PDU beyond its header, by type (PS3.8 9.3); those of P-DATA are negotiated."""
_ABORT = bytes((0x07, 0, 0, 0, 0, 4, 0, 0, 0x02, 0x06))
"""A-ABORT by the service provider: invalid value of a PDU parameter (PS3.8 9.3.8)."""


_AHEAD = 1
"""Whole messages of a peer that wait for their turn; one more is being read by then."""
_TURN_SECONDS = 0.005
"""Between two looks whether it has come."""
_PART = 4096
"""Bytes that are read at once from a peer that may be nobody."""


class PduLimits:
    """The limits of one association; it replaces the `recv` of the association's socket."""

    def __init__(
        self, association: Association, max_object_bytes: int, request_seconds: float, idle_seconds: float
    ) -> None:
        """Put the limits on an association that was just opened.

        Args:
            association: A peer's, or one with an archive that this server opens; nothing of it was read.
            max_object_bytes: Larger messages end the association.
            request_seconds: In which its peer has to ask for it.
            idle_seconds: For which the rest of a later PDU is waited for.
        """
        self._association = association
        self._max_object_bytes = max_object_bytes
        provider: Any = association.dul
        self._transport = provider.socket
        self._read = self._transport.recv
        self._transport.recv = self.recv
        self._idle_seconds = idle_seconds
        self._deadline: float | None = time.monotonic() + request_seconds

    def recv(self, size: int) -> bytearray:
        """Read from the socket; at the header of a PDU that is too long, end the connection and return nothing.

        Nothing is what pynetdicom gets from a connection that its peer closed, and it clears up as it does then. The
        one PDU whose body has the size of a header is a P-DATA without a value, and that begins with 0, no PDU type.

        Args:
            size: Bytes to read.
        """
        data = self._read_in_time(size)
        if size != _HEADER.size or len(data) != size:
            return data
        kind, length = _HEADER.unpack(data)
        if (problem := self._find_problem(kind, length)) is None:
            if kind == _P_DATA:
                self._wait_for_turn()
            return data
        opened = self._association.is_requestor
        address = (self._association.acceptor if opened else self._association.requestor).address
        logging.getLogger(__name__).warning("an association with %s was ended: %s", address, problem)
        connection = self._transport.socket
        self._transport.send(_ABORT)
        self._transport.close()  # else all that was sent already would be read as headers, each with a log line
        connection.close()  # pynetdicom leaves it open where its peer was faster
        return bytearray()

    def end_waiting(self) -> None:
        """Let the peer, which has asked for its association, have more time for what follows."""
        self._deadline = None
        # Without it half a PDU would hold its place among the associations for ever.
        self._transport.socket.settimeout(self._idle_seconds)

    def _read_in_time(self, size: int) -> bytearray:
        """Read from the socket; what a peer sends byte by byte before it is known must not take for ever.

        Raises:
            TimeoutError: The time is up; pynetdicom ends the connection.
        """
        data = bytearray()
        while self._deadline is not None and len(data) < size:
            left = self._deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError
            self._transport.socket.settimeout(left)
            part = self._transport.socket.recv(min(size - len(data), _PART))
            if not part:
                return data
            data += part
        return data if len(data) == size else data + self._read(size - len(data))

    def _wait_for_turn(self) -> None:
        """Read no more while messages of this peer wait: it may send faster than they are stored (PS3.7 D.3.3.3)."""
        association = self._association
        while association.is_established and association.dimse.msg_queue.qsize() >= _AHEAD:
            time.sleep(_TURN_SECONDS)

    def _find_problem(self, kind: int, length: int) -> str | None:
        if kind != _P_DATA:
            longest = _LONGEST.get(kind)
            return None if longest is None or length <= longest else f"a PDU of {length} bytes, type {kind}"
        # The limit is the length without the header (PS3.8 D.1); some peers count the header in.
        own = self._association.requestor if self._association.is_requestor else self._association.acceptor
        if length > (own.maximum_length or 0) + _HEADER.size:
            return f"a PDU of {length} bytes, more than was negotiated"
        message: Any = self._association.dimse.message
        if message is None:
            return None
        received: int = message.encoded_command_set.tell() + message.data_set.tell()
        return "its object is too large" if received + length > self._max_object_bytes else None


def clear_up(association: Association) -> None:
    """Close the socket of an association whose connection is over, and end its thread if it never asked for anything.

    pynetdicom leaves the socket open where its peer was faster. It would wait for the request until its time is up,
    and count the association among those that are open.

    Args:
        association: Its connection is over.
    """
    provider: Any = association.dul
    if provider.socket.socket is not None:
        provider.socket.socket.close()
    if association.requestor.primitive is None:
        provider.to_user_queue.put(None)  # what pynetdicom gets when the time is up
