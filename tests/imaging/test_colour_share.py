"""The share of a picture that has a colour, counted by hand, in every format that can have one."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pneumoscope.imaging.read import decode


def encoded(pixels: np.ndarray, format: str, **options: object) -> bytes:
    file = BytesIO()
    Image.fromarray(pixels).save(file, format, **options)
    return file.getvalue()


@pytest.mark.parametrize(("format", "options"), [("png", {}), ("jpeg", {"quality": 95}), ("webp", {"lossless": True})])
def test_a_quarter_of_the_picture_is_red(format: str, options: dict[str, object]) -> None:
    pixels = np.full((192, 192, 3), 120, np.uint8)
    pixels[:96, :96] = 200, 20, 20
    share = decode(encoded(pixels, format, **options), "a").metadata["colour_share"]
    assert share == pytest.approx(0.25, abs=0.01)


@pytest.mark.parametrize("format", ["png", "jpeg"])
def test_grey_in_three_channels_has_no_colour(format: str) -> None:
    grey = np.random.default_rng(0).integers(0, 256, (120, 100, 1), np.uint8).repeat(3, 2)
    assert "colour_share" not in decode(encoded(grey, format), "a").metadata
    assert "colour_share" not in decode(encoded(grey[:, :, 0], format), "a").metadata
