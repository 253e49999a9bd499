"""The app on this device: installable, without a connection, and with the numbers and decisions of the server.

The same images go through Python and through the browser. The network is watched: no request may carry a picture.
"""

from __future__ import annotations

import io
import json
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import httpx
import numpy as np
import pytest
from PIL import Image

from pneumoscope.bundle.runtime import SHIPPED, load
from pneumoscope.data.phantoms.files import write_dicom, write_png
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.export.formats import FORMATS, app
from pneumoscope.imaging.read import read
from pneumoscope.workflows.export import export_bundle
from web.axe import obstacles
from web.conftest import PHONE, Site, drawn
from web.waits import expect

if TYPE_CHECKING:
    from playwright.sync_api import Page, Request

LARGEST = 1e-3
"""Largest difference in a probability between browser and server."""
PICK, CAMERA = "input[data-pick=file]", "input[data-pick=camera]"
TOUCH = {"has_touch": True, "is_mobile": True, "device_scale_factor": 2, "accept_downloads": True}


@dataclass
class Watch:
    """All requests of a page."""

    origin: str
    requests: list[Request] = field(default_factory=list)

    def check(self) -> None:
        """Check that none left the page's own server, and that none carried anything."""
        for request in self.requests:
            assert request.url.startswith((self.origin, "blob:", "data:")), request.url
            assert request.method in ("GET", "HEAD") and request.post_data_buffer is None, request.url
            assert not urlparse(request.url).query, request.url


def watched(page: Page, origin: str) -> Watch:
    watch = Watch(origin)
    page.context.on("request", lambda request: watch.requests.append(request))
    return watch


def opened(page: Page, url: str) -> None:
    """Open the app and download all networks."""
    page.goto(url)
    page.get_by_role("button", name="Download (").click()
    page.locator(PICK).wait_for(state="attached")
    page.get_by_role("button", name="Networks:").click()
    for box in page.locator(".dialog input[type=checkbox]").all():
        box.set_checked(True)
    page.get_by_role("button", name="Done").click()


def ask(page: Page, name: str, data: bytes, where: str = PICK) -> None:
    """Choose a file and wait for its answers."""
    page.set_input_files(where, {"name": name, "mimeType": "", "buffer": data})
    page.locator("[data-facts]", has_text=name).wait_for()


def exported(page: Page) -> list[dict[str, Any]]:
    """Export the history; return the images of the file, the oldest first."""
    page.goto(page.url.split("#")[0] + "#/history")
    with page.expect_download() as started:
        page.get_by_role("button", name="Export as JSON").click()
    made = json.loads(Path(started.value.path()).read_text("utf-8"))
    assert made["disclaimer"].startswith("Research software.")
    return list(reversed(made["images"]))


def compare(images: list[dict[str, Any]], files: dict[str, Path]) -> tuple[float, set[str]]:
    """Compare a browser's answers with Python's; return the largest difference and the codes that occurred."""
    assert [image["path"] for image in images] == list(files)
    largest, codes = 0.0, set()
    for name in SHIPPED:
        model = load(name)
        for image in images:
            (answer,) = (one for one in image["answers"] if one["model"] == model.identity)
            own = model.predict_file(files[image["path"]], observe=lambda *_: None)
            where = f"{name}, {image['path']}: {answer}, {own}"
            assert own.error is None, where
            assert image["sha256"] == own.sha256, where
            assert answer["decision"] == own.decision, where
            assert answer["refused"] == own.refused, where
            assert tuple(answer["codes"]) == own.codes, where
            given = dict(zip(model.labels, own.probabilities, strict=True)) if own.probabilities else {}
            assert answer["probabilities"].keys() == given.keys(), where
            largest = max([largest, *(abs(p - given[label]) for label, p in answer["probabilities"].items())])
            codes |= set(own.codes)
    return largest, codes


def _phantom_files(folder: Path) -> dict[str, Path]:
    """Twenty drawn images: plain ones in several formats and sizes, and spoilt ones for each way of refusal."""
    labels = ("normal", "covid-19", "viral-pneumonia", "lung-opacity")
    plain = [
        draw(2026, number, labels[number % 4], size=size).pixels for number, size in enumerate((512, 300, 900, 640))
    ]
    one = draw(2020, 0, "covid-19", size=512).pixels  # both models answer about it
    made: dict[str, Any] = {f"plain-{number}.png": pixels for number, pixels in enumerate(plain)}
    made |= {
        "bits.png": plain[1],
        "framed.png": np.pad(one, 60, constant_values=0.5),
        "bordered.png": np.pad(one, ((0, 0), (80, 80))),
        "inverted.png": 1 - one,
        "left.png": np.rot90(one),
        "down.png": np.rot90(one, 2),
        "right.png": np.rot90(one, 3),
        "two.png": np.hstack([one[::2, ::2], plain[3][:512:2, :512:2]]),
        "above.png": np.vstack([one[::2, ::2], one[::2, ::2]]),
        "part.png": np.ascontiguousarray(one[:, :300]),
        "long.png": np.ascontiguousarray(one[200:360]),
        "mirrored.png": np.ascontiguousarray(one[:, ::-1]),
        "flat.png": np.full((256, 300), 0.4, np.float32),
    }
    files: dict[str, Path] = {}
    for name, pixels in made.items():
        files[name] = folder / name
        write_png(files[name], np.asarray(pixels, np.float32), bits=16 if name == "bits.png" else 8)
    bytes_ = np.rint(255 * one).astype(np.uint8)
    files["grey.jpg"] = folder / "grey.jpg"
    Image.fromarray(bytes_).save(files["grey.jpg"], quality=90)
    tinted = np.stack([bytes_, bytes_, bytes_ // 2], -1)
    files["tinted.jpg"] = folder / "tinted.jpg"
    Image.fromarray(tinted).save(files["tinted.jpg"], quality=90)
    files["turned.png"] = folder / "turned.png"
    Image.fromarray(bytes_).rotate(25, Image.Resampling.BILINEAR).save(files["turned.png"])
    return files


STATIC = """
import functools, http.server, sys

class Handler(http.server.SimpleHTTPRequestHandler):
    def end_headers(self):
        self.send_header("Content-Security-Policy", sys.argv[3])
        super().end_headers()

handler = functools.partial(Handler, directory=sys.argv[1])
http.server.ThreadingHTTPServer(("127.0.0.1", int(sys.argv[2])), handler).serve_forever()
"""
"""Python's static web server, with a header."""


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The exported app below the root of a static web server, with the strictest policy that README.txt names."""
    place = tmp_path_factory.mktemp("app") / "folder"
    export_bundle(SHIPPED, "app", place)
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-c", STATIC, str(place.parent), str(port), app.POLICY]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        url, end = f"http://127.0.0.1:{port}/{place.name}/", time.monotonic() + 30
        while True:
            try:
                httpx.get(url, timeout=5).raise_for_status()
                break
            except httpx.HTTPError:
                assert time.monotonic() < end, "the static server did not start"
                time.sleep(0.1)
        yield url
    finally:
        process.terminate()
        process.wait(30)


def test_the_app_can_be_installed(site: Site, phone: Page) -> None:
    phone.goto(f"{site.url}/device.html")
    manifest_url = phone.evaluate("document.querySelector('link[rel=manifest]').href")
    manifest = httpx.get(manifest_url).json()
    assert manifest["name"] and manifest["short_name"]
    assert manifest["display"] == "standalone"
    assert manifest["start_url"] == "./device.html"
    sizes = set()
    for icon in manifest["icons"]:
        answer = httpx.get(f"{site.url}/{icon['src']}").raise_for_status()
        image = Image.open(io.BytesIO(answer.content))
        assert answer.headers["content-type"] == icon["type"] == "image/png"
        assert f"{image.width}x{image.height}" == icon["sizes"]
        sizes.add((image.width, icon.get("purpose", "any")))
    assert {(192, "any"), (512, "any"), (512, "maskable")} <= sizes
    assert phone.evaluate("navigator.serviceWorker.ready.then(({ active, scope }) => scope)") == f"{site.url}/"
    # What Chromium itself says against an installation.
    errors = phone.context.new_cdp_session(phone).send("Page.getInstallabilityErrors")["installabilityErrors"]
    # A private window, which tests run in, can't install anything.
    assert [error["errorId"] for error in errors if error["errorId"] != "in-incognito"] == []


def test_a_damaged_list_is_said_in_a_plain_sentence(folder: str, new_page: Callable[..., Page]) -> None:
    page = new_page(PHONE, **TOUCH)
    page.route("**/bundles/index.json", lambda route: route.fulfill(body='{"schema_version": 1, "bun'))
    page.goto(f"{folder}device.html")
    alert = page.get_by_role("alert")
    expect(alert).to_contain_text("The list of networks can't be read")
    assert "JSON" not in alert.inner_text().replace("index.json", "")
    page.unroute_all()
    opened(page, f"{folder}device.html")
    page.set_input_files(PICK, {"name": "a.gif", "mimeType": "image/gif", "buffer": b"GIF89a" + bytes(40)})
    expect(page.get_by_role("alert")).to_contain_text("Possible are PNG, JPEG and DICOM.")


def test_the_browser_answers_as_the_server_does(site: Site, new_page: Callable[..., Page], tmp_path: Path) -> None:
    page = new_page(PHONE, **TOUCH)
    watch = watched(page, site.url)
    opened(page, f"{site.url}/device.html")
    files = _phantom_files(tmp_path)
    for name, path in files.items():
        ask(page, name, path.read_bytes())
    largest, codes = compare(exported(page), files)
    print(f"largest difference on {len(files)} drawn images: {largest:.1e}")
    assert largest <= LARGEST
    assert {"bordered", "several", "sides", "coloured"} <= codes
    watch.check()


def test_dicom_is_read_as_the_server_reads_it(site: Site, new_page: Callable[..., Page], tmp_path: Path) -> None:
    pytest.importorskip("pydicom", reason="no pydicom: pip install 'pneumoscope[dicom]'")
    files = {}
    for number, inverted in enumerate((False, True)):
        files[f"{number}.dcm"] = tmp_path / f"{number}.dcm"
        write_dicom(files[f"{number}.dcm"], draw(7, number, "normal", size=400), number, inverted=inverted)
    page = new_page(PHONE, **TOUCH)
    opened(page, f"{site.url}/device.html")
    for name, path in files.items():
        ask(page, name, path.read_bytes())
    assert compare(exported(page), files)[0] <= LARGEST


def test_the_folder_alone_answers_without_a_connection(
    folder: str, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = new_page(PHONE, **TOUCH)
    watch = watched(page, folder)
    opened(page, folder)
    page.evaluate("navigator.serviceWorker.ready.then(() => 1)")
    page.wait_for_function("caches.keys().then((all) => all.some((name) => name.includes('precache')))")
    page.reload()
    page.locator(PICK).wait_for(state="attached")
    page.context.set_offline(True)
    page.goto(f"{folder}device.html")
    page.locator(PICK).wait_for(state="attached")
    files = {name: path for name, path in _phantom_files(tmp_path).items() if name in ("plain-0.png", "grey.jpg")}
    for name, path in files.items():
        ask(page, name, path.read_bytes())
    assert compare(exported(page), files)[0] <= LARGEST
    watch.check()


@pytest.mark.shared
def test_real_radiographs_get_the_servers_answers(
    folder: str, new_page: Callable[..., Page], shared: Path, record_property: Callable[[str, object], None]
) -> None:
    data = shared / "data"
    found = [
        *sorted((data / "radiography").rglob("images/*.png"))[::900][:8],
        *sorted((data / "shenzhen").rglob("*.png"))[::300][:2],
        *sorted((data / "ieee8023").rglob("*.jp*g"))[::150][:3],
        *sorted((data / "strangers").rglob("*.jpg"))[::90][:4],
        *sorted((data / "dicom").glob("*.dcm"))[:],
    ]
    page = new_page(PHONE, **TOUCH)
    watch = watched(page, folder)
    opened(page, folder)
    files = {}
    for number, path in enumerate(found):
        own = load(SHIPPED[0]).predict_file(path)
        name = f"{number}{path.suffix}"
        if own.error is None:
            files[name] = path
            ask(page, name, path.read_bytes())
        else:  # what Python refuses to read, the browser refuses too
            page.set_input_files(PICK, {"name": name, "mimeType": "", "buffer": path.read_bytes()})
            expect(page.get_by_role("alert")).to_contain_text("That did not work.")
    assert len(files) >= 20
    largest, codes = compare(exported(page), files)
    record_property("largest difference", largest)
    print(f"largest difference on {len(files)} real images: {largest:.1e}; codes {sorted(codes)}")
    assert largest <= LARGEST
    watch.check()


def _photograph() -> bytes:
    """A drawn radiograph with a camera's notes on the exposure."""
    exif = Image.Exif()
    exif.get_ifd(0x8769).update({0x829A: 0.01, 0x829D: 1.8, 0x920A: 4.2})  # exposure time, F number, focal length
    out = io.BytesIO()
    Image.open(io.BytesIO(drawn(0))).convert("L").save(out, "JPEG", exif=exif, quality=95)
    return out.getvalue()


def test_a_photograph_is_refused_unless_the_reader_insists(site: Site, phone: Page) -> None:
    opened(phone, f"{site.url}/device.html")
    for where, name, data in ((PICK, "notes.jpg", _photograph()), (CAMERA, "taken.png", drawn(0))):
        ask(phone, name, data, where)
        answer = phone.locator("article.answer").first
        expect(answer).to_have_attribute("data-refused", "true")
        expect(answer).to_contain_text("no network here was measured on photographs")
        # No network looked at it.
        expect(phone.locator("[data-facts]")).to_have_text(re.compile(r"read in [\d,]+ ms$"))
        answer.get_by_role("button", name="Answer anyway").click()
        answer = phone.locator("article.answer[data-refused=false]").first
        expect(answer).to_contain_text("photograph: performance not measured")
        # What was measured on radiographs says nothing of photographs.
        expect(answer.locator(".scale")).to_be_attached()  # the score itself stays
        expect(answer).not_to_contain_text("calibration images")
        expect(answer).not_to_contain_text("chosen")
        answer.locator("details.research summary").click()
        expect(answer).not_to_contain_text("measured on")


def test_three_taps_lead_to_the_answer(site: Site, phone: Page) -> None:
    phone.goto(f"{site.url}/device.html")
    phone.get_by_role("button", name="Download (").tap()  # once, on the first day
    with phone.expect_file_chooser() as chooser:
        phone.get_by_role("button", name="Choose a picture").tap()
    chooser.value.set_files([{"name": "a.png", "mimeType": "image/png", "buffer": drawn(2)}])  # the third
    verdict = phone.locator("article.answer .verdict").first
    expect(verdict).to_be_visible()
    phone.get_by_role("button", name="Heatmap").tap()
    assert phone.locator(".device-heat").get_attribute("data-cells") == "7x7"
    expect(phone.locator(".device-canvas path.view-lungs")).to_have_count(1)
    assert phone.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert "Not a medical device" in phone.locator(".disclaimer").inner_text()
    assert obstacles(phone) == []


LONG = "1.2.840.113619.2.30.1.1762295590.1623.978668949.886.20041234.1.png"


def test_a_long_name_leaves_the_page_as_wide_as_the_screen(site: Site, new_page: Callable[..., Page]) -> None:
    phone = new_page(PHONE, **TOUCH)
    opened(phone, f"{site.url}/device.html")
    for name in (LONG, "52a8b6bf730b648d37b37d2aa51fd3_jumbo-1.png"):
        ask(phone, name, drawn(2))
        assert phone.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]
    phone.set_input_files(PICK, {"name": LONG, "mimeType": "", "buffer": b"GIF89a" + bytes(40)})
    expect(phone.get_by_role("alert")).to_contain_text(f"That did not work. {LONG}: ")
    expect(phone.get_by_role("alert")).to_contain_text("Possible are PNG")
    assert phone.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]
    phone.get_by_role("navigation").get_by_text("History").tap()  # it is on the screen
    expect(phone.locator(".device-history")).to_contain_text(LONG)
    assert phone.evaluate("[document.documentElement.scrollWidth, innerWidth]") == [390, 390]


def test_the_history_is_erased(site: Site, phone: Page) -> None:
    opened(phone, f"{site.url}/device.html")
    ask(phone, "one.png", drawn(3))
    phone.goto(f"{site.url}/device.html#/history")
    expect(phone.locator(".device-history li")).to_have_count(1)
    assert "Not encrypted unless you lock the phone" in phone.locator("main").inner_text()
    assert obstacles(phone) == []
    phone.get_by_role("button", name="Erase the history").click()
    phone.get_by_role("dialog").get_by_role("button", name="Erase the history").click()
    expect(phone.locator(".device-history li")).to_have_count(0)
    phone.reload()
    expect(phone.locator("main")).to_contain_text("Nothing has been asked on this device yet.")


def test_a_network_says_what_it_is_and_what_it_takes(site: Site, phone: Page) -> None:
    # The browser answers after its next collection of garbage: here never.
    phone.add_init_script("performance.measureUserAgentSpecificMemory = () => new Promise(() => undefined)")
    phone.goto(f"{site.url}/device.html")
    phone.locator(".pick a").first.click()
    expect(phone.locator("h1")).to_contain_text("pneumoscope-opacity")
    main = phone.locator("main")
    expect(main).to_contain_text("Download: 5.")
    expect(main).to_contain_text("What it takes on this device")
    expect(phone.get_by_role("row", name="Memory of page and networks")).to_contain_text("being measured")
    expect(main).to_contain_text("Does not look for")
    assert obstacles(phone) == []


def test_a_network_shows_the_figures_of_its_test_images(site: Site, folder: str, new_page: Callable[..., Page]) -> None:
    model = load("covid")
    for address in (f"{site.url}/", folder):
        page = new_page(PHONE, **TOUCH)
        for when in ("before the download", "after it"):
            page.goto(f"{address}device.html#/networks/{model.identity}")
            expect(page.locator(".summary-tiles"), when).to_contain_text("Test, 1,091 images")
            page.get_by_text("How well it did", exact=True).click()
            expect(page.locator("main"), when).to_contain_text("had been opened 7 times before")
            expect(page.locator("main"), when).not_to_contain_text("have not been opened")
            if when == "before the download":
                opened(page, f"{address}device.html")


def test_the_reading_room_loads_nothing_of_it(site: Site, page: Page) -> None:
    watch = watched(page, site.url)
    page.goto(site.url)
    page.locator(".study").first.wait_for()
    page.wait_for_load_state("networkidle")
    loaded = [Path(urlparse(request.url).path).name for request in watch.requests]
    assert not [name for name in loaded if name.endswith(".wasm") or "ort-" in name or name.startswith("device")]
    page.get_by_role("navigation").get_by_text("Device").click()
    expect(page.locator("main[data-page=device]")).to_be_visible()


def test_the_format_is_listed() -> None:
    assert FORMATS.get("app").several


def test_the_browser_writes_its_part_of_a_certificate(
    folder: str, new_page: Callable[..., Page], tmp_path: Path
) -> None:
    page = new_page(PHONE, **TOUCH)
    opened(page, folder)
    model = load("covid")
    page.goto(f"{folder}device.html#/networks/{model.identity}")
    page.get_by_text("Numbers for a certificate").click()
    paths = [path for name, path in _phantom_files(tmp_path).items() if name in ("plain-1.png", "inverted.png")]
    with page.expect_download() as saved:
        page.set_input_files("input[data-pick=certificate]", paths)
    made = json.loads(Path(saved.value.path()).read_text("utf-8"))
    assert made["schema"] == "pneumoscope-browser-run/1"
    assert made["bundle"] == model.identity
    assert tuple(made["labels"]) == model.labels
    for path, image in zip(paths, made["images"], strict=True):
        radiograph = read(path)
        own = model.run(radiograph.pixels, border=model.find_border(radiograph.pixels))
        assert image["sha256"] == radiograph.sha256
        assert np.abs(np.array(image["probabilities"]) - own.probabilities).max() <= LARGEST
        assert abs(image["ood"] - own.ood) <= LARGEST
