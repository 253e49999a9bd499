"""The share of a picture that has a colour, counted by hand, in every format that can have one."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pneumoscope.imaging.golden_files.encode import dicom
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


@pytest.mark.parametrize("photometric", ["RGB", "YBR_FULL"])
def test_a_dicom_file_in_colour_says_so(photometric: str) -> None:
    """As an ultrasound or a photographed page; red has the luma 76 and the chroma 85 and 255 (PS3.3 C.7.6.3.1.2)."""
    pytest.importorskip("pydicom")
    tags = {"PhotometricInterpretation": photometric}
    red, grey = ((255, 0, 0), (90, 90, 90)) if photometric == "RGB" else ((76, 85, 255), (90, 128, 128))
    pixels = np.full((96, 192, 3), grey, np.uint8)
    plain = decode(dicom(pixels, 8, tags), "a").metadata
    pixels[:48, :96] = red
    assert decode(dicom(pixels, 8, tags), "a").metadata["colour_share"] == pytest.approx(0.25)
    assert "colour_share" not in plain
