"""The worklist: files come in by every way, each gets its answer, the list is live, and it never shows a result."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

import pneumoscope
from pneumoscope.core.labels import DISCLAIMER
from server.sample_files import archive, dicom
from web.axe import obstacles
from web.conftest import Site, drawn
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

WEB = Path(pneumoscope.__file__).parent / "web"
GIVE = """([how, data, name]) => {
    const bytes = Uint8Array.from(atob(data), (letter) => letter.charCodeAt(0));
    const given = new DataTransfer();
    given.items.add(new File([bytes], name, { type: "image/png" }));
    const event = how === "paste"
        ? new ClipboardEvent("paste", { clipboardData: given, bubbles: true, cancelable: true })
        : new DragEvent("drop", { dataTransfer: given, bubbles: true, cancelable: true });
    document.body.dispatchEvent(event);
}"""


def opened(page: Page, site: Site, hash_: str = "#/") -> None:
    page.goto(f"{site.url}/{hash_}")
    page.locator(".study").first.wait_for()


def choose(page: Page, *files: tuple[str, bytes]) -> None:
    sent: Any = [{"name": name, "mimeType": "application/octet-stream", "buffer": data} for name, data in files]
    page.locator("input[type=file]").set_input_files(sent)


def line(page: Page, name: str) -> Any:
    named = page.locator(".tray-name").get_by_text(name, exact=True)  # an archive's line names its members too
    return page.locator(".tray-list > li").filter(has=named)


def row(page: Page, study: str) -> Any:
    return page.locator(".study").filter(has=page.locator(f'a[href="#/studies/{study}"]'))


def test_each_file_is_told_its_fate_and_its_name_stays_here(site: Site, page: Page) -> None:
    opened(page, site)
    choose(page, ("Doe^Jane.png", drawn(101)), ("notes.txt", b"no radiograph"), ("again.png", drawn(0)))
    line(page, "Doe^Jane.png").get_by_text("Stored").wait_for()
    expect(line(page, "notes.txt")).to_contain_text("Refused")
    expect(line(page, "notes.txt").locator(".tray-why")).to_have_text(re.compile(".{20}"))
    expect(line(page, "again.png")).to_contain_text("Here already")
    log = (site.home.parent / f"{site.home.name}.log").read_text()
    assert "Doe" not in log
    assert not any(b"Doe^Jane" in path.read_bytes() for path in site.home.rglob("*") if path.is_file())


def test_a_german_page_says_in_german_why_a_file_was_refused(site: Site, page: Page) -> None:
    page.add_init_script("localStorage.setItem('pneumoscope.language', 'de')")
    opened(page, site)
    bad = {
        "notes.txt": b"no radiograph",
        "cut.png": drawn(103)[:-3000],
        "named.dcm": dicom({"BurnedInAnnotation": "YES"}),
    }
    choose(page, *bad.items(), ("all.zip", archive(bad)), ("nothing.png", b""))
    expect(line(page, "notes.txt")).to_contain_text("Möglich sind PNG, JPEG, WebP, TIFF und DICOM.")
    expect(line(page, "cut.png")).to_contain_text("Die Datei ist beschädigt")
    expect(line(page, "named.dcm")).to_contain_text("Laut Datei ist im Bild zu sehen, wer der Patient ist")
    expect(line(page, "nothing.png")).to_contain_text("Die Datei ist leer.")
    packed = line(page, "all.zip")
    packed.get_by_text("Warum einige abgelehnt wurden").click()
    expect(packed).to_contain_text("notes.txt: Das ist kein Bild")
    expect(page.locator(".tray [lang=en]")).to_have_count(0)


def test_a_study_is_found_by_its_files_name_and_by_a_label_of_ones_own(site: Site, page: Page) -> None:
    """Fault E6."""
    opened(page, site)
    choose(page, ("ward 7 Roe.png", drawn(102)))
    line(page, "ward 7 Roe.png").get_by_text("Stored").wait_for()
    page.locator(".study-open", has_text="ward 7 Roe.png").wait_for()
    search = page.get_by_label("Search", exact=True)
    search.fill("WARD 7")
    search.press("Enter")
    page.get_by_role("heading", name="ward 7 Roe.png").wait_for()
    page.get_by_role("tab", name="Facts").click()
    page.get_by_label("Your own label").fill("For the seminar")
    page.get_by_role("button", name="Save label").click()
    expect(page.locator(".reading-bar .label-chip")).to_have_text("For the seminar")
    page.get_by_role("link", name="Worklist").first.click()
    page.locator(".study .label-chip", has_text="For the seminar").click()
    expect(page.locator(".study")).to_have_count(1)
    expect(page.get_by_label("Own label")).to_have_value(re.compile(".{64}"))
    search.fill("nothing is called so")
    search.press("Enter")
    page.get_by_text("Nothing found").wait_for()
    assert obstacles(page) == []


def test_an_answer_from_before_a_label_of_ones_own_does_not_remove_it(site: Site, page: Page) -> None:
    study = site.upload(drawn(104))[0]
    held: list[Any] = []

    def hold(route: Route) -> None:
        if held:
            route.continue_()
        else:
            held.append((route, route.fetch()))

    page.goto(f"{site.url}/#/studies/{study}")
    page.get_by_role("tab", name="Facts").click()
    page.route(re.compile(f"/api/studies/{study}$"), hold)
    read = {"stage": "unaided", "state": "draft", "likelihoods": {}, "conclusion": None, "text": "seen"}
    site.api("POST", f"/api/studies/{study}/reads", json=read)  # the page hears of it and fetches the study again
    for _ in range(200):
        if held:
            break
        page.wait_for_timeout(50)
    page.get_by_label("Your own label").fill("For the seminar")
    page.get_by_role("button", name="Save label").click()
    expect(page.locator(".reading-bar .label-chip")).to_have_text("For the seminar")
    route, answer = held[0]
    route.fulfill(response=answer)
    page.wait_for_timeout(300)
    expect(page.locator(".reading-bar .label-chip")).to_have_text("For the seminar")
    expect(page.get_by_label("Your own label")).to_have_value("For the seminar")


@pytest.mark.parametrize("how", ["paste", "drop"])
def test_a_picture_can_be_pasted_or_dropped_anywhere(site: Site, page: Page, how: str) -> None:
    opened(page, site)
    data = base64.b64encode(drawn(110 if how == "paste" else 111)).decode()
    page.evaluate(GIVE, [how, data, f"{how}.png"])
    line(page, f"{how}.png").get_by_text("Stored").wait_for()


def test_the_list_follows_the_server_and_shows_states_but_no_result(site: Site, page: Page) -> None:
    opened(page, site)
    (study,) = site.upload(drawn(122))
    shown = row(page, study)
    shown.get_by_text("Done").wait_for()
    text = shown.inner_text().replace("pneumoscope-covid 1", "")
    assert not re.search(r"covid|pneumonia|pattern|[01]\.\d\d|%", text, re.IGNORECASE)
    assert "Not read" in text


def test_the_filter_is_in_the_address_and_can_be_cleared(site: Site, page: Page) -> None:
    opened(page, site)
    page.get_by_label("State of an answer").select_option("failed")
    page.get_by_text("No study matches this filter").wait_for()
    assert "state=failed" in page.url
    page.reload()
    page.get_by_text("No study matches this filter").wait_for()
    page.get_by_role("button", name="Clear the filter").last.click()
    page.locator(".study").first.wait_for()
    assert "state" not in page.url


def test_a_long_list_comes_in_pages_whose_end_calls_the_next_one(site: Site, page: Page) -> None:
    asked: list[str] = []

    def few(route: Route) -> None:
        asked.append(route.request.url)
        route.continue_(url=re.sub(r"limit=\d+", "limit=2", route.request.url))

    page.route("**/api/studies?*", few)
    opened(page, site)
    page.locator(".study").nth(2).wait_for()
    assert "after=" not in asked[0]
    assert any("after=" in url for url in asked[1:])  # the list may also have been asked for again meanwhile
    expect(page.locator(".work-total")).to_have_text(re.compile(r"^\d+$"))


def test_a_refusal_is_a_word_in_the_list_and_unread_studies_can_be_asked_for(site: Site, page: Page) -> None:
    """Issue 12: a study whose every answer is a refusal is not "done". E17: unread by me, next unread, sorting."""

    def refuse(route: Route) -> None:
        answer = route.fetch()
        listed = answer.json()
        for number, study in enumerate(listed["studies"]):
            study["own_read"] = "final" if number == 0 else "none"
            for one in study["predictions"]:
                one["refusal"] = "lateral" if number == 1 else None
                one["decision"] = "covid-19" if number == 0 else None
        route.fulfill(response=answer, json=listed)

    page.route("**/api/studies?*", refuse)
    opened(page, site)
    rows = page.locator(".study")
    expect(rows.nth(1)).to_contain_text("Refused: lateral")
    expect(rows.nth(0)).to_contain_text("COVID-19")
    expect(rows.nth(2)).not_to_contain_text("Refused")
    second = rows.nth(1).locator("a").first.get_attribute("href")
    expect(page.get_by_role("link", name="Next unread")).to_have_attribute("href", str(second))
    page.get_by_role("button", name="Your read").click()
    expect(page.locator(".study").last).to_contain_text("Final")
    with page.expect_request(lambda request: "unread=true" in request.url):
        page.get_by_label("Unread by me").check()
    with page.expect_request(lambda request: "order=oldest" in request.url):
        page.get_by_role("button", name="Received").click()
        page.get_by_role("button", name="Received").click()
    assert all(box["height"] <= 52 for box in [rows.nth(0).bounding_box()] if box)


def test_stopping_an_upload_forgets_nothing(site: Site, page: Page) -> None:
    """Fault E5: what waited can be sent with one button."""

    def hang(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()

    page.route("**/api/studies", hang)
    opened(page, site)
    choose(page, *((f"{number}.png", drawn(160, size=64) + bytes([number])) for number in range(20)))
    page.get_by_role("heading", name="Uploading: 0 of 20").wait_for()
    page.get_by_role("button", name="Stop").click()
    page.get_by_role("heading", name="20 not sent").wait_for()
    expect(page.locator(".tray-list > li")).to_have_count(20)
    page.unroute("**/api/studies")
    page.get_by_role("button", name="Send again").click()
    page.get_by_role("heading", name=re.compile("stored|here already|refused")).wait_for()
    expect(page.get_by_text("Not sent")).to_have_count(0)


def test_a_full_server_is_waited_for_as_long_as_it_says(site: Site, page: Page) -> None:
    full = {"title": "the queue", "detail": "holds 1000 predictions.", "status": 429, "instance": ""}
    tries: list[str] = []

    def refuse(route: Route) -> None:
        if route.request.method != "POST":
            route.continue_()
        elif not tries:
            tries.append("full")
            route.fulfill(status=429, headers={"Retry-After": "1"}, json=full)
        else:
            tries.append("sent")
            route.continue_()

    page.route("**/api/studies", refuse)
    opened(page, site)
    choose(page, ("one.png", drawn(130)))
    page.get_by_text("The server is full: trying again in").wait_for()
    line(page, "one.png").get_by_text("Stored").wait_for()
    assert tries == ["full", "sent"]


@pytest.mark.parametrize(("status", "words"), [(507, "disk is full"), (413, "larger than this server accepts")])
def test_what_went_wrong_is_said_plainly(site: Site, page: Page, status: int, words: str) -> None:
    said = {"type": "urn:pneumoscope:problem:store-full", "title": "the store", "detail": "is full.", "instance": ""}
    proxy = "<h1>413 Request Entity Too Large</h1>"

    def refuse(route: Route) -> None:
        if route.request.method == "POST":
            route.fulfill(status=status, body=json.dumps(said) if status == 507 else proxy)
        else:
            route.continue_()

    page.route("**/api/studies", refuse)
    opened(page, site)
    choose(page, ("one.png", drawn(131)))
    line(page, "one.png").get_by_text(words).wait_for()
    page.unroute("**/api/studies")
    if status == 507:  # it may be sent again; what is too large is so for good
        page.get_by_role("button", name="Send again").click()
        line(page, "one.png").get_by_text("Stored").wait_for()


def test_the_models_asked_are_chosen_and_remembered(site: Site, page: Page) -> None:
    opened(page, site)
    page.get_by_role("button", name="Change").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("checkbox").first.uncheck()
    dialog.get_by_role("button", name="Done").click()
    page.get_by_text("Uploads ask no model").wait_for()
    page.reload()
    page.get_by_text("Uploads ask no model").wait_for()
    choose(page, ("unasked.png", drawn(140)))
    line(page, "unasked.png").get_by_text("Stored").wait_for()
    study = line(page, "unasked.png").get_by_role("link").get_attribute("href").removeprefix("#/studies/")
    row(page, study).get_by_text("No model asked yet").wait_for()


def test_an_admin_erases_a_study_after_being_asked(site: Site, page: Page) -> None:
    (study,) = site.upload(drawn(150))
    opened(page, site)
    shown = row(page, study)
    shown.get_by_label("More about").click()
    shown.get_by_role("button", name="Erase").click()
    page.get_by_role("dialog").get_by_role("button", name="Cancel").click()
    page.get_by_role("dialog").wait_for(state="detached")
    expect(shown).to_have_count(1)
    shown.get_by_label("More about").click()
    shown.get_by_role("button", name="Erase").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase for good").click()
    shown.wait_for(state="detached")
    assert study not in [one["id"] for one in site.api("GET", "/api/studies")["studies"]]


def test_an_admin_erases_several_studies_at_once(site: Site, page: Page) -> None:
    """Fault E19."""
    kept, *studies = site.upload(drawn(151), drawn(152), drawn(153))
    opened(page, site)
    row(page, studies[0]).get_by_label("More about").click()
    row(page, studies[0]).get_by_role("button", name="Select several").click()
    for study in studies:
        row(page, study).get_by_role("checkbox").check()
    page.get_by_text("Selected: 2").wait_for()
    assert obstacles(page) == []
    page.locator(".selection-bar").get_by_role("button", name="Erase").click()
    page.get_by_role("dialog").get_by_text("2 studies with 2 images").wait_for()
    page.get_by_role("dialog").get_by_role("button", name="Erase for good").click()
    for study in studies:
        row(page, study).wait_for(state="detached")
    expect(row(page, kept)).to_have_count(1)
    expect(page.locator(".study-select")).to_have_count(0)


def test_nothing_keeps_anyone_out(site: Site, page: Page, phone: Page) -> None:
    for shown in (page, phone):
        opened(shown, site)
        assert obstacles(shown) == []
        shown.get_by_role("button", name="Light or dark").click()
        assert obstacles(shown) == []
        shown.get_by_role("button", name="Change").click()
        shown.get_by_role("dialog").get_by_role("checkbox").first.wait_for()
        assert obstacles(shown) == []


def test_on_a_phone_the_sentence_stays_and_nothing_hangs_over(site: Site, phone: Page) -> None:
    opened(phone, site)
    phone.evaluate("scrollTo(0, document.body.scrollHeight)")
    sentence = phone.get_by_text(DISCLAIMER).bounding_box()
    navigation = phone.locator(".navigation").bounding_box()
    assert sentence is not None
    assert navigation is not None
    assert 0 <= sentence["y"] < 90
    assert sentence["height"] < 80
    assert navigation["y"] + navigation["height"] == pytest.approx(844, abs=1)
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390


def test_the_worklist_needs_little_javascript() -> None:
    page = (WEB / "index.html").read_text()
    first = re.findall(r'(?:src|href)="(?:\./|/)?(assets/[^"]+\.js)"', page)
    assert first
    # What the worklist imports at once is preloaded by the page; the rest comes when it is opened.
    assert sum(len(gzip.compress((WEB / name).read_bytes())) for name in first) < 100_000
