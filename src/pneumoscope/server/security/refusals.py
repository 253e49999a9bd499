"""Refused strangers in the audit log: the first ones in full, then a sample, and how many were left out.

Each line of the log is a transaction, and the log is kept. So a stranger could fill the disk by asking without a login.
What an account does is always written in full.
"""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable

WINDOW = 60.0
"""Seconds."""
OF_ADDRESS = 20
"""Refusals of one address that are written in full in a window."""
OF_ALL = 200
"""Refusals of all strangers that are written in full in a window."""
SAMPLE = 1000
"""Of those above, one in so many is written in full, too."""


class RefusalSampler:
    """Decides which refusals of strangers are written, and counts the others; safe for several threads."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._since = clock()
        self._written: Counter[str] = Counter()
        self._left_out = 0
        self._above = 0

    def admit(self, address: str) -> bool:
        """Return whether a refusal of an address is written in full; if not, it is counted."""
        with self._lock:
            if self._clock() - self._since >= WINDOW:
                self._since = self._clock()
                self._written.clear()
            if self._written[address] < OF_ADDRESS and self._written.total() < OF_ALL:
                self._written[address] += 1
                return True
            self._above += 1
            if self._above % SAMPLE == 0:
                return True
            self._left_out += 1
            return False

    def take_left_out(self) -> int:
        """Return how many were left out and not reported yet, once a window; 0 until its end."""
        with self._lock:
            if not self._left_out or self._clock() - self._since < WINDOW:
                return 0
            count, self._left_out = self._left_out, 0
            return count
