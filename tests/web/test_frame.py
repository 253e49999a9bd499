"""The frame around every page: the sentence that is always there, in the package's own words; two languages."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from pneumoscope.labels import DISCLAIMER
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

PAGES = ("#/", "#/models", "#/dashboard", "#/account", "#/no-such-page")


@pytest.mark.parametrize("hash_", PAGES)
def test_every_page_says_what_this_software_is_not(site: Any, page: Page, hash_: str) -> None:
    page.goto(site.url + "/" + hash_)
    page.wait_for_selector("main h1, main p")
    expect(page.get_by_text(DISCLAIMER)).to_be_visible()


def test_the_page_speaks_german_when_asked_and_remembers_it(site: Any, page: Page) -> None:
    page.goto(site.url)
    page.get_by_label("Language").select_option("de")
    page.get_by_role("link", name="Arbeitsliste").first.wait_for()
    page.reload()
    page.get_by_role("link", name="Arbeitsliste").first.wait_for()
    expect(page.locator("html")).to_have_attribute("lang", "de")


def test_nothing_is_asked_of_another_site(site: Any, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.goto(site.url)
    page.get_by_role("link", name="Models").first.click()
    page.locator(".model-card").first.wait_for()
    assert asked
    assert [url for url in asked if not url.startswith((site.url, "blob:", "data:"))] == []
