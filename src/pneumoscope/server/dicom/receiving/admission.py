"""How many peers the node serves, and how many connections may wait until their peer asks for an association.

A connection is no association yet, and anybody who reaches the port can open one. So those whose peer has not asked are
counted by themselves, few for each address, and have a short time to ask.
"""

from __future__ import annotations

import logging
import threading
from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynetdicom.association import Association

ASSOCIATIONS = 10
"""Peers at once; a modality opens one, a PACS some."""
WAITING, WAITING_OF_ONE = 100, 20
"""Connections that wait at once, and those of one address."""
REQUEST_SECONDS = 5.0
"""Seconds in which a peer has to ask for its association."""
Peer = tuple[str, int]
"""Address and port of a connection's other end."""


class Admission:
    """Counts connections that wait, and associations."""

    def __init__(self, seconds: float) -> None:
        """Begin with none.

        Args:
            seconds: For which a connection waits at most.
        """
        self._seconds = seconds
        self._lock = threading.Lock()
        self._waiting: dict[Peer, float] = {}
        self._accepted: list[Association] = []
        self._last_line = float("-inf")

    def admits(self, _: Any, address: tuple[Any, ...]) -> bool:
        """Return whether a connection that was just opened may wait; the server closes it if not.

        Args:
            address: Of its other end.
        """
        peer, time = (str(address[0]), int(address[1])), monotonic()
        with self._lock:
            # Each of them is closed when its time is up. This holds even where that is not told.
            self._waiting = {each: since for each, since in self._waiting.items() if time - since < 2 * self._seconds}
            of_one = Counter(each[0] for each in self._waiting)[peer[0]]
            admitted = len(self._waiting) < WAITING and of_one < WAITING_OF_ONE
            if admitted:
                self._waiting[peer] = time
            says = not admitted and time - self._last_line > self._seconds
            if says:
                self._last_line = time
        if says:  # not for each of thousands
            logging.getLogger(__name__).warning("connections from %s are closed: too many ask for nothing", peer[0])
        return admitted

    def accept(self, association: Association) -> bool:
        """Count an association whose peer has asked for it; return False where there are too many.

        Args:
            association: Its thread runs.
        """
        self.leave(association)
        with self._lock:
            self._accepted = [each for each in self._accepted if each.is_alive()]
            accepted = len(self._accepted) < ASSOCIATIONS
            if accepted:
                self._accepted.append(association)
        return accepted

    def leave(self, association: Association) -> None:
        """Note that a connection waits no more: its peer has asked, or it is closed."""
        requestor = association.requestor
        with self._lock:
            self._waiting.pop((str(requestor.address), int(requestor.port or 0)), None)
