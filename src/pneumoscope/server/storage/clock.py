"""A clock that never goes back: sessions and locks end by it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable


class SteadyClock:
    """Seconds since 1970 that never go back, whatever is done to the machine's clock.

    It goes on with the machine's monotonic clock where the wall clock is set back, and follows the wall clock where
    that is ahead: after a suspension, during which the monotonic clock may stand still. So a clock that is set back
    lengthens no session. After a restart the wall clock alone is known; `server.security.sessions` ends sessions that
    began later than that.
    """

    def __init__(
        self, wall: Callable[[], float] = lambda: time.time(), monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._wall = wall
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._latest = wall()
        self._measured = monotonic()

    def now(self) -> float:
        """Return the time, in seconds since 1970 (UTC); never less than at the last call."""
        with self._lock:
            measured = self._monotonic()
            self._latest = max(self._wall(), self._latest + max(0.0, measured - self._measured))
            self._measured = measured
            return self._latest
