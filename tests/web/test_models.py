"""The models' pages: warnings first, every figure with its interval, and a switch that says who is concerned."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from web.axe import obstacles
from web.conftest import Site
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture
def model(site: Site) -> Iterator[str]:
    """The built-in model; on again after the test."""
    found: str = site.api("GET", "/api/models")[0]["id"]
    yield found
    site.api("POST", f"/api/models/{found}/switch", json={"on": True, "reason": "the test is over"})


def opened(page: Page, site: Site, model: str) -> None:
    page.goto(f"{site.url}/#/models/{model}")
    page.get_by_role("heading", name="How well it did").wait_for()


def test_the_list_says_what_must_be_known_before_a_model_is_asked(site: Site, page: Page, model: str) -> None:
    page.goto(f"{site.url}/#/models")
    card = page.locator(".model-card").first
    card.wait_for()
    said = site.api("GET", f"/api/models/{model}")
    text = card.inner_text()
    words = {"not audited": "Not audited", "passed": "Passed its audit", "failed": "Failed its audit"}
    assert (words | {"caution": "Audit: caution"})[said["audit"]] in text
    assert all(finding in text for finding in said["not_looked_for"])
    assert "normal" not in card.locator("dd").first.inner_text().lower()
    card.get_by_role("link").click()
    page.get_by_role("heading", name="How well it did").wait_for()


def test_no_figure_stands_without_its_interval(site: Site, page: Page, model: str) -> None:
    opened(page, site, model)
    page.get_by_text("All figures of this part").first.click()
    figures = page.locator(".interval-value").all_inner_texts()
    assert len(figures) > 10
    assert [text for text in figures if not re.search(r"\[.+\]|Not estimable", text)] == []
    whole = page.locator("[aria-labelledby=part-figures] details[open] tbody tr td:nth-child(2)").all_inner_texts()
    assert len(whole) > 20
    assert [text for text in whole if not re.search(r"\[.+\]|Not estimable", text)] == []


def test_test_and_validation_figures_are_the_cards_and_stand_apart(site: Site, page: Page, model: str) -> None:
    opened(page, site, model)
    said = site.api("GET", f"/api/models/{model}")
    (validation,) = said["card"]["metrics"]
    accuracy = validation["metrics"]["accuracy"]
    table = page.locator("h3", has_text="Validation").locator("xpath=following-sibling::div[1]")
    shown = table.get_by_role("row", name="Accuracy", exact=False).last.inner_text()
    assert f"{accuracy['value']:.3f} [{accuracy['low']:.3f}, {accuracy['high']:.3f}]" in shown
    opening = next(fact for fact in said["evidence"] if fact.get("kind") == "opening")
    page.get_by_text(f"{opening['images']:,} images").first.wait_for()


def test_every_stamp_and_limit_of_the_card_is_on_the_page(site: Site, page: Page, model: str) -> None:
    opened(page, site, model)
    said = site.api("GET", f"/api/models/{model}")
    text = page.locator("article").inner_text()
    for sentence in [*said["card"]["limits"], said["card"]["intended_use"], said["identity"]]:
        assert sentence in text
    for licence in said["card"]["licences"]:
        assert licence["licence"] in text
    if "confounded" in said["stamps"]:
        expect(page.locator(".warnings").get_by_text("Confounded:")).to_be_visible()


def test_a_file_of_the_bundle_can_be_fetched(site: Site, page: Page, model: str) -> None:
    opened(page, site, model)
    with page.expect_download() as fetched:
        page.get_by_role("link", name="card.json").click()
    assert fetched.value.suggested_filename == "card.json"


def test_a_switched_off_model_says_why_and_whom_it_answered(site: Site, page: Page, model: str) -> None:
    opened(page, site, model)
    page.get_by_role("button", name="Switch it off").click()
    dialog = page.get_by_role("dialog")
    expect(dialog.get_by_role("button", name="Switch it off")).to_be_disabled()
    dialog.get_by_label("Reason").fill("wrong on supine views")
    dialog.get_by_role("button", name="Switch it off").click()
    page.get_by_role("button", name="Switch it on again").wait_for()
    expect(page.locator(".warnings")).to_contain_text("wrong on supine views")
    page.get_by_role("button", name="Show the list").click()
    rows = page.locator("section", has_text="All its answers").last.locator("tbody tr")
    expect(rows).to_have_count(len(site.api("GET", f"/api/models/{model}/answered")))
    page.goto(f"{site.url}/#/")
    page.get_by_role("button", name="Change").click()
    expect(page.get_by_role("dialog")).to_contain_text("Switched off")


def test_what_became_known_fits_on_a_phone(site: Site, phone: Page, model: str) -> None:
    opened(phone, site, model)
    known = phone.locator("[aria-labelledby=part-evidence]")
    folds = known.locator("details")
    for fold in folds.all():
        if fold.get_attribute("open") is None:
            fold.locator("summary").first.tap()
    expect(known.locator("details:not([open])")).to_have_count(0)
    assert phone.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]
    certificates = known.locator("details", has=phone.locator("table"))
    facts = [one for one in site.api("GET", f"/api/models/{model}")["evidence"] if one["kind"] == "certificate"]
    expect(certificates).to_have_count(len(facts))
    assert not [text for text in known.locator("pre").all_inner_texts() if '"kind": "certificate"' in text]
    newest = max(facts, key=lambda fact: fact["time"])
    expect(certificates.first.locator("tbody tr")).to_have_count(len(newest["engines"]) + len(newest["not_run"]))
    expect(certificates.first).to_contain_text("8-bit bundle in ONNX Runtime")
    expect(certificates.last).to_contain_text("a limit is exceeded (a later one, of")
    assert obstacles(phone) == []


def test_nothing_keeps_anyone_out(site: Site, page: Page, phone: Page, model: str) -> None:
    for shown in (page, phone):
        opened(shown, site, model)
        assert obstacles(shown) == []
        shown.get_by_role("button", name="Light or dark").click()
        assert obstacles(shown) == []
        assert shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
        shown.goto(f"{site.url}/#/models")
        shown.locator(".model-card").first.wait_for()
        assert obstacles(shown) == []
