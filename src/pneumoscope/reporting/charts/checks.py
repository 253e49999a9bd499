"""The pictures of the data checks: the found pairs side by side, and the numbers of a finding as bars.

Pairs show patients' radiographs, so the program draws them only where the user asks for them (``--pictures``). A
reader should see a duplicate before they believe in it.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.figure import Figure
from matplotlib.ticker import PercentFormatter

from pneumoscope.core.errors import ImageError
from pneumoscope.core.files import atomic_path
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.data.checks.findings import Case, CheckReport, Finding
from pneumoscope.data.manifest import Manifest
from pneumoscope.reporting.charts.figure import (
    ACCENT,
    CHANCE,
    add_interval,
    add_note,
    new_figure,
    styled,
    to_png,
)

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

CASES_ON_A_SHEET = 24
"""JSON lists all cases."""

_WITHOUT_PICTURE = ("unreadable", "known-ancestors")
"""Checks whose cases can't be seen, or whose pictures would prove nothing."""

_TILE, _GAP, _LINE = 150, 8, 14  # pixels
_TILES_OF_A_CASE = 8  # a case may concern many images
_WIDTH = 8 * (_TILE + _GAP) + 5 * _GAP  # four pairs, parted by two gaps
_PAPER, _INK, _GREY = 24, 235, 160  # grey levels, 0 = black, 255 = white


def write_pictures(report: CheckReport, manifest: Manifest, folder: Path) -> CheckReport:
    """Draw each finding into ``folder``, one PNG each, and return the report with the names of the files.

    Args:
        report: The outcome of the checks on this manifest.
        manifest: It says where the images are.
        folder: It is made if it is absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    images = list(zip(manifest.paths(), manifest.depths(), strict=True))
    findings = []
    for finding in report.findings:
        name = f"{finding.name}.png"
        figure = None if shows_pairs(finding) else draw_finding_numbers(finding)
        if figure is not None:
            with atomic_path(folder / name) as temporary:
                temporary.write_bytes(to_png(figure))
        elif finding.cases and finding.name not in _WITHOUT_PICTURE:
            write_case_sheet(finding, images, folder / name)
        else:
            name = ""
        findings.append(finding.model_copy(update={"picture": name or None}))
    return report.model_copy(update={"findings": tuple(findings)})


def shows_pairs(finding: Finding) -> bool:
    """Return whether a finding has pairs of images, which say more than its numbers do."""
    return any(len(case.rows) == 2 for case in finding.cases)


@styled
def draw_finding_numbers(finding: Finding) -> Figure | None:
    """Draw a finding's numbers, 0 to 1, as bars with 95% intervals and a line at chance; None without a number."""
    numbers = {name: estimate for name, estimate in finding.numbers.items() if estimate.value is not None}
    if not numbers:
        return None
    left = 16 + 7 * max(map(len, numbers))  # letters are about 7 wide
    size = (left + 370, 24 * len(numbers) + 34)
    figure, [axes] = new_figure(finding.name, size, margins=(left, 60, 6, 28))
    axes.set(xlim=(0, 1), ylim=(len(numbers) - 0.5, -0.5))
    axes.set_yticks(range(len(numbers)), list(numbers))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1])
    axes.xaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    axes.grid(visible=False, axis="y")
    for place, estimate in enumerate(numbers.values()):
        value = estimate.value or 0.0
        axes.barh(place, value, height=0.64, color=ACCENT, alpha=0.75)
        add_interval(axes, place, estimate, across=True)
        end = max(value, estimate.high or 0.0)
        text = axes.annotate(f"{value:.0%}", (end, place), (6, 0), textcoords="offset points", va="center")
        add_note(text, f"{estimate}; {estimate.note}" if estimate.note else str(estimate))
    if finding.chance is not None:
        add_note(axes.axvline(finding.chance, **CHANCE), "chance")
    return figure


def write_case_sheet(finding: Finding, images: list[tuple[Path, int | None]], path: Path) -> None:
    """Write a PNG of a finding's cases: a pair side by side with how alike it is, of a longer case its first images.

    Args:
        finding: Its cases are shown, `CASES_ON_A_SHEET` at most.
        images: The file of each row of the manifest, and its depth (`Manifest.depths`).
        path: The sheet's file.
    """
    from PIL import Image, ImageDraw

    cases = _cases_to_show(finding.cases)
    rows = _rows(cases)
    foot = 2 * _LINE + _GAP
    tall = _TILE + 3 * _LINE + _GAP
    canvas = Image.new("L", (_WIDTH, _LINE + 2 * _GAP + len(rows) * tall + foot), _PAPER)
    draw = ImageDraw.Draw(canvas)
    title = f"{finding.name}: {len(cases)} of {len(finding.cases):,} cases"
    draw.text((_GAP, _GAP), title, fill=_INK)
    top = _LINE + 2 * _GAP
    for row in rows:
        left = _GAP
        for case in row:
            places = case.rows[:_TILES_OF_A_CASE]
            width = len(places) * (_TILE + _GAP) - _GAP
            for number, place in enumerate(places):
                corner = left + number * (_TILE + _GAP)
                canvas.paste(_tile(*images[place]), (corner, top))
                if number < len(case.images):
                    draw.text((corner, top + _TILE), _shorten(draw, case.images[number], _TILE), fill=_GREY)
            draw.text((left, top + _TILE + _LINE), _shorten(draw, _caption(case), width), fill=_INK)
            left += width + 2 * _GAP
        top += tall
    half = DISCLAIMER.index(". Do not") + 1
    draw.multiline_text((_GAP, top), f"{DISCLAIMER[:half]}\n{DISCLAIMER[half:].strip()}", fill=_GREY, spacing=2)
    with atomic_path(path) as temporary:
        canvas.save(temporary)


def _cases_to_show(cases: tuple[Case, ...]) -> list[Case]:
    """Return cases spread evenly over all: pairs come sorted by likeness, and the doubtful ones are at the end."""
    if len(cases) <= CASES_ON_A_SHEET:
        return list(cases)
    return [cases[round(place)] for place in np.linspace(0, len(cases) - 1, CASES_ON_A_SHEET)]


def _rows(cases: list[Case]) -> list[list[Case]]:
    """Lay cases out in rows of at most eight tiles."""
    rows: list[list[Case]] = []
    used = 0
    for case in cases:
        tiles = min(len(case.rows), _TILES_OF_A_CASE)
        if not rows or used + tiles > _TILES_OF_A_CASE:
            rows.append([])
            used = 0
        rows[-1].append(case)
        used += tiles
    return rows


def _caption(case: Case) -> str:
    if case.similarity is None:
        return case.says
    labels = [part.rpartition("(")[2].partition(")")[0] for part in case.says.split(" = ")]
    return f"{case.similarity:.2f}  " + " = ".join(labels)


def _tile(file: Path, depth: int | None) -> Image.Image:
    from PIL import Image, ImageOps

    from pneumoscope.imaging.read import read

    try:
        pixels = np.round(read(file, depth=depth).pixels * 255).astype(np.uint8)
    except ImageError:
        return Image.new("L", (_TILE, _TILE), 60)
    return ImageOps.pad(Image.fromarray(pixels), (_TILE, _TILE), Image.Resampling.BOX, color=_PAPER)


def _shorten(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """Return a text that fits a width in pixels. It keeps its end, which tells files apart."""
    short = text
    while draw.textlength(short) > width and len(text) > 8:
        text = text[1:]
        short = "..." + text
    return short
