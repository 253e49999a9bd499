"""The page "Archive": the node, what came, what is quarantined, what goes out, and the rules tried on a study."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from server.dicom.result_tools import free_port
from server.sample_files import dicom
from web.axe import obstacles
from web.conftest import DESKTOP, PHONE, Site, running
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page

pynetdicom = pytest.importorskip("pynetdicom", reason="no pynetdicom: pip install 'pneumoscope[pacs]'")
pytest.importorskip("highdicom", reason="no highdicom: pip install 'pneumoscope[pacs]'")

ROUTES = """
destinations:
  research: {{title: DEAF, host: 127.0.0.1, port: {port}, in_the_clear: true}}
rules:
  - {{name: everything, to: research}}
  - {{name: refusals, when: {{decision: refused}}, to: research}}
"""


@contextmanager
def deaf_archive(port: int) -> Iterator[None]:
    """An archive that takes associations and no object: what is sent there fails at once for good."""
    archive = pynetdicom.AE(ae_title="DEAF")
    archive.add_supported_context("1.2.840.10008.1.1")
    server = archive.start_server(("127.0.0.1", port), block=False)
    try:
        yield
    finally:
        server.shutdown()


def send(port: int, *files: bytes) -> None:
    """Send objects to a node as a modality does."""
    from pydicom import dcmread

    entity = pynetdicom.AE(ae_title="CR1")
    objects = [dcmread(BytesIO(data)) for data in files]
    for one in objects:
        entity.add_requested_context(one.SOPClassUID, one.file_meta.TransferSyntaxUID)
    association = entity.associate("127.0.0.1", port, ae_title="PNEUMOSCOPE")
    for one in objects:
        association.send_c_store(one)
    association.release()


@pytest.fixture(scope="module")
def hospital(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that is a node: one study, a second image under its number, and a report that could not be sent."""
    folder: Path = tmp_path_factory.mktemp("hospital")
    node, archive = free_port(), free_port()
    (folder / "routes.yaml").write_text(ROUTES.format(port=archive))
    options = ("--dicom-port", str(node), "--dicom-model", "covid", "--dicom-quiet-seconds", "0.5")
    with (
        deaf_archive(archive),
        running(folder / "home", "--dicom", *options, "--dicom-routes", str(folder / "routes.yaml")) as site,
    ):
        send(node, dicom(), dicom(value=1000), dicom({"SOPInstanceUID": "1.2.3", "Modality": "OT"}))
        wait_for_dead_letter(site)
        yield site


def wait_for_dead_letter(site: Site) -> None:
    end = time.monotonic() + 60
    while not site.api("GET", "/api/archive/queue?state=dead"):
        assert time.monotonic() < end, site.api("GET", "/api/archive/queue")
        time.sleep(0.2)


def section(page: Page, name: str) -> Any:
    return page.locator("section", has=page.get_by_role("heading", name=name, exact=True))


def test_an_admin_sees_the_node_and_what_came(hospital: Site, page: Page) -> None:
    page.goto(hospital.url)
    page.get_by_role("link", name="Archive").click()
    node = section(page, "DICOM node")
    expect(node).to_contain_text("Listening")
    expect(node).to_contain_text("PNEUMOSCOPE")
    expect(node).to_contain_text("Any program of this machine")
    rows = section(page, "What came").locator("tbody tr")
    expect(rows).to_have_count(3)
    expect(rows.filter(has_text="Refused")).to_have_count(2)
    expect(rows.filter(has_text="C006 Another image here has its number")).to_have_count(1)
    expect(rows.filter(has_text="C004 It is never analysed")).to_have_count(1)
    page.get_by_label("Only what was refused").check()
    expect(rows).to_have_count(2)
    rows.get_by_role("link", name="Open the study").click()  # the one that is quarantined names its study
    page.get_by_role("heading", level=1).wait_for()
    assert "#/studies/" in page.url


def test_what_is_kept_apart_is_saved_and_deleted(hospital: Site, page: Page) -> None:
    page.goto(f"{hospital.url}/#/archive")
    apart = section(page, "Quarantine")
    with page.expect_download() as downloading:
        apart.get_by_role("link", name="Save the file").click()
    saved = Path(downloading.value.path()).read_bytes()
    assert saved[128:132] == b"DICM"
    apart.get_by_role("button", name="Delete").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("CR1")
    assert obstacles(page) == []
    dialog.get_by_role("button", name="Delete").click()
    expect(apart).to_contain_text("Nothing is in quarantine.")
    assert hospital.api("GET", "/api/archive/quarantine") == []


def test_a_dead_letter_is_sent_again(hospital: Site, page: Page) -> None:
    page.goto(f"{hospital.url}/#/archive")
    out = section(page, "Results out")
    expect(out.locator("tbody tr", has_text="DEAF")).to_contain_text("research")
    out.get_by_label("Show").select_option("dead")
    row = out.locator("tbody tr", has_text="Report")
    expect(row).to_contain_text("no presentation context")
    with page.expect_response("**/retry") as asked:
        row.get_by_role("button", name="Send again").click()
    assert asked.value.status == 202
    page.get_by_text("It is in the queue again.").wait_for()
    wait_for_dead_letter(hospital)


def test_results_that_were_never_queued_are_shown_and_queued(hospital: Site, page: Page) -> None:
    with closing(sqlite3.connect(hospital.home / "pneumoscope.sqlite", timeout=30)) as database, database:
        database.execute("DELETE FROM outbound_items")  # as if the rule had not been there
    page.goto(f"{hospital.url}/#/archive")
    out = section(page, "Results out")
    out.get_by_role("button", name="Look what the rules would send now").click()
    expect(out.locator("tbody tr", has_text="everything")).to_contain_text("Report")
    expect(out).to_contain_text("1 result of 1 study was never queued.")
    assert obstacles(page) == []
    out.get_by_role("button", name="Queue them").click()
    page.get_by_role("dialog").get_by_role("button", name="Queue them").click()
    page.get_by_text("1 result was queued.").wait_for()
    wait_for_dead_letter(hospital)
    out.get_by_role("button", name="Look what the rules would send now").click()
    expect(out).to_contain_text("Nothing: all that the rules send was queued.")


def test_the_rules_are_tried_on_a_study(hospital: Site, page: Page) -> None:
    (study,) = hospital.api("GET", "/api/studies")["studies"]
    page.goto(f"{hospital.url}/#/archive")
    trial = section(page, "Try the rules")
    trial.get_by_label("Number, address or StudyInstanceUID of a study").fill(f"{hospital.url}/#/studies/{study['id']}")
    trial.get_by_role("button", name="Try").click()
    expect(trial).to_contain_text("Goes to: research")
    expect(trial.locator("li", has_text="everything").first).to_contain_text("Matches")
    trial.get_by_label("Number, address or StudyInstanceUID of a study").fill("none")
    trial.get_by_role("button", name="Try").click()
    trial.get_by_role("alert").wait_for()


@pytest.mark.parametrize("size", [DESKTOP, PHONE])
@pytest.mark.parametrize("theme", ["dark", "light"])
@pytest.mark.parametrize("language", ["English", "Deutsch"])
def test_nothing_keeps_anyone_out(
    hospital: Site, new_page: Callable[..., Page], size: dict[str, int], theme: str, language: str
) -> None:
    page = new_page(size)
    page.goto(f"{hospital.url}/#/account")
    page.get_by_label("Light" if theme == "light" else "Dark", exact=True).check()
    page.get_by_role("radio", name=language).check()
    page.goto(f"{hospital.url}/#/archive")
    page.locator("table tbody tr").first.wait_for()
    page.wait_for_load_state("networkidle")
    assert obstacles(page) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    if size == PHONE:  # rows are cards: nothing is cut off
        cut = "[...document.querySelectorAll('.archive .scroll')].some(one => one.scrollWidth > one.clientWidth)"
        assert not page.evaluate(cut)


def test_a_server_that_is_no_node_has_no_such_entry(site: Site, page: Page) -> None:
    page.goto(site.url)
    page.get_by_role("link", name="Account").wait_for()
    expect(page.get_by_role("link", name="Archive")).to_have_count(0)
    page.goto(f"{site.url}/#/archive")
    expect(section(page, "DICOM node")).to_contain_text("pneumoscope serve --dicom")
