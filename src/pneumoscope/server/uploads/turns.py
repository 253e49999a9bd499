"""Fair turns: who waits for a decoder, and whose turn it is when one is free."""

from __future__ import annotations

import threading
import time
from collections import Counter, deque
from collections.abc import Iterable
from itertools import count
from typing import Generic, TypeVar

from pneumoscope.server.errors import UnavailableError

T = TypeVar("T")
RETRY_AFTER = 5
"""Seconds after which an upload may be sent again to a server that is stopping."""


class _Ticket(Generic[T]):
    """One who waits."""

    item: T | None = None


class FairTurns(Generic[T]):
    """Items that many accounts want: the account that holds the fewest comes first, then the one served longest ago.

    An account that sends a thousand files therefore waits for itself: another's single file is next.
    """

    def __init__(self, items: Iterable[T] = ()) -> None:
        self._idle = deque(items)
        self._waiting: dict[str, deque[_Ticket[T]]] = {}
        self._held: Counter[str] = Counter()
        self._served: dict[str, int] = {}
        self._numbers = count(1)
        self._changed = threading.Condition()
        self._closed = False

    def add(self, item: T) -> None:
        """Add an item."""
        with self._changed:
            self._idle.append(item)
            self._hand_out()

    def take(self, account: str) -> T:
        """Wait for an item; give it back with `give_back`.

        Raises:
            UnavailableError: The server stops.
        """
        ticket: _Ticket[T] = _Ticket()
        with self._changed:
            self._waiting.setdefault(account, deque()).append(ticket)
            self._hand_out()
            self._changed.wait_for(lambda: ticket.item is not None or self._closed)
            if ticket.item is None:
                raise stopping()
            return ticket.item

    def give_back(self, account: str, item: T) -> None:
        """Give an item back, for the next in turn."""
        with self._changed:
            self._held[account] -= 1
            if not self._held[account]:
                del self._held[account]
            self._idle.append(item)
            self._hand_out()

    def wait_until_idle(self, seconds: float) -> bool:
        """Return whether all items are given back within so many seconds."""
        with self._changed:
            return self._changed.wait_for(lambda: not self._held, seconds)

    def close(self) -> None:
        """Refuse all who wait, and all who come."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _hand_out(self) -> None:
        while self._idle and self._waiting and not self._closed:
            account = min(self._waiting, key=lambda name: (self._held[name], self._served.get(name, 0)))
            self._waiting[account].popleft().item = self._idle.popleft()
            if not self._waiting[account]:
                del self._waiting[account]
            self._held[account] += 1
            self._served[account] = next(self._numbers)
        self._changed.notify_all()


class TimeBudget:
    """Seconds that each account may spend in a period; what was spent runs out evenly (a leaky bucket)."""

    def __init__(self, seconds: float, period: float) -> None:
        self._seconds = seconds
        self._rate = seconds / period
        self._spent: dict[str, tuple[float, float]] = {}
        self._lock = threading.Lock()

    def is_spent(self, account: str) -> bool:
        """Return whether an account has no time left."""
        with self._lock:
            return self._level(account) >= self._seconds

    def spend(self, account: str, seconds: float) -> None:
        """Note that an account has used so many seconds."""
        with self._lock:
            self._spent[account] = self._level(account) + seconds, time.monotonic()

    def _level(self, account: str) -> float:
        level, at = self._spent.get(account, (0.0, 0.0))
        return max(0.0, level - self._rate * (time.monotonic() - at))


def stopping() -> UnavailableError:
    """Return the error for an upload that the server can't take any more, because it stops."""
    return UnavailableError("this server", "is stopping.", "Send it again later.", retry_after=RETRY_AFTER)
