"""Pictures of what the data gate found: the pairs themselves, side by side, and its numbers as bars.

Pairs show patients' radiographs, so they are drawn only where the user asks for them (``--pictures``). Nobody believes
in a duplicate that they have not seen, and nobody should.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.core.errors import ImageError
from pneumoscope.core.files import atomic_path
from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.data.checks.findings import Case, Finding, GateReport
from pneumoscope.data.manifest import Manifest
from pneumoscope.stats.estimates import Estimate

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

SHOWN = 24
"""Cases on one sheet; JSON lists all."""

_NO_PICTURE = ("unreadable", "known-ancestors")
"""Nothing to see, or nothing that a look would prove."""

_TILE, _GAP, _LINE = 150, 8, 14  # pixels
_PER_CASE = 8  # images of a case that concerns many
_WIDTH = 8 * (_TILE + _GAP) + 5 * _GAP  # four pairs, parted by two gaps
_PAPER, _INK, _GREY = 24, 235, 160  # grey levels, 0 = black, 255 = white


def write_pictures(report: GateReport, manifest: Manifest, folder: Path) -> GateReport:
    """Draw each finding into ``folder``, one file each, and return the report with the files' names.

    Args:
        report: Of this manifest.
        manifest: Where the images are.
        folder: Made if absent.
    """
    folder.mkdir(parents=True, exist_ok=True)
    paths = manifest.paths()
    drawn = []
    for finding in report.findings:
        name = f"{finding.name}.png"
        if finding.numbers and not any(len(case.rows) == 2 for case in finding.cases):
            bars_figure(finding, folder / name)
        elif finding.cases and finding.name not in _NO_PICTURE:
            sheet(finding, paths, folder / name)
        else:
            name = ""
        drawn.append(finding.model_copy(update={"picture": name or None}))
    return report.model_copy(update={"findings": tuple(drawn)})


def sheet(finding: Finding, paths: list[Path], path: Path) -> None:
    """Draw the first cases: a pair side by side with how alike it is, of a longer case its first images."""
    from PIL import Image, ImageDraw

    cases = _chosen(finding.cases)
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
            shown = case.rows[:_PER_CASE]
            width = len(shown) * (_TILE + _GAP) - _GAP
            for number, place in enumerate(shown):
                canvas.paste(_tile(paths[place]), (left + number * (_TILE + _GAP), top))
                if number < len(case.images):
                    at = (left + number * (_TILE + _GAP), top + _TILE)
                    draw.text(at, _fitted(draw, case.images[number], _TILE), fill=_GREY)
            draw.text((left, top + _TILE + _LINE), _fitted(draw, _caption(case), width), fill=_INK)
            left += width + 2 * _GAP
        top += tall
    half = DISCLAIMER.index(". Do not") + 1
    draw.multiline_text((_GAP, top), f"{DISCLAIMER[:half]}\n{DISCLAIMER[half:].strip()}", fill=_GREY, spacing=2)
    with atomic_path(path) as temporary:
        canvas.save(temporary)


def _chosen(cases: tuple[Case, ...]) -> list[Case]:
    """Return up to ``SHOWN`` cases spread evenly over all: pairs come sorted, and the doubtful ones are at the end."""
    if len(cases) <= SHOWN:
        return list(cases)
    return [cases[round(place)] for place in np.linspace(0, len(cases) - 1, SHOWN)]


def _rows(cases: list[Case]) -> list[list[Case]]:
    """Lay cases out in rows of at most eight tiles."""
    rows: list[list[Case]] = []
    used = 0
    for case in cases:
        tiles = min(len(case.rows), _PER_CASE)
        if not rows or used + tiles > _PER_CASE:
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


def _tile(file: Path) -> Image.Image:
    from PIL import Image, ImageOps

    from pneumoscope.imaging.read import read

    try:
        pixels = np.round(read(file).pixels * 255).astype(np.uint8)
    except ImageError:
        return Image.new("L", (_TILE, _TILE), 60)
    return ImageOps.pad(Image.fromarray(pixels), (_TILE, _TILE), Image.Resampling.BOX, color=_PAPER)


def _fitted(draw: ImageDraw.ImageDraw, text: str, width: int) -> str:
    """Shorten a text to a width in pixels; its end, which tells files apart, is kept."""
    short = text
    while draw.textlength(short) > width and len(text) > 8:
        text = text[1:]
        short = "..." + text
    return short


def bars_figure(finding: Finding, path: Path) -> None:
    """Draw a finding's numbers as bars with their 95% intervals; a dashed line where chance would be."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure  # not pyplot: nothing global is touched

    numbers: Mapping[str, Estimate] = {name: e for name, e in finding.numbers.items() if e.value is not None}
    figure = Figure(figsize=(7.5, 1.1 + 0.32 * len(numbers)), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    for place, estimate in enumerate(numbers.values()):
        axes.barh(place, estimate.value or 0.0, color="#0b63a5", alpha=0.7, height=0.6)
        if estimate.low is not None and estimate.high is not None:
            axes.plot([estimate.low, estimate.high], [place, place], color="#b3541e", linewidth=2)
    axes.set_yticks(range(len(numbers)), list(numbers))
    axes.invert_yaxis()
    axes.set_xlim(0, 1)
    if finding.chance is not None:
        axes.axvline(finding.chance, color="#5a6675", linestyle="--", linewidth=1, label="chance")
        axes.legend(frameon=False, fontsize=8, loc="lower right")
    axes.set_title(finding.name, loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    with atomic_path(path) as temporary:
        figure.savefig(temporary, dpi=130)
