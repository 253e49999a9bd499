"""Where passwords are checked: a few threads of their own, so that a flood of logins stops nobody who is logged in."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import TypeVar

import anyio
import anyio.to_thread

from pneumoscope.server.errors import BusyError

T = TypeVar("T")

_AT_ONCE = 2
"""Passwords that are checked at once; each takes 64 MiB and a core."""
_OF_ADDRESS = 4
"""Logins of one address that are under way; a stranger's must not stand before everybody else's."""
_UNDER_WAY = 64
"""Logins that are under way; those above it have to come later."""


class LoginPool:
    """Runs logins, a few at a time; used from one event loop."""

    def __init__(self) -> None:
        self._limiter = anyio.CapacityLimiter(_AT_ONCE)
        self._under_way: Counter[str] = Counter()

    async def run(self, address: str, login: Callable[[], T]) -> T:
        """Run a login on a thread of the pool and return what it returns.

        Args:
            address: Network address of the sender.
            login: Checks the password.

        Raises:
            BusyError: Too many logins are under way, of this address or of all.
        """
        if self._under_way[address] >= _OF_ADDRESS or self._under_way.total() >= _UNDER_WAY:
            raise BusyError(
                "the login", "comes while many others are under way.", "Wait a little.",
                code="too-often", values={"seconds": 5}, retry_after=5,
            )  # fmt: skip
        self._under_way[address] += 1
        try:
            return await anyio.to_thread.run_sync(login, limiter=self._limiter)
        finally:
            self._under_way[address] -= 1
            if not self._under_way[address]:
                del self._under_way[address]
