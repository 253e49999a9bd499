"""Stored pixels are a PNG that anyone reads, and come back as the very values that were decoded."""

from __future__ import annotations

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from pneumoscope.imaging.read import decode
from pneumoscope.server.storage import png_codec
from pneumoscope.server.storage.png_codec import decode_png, encode_png, to_samples


@pytest.mark.parametrize("white", [255, 65535])
@pytest.mark.parametrize("shape", [(1, 1), (31, 47), (2200, 2000)])
def test_a_library_reads_the_samples_that_were_stored(shape: tuple[int, int], white: int) -> None:
    samples = np.random.default_rng(0).integers(0, white + 1, shape).astype(np.uint16)
    samples[0, 0] = white - 1
    pixels = np.divide(samples, np.float32(white), dtype=np.float32)
    data = encode_png(to_samples(pixels))
    with Image.open(BytesIO(data)) as image:
        assert image.mode == ("L" if white == 255 else "I;16")
        np.testing.assert_array_equal(np.asarray(image), samples)
    for read in (decode_png(data, "x"), decode(data, "x").pixels):
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, pixels)


def test_large_images_are_compressed() -> None:
    rows = np.linspace(0, 1, 1200, dtype=np.float32)
    pixels = np.rint(np.broadcast_to(rows, (4000, 1200)) * 255).astype(np.float32) / np.float32(255)
    assert len(encode_png(to_samples(pixels))) < pixels.size / 50
    assert len(encode_png(to_samples(pixels[:500]))) > 500 * 1200  # small ones are not


def test_pngs_of_an_older_store_can_be_read() -> None:
    samples = np.random.default_rng(0).integers(0, 256, (40, 30)).astype(np.uint8)
    for options in ({"compress_level": 1}, {"compress_level": 9, "optimize": True}):
        buffer = BytesIO()
        Image.fromarray(samples).save(buffer, "PNG", **options)
        np.testing.assert_array_equal(decode_png(buffer.getvalue(), "x"), np.divide(samples, 255, dtype=np.float32))


def test_a_thumbnail_is_small_and_upright() -> None:
    pixels = np.zeros((1000, 500), np.float32)
    pixels[:500] = 1
    with Image.open(BytesIO(png_codec.draw_thumbnail(pixels))) as image:
        assert image.size == (png_codec.THUMBNAIL // 2, png_codec.THUMBNAIL)
        assert (image.getpixel((10, 10)), image.getpixel((10, 180))) == (255, 0)
