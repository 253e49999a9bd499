"""Mask files as segmentation programs write them."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from pneumoscope.core.errors import ImageError, ManifestError
from pneumoscope.data.importing import import_source
from pneumoscope.data.masks import check_mask, describe_stretched_masks, read_mask
from pneumoscope.data.pixel_size import pixel_size
from pneumoscope.data.source import ImportOptions, Row
from pneumoscope.data.sources import SOURCES

INSIDE = np.zeros((8, 8), np.bool_)
INSIDE[:4, :4] = True


def _palette() -> Image.Image:
    image = Image.fromarray(INSIDE.astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0] + [0] * 762)
    return image


def _transparent() -> Image.Image:
    return Image.fromarray(np.dstack([np.full((8, 8, 3), 255, np.uint8), INSIDE.astype(np.uint8) * 255]))


FORMS: dict[str, Callable[[], Image.Image]] = {
    "white": lambda: Image.fromarray(INSIDE.astype(np.uint8) * 255),
    "ones": lambda: Image.fromarray(INSIDE.astype(np.uint8)),
    "one bit": lambda: Image.fromarray(INSIDE),
    "16 bits": lambda: Image.fromarray(INSIDE.astype(np.uint16) * 65535),
    "red of a palette": _palette,
    "transparent outside": _transparent,
    "green": lambda: Image.fromarray(np.dstack([INSIDE * 0, INSIDE * 255, INSIDE * 0]).astype(np.uint8)),
}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_of_a_mask_is_read(tmp_path: Path, form: str) -> None:
    FORMS[form]().save(tmp_path / "mask.png")
    assert np.array_equal(read_mask(tmp_path / "mask.png"), INSIDE)


def test_an_empty_mask_is_empty(tmp_path: Path) -> None:
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(tmp_path / "mask.png")
    assert not read_mask(tmp_path / "mask.png").any()


def _lungs(side: int = 64) -> NDArray[np.uint8]:
    mask = np.zeros((side, side), np.uint8)
    mask[side // 8 : -side // 8, side // 8 : side * 3 // 8] = 255
    mask[side // 8 : -side // 8, side * 5 // 8 : -side // 8] = 255
    return mask


RADIOGRAPH = np.clip(np.add.outer(np.arange(64), np.arange(64)) * 2 + _lungs() // 4, 0, 255).astype(np.uint8)
FAULTS = {
    "empty": (np.zeros((64, 64), np.uint8), "is empty: no pixel is inside"),
    "numbers of parts": (_lungs() // 127, "is empty: its values are 0 to 2, and inside is 128 or more, or 1 in a"),
    "full": (np.full((64, 64), 255, np.uint8), "is full: every pixel is inside"),
    "inverted": (255 - _lungs(), "has all four corners inside: it seems to be inverted"),
    "radiograph": (RADIOGRAPH, r"is a picture and no mask: \d+% of its pixels are neither black nor white"),
    "coloured radiograph": (np.dstack([RADIOGRAPH // 2, RADIOGRAPH, RADIOGRAPH]), "is a picture and no mask"),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("column", ["lung_mask", "heart_mask"])
def test_a_table_that_names_no_mask_is_refused(tmp_path: Path, fault: str, column: str) -> None:
    pixels, message = FAULTS[fault]
    with pytest.raises(ManifestError, match=rf"row 2, {column}: 'mask\.png' {message}"):
        _import(tmp_path, pixels, column)


def test_the_image_itself_is_no_mask(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"row 2, lung_mask: 'image\.png' is the image itself"):
        _import(tmp_path, _lungs(), "lung_mask", mask="image.png")


def _write_png_header(path: Path, width: int, height: int) -> None:
    """Write a PNG that declares a size and holds no pixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    data = b"".join(struct.pack(">I", len(c) - 4) + c + struct.pack(">I", zlib.crc32(c)) for c in (header, b"IDAT"))
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + data)


@pytest.mark.parametrize("side", [65_535, 10_001])  # beyond Pillow's own limit, and beyond that of this program alone
def test_a_mask_whose_header_declares_too_much_is_refused_by_its_name(tmp_path: Path, side: int) -> None:
    _write_png_header(tmp_path / "mask.png", side, side)
    message = r"mask\.png: is named as a mask, and its header declares more than 100,000,000 pixels"
    with pytest.raises(ImageError, match=message):
        read_mask(tmp_path / "mask.png")
    rows = [Row("image.png", "normal", "normal", lung_mask="mask.png")]
    with pytest.raises(ImageError, match=message):
        describe_stretched_masks(rows, [(64, 64)], tmp_path, {})


def test_a_table_names_a_mask_that_is_too_large(tmp_path: Path) -> None:
    Image.fromarray(RADIOGRAPH).save(tmp_path / "image.png")
    _write_png_header(tmp_path / "mask.png", 65_535, 65_535)
    (tmp_path / "t.csv").write_text("image,label,mask\nimage.png,normal,mask.png\n")
    options = ImportOptions(columns={"lung_mask": "mask"}, mapping={"normal": "normal"})
    with pytest.raises(ManifestError, match=r"'mask\.png' is named as a mask, and its header declares more than"):
        import_source(SOURCES.get("csv"), tmp_path / "t.csv", options)


def test_the_size_of_an_image_that_declares_too_much_is_refused(tmp_path: Path) -> None:
    _write_png_header(tmp_path / "a.png", 65_535, 65_535)
    with pytest.raises(ImageError, match=r"a\.png: its header declares more than the 100,000,000 pixels"):
        pixel_size(tmp_path / "a.png")


def test_an_import_names_a_mask_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "mask.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(ImageError, match=r"mask\.png: is named as a mask and cannot be read"):
        describe_stretched_masks([Row("a.png", "normal", "normal", lung_mask="mask.png")], [(64, 64)], tmp_path, {})


def _import(folder: Path, pixels: NDArray[np.uint8], column: str, mask: str = "mask.png") -> tuple[str, ...]:
    """Import an image of 64 x 64 pixels with a mask, and return the notes."""
    Image.fromarray(RADIOGRAPH).save(folder / "image.png")
    Image.fromarray(pixels).save(folder / "mask.png")
    (folder / "t.csv").write_text(f"image,label,mask\nimage.png,normal,{mask}\n")
    options = ImportOptions(columns={column: "mask"}, mapping={"normal": "normal"})
    _, report = import_source(SOURCES.get("csv"), folder / "t.csv", options)
    return report.notes


@pytest.mark.parametrize("form", ["white", "ones", "16 bits", "red of a palette", "transparent outside", "green"])
def test_real_masks_have_no_fault(tmp_path: Path, form: str) -> None:
    FORMS[form]().save(tmp_path / "mask.png")
    assert check_mask(tmp_path / "mask.png") is None


def test_a_small_mask_with_a_blurred_edge_has_no_fault(tmp_path: Path) -> None:
    Image.fromarray(_lungs(512)).resize((32, 32), Image.Resampling.BICUBIC).save(tmp_path / "mask.jpg")
    assert check_mask(tmp_path / "mask.jpg") is None


def test_an_image_may_have_nothing_to_ignore(tmp_path: Path) -> None:
    assert not [note for note in _import(tmp_path, np.zeros((64, 64), np.uint8), "ignore_mask") if "mask" in note]
    with pytest.raises(ManifestError, match="is full: every pixel is inside"):
        _import(tmp_path, np.full((64, 64), 255, np.uint8), "ignore_mask")


@pytest.mark.parametrize(("shape", "remarks"), [((32, 32), 0), ((64, 65), 0), ((64, 48), 1), ((40, 64), 1)])
def test_masks_of_other_proportions_are_noted(tmp_path: Path, shape: tuple[int, int], remarks: int) -> None:
    pixels = np.asarray(Image.fromarray(_lungs()).resize(shape[::-1], Image.Resampling.NEAREST))
    notes = [note for note in _import(tmp_path, pixels, "lung_mask") if "proportions" in note]
    assert notes == remarks * [
        "1 mask has other proportions than the image; it covers the whole image, so look if the outline fits: "
        f"mask.png ({shape[1]}x{shape[0]}) over 64x64"
    ]
