"""A multi-label model in the reading room: a table of findings, a read of several of them, and the model's page."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bundles import FINDINGS, write_findings_bundle
from server.sample_files import png
from web.axe import obstacles
from web.conftest import DESKTOP, PHONE, Site, running
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

SIZES = (DESKTOP, PHONE)


@pytest.fixture(scope="module")
def findings_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server with the bundle ``findings``, which is multi-label."""
    pytest.importorskip("onnx", reason="no onnx: pip install 'pneumoscope[dev]'")
    folder: Path = tmp_path_factory.mktemp("findings")
    write_findings_bundle(folder / "models" / "findings")
    with running(folder / "home", "--models", str(folder / "models")) as made:
        yield made


def model_of(site: Site) -> str:
    return next(str(one["id"]) for one in site.api("GET", "/api/models") if one["name"] == "findings")


def open_answers(page: Page, site: Site, value: float, side: int) -> None:
    """Upload a grey square, and open the answer about it."""
    (study,) = site.upload(png(value, side), models=(model_of(site),))
    page.goto(f"{site.url}/#/studies/{study}")
    page.get_by_role("tab", name="Model").click()
    page.get_by_role("button", name="Show the models' answers").locator("visible=true").first.click()
    page.locator(".answer").first.wait_for()


def check_layout(page: Page) -> None:
    assert obstacles(page) == []
    assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0


def test_the_answer_is_a_table_of_findings(findings_site: Site, new_page: Callable[..., Page]) -> None:
    for number, size in enumerate(SIZES):
        page = new_page(size)
        open_answers(page, findings_site, 0.8, 40 + number)
        rows = page.locator(".findings-table tbody")
        expect(rows).to_have_count(3)
        # Those that reach their thresholds come first.
        assert rows.locator("th").all_inner_texts() == [
            "Pneumonia Named", "Lung nodule Named", "Pleural effusion not named",
        ]  # fmt: skip
        said = rows.all_inner_texts()
        assert "0.95 (threshold 0.40)" in said[0] and "0.18 (threshold 0.60)" in said[2]
        assert "Of 100 calibration images with such a score, 90 [70, 98] had Pneumonia." in said[0]
        assert "had Pneumonia. Of all, 20 of 100 had it." in said[0]
        assert "Not ruled out: present." in said[0] and "Not ruled out: present, absent." in said[1]
        assert "Not ruled out: absent." in said[2]
        page.get_by_role("button", name="Show the heatmap of: Lung nodule").click()
        expect(page.get_by_text("Heatmap: Lung nodule")).to_be_visible()
        page.get_by_role("button", name="Show the heatmap of: Pleural effusion").click()
        expect(page.get_by_text("Heatmap: Pleural effusion")).to_be_visible()
        page.locator(".answer details.research summary").click()
        check_layout(page)


def test_a_device_shows_the_same_table(findings_site: Site, new_page: Callable[..., Page]) -> None:
    page = new_page(DESKTOP)
    open_answers(page, findings_site, 0.8, 48)
    room = page.locator(".findings-table tbody").all_inner_texts()
    phone = new_page(PHONE)
    phone.goto(f"{findings_site.url}/device.html")
    phone.locator(".pick").first.wait_for()
    for box in phone.locator(".pick input[type=checkbox]").all():
        box.set_checked("findings" in box.locator("xpath=ancestor::label").inner_text())
    phone.get_by_role("button", name="Download (").click()
    pick = phone.locator("input[data-pick=file]")
    pick.wait_for(state="attached")
    phone.set_input_files("input[data-pick=file]", {"name": "a.png", "mimeType": "", "buffer": png(0.8, 48)})
    rows = phone.locator(".findings-table tbody")
    expect(rows).to_have_count(3)
    for shown, wanted in zip(rows.all_inner_texts(), room, strict=True):
        assert shown.split() == [word for word in wanted.split() if word != "Show"]
    check_layout(phone)


def test_no_finding_and_no_answer_are_said_in_words(findings_site: Site, page: Page) -> None:
    open_answers(page, findings_site, 0.44, 44)
    expect(page.locator(".answer .verdict")).to_have_text("No pattern that this model looks for")
    expect(page.locator(".findings-table [data-named=true]")).to_have_count(0)
    open_answers(page, findings_site, 1.0, 45)
    expect(page.locator(".answer .verdict")).to_have_text("No answer from the model")
    expect(page.locator(".findings-table")).to_have_count(0)


def test_a_reader_ticks_findings_and_asks_about_one(findings_site: Site, page: Page) -> None:
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    (study,) = findings_site.upload(png(0.8, 46), models=(model_of(findings_site),))
    page.goto(f"{findings_site.url}/#/studies/{study}")
    page.get_by_role("button", name="Read first").locator("visible=true").click()
    conclusion = page.get_by_role("group", name="Conclusion")
    conclusion.get_by_label("Lung nodule").check()
    conclusion.get_by_label("None of these patterns").check()
    expect(conclusion.get_by_label("Lung nodule")).not_to_be_checked()
    conclusion.get_by_label("Pleural effusion").check()
    conclusion.get_by_label("Lung nodule").check()
    expect(conclusion.get_by_label("None of these patterns")).not_to_be_checked()
    check_layout(page)
    page.get_by_role("button", name="Lock my read").click()
    page.get_by_role("dialog").get_by_role("button", name="Lock my read").click()
    page.locator(".findings-table").wait_for()
    [read] = findings_site.api("GET", f"/api/studies/{study}/reads")
    assert (read["stage"], read["conclusion"]) == ("unaided", "pleural-effusion; nodule")
    page.get_by_text("Pre-test probability").click()
    page.get_by_role("combobox", name="Finding").select_option(FINDINGS[0])
    page.get_by_label("With Pneumonia, before the image").fill("10")
    page.get_by_role("combobox", name="Source").fill("the ward")
    page.get_by_role("button", name="Update").click()
    # Odds 1/9 times the ratio 9 are 1.
    expect(page.locator(".posterior")).to_contain_text("Of 100 such patients, 10 have Pneumonia")
    expect(page.locator(".posterior")).to_contain_text("50 [25, 75]")
    page.get_by_role("tab", name="Report").click()
    page.get_by_role("button", name="Copy as text").click()
    page.get_by_text("The report is copied").wait_for()
    text = page.evaluate("navigator.clipboard.readText()")
    assert "Conclusion: Pleural effusion, Lung nodule" in text
    assert "findings 1: Patterns: Pneumonia, Lung nodule" in text
    assert "Pleural effusion: score 0.18, threshold 0.60: not named" in text
    # A reference result may name several too.
    page.get_by_role("tab", name="Reference").click()
    found = page.get_by_role("group", name="Found")
    found.get_by_label("Pneumonia").check()
    found.get_by_label("Lung nodule").check()
    page.get_by_label("Date of the test").fill("2024-05-07")
    page.get_by_role("button", name="Enter", exact=True).click()
    page.get_by_role("cell", name="Pneumonia, Lung nodule").wait_for()


def test_model_page_and_dashboard_show_every_finding(findings_site: Site, new_page: Callable[..., Page]) -> None:
    (study,) = findings_site.upload(png(0.2, 47), models=(model_of(findings_site),))
    read = {"stage": "aided", "state": "final", "conclusion": "pleural-effusion"}
    findings_site.api("POST", f"/api/studies/{study}/reads", json=read)
    for size in SIZES:
        page = new_page(size)
        page.goto(f"{findings_site.url}/#/models/{model_of(findings_site)}")
        rows = page.locator(".findings-overview tbody tr")
        expect(rows).to_have_count(3)
        expect(rows.nth(1)).to_contain_text("Pleural effusion")
        expect(rows.nth(1)).to_contain_text("0.6000")
        expect(rows.nth(1)).to_contain_text("0.900 [0.800, 0.950]")
        page.get_by_label("Finding shown below").select_option("nodule")
        expect(page.get_by_text("Its answer is Lung nodule from a score of 0.5000.")).to_be_visible()
        check_layout(page)
        page.goto(f"{findings_site.url}/#/dashboard")
        page.get_by_role("combobox", name="Finding").select_option("pleural-effusion")
        page.get_by_role("heading", name="Who was right about Pleural effusion").wait_for()
        expect(page.get_by_role("heading", name="Every finding")).to_be_visible()
        check_layout(page)
