"""What stands around a reading: keys, the report out, templates, the monitor, the table, and a server that is gone."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from pneumoscope.core.labels import DISCLAIMER
from server.sample_files import archive, dicom
from web.axe import obstacles
from web.conftest import PHONE, Site, drawn
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page


@pytest.fixture(scope="module")
def study(site: Site) -> str:
    return site.upload(drawn(170), models=("builtin",))[0]


def test_a_report_is_written_by_keys_and_templates_and_leaves_as_text_and_print(
    site: Site, page: Page, study: str
) -> None:
    """Faults E10 and E19: keys work after a control was used; the report is copied and printed."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.goto(f"{site.url}/#/studies/{study}")
    page.get_by_role("button", name="Read first").locator("visible=true").click()
    page.get_by_label("Insert a template").select_option(index=1)
    expect(page.get_by_label("Report text")).to_have_value(re.compile("^Heart size normal"))
    page.get_by_label("Conclusion").select_option("other")
    page.locator(".view-screen[data-ready=true]").focus()
    page.keyboard.press("s")
    page.get_by_text("Version 1: unaided, draft").wait_for()
    page.get_by_role("button", name="Copy as text").click()
    page.get_by_text("The report is copied").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    assert "Conclusion: Other finding" in text
    assert "Heart size normal." in text
    assert text.endswith(DISCLAIMER)
    page.evaluate(
        "() => { window.print = () => { window.printed = document.querySelector('.print-only').textContent; }; }"
    )
    page.get_by_role("button", name="Print or save as PDF").click()
    page.wait_for_function("window.printed !== undefined")
    assert page.evaluate("window.printed") == text
    page.locator(".view-screen").focus()
    page.keyboard.press("k")  # the key asks, and locks nothing by itself
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.locator(".view-screen").focus()
    page.keyboard.press("m")
    expect(page.get_by_role("button", name="Magnifier")).to_have_attribute("aria-pressed", "true")
    page.locator(".view-screen").hover()
    expect(page.locator(".view-lens")).to_be_visible()
    expect(page.locator(".view-probe")).to_have_text(re.compile(r"^x \d+ y \d+: \d"))
    assert obstacles(page) == []


def test_a_server_that_is_gone_is_told_within_seconds_and_work_goes_on(site: Site, page: Page) -> None:
    """Fault E9."""
    page.goto(f"{site.url}/#/models")
    page.locator(".model-card").first.wait_for()
    page.context.set_offline(True)
    expect(page.locator(".server-gone")).to_contain_text("can't be reached", timeout=5000)
    page.context.set_offline(False)
    expect(page.locator(".server-gone")).to_have_count(0)
    page.get_by_role("link", name="Worklist", exact=True).click()
    page.locator(".study").first.wait_for()


def test_the_monitor_of_a_model_asks_first_and_states_its_rate_of_false_alarms(site: Site, page: Page) -> None:
    """Issue 12: weekly drift, reachable from the model's page, in both languages."""
    page.goto(f"{site.url}/#/models/{site.api('GET', '/api/models')[0]['id']}")
    with page.expect_request("**/api/monitor/**", timeout=60_000) as asked:
        page.get_by_role("link", name="Monitor").click()
        page.get_by_text("This counts as having seen the answers").wait_for()
        page.get_by_label("Complete weeks").select_option("26")
        page.get_by_role("button", name="Show the weeks").click()
    assert "weeks=26" in asked.value.url
    page.get_by_text("The newest complete week is not tested").wait_for()  # the site has no patients of last week
    expect(page.get_by_text("at most 1 of 52 weeks have one")).to_be_visible()
    expect(page.locator(".monitor-table tbody tr")).to_have_count(26)
    assert obstacles(page) == []
    page.get_by_label("Language").select_option("de")
    page.get_by_role("heading", name="Überwachung von").wait_for()
    expect(page.get_by_text("höchstens 1 von 52 Wochen")).to_be_visible()


def test_a_phone_gives_the_image_more_than_half_of_its_screen_and_the_sentence_one_line(
    site: Site, new_page: Callable[..., Page], study: str
) -> None:
    """Fault E12: at least 55% of a portrait screen and 80% of a landscape one."""
    for size, share in ((PHONE, 0.55), ({"width": 844, "height": 390}, 0.8)):
        page = new_page(size, has_touch=True, is_mobile=True)
        page.add_init_script("localStorage.setItem('pneumoscope.language', 'de')")
        page.goto(f"{site.url}/#/studies/{study}")
        page.locator(".view-screen[data-ready=true]").wait_for()
        box = page.locator(".view-screen").bounding_box()
        assert box is not None
        assert box["height"] >= share * size["height"]
        if size is not PHONE:
            continue
        sentence = page.locator("aside.disclaimer")
        line = sentence.bounding_box()
        assert line is not None
        assert line["height"] < 40
        sentence.get_by_role("button", name="Ganzer Satz").tap()
        expect(page.get_by_text(DISCLAIMER)).to_be_visible()


def test_files_in_an_archive_are_named_for_their_sender_and_a_refusal_names_the_kind(site: Site, page: Page) -> None:
    """Fault E7: "This is a CT", and the name in the ZIP, which was not sent."""
    page.goto(f"{site.url}/#/")
    page.locator(".study").first.wait_for()
    packed = archive({"Doe^Jane/head.dcm": dicom({"Modality": "CT"}), "notes.txt": b"no radiograph"})
    with page.expect_request("**/api/studies") as sent:
        page.locator("input[type=file]").set_input_files(
            {"name": "all.zip", "mimeType": "application/zip", "buffer": packed}
        )
    assert sent.value.method == "POST"
    row = page.locator(".tray-list > li").filter(has_text="all.zip")
    row.get_by_text("Why some were refused").click()
    expect(row).to_contain_text("Doe^Jane/head.dcm: This is a CT.")
    expect(row).to_contain_text("notes.txt: This is not an image")
