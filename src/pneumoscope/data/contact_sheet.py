"""A contact sheet: a picture of the images themselves, since no table shows a border, a marker or a lateral view."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from pneumoscope.core.files import atomic_path
from pneumoscope.core.labels import DISCLAIMER, display_name
from pneumoscope.data.masks import read_mask
from pneumoscope.imaging.overlay import HEART, IGNORE, LUNG

if TYPE_CHECKING:
    from PIL import Image, ImageDraw

    from pneumoscope.data.manifest import Manifest

TILE, GAP, TEXT_HEIGHT = 160, 6, 14  # pixels
_LEAST = 320  # width of the narrowest sheet, in pixels: the legend needs it
_PAPER, _INK, _GREY = 24, 235, 150  # grey levels, 0 = black, 255 = white


class Mask(NamedTuple):
    """How a kind of mask is shown.

    Args:
        column: Its column in the manifest.
        name: Its name in the legend.
        colour: Red, green, blue.
        covered: Share of a shrunken pixel that must be inside, 0 to 255; a pacemaker's lead would vanish at half.
    """

    column: str
    name: str
    colour: tuple[int, int, int]
    covered: int


MASKS = (
    Mask("lung_mask", "lung mask", LUNG, 128),
    Mask("heart_mask", "heart mask", HEART, 128),
    Mask("ignore_mask", "pixels to ignore", IGNORE, 1),
)


def contact_sheet(manifest: Manifest, path: Path, columns: int, seed: int, side: int = TILE) -> int:
    """Draw a random choice of images, one row per label and source, and write it as an image.

    Where an image has masks, their outlines are drawn on it.

    Args:
        manifest: The images to show.
        path: The file to write; its ending gives the format.
        columns: Images per label and source.
        seed: Another seed shows other images.
        side: Side of the square that holds an image, in pixels.

    Returns:
        The number of images shown.

    Raises:
        ImageError: An image or a mask cannot be read.
    """
    from PIL import Image, ImageDraw

    random = np.random.default_rng(seed)
    rows = []
    for (label, source), candidates in manifest.table.groupby(["label", "source"]):
        sample = sorted(random.permutation(candidates.index.to_numpy())[:columns])
        title = f"{display_name(str(label))}, {source}: {len(sample)} of {len(candidates)}"
        rows.append((title, manifest.where(manifest.table.index.isin(sample))))
    masks_present = [mask for mask in MASKS if any(shown.table[mask.column].notna().any() for _, shown in rows)]

    tile = side + TEXT_HEIGHT + GAP
    width = max(GAP + columns * (side + GAP), _LEAST)
    disclaimer_lines = _wrap(DISCLAIMER, width - 2 * GAP)
    foot = (len(disclaimer_lines) + bool(masks_present)) * TEXT_HEIGHT + GAP
    height = GAP + len(rows) * (TEXT_HEIGHT + GAP + tile) + foot
    sheet = Image.new("RGB" if masks_present else "L", (width, height), (_PAPER,) * 3 if masks_present else _PAPER)
    draw = ImageDraw.Draw(sheet)
    ink, grey = ((_INK,) * 3, (_GREY,) * 3) if masks_present else (_INK, _GREY)
    top = GAP
    for title, shown in rows:
        draw.text((GAP, top), title, fill=ink)
        top += TEXT_HEIGHT + GAP
        masks = [shown.mask_paths(mask.column) for mask in masks_present]
        files = zip(shown.paths(), shown.depths(), shown.table["split"], strict=True)
        for column, (file, depth, part) in enumerate(files):
            left = GAP + column * (side + GAP)
            drawn = [(mask, paths[column]) for mask, paths in zip(masks_present, masks, strict=True)]
            picture = _tile(file, depth, side, drawn)
            sheet.paste(picture, (left + (side - picture.width) // 2, top + (side - picture.height) // 2))
            caption = file.name if not isinstance(part, str) else f"{part}: {file.name}"
            draw.text((left, top + side), _fit(draw, caption, side), fill=grey)
        top += tile
    if masks_present:
        _legend(draw, top, masks_present)
        top += TEXT_HEIGHT
    for number, line in enumerate(disclaimer_lines):
        draw.text((GAP, top + number * TEXT_HEIGHT), line, fill=grey)
    with atomic_path(path) as temporary:
        sheet.save(temporary)
    return sum(len(shown) for _, shown in rows)


def _tile(file: Path, depth: int | None, side: int, masks: Sequence[tuple[Mask, Path | None]]) -> Image.Image:
    """Return the radiograph so that it fits into a square, with the outlines of its masks."""
    from PIL import Image, ImageOps

    from pneumoscope.imaging.overlay import outline_mask, to_rgb
    from pneumoscope.imaging.read import read

    pixels = np.round(read(file, depth=depth).pixels * 255).astype(np.uint8)
    small = ImageOps.contain(Image.fromarray(pixels), (side, side), Image.Resampling.BOX)
    rgb = to_rgb(np.asarray(small, np.float32) / np.float32(255))
    for mask, path in masks:
        if path is not None:
            covered = Image.fromarray(read_mask(path).astype(np.uint8) * 255).resize(small.size, Image.Resampling.BOX)
            rgb = outline_mask(rgb, np.asarray(covered) >= mask.covered, colour=mask.colour, thickness=1)
    return Image.fromarray(rgb)


def _legend(draw: ImageDraw.ImageDraw, top: int, masks: Sequence[Mask]) -> None:
    """Draw a line in each mask's colour with its name."""
    left: float = GAP
    for mask in masks:
        draw.rectangle((left, top + TEXT_HEIGHT // 2 - 1, left + 18, top + TEXT_HEIGHT // 2), fill=mask.colour)
        draw.text((left + 24, top), mask.name, fill=(_INK,) * 3)
        left += 24 + draw.textlength(mask.name) + 4 * GAP


def _wrap(text: str, width: int) -> list[str]:
    """Return the text in lines of at most ``width`` pixels."""
    from PIL import ImageFont

    font = ImageFont.load_default()
    lines: list[str] = [""]
    for word in text.split():
        longer = f"{lines[-1]} {word}".strip()
        if font.getlength(longer) > width:
            lines.append(word)
        else:
            lines[-1] = longer
    return lines


def _fit(draw: ImageDraw.ImageDraw, text: str, side: int) -> str:
    """Shorten a caption to the width of its tile."""
    while draw.textlength(text) > side and len(text) > 4:
        text = text[:-4] + "..."
    return text
