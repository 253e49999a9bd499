"""Takes the pictures of docs/guides/report.md and findings.md again: `python scripts/report_picture.py [FOLDER]`.

Draws phantoms, trains small networks on them, and photographs parts of the runs' reports in Chromium: two parts side by
side of one with an answer an image, and the tables of one with several findings. No picture shows a patient.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

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


def train_findings_on_phantoms(folder: Path) -> Path:
    """Return the report of a run with several findings on drawn images."""
    findings = ("covid-19", "pneumonia", "lung-opacity")
    manifest = ps.draw_phantoms(
        folder / "set", per_class=90, labels=("covid-19", "viral-pneumonia", "lung-opacity", "normal"), size=128
    )
    manifest, _ = ps.split(manifest, validation=0.2, calibration=0.2)
    recipe = folder / "findings.yaml"
    recipe.write_text(
        "extends: lenet-128\nname: findings\nsummary: Three findings of drawn images, each by itself.\n"
        f"task: {{kind: multilabel, classes: [{', '.join(findings)}], optional: []}}\n"
        "loss: {kind: bce}\noptimizer: {kind: adam, lr: 0.003}\n"
        "training: {epochs: 12, sampling: shuffle}\nexpects: null\n",
        encoding="utf-8",
    )
    return ps.train(recipe, manifest, folder / "run").folder / "report.html"


@contextmanager
def open_page(page_file: Path) -> Iterator[Page]:
    """Open a page in Chromium."""
    chromium = shutil.which("chromium") or sys.exit("no Chromium: apt-get install chromium")
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": WIDTH, "height": HEIGHT}, locale="en-US")
        page.goto(page_file.as_uri())
        yield page
        browser.close()


def save(sheet: Image.Image, picture: Path) -> None:
    """Write a picture with few colours."""
    sheet.quantize(COLOURS, dither=Image.Dither.NONE).save(picture, optimize=True)
    print(picture, f"{picture.stat().st_size / 1000:.0f} kB")


def photograph_findings(page_file: Path, picture: Path) -> None:
    """Write a picture of the tables of all findings, and of the first finding by itself."""
    with open_page(page_file) as page:
        page.set_viewport_size({"width": 1130, "height": 1150})
        page.add_style_tag(content=".banner { position: static }")
        page.locator("details.finding summary").first.click()
        page.locator("#findings").evaluate("(section) => section.scrollIntoView()")
        save(Image.open(BytesIO(page.screenshot())).convert("RGB"), picture)


def photograph(page_file: Path, picture: Path) -> None:
    """Write a picture of the head of a report, and of its part about rarer disease."""
    parts = []
    with open_page(page_file) as page:
        parts.append(page.screenshot())
        page.get_by_role("heading", name="Calibration").first.evaluate("(heading) => heading.scrollIntoView()")
        page.add_style_tag(content=".banner { position: static }")
        page.get_by_role("heading", name="Calibration").first.evaluate("(heading) => heading.scrollIntoView()")
        parts.append(page.screenshot())
    sheet = Image.new("RGB", (2 * WIDTH + GAP, HEIGHT), "white")
    for place, part in enumerate(parts):
        sheet.paste(Image.open(BytesIO(part)).convert("RGB"), (place * (WIDTH + GAP), 0))
    save(sheet, picture)


def main(images: Path, names: Sequence[str]) -> None:
    """Train, and take the pictures of these names."""
    for name in names or PICTURES:
        train, take = PICTURES[name]
        with tempfile.TemporaryDirectory() as folder:
            take(train(Path(folder)), images / f"{name}.png")


PICTURES = {
    "report": (train_on_phantoms, photograph),
    "findings": (train_findings_on_phantoms, photograph_findings),
}

if __name__ == "__main__":
    main(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/images"), sys.argv[2:])
