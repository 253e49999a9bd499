"""Assertions that wait: what a page shows comes a little after what was done, and how much after is the machine's.

A test module that imports this can be collected, and skip, where there is no Playwright.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from playwright.sync_api import expect
else:

    def expect(actual: Any, message: str | None = None) -> Any:
        """Return Playwright's assertions about a page or a part of it; each waits until it holds."""
        from playwright.sync_api import expect as waiting

        return waiting(actual, message)


__all__ = ["expect"]
