"""Mask files as segmentation programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pneumoscope.data.masks import read_mask

INSIDE = np.zeros((8, 8), np.bool_)
INSIDE[:4, :4] = True


def _palette() -> Image.Image:
    image = Image.fromarray(INSIDE.astype(np.uint8)).convert("P")
    image.putpalette([0, 0, 0, 255, 0, 0] + [0] * 762)
    return image


def _transparent() -> Image.Image:
    return Image.fromarray(np.dstack([np.full((8, 8, 3), 255, np.uint8), INSIDE.astype(np.uint8) * 255]))


FORMS = {
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
