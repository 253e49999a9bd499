"""Downloads of the app on this device: once, checked, and again what broke off or was damaged."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from web.axe import obstacles
from web.conftest import Site
from web.test_device import PICK, watched
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page


def test_a_network_is_downloaded_once_and_its_size_is_said_before(site: Site, phone: Page) -> None:
    watch = watched(phone, site.url)
    phone.goto(f"{site.url}/device.html")
    button = phone.get_by_role("button", name="Download (")
    listed = site.api("GET", "/api/device")["bundles"]
    size = sum(bundle[part]["bytes"] for bundle in listed for part in ("card", "model"))
    expect(button).to_have_text(f"Download ({size / 1e6:.1f} MB)")
    assert not any(request.url.endswith(".onnx") for request in watch.requests)
    button.click()
    phone.locator(PICK).wait_for(state="attached")
    assert sum(request.url.endswith(".onnx") for request in watch.requests) == len(listed) == 4
    before = len(watch.requests)
    phone.reload()
    phone.locator(PICK).wait_for(state="attached")
    assert not any(request.url.endswith(".onnx") for request in watch.requests[before:])


def test_an_altered_network_is_not_kept(site: Site, phone: Page) -> None:
    def alter(route: Any) -> None:
        answer = route.fetch()
        route.fulfill(response=answer, body=b"\x01" + answer.body()[1:])

    phone.route("**/model.onnx", alter)
    phone.goto(f"{site.url}/device.html")
    phone.get_by_role("button", name="Download (").click()
    expect(phone.get_by_role("alert")).to_contain_text("is not what the list names")
    assert phone.locator(PICK).count() == 0


def test_a_download_that_breaks_off_goes_on_where_it_stopped(site: Site, phone: Page) -> None:
    listed = site.api("GET", "/api/device")["bundles"]
    (lungs,) = (bundle for bundle in listed if bundle["role"] == "lungs")
    phone.route("**/" + lungs["model"]["path"], lambda route: route.fulfill(status=404))
    phone.goto(f"{site.url}/device.html")
    phone.get_by_role("button", name="Download (").click()
    expect(phone.get_by_role("alert")).to_contain_text("The download broke off.")
    expect(phone.get_by_role("alert")).to_contain_text("Kept of it: gatekeeper.")
    phone.reload()
    main = phone.locator("main")
    expect(main).to_contain_text("Unfinished download")
    assert main.get_by_role("heading", name="On this device").count() == 1  # the page's title, and no list
    phone.unroute_all()
    size = sum(one[part]["bytes"] for one in listed if one["role"] != "gatekeeper" for part in ("card", "model"))
    button = phone.get_by_role("button", name="Download (")
    expect(button).to_have_text(f"Download ({size / 1e6:.1f} MB)")
    assert obstacles(phone) == []
    button.click()
    phone.locator(PICK).wait_for(state="attached")


def _damage(page: Page, identity: str) -> None:
    """Replace the graph of a bundle that the browser keeps; no worker must be loading it."""
    replace = """async (end) => {
      for (const name of await caches.keys()) {
        const cache = await caches.open(name);
        for (const request of await cache.keys())
          if (request.url.endsWith(end)) await cache.put(request, new Response("something else"));
      }
    }"""
    page.evaluate(replace, f"{identity}/model.onnx")


def test_a_damaged_file_is_downloaded_again(site: Site, phone: Page) -> None:
    listed = site.api("GET", "/api/device")["bundles"]
    phone.goto(f"{site.url}/device.html")
    phone.get_by_role("button", name="Download (").click()
    phone.locator(PICK).wait_for(state="attached")
    # Found when the page opens. The worker of the page before loads the networks as soon as they are there: it would
    # find the damage first, so that page is left.
    phone.goto(f"{site.url}/healthz")
    _damage(phone, next(bundle["identity"] for bundle in listed if bundle["role"] == "gatekeeper"))
    phone.goto(f"{site.url}/device.html")
    alert = phone.get_by_role("alert")
    expect(alert).to_contain_text("was damaged and has been deleted: download it again. (gatekeeper: model.onnx)")
    phone.get_by_role("button", name="Download (").click()
    phone.locator(PICK).wait_for(state="attached")
    assert alert.count() == 0
    # Found by the worker, when the network is loaded.
    (other,) = (bundle for bundle in listed if bundle["name"] == "pneumoscope-covid")
    _damage(phone, other["identity"])
    phone.get_by_role("button", name="Networks:").click()
    phone.get_by_role("dialog").get_by_role("checkbox", name="pneumoscope-covid").set_checked(True)
    phone.get_by_role("button", name="Done").click()
    expect(alert).to_contain_text(
        "was damaged and has been deleted: download it again. (pneumoscope-covid: model.onnx)"
    )
    phone.goto(f"{site.url}/device.html#/networks")
    phone.get_by_role("button", name="Download (").click()
    expect(phone.get_by_role("button", name="Remove")).to_have_count(2)
    assert alert.count() == 0
    for _ in range(2):
        phone.get_by_role("button", name="Remove").first.click()
        phone.get_by_role("dialog").get_by_role("button", name="Remove").click()
        phone.get_by_role("dialog").wait_for(state="hidden")
    expect(phone.get_by_role("button", name="Download (")).to_be_visible()
    assert (
        phone.evaluate("caches.open('pneumoscope-bundles-1').then((cache) => cache.keys()).then((all) => all.length)")
        == 0
    )
