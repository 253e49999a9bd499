"""Downloads of the app on this device: once, checked, and again what broke off or was damaged."""

from __future__ import annotations

import re
import threading
from collections import Counter
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pneumoscope
from pneumoscope.bundle.runtime import SHIPPED
from pneumoscope.workflows.export import export_bundle
from web.axe import obstacles
from web.conftest import Site
from web.test_device import PICK, watched
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page


(RUNTIME,) = (Path(pneumoscope.__file__).parent / "web" / "assets").glob("ort-wasm*.wasm")
"""It runs the networks."""


class _Counting(SimpleHTTPRequestHandler):
    """A static server that counts the bytes of the files that it sends."""

    def __init__(self, sent: Counter[str], *args: Any, **options: Any) -> None:
        self.sent = sent
        super().__init__(*args, **options)

    def copyfile(self, source: Any, outputfile: Any) -> None:
        content = source.read()
        outputfile.write(content)
        self.sent[self.path] += len(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


def test_the_size_before_the_press_is_what_the_press_fetches(phone: Page, tmp_path: Path) -> None:
    export_bundle(SHIPPED, "app", tmp_path / "app")
    sent: Counter[str] = Counter()
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Counting, sent, directory=str(tmp_path / "app")))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        phone.goto(f"http://127.0.0.1:{server.server_port}/device.html")
        button = phone.get_by_role("button", name="Download (")
        button.wait_for()
        # The service worker has kept the page.
        phone.evaluate("navigator.serviceWorker.ready.then(() => 1)")
        phone.wait_for_function("navigator.serviceWorker.controller !== null")
        before = sent.copy()
        assert sum(before.values()) < 3e6, before
        assert not [name for name in before if "ort-wasm" in name and name.endswith(".wasm")]
        (said,) = re.findall(r"Download \((.*)\)", button.inner_text())
        button.click()
        phone.locator(PICK).wait_for(state="attached")
        kept = phone.locator(PICK)
        phone.goto(phone.url.split("#")[0] + "#/networks")
        expect(phone.locator("main")).to_contain_text(f"{said} in all")
        expect(phone.get_by_role("row", name="Loading the networks")).to_be_visible()  # it runs
        fetched = sent - before
        assert f"{sum(fetched.values()) / 1e6:.1f} MB" == said, fetched
        phone.goto(phone.url.split("#")[0])
        kept.wait_for(state="attached")
        phone.get_by_role("button", name="Networks:").click()
        expect(phone.get_by_role("dialog")).to_contain_text(f"on this device: {said}")
    finally:
        server.shutdown()
        server.server_close()


def test_a_network_is_downloaded_once_and_its_size_is_said_before(site: Site, phone: Page) -> None:
    watch = watched(phone, site.url)
    phone.goto(f"{site.url}/device.html")
    button = phone.get_by_role("button", name="Download (")
    listed = site.api("GET", "/api/device")["bundles"]
    size = RUNTIME.stat().st_size + sum(
        bundle[part]["bytes"] for bundle in listed for part in ("card", "model", "evidence") if bundle[part]
    )
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
    expect(phone.get_by_role("alert")).to_contain_text("Kept of it: ONNX Runtime, gatekeeper.")
    phone.reload()
    main = phone.locator("main")
    expect(main).to_contain_text("Unfinished download")
    assert main.get_by_role("heading", name="On this device").count() == 1  # the page's title, and no list
    phone.unroute_all()
    files = [one[part] for one in listed if one["role"] != "gatekeeper" for part in ("card", "model", "evidence")]
    size = sum(file["bytes"] for file in files if file)
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
