"""What axe-core finds on a page that keeps somebody out: violations it calls serious or critical (WCAG 2.2)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Page


def obstacles(page: Page) -> list[str]:
    """Return each, with the element it is about."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="pip install 'pneumoscope[dev]'")
    found = axe.Axe().run(page).response["violations"]
    return [
        f"{one['id']}: {node['html'][:160]}"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"]
    ]
