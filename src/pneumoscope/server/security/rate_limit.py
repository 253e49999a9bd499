"""Rate limits: each key has a bucket of tokens that fills with time."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable

_MOST = 10_000
"""Buckets in memory; the one that was used longest ago is dropped first, full or nearly so."""


class RateLimit:
    """Allows each key ``per_minute`` requests in the long run, and as many at once."""

    def __init__(self, per_minute: int, clock: Callable[[], float] = time.monotonic) -> None:
        self._size = float(per_minute)
        self._clock = clock
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def wait(self, key: str) -> float:
        """Take one token; return 0, or the seconds until there will be one."""
        with self._lock:
            time = self._clock()
            level, since = self._buckets.pop(key, (self._size, time))
            level = min(self._size, level + (time - since) * self._size / 60)
            allowed = level >= 1
            self._buckets[key] = (level - 1 if allowed else level, time)
            if len(self._buckets) > _MOST:
                self._buckets.popitem(last=False)
            return 0.0 if allowed else (1 - level) * 60 / self._size
