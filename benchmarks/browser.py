"""Measures the app on this device in Chromium: loading, first and later answers, memory.

    python benchmarks/browser.py [--images 12] [--side 1024] [--no-threads]
    python benchmarks/browser.py --certify opacity images.csv -o browser.json

The exported folder is served by a static server of its own. "Answer" is border, gatekeeper, lungs and one classifier,
without reading the file; the times are those of the page itself. Memory is what the browser's process for the page has
for itself (private and shared memory by the number of users, Linux PSS), its worker included.

With `--certify` the graph alone answers the images of the ``images.csv`` that `certify` writes, and the
file for its option ``--browser`` is written.
"""

from __future__ import annotations

import argparse
import csv
import json
import re
import shutil
import statistics
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, expect, sync_playwright
from playwright.sync_api import TimeoutError as PlaywrightTimeoutError

from pneumoscope.bundle.runtime import load
from pneumoscope.data.phantoms.files import write_png
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.workflows.export import export_bundle

PICK = "input[data-pick=file]"


class _Handler(SimpleHTTPRequestHandler):
    """A static server; with these headers a page may use several threads."""

    isolated = True

    def end_headers(self) -> None:
        if self.isolated:
            self.send_header("Cross-Origin-Opener-Policy", "same-origin")
            self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        super().end_headers()

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def served(folder: Path) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Handler, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/device.html"
    finally:
        server.shutdown()


def opened(browser: Browser, url: str) -> Page:
    page = browser.new_context(viewport={"width": 390, "height": 844}, accept_downloads=True).new_page()
    page.set_default_timeout(600_000)
    page.goto(url)
    page.get_by_role("button", name="Download (").click()
    page.locator(PICK).wait_for(state="attached")
    return page


def memory_of(browser: Browser) -> float:
    """Return the PSS of the largest process that shows pages, in MB."""
    session = browser.new_browser_cdp_session()
    found = []
    for process in session.send("SystemInfo.getProcessInfo")["processInfo"]:
        if process["type"] == "renderer":
            lines = Path(f"/proc/{process['id']}/smaps_rollup").read_text("ascii").splitlines()
            found.append(next(int(line.split()[1]) for line in lines if line.startswith("Pss:")) * 1024 / 1e6)
    return max(found)


def measure(page: Page, browser: Browser, folder: Path, count: int, side: int) -> None:
    page.reload()  # as on any later day: the networks are there
    page.locator(PICK).wait_for(state="attached")
    page.wait_for_timeout(4000)  # they are loaded before a picture is chosen
    print(f"memory with the networks loaded: {memory_of(browser):.0f} MB")
    times, waits = [], []
    for number in range(count):
        path = folder / f"{number}.png"
        write_png(path, draw(99, number, ("normal", "covid-19")[number % 2], size=side).pixels)
        page.set_input_files(PICK, str(path))
        page.locator("[data-facts]", has_text=path.name).wait_for()
        page.locator(".device-resources summary").first.click()
        rows = dict(row.split("\t") for row in page.locator(".device-resources").first.inner_text().splitlines()[1:])
        number_of = {name: float(value.split()[0].replace(",", "")) for name, value in rows.items() if " ms" in value}
        times.append(number_of["Answering (gatekeeper, lungs, networks)"])
        waits.append(number_of["From the choice to the answer"])
    print(f"threads {rows['Threads']}; loading {number_of['Loading the networks']:.0f} ms")
    print(f"first answer: {times[0]:.0f} ms, {waits[0]:.0f} ms from the choice of the file")
    print(f"later answers: median {statistics.median(times[1:]):.0f} ms, least {min(times[1:]):.0f} ms")
    print(f"memory of the page's process: {memory_of(browser):.0f} MB")
    # The browser answers after its next collection of garbage, or not at all.
    cell = page.locator(".device-resources tr", has_text="Memory of page and networks").first.locator("td")
    with suppress(PlaywrightTimeoutError):
        expect(cell).to_have_text(re.compile(r"\d"), timeout=60_000)
    print(f"memory of page and workers, by the browser's own measure: {cell.inner_text()}")


def certify(page: Page, identity: str, images: Path, out: Path) -> None:
    with images.open(encoding="utf-8", newline="") as file:
        paths = [row["file"] for row in csv.DictReader(file)]
    page.goto(page.url.split("#")[0] + f"#/networks/{identity}")
    page.get_by_text("Numbers for a certificate").click()
    with page.expect_download() as saved:
        page.set_input_files("input[data-pick=certificate]", paths)
    shutil.copyfile(saved.value.path(), out)
    made = json.loads(out.read_text("utf-8"))
    print(f"{out}: {len(made['images'])} images; {made['about']}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=12)
    parser.add_argument("--side", type=int, default=1024)
    parser.add_argument("--no-threads", action="store_true")
    parser.add_argument("--certify", nargs=2, metavar=("BUNDLE", "IMAGES.csv"))
    parser.add_argument("-o", "--out", type=Path, default=Path("browser.json"))
    options = parser.parse_args()
    _Handler.isolated = not options.no_threads
    bundle = options.certify[0] if options.certify else "opacity"
    program = shutil.which("chromium") or shutil.which("google-chrome")
    with tempfile.TemporaryDirectory() as name, sync_playwright() as play:
        folder = Path(name)
        export_bundle(bundle, "app", folder / "app")
        browser = play.chromium.launch(executable_path=program, args=["--no-sandbox"])
        with served(folder / "app") as url:
            page = opened(browser, url)
            if options.certify:
                certify(page, load(bundle).identity, Path(options.certify[1]), options.out)
            else:
                measure(page, browser, folder, options.images, options.side)
            browser.close()


if __name__ == "__main__":
    main()
