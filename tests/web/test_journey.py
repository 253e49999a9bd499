"""A reader's whole way with real radiographs: from the upload to the dashboard, on a workstation and on a phone."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from bundles import write_bundle
from web.axe import obstacles
from web.conftest import DESKTOP, PHONE, Site, drawn, running
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Locator, Page

RG1 = "dicom/RG1_J2KI.dcm"
COVID = "radiography/COVID-19_Radiography_Dataset/COVID/images"
SCREENS = {"desktop": (DESKTOP, {}), "phone": (PHONE, {"has_touch": True, "is_mobile": True})}


@pytest.fixture(scope="module")
def three_models(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server on which the reader reads first, with a third model beside the built-in ones."""
    pytest.importorskip("onnx", reason="no onnx: pip install 'pneumoscope[dev]'")
    folder = tmp_path_factory.mktemp("journey")
    write_bundle(folder / "models" / "tiny")
    with running(folder / "home", "--read-first", "--models", str(folder / "models")) as site:
        yield site


@pytest.mark.shared
@pytest.mark.parametrize("screen", SCREENS)
def test_from_the_upload_to_the_dashboard(
    three_models: Site, new_page: Callable[..., Page], shared: Path, screen: str
) -> None:
    site = three_models
    png = sorted((shared / "data" / COVID).glob("*.png"))[list(SCREENS).index(screen)]
    before = counts(site)
    size, options = SCREENS[screen]
    page = new_page(size, **options)

    # Pick models, upload a PNG and a DICOM file.
    page.goto(site.url)
    page.get_by_role("button", name="Change").click()
    boxes = page.get_by_role("dialog").get_by_role("checkbox")
    boxes.nth(1).wait_for()
    for box in boxes.all():
        box.check()
    page.get_by_role("dialog").get_by_role("button", name="Done").click()
    page.locator("input[type=file]").set_input_files([shared / "data" / RG1, png])
    page.locator(".tray-list > li").filter(has_text=png.name).get_by_text("Stored").wait_for()
    stored = page.locator(".tray-list > li").filter(has_text="RG1_J2KI.dcm")
    stored.get_by_text(re.compile("Stored|Here already")).wait_for()  # the other screen's journey sends it too
    for one in listed(site):
        site.wait(one["id"])
    # The newest of each: where both screens' journeys go, there are two PNG files.
    studies = {one["images"][0]["format"]: one["id"] for one in reversed(listed(site))}

    # The DICOM file: the page shows its facts, and a length has no millimetres, since PixelSpacing is 0.
    page.goto(f"{site.url}/#/studies/{studies['dicom']}")
    page.get_by_text("PA · CR").first.wait_for()
    expect(page.get_by_role("button", name="Measure a length")).to_be_disabled()

    # The PNG: answers are withheld until the unaided read is locked.
    study = studies["png"]
    page.goto(f"{site.url}/#/studies/{study}")
    page.get_by_role("heading", name=study[:8]).wait_for()  # no longer the page of the one before
    page.get_by_label("Conclusion").locator("visible=true").wait_for()
    expect(page.locator(".answer")).to_have_count(0)
    page.get_by_label("Conclusion").select_option("other")
    lock(page, "Lock my read")

    # All models' answers, with what they rest on; the heatmap in its true resolution.
    page.locator(".answer .verdict").nth(2).wait_for()
    assert "Of all 0" not in page.locator(".reading-panel").inner_text()  # the third card does not count its images
    builtin = page.locator(".answer").filter(has_text="pneumoscope-covid")
    builtin.get_by_text("Failed its audit").first.wait_for()
    heatmap = builtin.get_by_label("Heatmap")
    heatmap.select_option("covid-19")
    page.get_by_text("7x7: not a localisation").wait_for()
    assert obstacles(page) == []
    heatmap.select_option(index=0)

    # A prior, then a region covered; neither becomes the result.
    answer = {p["id"]: p for p in site.api("GET", f"/api/studies/{study}/predictions")}
    page.get_by_text("Pre-test probability", exact=True).click()
    page.get_by_label("With Lung opacity, before the image").fill("10")
    page.get_by_label("Source").fill("prevalence on the ward")
    page.get_by_role("button", name="Update").click()
    page.get_by_text("not the model's result").wait_for()
    page.get_by_text("What if a region were covered?").click()
    page.get_by_role("button", name="Cover what I paint").click()
    paint(page)
    page.get_by_role("button", name="Ask the model with this region covered").click()
    page.get_by_text("What-if: not a result, not stored").wait_for()
    assert {p["id"]: p for p in site.api("GET", f"/api/studies/{study}/predictions")} == answer

    # The final read, and what RT-PCR found.
    page.get_by_role("tab", name="Report").click()
    page.get_by_label("Conclusion").select_option("covid-19")
    lock(page, "Make it final")
    page.get_by_role("tab", name="Reference").click()
    page.get_by_label("Date of the test").fill("2026-01-02")
    page.get_by_role("combobox", name="Found").select_option("covid-19")
    page.get_by_role("button", name="Enter", exact=True).click()
    page.get_by_role("cell", name="RT-PCR").wait_for()
    reads = site.api("GET", f"/api/studies/{study}/reads")
    assert [(one["stage"], one["state"], len(one["displayed"])) for one in reads] == [
        ("unaided", "final", 0),
        ("aided", "final", 3),
    ]

    # The model's page, and the dashboard that counts this read.
    page.get_by_role("link", name="Models", exact=True).locator("visible=true").click()
    page.get_by_role("link", name="pneumoscope-opacity 1").click()
    page.get_by_role("heading", name="Does not look for").wait_for()
    page.get_by_role("link", name="Dashboard", exact=True).locator("visible=true").click()
    page.get_by_role("link", name="How the server runs").wait_for()
    assert counts(site) == [one + 1 for one in before]
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_from_the_upload_to_the_report_in_eight_clicks_at_most(site: Site, page: Page) -> None:
    """A choice from a list counts as one; the browser's own dialog, in which the file is chosen, is not counted."""
    clicks: list[str] = []

    def click(name: str, target: Locator) -> None:
        clicks.append(name)
        target.click()

    page.goto(site.url)
    with page.expect_file_chooser() as chooser:
        click("upload", page.get_by_role("button", name="Upload", exact=True))
    chooser.value.set_files([{"name": "clicks.png", "mimeType": "image/png", "buffer": drawn(960)}])
    click("study", page.locator(".tray-list > li").filter(has_text="clicks.png").get_by_role("link"))
    click("answers", page.get_by_role("button", name="Show the models' answers").locator("visible=true"))
    page.locator(".answer .verdict").first.wait_for()
    click("report", page.get_by_role("tab", name="Report"))
    clicks.append("conclusion")
    page.get_by_label("Conclusion").locator("visible=true").select_option("other")
    click("final", page.get_by_role("button", name="Make it final"))
    click("confirmed", page.get_by_role("dialog").get_by_role("button", name="Make it final"))
    page.get_by_role("button", name="Copy as text").wait_for()
    assert len(clicks) <= 8


def test_from_the_picture_to_the_verdict_in_four_taps_without_scrolling(site: Site, phone: Page) -> None:
    taps: list[str] = []

    def tap(name: str, target: Locator) -> None:
        taps.append(name)
        target.tap()

    phone.goto(site.url)
    with phone.expect_file_chooser() as chooser:
        tap("upload", phone.get_by_role("button", name="Upload", exact=True))
    chooser.value.set_files([{"name": "taps.png", "mimeType": "image/png", "buffer": drawn(961)}])
    tap("study", phone.locator(".tray-list > li").filter(has_text="taps.png").get_by_role("link"))
    tap("answers", phone.get_by_role("button", name="Show the models' answers").locator("visible=true"))
    verdict = phone.locator(".phone-verdict")
    verdict.wait_for()
    box = verdict.bounding_box()
    assert box is not None
    assert box["y"] >= 0
    assert box["y"] + box["height"] <= PHONE["height"]
    assert phone.evaluate("scrollY") == 0
    assert len(taps) <= 4


def counts(site: Site) -> list[int]:
    """How many studies count on the dashboard, and how many of them were read without and with the answers."""
    figures = site.api("GET", "/api/dashboard")["figures"]
    return [figures["counts"][what] if figures else 0 for what in ("studies", "unaided", "aided")]


def listed(site: Site) -> list[dict[str, Any]]:
    """The studies, newest first."""
    found: list[dict[str, Any]] = site.api("GET", "/api/studies")["studies"]
    return found


def lock(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).click()
    page.get_by_role("dialog").get_by_role("button", name=button).click()


def paint(page: Page) -> None:
    """One stroke across the middle of the image."""
    page.locator(".view-screen[data-ready=true]").wait_for()
    image = page.locator(".reading-image")
    image.scroll_into_view_if_needed()
    box = image.bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 20, steps=5)
    page.mouse.up()
