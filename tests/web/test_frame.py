"""The frame around every page: the sentence that is always there, in the package's own words; two languages."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from pneumoscope.core.labels import DISCLAIMER
from web.conftest import DESKTOP, PHONE
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

PAGES = ("#/", "#/models", "#/dashboard", "#/account", "#/no-such-page")


@pytest.mark.parametrize("hash_", PAGES)
def test_every_page_says_what_this_software_is_not(site: Any, page: Page, hash_: str) -> None:
    page.goto(site.url + "/" + hash_)
    page.wait_for_selector("main h1, main p")
    expect(page.get_by_text(DISCLAIMER)).to_be_visible()


@pytest.mark.parametrize("size", [DESKTOP, PHONE, {"width": 844, "height": 320}])
def test_no_dialog_dims_or_covers_the_sentence(site: Any, new_page: Callable[..., Page], size: dict[str, int]) -> None:
    page = new_page(size)
    page.goto(site.url)
    page.locator(".study").first.wait_for()
    for scrolled in (0, 300):
        page.evaluate(f"scrollTo(0, {scrolled})")
        before = look_of(page, page.get_by_text(DISCLAIMER))
        page.get_by_role("button", name="Change").evaluate("(one) => one.click()")  # from where the page stands
        page.get_by_role("dialog").get_by_role("checkbox").first.wait_for()
        assert look_of(page, page.get_by_text(DISCLAIMER)) == before
        page.get_by_role("button", name="Done").click()
        page.get_by_role("dialog").wait_for(state="detached")


def test_no_dialog_dims_or_covers_the_sentence_in_full_screen(site: Any, page: Page) -> None:
    page.goto(f"{site.url}/#/studies/{site.api('GET', '/api/studies')['studies'][0]['id']}")
    page.locator(".view-screen[data-ready=true]").focus()
    page.keyboard.press("f")
    sentence = page.locator(".viewer[data-full=true] .disclaimer")
    sentence.wait_for()
    before = look_of(page, sentence)
    page.keyboard.press("?")
    page.get_by_role("dialog", name="Keys and gestures").wait_for()
    assert look_of(page, sentence) == before


def look_of(page: Page, part: Locator) -> bytes:
    """A picture of the place where a part of the page is, with whatever lies over it."""
    box = part.bounding_box()
    assert box is not None
    return page.screenshot(clip=box)


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
