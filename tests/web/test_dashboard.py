"""The dashboard: accuracy only against the reference, how many studies have one first, and the warnings with it."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import pytest

from web.axe import obstacles
from web.conftest import Site, drawn
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

DAY = {"standard": "rt-pcr", "label": "covid-19", "date": "2026-01-31"}


@pytest.fixture(scope="module")
def read(site: Site) -> Site:
    """A site whose studies have been read, some with a reference result."""
    for number, conclusion in enumerate(("covid-19", "normal", "covid-19")):
        (study,) = site.upload(drawn(160 + number))
        for stage in ("unaided", "aided"):
            body = {"stage": stage, "state": "final", "conclusion": conclusion}
            site.api("POST", f"/api/studies/{study}/reads", json=body)
            site.api("GET", f"/api/studies/{study}/predictions")
        if number:
            site.api("POST", f"/api/studies/{study}/references", json=DAY)
    return site


def model_asked(site: Site) -> str:
    """The model that answered these studies: other tests on the same site may have asked another one more often."""
    return next(one["id"] for one in site.api("GET", "/api/dashboard")["models"] if one["name"] == "pneumoscope-covid")


def opened(page: Page, site: Site) -> None:
    page.goto(f"{site.url}/#/dashboard")
    page.get_by_role("combobox", name="Model").select_option(model_asked(site))
    page.get_by_role("link", name="How the server runs").wait_for()


def test_the_verified_share_stands_before_any_accuracy(read: Site, page: Page) -> None:
    opened(page, read)
    figures = read.api("GET", f"/api/dashboard?model={model_asked(read)}")["figures"]
    share = f"{figures['verification']['verified']} of {figures['counts']['studies']} ="
    expect(page.locator("main")).to_contain_text(share)  # of the model that was chosen
    text = page.locator("main").inner_text()
    assert figures["warnings"][0] in text
    assert text.index(figures["warnings"][0]) < text.index(share) < text.index("Sensitivity\n")
    shown = page.locator(".interval-value").all_inner_texts()
    assert shown
    assert [one for one in shown if not re.search(r"\[.+\]|Not estimable", one)] == []


def test_counting_everyones_studies_asks_first(read: Site, page: Page) -> None:
    opened(page, read)
    page.get_by_label("Studies of all readers").click()
    page.get_by_role("dialog").get_by_text("can't read those studies unaided").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").wait_for(state="detached")
    expect(page.get_by_label("Studies of all readers")).not_to_be_checked()


def test_nothing_keeps_anyone_out(read: Site, page: Page, phone: Page) -> None:
    for shown in (page, phone):
        opened(shown, read)
        tables = shown.get_by_text("As a table")
        tables.first.wait_for()
        for table in tables.all():
            table.click()
        assert obstacles(shown) == []
        shown.get_by_role("button", name="Light or dark").click()
        assert obstacles(shown) == []
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
