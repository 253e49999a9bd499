"""A contact sheet: a look at the images themselves, since no table shows a border, a marker or a lateral view."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pneumoscope.files import atomic_path
from pneumoscope.labels import DISCLAIMER, display_name

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

    from pneumoscope.data.manifest import Manifest

TILE, GAP, TEXT_HEIGHT = 160, 6, 14  # pixels
_PAPER, _INK, _GREY = 24, 235, 150  # grey levels, 0 = black, 255 = white


def contact_sheet(manifest: Manifest, path: Path, columns: int, seed: int) -> int:
    """Draw a random choice of images, one row per label and source, and write it as an image.

    Args:
        manifest: What to show; choose rows or a part before.
        path: Where to write; the ending gives the format.
        columns: Images per label and source.
        seed: Another seed shows other images.

    Returns:
        The number of images shown.

    Raises:
        ImageError: One of them can't be read.
    """
    from PIL import Image, ImageDraw

    random = np.random.default_rng(seed)
    rows = []
    for (label, source), chosen in manifest.table.groupby(["label", "source"]):
        picked = sorted(random.permutation(chosen.index.to_numpy())[:columns])
        title = f"{display_name(str(label))}, {source}: {len(picked)} of {len(chosen)}"
        rows.append((title, manifest.where(manifest.table.index.isin(picked))))

    foot = 2 * TEXT_HEIGHT + GAP
    tile = TILE + TEXT_HEIGHT + GAP
    width = GAP + columns * (TILE + GAP)
    height = GAP + len(rows) * (TEXT_HEIGHT + GAP + tile) + foot
    sheet = Image.new("L", (width, height), _PAPER)
    draw = ImageDraw.Draw(sheet)
    top = GAP
    for title, shown in rows:
        draw.text((GAP, top), title, fill=_INK)
        top += TEXT_HEIGHT + GAP
        for column, (file, part) in enumerate(zip(shown.paths(), shown.table["split"], strict=True)):
            left = GAP + column * (TILE + GAP)
            sheet.paste(_tile(file), (left, top))
            caption = file.name if not isinstance(part, str) else f"{part}: {file.name}"
            draw.text((left, top + TILE), _fitted(draw, caption), fill=_GREY)
        top += tile
    half = DISCLAIMER.index(". Do not") + 1
    draw.multiline_text((GAP, top), f"{DISCLAIMER[:half]}\n{DISCLAIMER[half:].strip()}", fill=_GREY, spacing=2)
    with atomic_path(path) as temporary:
        sheet.save(temporary)
    return sum(len(shown) for _, shown in rows)


def _tile(file: Path) -> Image.Image:
    """Return the radiograph inside a square, its sides in proportion."""
    from PIL import Image, ImageOps

    from pneumoscope.pixels.read import read

    pixels = np.round(read(file).pixels * 255).astype(np.uint8)
    return ImageOps.pad(Image.fromarray(pixels), (TILE, TILE), Image.Resampling.BOX, color=_PAPER)


def _fitted(draw: ImageDraw.ImageDraw, text: str) -> str:
    """Shorten a caption to the width of its tile."""
    while draw.textlength(text) > TILE and len(text) > 4:
        text = text[:-4] + "..."
    return text
