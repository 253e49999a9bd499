"""Takes the picture of docs/guides/report.md again: `python scripts/report_picture.py`.

Draws phantoms, trains a small published network on them, and photographs two parts of the run's report side by side in
Chromium. No picture shows a patient.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

import pneumoscope as ps

WIDTH, HEIGHT, GAP = 810, 1470, 50
"""Pixels of each of the two parts, and between them."""
COLOURS = 224
"""Of the picture's palette: a page has few, and the file is a third as large."""


def train_on_phantoms(folder: Path) -> Path:
    """Return the report of a run on drawn images."""
    labels = ("covid-19", "normal", "viral-pneumonia")
    manifest = ps.draw_phantoms(folder / "set", per_class=90, labels=labels, size=128)
    manifest, _ = ps.split(manifest, validation=0.2, calibration=0.2)
    sets = [f"task.classes=[{', '.join(labels)}]", "optimizer.kind=adam", "optimizer.lr=3e-3", "training.epochs=12"]
    return ps.train("lenet-128", manifest, folder / "run", sets=sets).folder / "report.html"


def photograph(page_file: Path, picture: Path) -> None:
    """Write a picture of the head of a report, and of its part about rarer disease."""
    chromium = shutil.which("chromium") or sys.exit("no Chromium: apt-get install chromium")
    parts = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
        page.goto(page_file.as_uri())
        parts.append(page.screenshot())
        page.get_by_role("heading", name="Calibration").first.evaluate("(heading) => heading.scrollIntoView()")
        page.add_style_tag(content=".banner { position: static }")
        page.get_by_role("heading", name="Calibration").first.evaluate("(heading) => heading.scrollIntoView()")
        parts.append(page.screenshot())
        browser.close()
    sheet = Image.new("RGB", (2 * WIDTH + GAP, HEIGHT), "white")
    for place, part in enumerate(parts):
        sheet.paste(Image.open(BytesIO(part)).convert("RGB"), (place * (WIDTH + GAP), 0))
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(picture, f"{picture.stat().st_size / 1000:.0f} kB")


def main(picture: Path) -> None:
    """Train, and take the picture."""
    with tempfile.TemporaryDirectory() as folder:
        photograph(train_on_phantoms(Path(folder)), picture)


if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images/report.png"))
