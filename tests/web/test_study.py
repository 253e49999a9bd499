"""The page of a study: the reader reads first, is shown answers in words, and gives the model his own input."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pneumoscope.core.labels import DISCLAIMER
from web.axe import obstacles
from web.conftest import DESKTOP, PASSWORD, PHONE, Site, drawn
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

NO_PATTERN = "No pattern that this model looks for"
SHOWS = re.compile(r"/predictions(/|$)|/heatmap|/posterior|/what-if|/references")


def study_of(site: Site, number: int, label: str = "covid-19") -> str:
    return site.upload(drawn(number, label))[0]


def open_study(page: Page, site: Site, study: str) -> None:
    page.goto(f"{site.url}/#/studies/{study}")
    page.get_by_role("tab").first.wait_for()


def show(page: Page) -> None:
    page.get_by_role("tab", name="Model").click()
    page.get_by_role("button", name="Show the models' answers").locator("visible=true").click()
    page.locator(".answer").first.wait_for()


def lock(page: Page, button: str) -> None:
    page.get_by_role("button", name=button).click()
    page.get_by_role("dialog").get_by_role("button", name=button).click()


def test_no_answer_is_fetched_before_the_reader_asks_for_it(site: Site, page: Page) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    study = study_of(site, 31)
    open_study(page, site, study)
    page.get_by_role("button", name="Read first").locator("visible=true").click()
    page.get_by_role("tab", name="Model").click()
    page.get_by_text("The answers are withheld").first.wait_for()
    page.get_by_role("tab", name="Reference").click()
    page.get_by_role("tab", name="Own read").click()
    assert [url for url in asked if SHOWS.search(url)] == []
    # And so the server still takes an unaided read.
    page.get_by_label("Conclusion").select_option("covid-19")
    lock(page, "Lock my read")
    page.locator(".answer .verdict").first.wait_for()
    [read] = site.api("GET", f"/api/studies/{study}/reads")
    assert (read["stage"], read["state"], read["displayed"], read["likelihoods"]) == ("unaided", "final", [], {})


def test_an_answer_is_told_in_words_with_its_band_and_what_is_not_looked_for(site: Site, page: Page) -> None:
    study = study_of(site, 32)
    result = {
        "labels": ["covid-19", "normal", "pneumonia"],
        "probabilities": {"covid-19": 0.05, "normal": 0.9, "pneumonia": 0.05},
        "decision": "normal", "refused": False, "reason": "", "ood": 0.1,
        "band": {"low": 0, "high": 0.2, "rate": 0.02, "rate_low": 0.0041, "rate_high": 0.091, "n": 93, "groups": 88},
        "operating_point": {"name": "sensitivity-95", "threshold": 0.25},
        "heatmap_shape": None, "seconds": 0.01,
    }  # fmt: skip
    answering(page, result=result)
    open_study(page, site, study)
    show(page)
    said = page.locator(".answer").inner_text()
    assert NO_PATTERN in said
    assert "Of 100 calibration images with such a score, 2 [0, 10] had COVID-19." in said
    assert "Below the threshold of 0.25 (chosen to find 95 of 100 calibration images with COVID-19)." in said
    assert re.search("Not looked for: .*pneumothorax", said)
    assert "Failed its audit" in said
    assert not re.search(r"\bnormal\b|%", said, re.IGNORECASE)


def test_an_answer_from_outside_the_lungs_says_so_and_shows_the_lungs(site: Site, page: Page) -> None:
    """Faults E3 and E4: one statement about the score, the prevalence in sight, and the outline of the lungs."""
    study = study_of(site, 58)
    result = {
        "labels": ["covid-19", "normal"], "probabilities": {"covid-19": 0.6, "normal": 0.4}, "decision": "covid-19",
        "refused": False, "reason": "", "ood": 0.1, "screened": False, "outside_lungs": True,
        "codes": ["outside-lungs"], "warnings": ["the model is most active outside the lungs: look at the heatmap"],
        "lungs": {"side": 8, "rows": [[], [], [1, 3, 5, 7], [1, 3, 5, 7], [1, 3, 5, 7], [], [], []]},
        "heart": {"side": 8, "rows": [[], [], [], [3, 5], [3, 5], [], [], []]},
        "band": {"low": 0, "high": 1, "rate": 0.2, "rate_low": 0.1, "rate_high": 0.3, "n": 93, "groups": 88},
        "operating_point": {"name": "sensitivity-95", "threshold": 0.25}, "heatmap_shape": None, "seconds": 0.01,
    }  # fmt: skip
    answering(page, result=result)
    open_study(page, site, study)
    show(page)
    said = page.locator(".answer").inner_text()
    assert "The model is most active outside the lungs" in said
    assert "No gatekeeper looked at this image first" in said
    assert re.search(r"Of all [\d,]+ calibration images, \d+ of 100 had COVID-19", said)  # not folded away
    expect(page.locator(".rule")).to_have_count(1)
    expect(page.locator(".view-lungs")).to_have_count(0)
    page.get_by_label("Outlines of lungs and heart").check()
    expect(page.locator(".view-lungs")).to_have_attribute("d", re.compile("^M1 2v1"))
    expect(page.locator(".view-heart")).to_have_attribute("d", re.compile("^M3 3v1M5 3v1M3 3h2"))
    page.get_by_label("Outlines of lungs and heart").uncheck()
    expect(page.locator(".view-lungs, .view-heart")).to_have_count(0)


def test_a_refusal_says_why_and_hides_its_numbers(site: Site, page: Page) -> None:
    study = study_of(site, 33)
    result = {
        "labels": ["covid-19", "normal"], "probabilities": {"covid-19": 0.71, "normal": 0.29}, "decision": None,
        "refused": True, "reason": "unlike the images this model was calibrated on", "ood": None, "band": None,
        "operating_point": {"name": "sensitivity-95", "threshold": 0.25}, "heatmap_shape": None, "seconds": 0.01,
    }  # fmt: skip
    answering(page, result=result)
    open_study(page, site, study)
    show(page)
    expect(page.locator(".verdict")).to_have_text("No answer from the model")
    expect(page.locator(".view-cautions p").first).to_be_visible()  # over the image, where a phone shows it
    expect(page.get_by_text("unlike the images this model was calibrated on")).to_be_visible()
    expect(page.get_by_text("0.71")).to_be_hidden()
    page.get_by_text("Numbers for research, not a result").click()
    expect(page.get_by_text("0.71")).to_be_visible()


def test_the_answer_of_a_model_that_was_switched_off_is_no_result(site: Site, page: Page) -> None:
    study = study_of(site, 34)
    answering(page, model_off=True)
    open_study(page, site, study)
    show(page)
    page.get_by_text("Do not rely on this answer").wait_for()
    expect(page.get_by_text("Numbers for research, not a result")).to_be_visible()
    expect(page.get_by_text("Pre-test probability")).to_have_count(0)


def test_an_answer_takes_a_prior_and_a_what_if_and_stays_as_it_is(site: Site, page: Page) -> None:
    study = study_of(site, 35)
    answering(page, result=lambda result: {**result, "refused": False, "reason": "", "decision": "covid-19"})
    said = {
        "label": "covid-19", "prior": 0.1, "source": "ward", "probability": 0.5, "low": 0.25, "high": 0.75,
        "ratio": {"value": 9.0, "low": 3.0, "high": 27.0, "method": "", "note": ""}, "moved": {"covid-19": 0.4},
    }  # fmt: skip
    page.route("**/posterior", lambda route: route.fulfill(json=said))
    open_study(page, site, study)
    show(page)
    before = page.locator(".answer").inner_text()
    page.get_by_text("Pre-test probability", exact=True).click()
    page.get_by_label("With COVID-19, before the image").fill("10")
    page.get_by_label("Source").fill("ward")
    page.get_by_role("button", name="Update").click()
    frame = page.locator(".posterior").inner_text()
    assert "not the model's result" in frame
    assert "Of 100 such patients, 10 have COVID-19 by your estimate." in frame
    assert "50 [25, 75]" in frame

    page.get_by_text("What if a region were covered?").click()
    expect(page.get_by_role("button", name="Ask the model with this region covered")).to_be_disabled()
    page.get_by_role("button", name="Cover what I paint").click()
    page.locator(".view-screen[data-ready=true]").wait_for()
    box = page.locator(".reading-image").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] * 0.6
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 60, y + 30, steps=5)
    page.mouse.up()
    with page.expect_request("**/what-if") as asked:
        page.get_by_role("button", name="Ask the model with this region covered").click()
    assert json.loads(asked.value.post_data or "")["mode"] == "exclude"
    page.get_by_text("What-if: not a result, not stored").wait_for()
    expect(page.locator(".answer")).to_have_text(before, use_inner_text=True)
    assert len(site.api("GET", f"/api/studies/{study}")["predictions"]) == 1


def test_the_reader_reads_first_then_with_the_answers_and_nothing_is_overwritten(
    department: Site, new_page: Callable[..., Page]
) -> None:
    page = new_page(DESKTOP)
    study = department_study(department)
    login(page, department, study)
    expect(page.get_by_role("slider", name="Lung opacity")).to_have_attribute("aria-valuetext", "not set")
    page.get_by_role("tab", name="Model").click()
    page.get_by_text("The answers are withheld").first.wait_for()
    expect(page.locator(".answer")).to_have_count(0)
    page.get_by_role("tab", name="Own read").click()
    expect(page.get_by_role("button", name="Lock my read")).to_be_disabled()

    page.get_by_role("slider", name="Lung opacity").press("ArrowRight")
    page.get_by_label("Conclusion").select_option("lung-opacity")
    page.get_by_label("Report text").fill("Patchy opacities.")
    page.get_by_role("tab", name="Facts").click()
    page.get_by_role("link", name="Models", exact=True).click()
    page.get_by_role("dialog", name="Leave with unsaved text?").get_by_role("button", name="Cancel").click()
    page.get_by_role("tab", name="Own read").click()
    expect(page.get_by_label("Report text")).to_have_value("Patchy opacities.")
    page.get_by_role("button", name="Save draft").click()
    page.get_by_text("Version 1: unaided, draft").wait_for()
    assert obstacles(page) == []
    lock(page, "Lock my read")

    page.locator(".answer .verdict").first.wait_for()
    expect(page.locator(".answer .verdict").first).not_to_have_text(re.compile("Waiting|Running"))
    assert obstacles(page) == []
    page.get_by_role("tab", name="Report").click()
    page.get_by_label("Report text").fill("Patchy opacities, as the model says.")
    lock(page, "Make it final")
    page.get_by_label("Addendum").fill("Compared with last week.")
    page.get_by_role("button", name="Add the addendum").click()
    page.get_by_text("Version 4: with answers, addendum").wait_for()
    versions = page.locator(".versions > ol > li").all_inner_texts()
    assert len(versions) == 4
    assert "Answers shown before: 1" in versions[1]
    assert "No answers were shown before." in versions[2]
    assert "Patchy opacities." in versions[3]

    page.get_by_role("tab", name="Reference").click()
    page.get_by_label("Date of the test").fill("2026-01-02")
    page.get_by_role("combobox", name="Found").select_option("lung-opacity")
    page.get_by_role("button", name="Enter", exact=True).click()
    page.get_by_role("cell", name="RT-PCR").wait_for()
    assert obstacles(page) == []


def test_unsaved_text_is_asked_about_before_the_tab_is_closed_on_whatever_page(site: Site, page: Page) -> None:
    first, second = site.upload(drawn(42), drawn(43))
    open_study(page, site, first)
    page.get_by_role("button", name="Read first").locator("visible=true").click()
    page.get_by_label("Report text").fill("Patchy opacities.")
    leave(page, "Models")
    page.locator(".model-card").first.wait_for()
    assert is_asked(page)
    page.evaluate(f"location.hash = '#/studies/{second}'")  # which has nothing unsaved
    page.get_by_role("button", name="Read first").locator("visible=true").click()
    page.get_by_label("Report text").wait_for()
    assert is_asked(page)
    page.evaluate(f"location.hash = '#/studies/{first}'")
    expect(page.get_by_label("Report text")).to_have_value("Patchy opacities.")
    page.get_by_role("button", name="Save draft").click()
    page.get_by_text("Version 1: unaided, draft").wait_for()
    assert not is_asked(page)


def test_a_reference_result_that_was_not_entered_is_kept_like_the_text(site: Site, page: Page) -> None:
    study = study_of(site, 44)
    open_study(page, site, study)
    page.get_by_role("tab", name="Reference").click()
    page.get_by_role("combobox", name="Test").select_option("ct")
    page.get_by_label("Date of the test").fill("2026-01-02")
    page.get_by_role("combobox", name="Found").select_option("covid-19")
    leave(page, "Models")
    page.locator(".model-card").first.wait_for()
    assert is_asked(page)
    open_study(page, site, study)
    page.get_by_role("tab", name="Reference").click()
    expect(page.get_by_role("combobox", name="Test")).to_have_value("ct")
    expect(page.get_by_label("Date of the test")).to_have_value("2026-01-02")
    expect(page.get_by_role("combobox", name="Found")).to_have_value("covid-19")
    page.get_by_role("button", name="Enter", exact=True).click()
    expect(page.get_by_label("Date of the test")).to_have_value("")
    assert not is_asked(page)
    [entered] = site.api("GET", f"/api/studies/{study}/references")
    assert (entered["standard"], entered["label"], entered["date"]) == ("ct", "covid-19", "2026-01-02")


def leave(page: Page, link: str) -> None:
    """Go to another page of the app although something is unsaved."""
    page.get_by_role("link", name=link, exact=True).click()
    page.get_by_role("dialog", name="Leave with unsaved text?").get_by_role("button", name="Leave").click()


def is_asked(page: Page) -> bool:
    """Return whether the browser would ask before it closes the page."""
    return not page.evaluate("dispatchEvent(new Event('beforeunload', { cancelable: true }))")


@pytest.mark.parametrize("theme", ["dark", "light"])
def test_a_phone_shows_the_image_above_the_panel_without_scrolling_sideways(
    site: Site, new_page: Callable[..., Page], theme: str
) -> None:
    page = new_page(PHONE, has_touch=True, is_mobile=True)
    page.add_init_script(f"localStorage.setItem('pneumoscope.theme', '{theme}')")
    open_study(page, site, study_of(site, {"dark": 36, "light": 37}[theme]))
    page.get_by_role("tab", name="Model").tap()
    page.get_by_role("button", name="Show the models' answers").locator("visible=true").tap()
    page.locator(".answer").first.wait_for()
    page.locator(".view-screen[data-ready=true]").wait_for()
    image, panel = (page.locator(part).bounding_box() for part in (".reading-image", ".reading-panel"))
    assert image is not None and panel is not None
    assert image["y"] + image["height"] <= panel["y"]
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    assert obstacles(page) == []


def test_the_title_of_a_study_says_what_its_date_is(site: Site, new_page: Callable[..., Page]) -> None:
    study = site.api("GET", "/api/studies")["studies"][0]["id"]
    for language, words in (("en", r"Received [A-Z]\w+ \d+, \d{4}"), ("de", r"Eingegangen \d+\.\d+\.\d{4}")):
        page = new_page()
        page.add_init_script(f"localStorage.setItem('pneumoscope.language', '{language}')")
        open_study(page, site, study)
        expect(page.locator("h1")).to_contain_text(re.compile(words))


def test_a_german_page_says_in_german_that_a_study_is_not_here(site: Site, page: Page) -> None:
    study = study_of(site, 46)
    site.api("DELETE", f"/api/studies/{study}")
    page.add_init_script("localStorage.setItem('pneumoscope.language', 'de')")
    page.goto(f"{site.url}/#/studies/{study}")
    why = page.get_by_role("alert")
    expect(why).to_contain_text("Diese Untersuchung ist nicht hier. Vielleicht wurde sie gelöscht.")
    expect(why).to_contain_text(re.compile(r"Nummer der Anfrage, .*: \w{8}"))
    expect(why.locator("[lang=en]")).to_have_count(0)


def test_on_a_phone_what_was_done_is_said_below_the_sentence_and_covers_no_button(site: Site, phone: Page) -> None:
    open_study(phone, site, study_of(site, 45))
    phone.get_by_role("button", name="Read first").locator("visible=true").tap()
    phone.get_by_label("Report text").fill("Patchy opacities.")
    phone.get_by_role("button", name="Save draft").tap()
    toast = phone.locator(".toast", has_text="Draft saved")
    toast.wait_for()
    said, sentence = toast.bounding_box(), phone.get_by_text(DISCLAIMER).bounding_box()
    assert said is not None and sentence is not None
    assert sentence["y"] + sentence["height"] <= said["y"]
    assert said["y"] + said["height"] < PHONE["height"] / 3
    beneath = "({x, y, width, height}) => document.elementFromPoint(x + width / 2, y + height / 2).className"
    assert "toast" not in phone.evaluate(beneath, said)  # a finger presses what is there


def answering(page: Page, **changes: Any) -> None:
    """Have the server's answers reach the page with changes: states that are rare in truth."""

    def change(route: Route) -> None:
        answer = route.fetch()
        answers = answer.json()
        for one in answers:
            one.update({key: value(one[key]) if callable(value) else value for key, value in changes.items()})
        route.fulfill(response=answer, json=answers)

    page.route(re.compile(r"/api/studies/\w+/predictions$"), change)


def department_study(site: Site) -> str:
    with httpx.Client(base_url=site.url, timeout=30) as client:
        client.headers["X-CSRF-Token"] = client.post("/api/login", json={"name": "chief", "password": PASSWORD}).json()[
            "csrf"
        ]
        sent = client.post("/api/studies", files=[("files", ("a.png", drawn(41)))], data={"models": ["builtin"]}).json()
    return str(sent["files"][0]["study"])


def login(page: Page, site: Site, study: str) -> None:
    page.goto(f"{site.url}/#/studies/{study}")
    page.get_by_label("Name").fill("chief")
    page.get_by_label("Password").fill(PASSWORD)
    page.keyboard.press("Enter")
    page.get_by_role("tab").first.wait_for()
