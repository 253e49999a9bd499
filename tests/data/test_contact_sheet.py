"""The contact sheet outlines masks in two colours, in the right place, with a legend."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pneumoscope.core.errors import ImageError, ManifestError
from pneumoscope.data.contact_sheet import contact_sheet
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.masks import write_mask
from pneumoscope.imaging.overlay import HEART, IGNORE, LUNG

SIDE = 100


@pytest.fixture
def masked_manifest(tmp_path: Path, draw: Callable[..., Path], make_row: Callable[..., dict[str, Any]]) -> Manifest:
    """One image of 200 pixels with a square lung mask and a small ignore mask of another size than the image."""
    draw(tmp_path / "a/0.png", 0, 200)
    lung = np.zeros((200, 200), np.bool_)
    lung[40:120, 20:100] = True
    speck = np.zeros((400, 400), np.bool_)
    speck[300:303, 300:303] = True
    write_mask(tmp_path / "a/lung.png", lung)
    write_mask(tmp_path / "drawn/speck.png", speck)
    row = make_row(0, lung_mask="a/lung.png", ignore_mask="more:speck.png")
    return Manifest.from_rows([row], {"here": tmp_path, "more": tmp_path / "drawn"})


def _places(sheet: Path, colour: tuple[int, int, int]) -> np.ndarray[Any, Any]:
    """Return rows and columns [N, 2] of a colour in the only tile, which begins at (26, 6)."""
    pixels = np.asarray(Image.open(sheet))[26 : 26 + SIDE, 6 : 6 + SIDE]
    return np.argwhere((pixels == colour).all(axis=-1))


def test_outlines_are_at_the_edges_of_the_masks(masked_manifest: Manifest, tmp_path: Path) -> None:
    contact_sheet(masked_manifest, tmp_path / "sheet.png", columns=4, seed=0, side=SIDE)
    lung = _places(tmp_path / "sheet.png", LUNG)
    assert (lung.min(axis=0).tolist(), lung.max(axis=0).tolist()) == ([20, 10], [59, 49])
    assert len(lung) == 4 * 40 - 4  # only the edge, one pixel wide
    speck = _places(tmp_path / "sheet.png", IGNORE)
    assert speck.tolist() == [[75, 75]]  # 3 of 400 pixels are less than 1 of 100, and the sheet still shows them
    legend = np.asarray(Image.open(tmp_path / "sheet.png"))[26 + SIDE + 14 :]
    for colour in (LUNG, IGNORE):
        assert (legend == colour).all(axis=-1).sum() > 20


def test_without_masks_the_sheet_is_grey(masked_manifest: Manifest, tmp_path: Path) -> None:
    plain = Manifest(masked_manifest.table.assign(lung_mask=None, ignore_mask=None), masked_manifest.roots)
    contact_sheet(plain, tmp_path / "sheet.png", columns=4, seed=0)
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.mode == "L"


def test_an_absent_mask_is_an_error(masked_manifest: Manifest, tmp_path: Path) -> None:
    (tmp_path / "a/lung.png").unlink()
    with pytest.raises(ImageError, match=r"lung\.png: is named as a mask and cannot be read"):
        contact_sheet(masked_manifest, tmp_path / "sheet.png", columns=1, seed=0)
    with pytest.raises(ManifestError, match="source 'more': should be in"):
        contact_sheet(
            Manifest(
                masked_manifest.table.assign(lung_mask=None), {**masked_manifest.roots, "more": tmp_path / "gone"}
            ),
            tmp_path / "sheet.png",
            columns=1,
            seed=0,
        )
    assert not (tmp_path / "sheet.png").exists()


def test_the_heart_is_outlined_too(masked_manifest: Manifest, tmp_path: Path) -> None:
    table = masked_manifest.table.assign(heart_mask="a/lung.png", lung_mask=None, ignore_mask=None)
    contact_sheet(Manifest(table, masked_manifest.roots), tmp_path / "sheet.png", columns=4, seed=0, side=SIDE)
    heart = _places(tmp_path / "sheet.png", HEART)
    assert (heart.min(axis=0).tolist(), heart.max(axis=0).tolist()) == ([20, 10], [59, 49])
