"""Accounts in the page: login, keys, the log-off that warns, the audit log, and a patient who is found and erased."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx
import pytest

from server.sample_files import dicom
from web.axe import obstacles
from web.conftest import PASSWORD, PHONE, Site, drawn
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page


def log_in(page: Page, site: Site, hash_: str = "#/account") -> None:
    page.goto(f"{site.url}/{hash_}")
    page.get_by_label("Name").fill("chief")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("link", name="Account").wait_for()


def test_the_login_refuses_in_words_and_leads_back_to_the_page(department: Site, page: Page) -> None:
    page.goto(f"{department.url}/#/account")
    page.get_by_label("Name").fill("chief")
    page.get_by_label("Password").fill("not the password at all")
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("alert").get_by_text("Name or password is wrong").wait_for()
    expect(page.get_by_label("Password")).to_have_value("")
    log_in(page, department)
    page.get_by_role("heading", name="chief").wait_for()
    page.locator("h1:focus", has_text="Account").wait_for()


def test_a_key_is_shown_once_works_and_can_be_revoked(department: Site, page: Page) -> None:
    log_in(page, department)
    page.get_by_label("Purpose").fill("Prometheus")
    page.get_by_role("button", name="Create a key").click()
    key = page.locator(".token code").inner_text()
    headers = {"Authorization": f"Bearer {key}"}
    assert httpx.get(f"{department.url}/api/me", headers=headers).json()["name"] == "chief"
    page.reload()
    page.get_by_role("button", name="Revoke the key").wait_for()
    assert key not in page.content()
    page.get_by_role("button", name="Revoke the key").click()
    page.get_by_role("dialog").get_by_role("button", name="Revoke").click()
    page.get_by_text("You have no keys").wait_for()
    assert httpx.get(f"{department.url}/api/me", headers=headers).status_code == 401


def rest(page: Page, seconds: int) -> None:
    """Let the page's clock go on at once, as if nobody had used the page meanwhile."""
    page.clock.fast_forward(1000 * seconds)


def test_without_use_the_page_warns_and_logs_off(department: Site, page: Page) -> None:
    page.clock.install()
    log_in(page, department)
    idle = page.evaluate("fetch('/api/me').then((answer) => answer.json())")["idle_seconds"]
    rest(page, idle - 30)
    warning = page.get_by_role("alertdialog")
    warning.get_by_role("button", name="Stay logged in").click()
    warning.wait_for(state="detached")
    with page.expect_response("**/api/logout"):
        rest(page, idle)
    page.get_by_text("You were logged out because nobody used this page").wait_for()
    page.reload()  # the session has ended on the server too
    page.get_by_role("button", name="Log in").wait_for()


def test_the_log_off_keeps_what_was_typed_for_its_writer_alone(department: Site, page: Page) -> None:
    page.clock.install()
    log_in(page, department, "#/")
    page.locator("input[type=file]").set_input_files({"name": "one.png", "mimeType": "image/png", "buffer": drawn(170)})
    page.locator(".tray-list").get_by_role("link", name="Open").click()
    page.get_by_label("Report text").fill("Patchy opacities in both lower zones.")
    rest(page, 24 * 3600)
    page.get_by_text("You were logged out because nobody used this page").wait_for()
    assert "Patchy" not in page.content()
    assert "Patchy" not in str(page.evaluate("[{...localStorage}, {...sessionStorage}]"))
    page.get_by_label("Name").fill("chief")
    page.get_by_label("Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_label("Report text")).to_have_value("Patchy opacities in both lower zones.")


def test_logging_out_leaves_nothing_behind(department: Site, page: Page) -> None:
    log_in(page, department)
    page.get_by_role("button", name="Log out").click()
    page.get_by_text("You have logged out").wait_for()
    kept = page.evaluate("[...Object.keys(localStorage), ...Object.keys(sessionStorage)].sort()")
    assert set(kept) <= {"pneumoscope.language", "pneumoscope.models", "pneumoscope.theme"}


def test_a_patient_is_found_by_number_and_erased(site: Site, page: Page) -> None:
    (study,) = site.upload(dicom({"PatientID": "0815", "StudyInstanceUID": "1.2.3.8.1"}), models=())
    page.goto(f"{site.url}/#/account")
    page.get_by_label("PatientID", exact=True).fill("0816")
    page.get_by_role("button", name="Find").click()
    page.get_by_text("There is no patient with this number").wait_for()
    page.get_by_label("PatientID", exact=True).fill("0815")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("link", name="Show the studies").click()
    page.locator(f'.study a[href="#/studies/{study}"]').wait_for()
    page.get_by_label("Show names").check()
    page.locator(".study-open", has_text="Doe, Jane").wait_for()
    page.go_back()
    page.get_by_label("PatientID", exact=True).fill("0815")
    page.get_by_role("button", name="Find").click()
    page.get_by_role("button", name="Erase this patient").click()
    page.get_by_role("dialog").get_by_role("button", name="Erase for good").click()
    page.get_by_text("Erased. Studies: 1").wait_for()
    assert httpx.get(f"{site.url}/api/studies/{study}").status_code == 404


def test_the_audit_log_says_in_words_who_did_what(site: Site, page: Page) -> None:
    """Of the 50 lines that are fetched at once, those that every page asks by itself are hidden."""
    for _ in range(60):
        site.api("GET", "/api/models")
        site.api("GET", "/api/me")
    page.goto(f"{site.url}/#/account")
    page.get_by_role("button", name="Show the log").click()
    rows = page.locator(".audit tbody tr")
    rows.nth(15).wait_for()
    assert rows.count() < 50
    expect(page.locator(".audit")).to_contain_text("Looked at the models")
    expect(page.locator(".audit")).not_to_contain_text("Asked who is logged in")
    page.get_by_role("button", name="Show earlier lines").click()
    rows.nth(35).wait_for()


def test_an_admin_adds_changes_and_disables_an_account(department: Site, page: Page) -> None:
    """Fault E16."""
    log_in(page, department)
    people = page.locator("section", has=page.get_by_role("heading", name="People"))
    people.get_by_label("Account name").fill("ann")
    people.get_by_label("First password").fill(PASSWORD)
    people.get_by_role("button", name="Add the account").click()
    row = people.locator("tbody tr", has_text="ann")
    expect(row).to_contain_text("Sees pseudonyms")
    expect(people.get_by_role("button", name="Change chief")).to_have_count(0)
    row.get_by_role("button", name="Change ann").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Role").select_option("admin")
    dialog.get_by_label("Disabled").check()
    assert obstacles(page) == []
    dialog.get_by_role("button", name="Save").click()
    expect(row).to_contain_text("Admin")
    expect(row).to_contain_text("Disabled")
    refused = httpx.post(f"{department.url}/api/login", json={"name": "ann", "password": PASSWORD})
    assert refused.status_code == 401


@pytest.mark.parametrize("size", [None, PHONE])
def test_nothing_keeps_anyone_out(department: Site, new_page: Callable[..., Page], size: dict[str, int] | None) -> None:
    page = new_page(size) if size else new_page()
    page.goto(f"{department.url}/#/account")
    page.get_by_label("Password").wait_for()
    assert obstacles(page) == []
    log_in(page, department)
    page.get_by_role("button", name="Show the log").click()
    page.locator(".audit tbody tr").first.wait_for()
    assert obstacles(page) == []
    page.get_by_label("Light", exact=True).check()
    assert obstacles(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
