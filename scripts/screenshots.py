"""Takes the pictures of the web app in docs/operations again, on drawn studies: `python scripts/screenshots.py`.

Starts the demo in a folder of its own, adds drawn studies with made-up reads and references (so that the dashboard has
something to count), and photographs the pages in Chromium. No picture shows a patient.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path
from typing import Any

import httpx
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

from pneumoscope.data.phantoms.files import write_png
from pneumoscope.data.phantoms.phantom import draw

PORT = 8017
URL = f"http://127.0.0.1:{PORT}"
COLOURS = 224
"""Of each picture's palette: pages have few, and the files are a third as large."""


def ask(method: str, path: str, **options: Any) -> Any:
    answer = httpx.request(method, URL + path, timeout=60, **options)
    answer.raise_for_status()
    return answer.json()


def wait_for_answers() -> None:
    while any(p["state"] in ("queued", "running") for one in studies() for p in one["predictions"]):
        time.sleep(0.3)


def studies() -> list[dict[str, Any]]:
    studies_page: list[dict[str, Any]] = ask("GET", "/api/studies?limit=200")["studies"]
    return studies_page


def make_up_reads(folder: Path) -> None:
    """Read 36 drawn studies before and after the answer, and enter what their drawing says as the reference."""
    folder.mkdir()
    for number in range(36):
        label = ("covid-19", "normal", "viral-pneumonia")[number % 3]
        path = folder / f"{number}.png"
        write_png(path, draw(77, number, label, size=256, source=f"synthetic-{'ab'[number % 2]}").pixels)
        files = [("files", (path.name, path.read_bytes()))]
        sent = ask("POST", "/api/studies", files=files, data={"models": ["builtin"]})["files"][0]
        reads = f"/api/studies/{sent['study']}/reads"
        before = label if number % 5 else "normal"
        ask("POST", reads, json={"stage": "unaided", "state": "final", "conclusion": before})
        wait_for_answers()
        ask("GET", f"/api/studies/{sent['study']}/predictions")
        after = label if number % 9 else "covid-19"
        ask("POST", reads, json={"stage": "aided", "state": "final", "conclusion": after})
        if number % 6:
            reference = {"standard": "rt-pcr", "label": label, "date": "2026-01-02"}
            ask("POST", f"/api/studies/{sent['study']}/references", json=reference)


def keep(picture: bytes, path: Path) -> None:
    Image.open(BytesIO(picture)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(path, optimize=True)
    print(path, f"{path.stat().st_size / 1000:.0f} kB")


def show_answer(page: Page, study: str) -> Locator:
    page.goto(f"{URL}/#/studies/{study}")
    page.get_by_role("tab", name="Model").click()
    answer = page.locator(".answer").first
    asking = page.get_by_role("button", name="Show the models' answers").locator("visible=true")
    answer.or_(asking).first.wait_for()
    if asking.count():  # a reader who has been shown an answer is not asked again
        asking.click()
    answer.wait_for()
    page.wait_for_timeout(1500)  # the image is drawn
    return answer


def photograph(page: Page, phone: Page, shown: list[str], out: Path) -> None:
    """Take ten pictures; ``shown``: studies for the worklist, two of which are opened."""
    for study, text in zip(shown, ("for the seminar", "ask again"), strict=False):
        ask("PUT", f"/api/studies/{study}/label", json={"text": text})
    page.goto(URL)
    page.locator(".study img").first.wait_for()
    page.wait_for_timeout(800)
    keep(page.screenshot(), out / "room-worklist.png")
    phone.goto(URL)
    phone.locator(".study img").first.wait_for()
    phone.wait_for_timeout(800)
    keep(phone.screenshot(), out / "room-phone-worklist.png")

    answer = show_answer(page, shown[0])
    answer.get_by_label("Heatmap").select_option("lung-opacity")
    page.get_by_text("not a localisation").first.wait_for()
    page.wait_for_timeout(800)
    keep(page.screenshot(), out / "room-study.png")

    answer.get_by_label("Heatmap").select_option(index=0)
    page.locator(".view-screen").focus()
    page.keyboard.press("t")
    page.locator(".view-length text").wait_for()
    keep(page.screenshot(), out / "room-measure.png")

    page.get_by_role("tab", name="Report").click()
    page.get_by_label("Conclusion").locator("visible=true").select_option("normal")
    page.get_by_role("button", name="Insert").first.click()
    page.wait_for_timeout(300)
    keep(page.screenshot(), out / "room-report.png")

    show_answer(page, shown[1])
    page.get_by_text("What if a region were covered?").click()
    page.get_by_role("button", name="Cover what I paint").click()
    box = page.locator(".reading-image").bounding_box()
    assert box is not None
    x, y = box["x"] + box["width"] * 0.62, box["y"] + box["height"] * 0.28
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + 40, y + 160, steps=8)
    page.mouse.up()
    page.get_by_role("button", name="Ask the model with this region covered").click()
    page.get_by_text("What-if: not a result").evaluate("(one) => one.scrollIntoView({ block: 'center' })")
    page.wait_for_timeout(800)
    keep(page.screenshot(), out / "room-whatif.png")

    page.goto(f"{URL}/#/models")
    page.get_by_role("link", name="pneumoscope-opacity 1").click()
    page.get_by_role("heading", name="Does not look for").wait_for()
    keep(page.screenshot(), out / "room-model.png")

    page.goto(f"{URL}/#/dashboard")
    page.get_by_role("link", name="How the server runs").wait_for()
    page.wait_for_timeout(800)
    keep(page.screenshot(), out / "room-dashboard.png")
    page.get_by_role("link", name="How the server runs").click()
    page.wait_for_timeout(800)
    keep(page.screenshot(), out / "room-operations.png")

    phone.goto(f"{URL}/#/studies/{shown[0]}")
    phone.locator(".phone-verdict").wait_for()
    phone.wait_for_timeout(1500)  # the image is drawn
    keep(phone.screenshot(), out / "room-phone.png")


def photograph_device(phone: Page, folder: Path, out: Path) -> None:
    """Take the pictures of docs/operations/on-the-device.md: the networks to download, and an answer."""
    phone.goto(f"{URL}/device.html")
    phone.get_by_role("button", name="Download (").wait_for()
    keep(phone.screenshot(), out / "device-download.png")
    phone.get_by_role("button", name="Download (").click()
    phone.locator("input[data-pick=file]").wait_for(state="attached")
    path = folder / "phantom.png"
    write_png(path, draw(2020, 0, "covid-19", size=512).pixels)
    phone.set_input_files("input[data-pick=file]", str(path))
    phone.locator("[data-facts]").wait_for()
    phone.get_by_role("button", name="Heatmap").click()
    phone.wait_for_timeout(300)
    keep(phone.screenshot(), out / "device-answer.png")


def main(out: Path) -> None:
    chromium = shutil.which("chromium") or sys.exit("no Chromium: apt-get install chromium")
    with tempfile.TemporaryDirectory() as folder, (Path(folder) / "log").open("wb") as log:
        demo = [
            sys.executable,
            "-m",
            "pneumoscope",
            "demo",
            "--no-open",
            "--port",
            str(PORT),
            "--out",
            f"{folder}/demo",
        ]
        server = subprocess.Popen(demo, stdout=log, stderr=log)
        try:
            while True:
                try:
                    if len(studies()) >= 6:
                        break
                except httpx.HTTPError:
                    assert server.poll() is None, "the demo did not start"
                time.sleep(0.5)
            wait_for_answers()
            named = [one for one in studies() if one["patient"]]
            # Those that the model answered come first: a refusal has no heatmap.
            named.sort(key=lambda one: one["predictions"][0]["refusal"] is not None)
            phantom_studies = [one["id"] for one in named]
            make_up_reads(Path(folder) / "drawn")
            with sync_playwright() as play:
                browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
                page = browser.new_page(viewport={"width": 1440, "height": 900}, locale="en-US")
                phone = browser.new_page(
                    viewport={"width": 390, "height": 844},
                    locale="en-US",
                    device_scale_factor=2,
                    is_mobile=True,
                    has_touch=True,
                )
                photograph(page, phone, phantom_studies, out)
                photograph_device(phone, Path(folder), out)
                browser.close()
        finally:
            server.terminate()
            server.wait(30)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"))
