"""What every page owes its reader: a title, the focus on its heading, failures that are said."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from web.conftest import Site
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route


def test_a_change_of_page_moves_the_focus_to_its_heading_and_names_the_document(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/#/")
    page.get_by_role("heading", name="Worklist").wait_for()
    expect(page).to_have_title("Worklist · Pneumoscope")
    assert page.evaluate("document.activeElement === document.body")  # not when the app opens
    for name in ("Models", "Dashboard", "Account"):
        page.get_by_role("link", name=name, exact=True).click()
        page.locator("h1:focus", has_text=name).wait_for()
        expect(page).to_have_title(f"{name} · Pneumoscope")
    page.get_by_role("link", name="Models", exact=True).click()
    page.locator(".model-card a").first.click()
    page.locator("h1:focus", has_text="pneumoscope-opacity").wait_for()
    expect(page).to_have_title(re.compile("^pneumoscope-opacity"))


def test_the_keyboard_reaches_the_content_at_once(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/#/models")
    page.locator(".model-card").first.wait_for()
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    page.locator("h1:focus").wait_for()
    assert page.url.endswith("#/models")


def test_what_failed_is_said_with_the_number_of_the_request(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/#/models/0123456789ab")
    said = page.get_by_role("alert")
    expect(said).to_contain_text("is not on this server")
    expect(said).to_contain_text("Number of the request")


def test_a_server_that_is_away_is_asked_again(site: Site, page: Page) -> None:
    def away(route: Route) -> None:
        route.abort()

    page.route("**/api/me", away)
    page.goto(f"{site.url}/#/")
    page.get_by_text("can't be reached").wait_for()
    page.unroute("**/api/me")
    page.get_by_role("button", name="Try again").click()
    page.get_by_role("heading", name="Worklist").wait_for()


def test_a_file_dropped_beside_its_place_does_not_take_the_page_away(site: Site, page: Page) -> None:
    page.goto(f"{site.url}/#/models")
    page.locator(".model-card").first.wait_for()
    prevented = page.evaluate(
        """() => {
            const data = new DataTransfer();
            data.items.add(new File(["x"], "x.png"));
            return !document.body.dispatchEvent(
                new DragEvent("drop", { dataTransfer: data, bubbles: true, cancelable: true }));
        }"""
    )
    assert prevented
