"""PNG, JPEG, WebP and TIFF against Pillow, and the PNG features that Pillow does not decode."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageOps

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.golden_files.encode import chunk, exif, png, tiff
from pneumoscope.imaging.plane import luma
from pneumoscope.imaging.read import decode

RNG = np.random.default_rng(7)


def encode_image(image: Image.Image, kind: str, **options: object) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "TIFF"])
def test_grey_is_the_value_of_pillow_over_255(kind: str) -> None:
    data = encode_image(Image.fromarray(RNG.integers(0, 256, (37, 53), np.uint8)), kind)
    reference = np.asarray(Image.open(BytesIO(data))) / 255
    np.testing.assert_allclose(decode(data, "x").pixels, reference, atol=1e-7)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_colour_is_pillows_luma(kind: str) -> None:
    data = encode_image(Image.fromarray(RNG.integers(0, 256, (37, 53, 3), np.uint8)), kind)
    reference = np.asarray(Image.open(BytesIO(data)).convert("L")) / 255
    np.testing.assert_allclose(decode(data, "x").pixels, reference, atol=1e-7)


def test_luma_equals_pillows_luma_over_the_colour_cube() -> None:
    colours = np.stack(np.meshgrid(*[np.array([0, 1, 2, 77, 128, 254, 255], np.uint8)] * 3), axis=-1).reshape(1, -1, 3)
    computed = luma(*np.moveaxis(colours.astype(np.uint16), -1, 0))
    np.testing.assert_array_equal(computed, np.asarray(Image.fromarray(colours).convert("L")))


def test_grey_in_three_channels_keeps_its_values() -> None:
    grey = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, axis=2)
    pixels = decode(encode_image(Image.fromarray(grey), "PNG"), "x").pixels
    np.testing.assert_array_equal(pixels, np.arange(256, dtype=np.float32).reshape(16, 16) / np.float32(255))


def test_transparent_pixels_are_blended_with_black() -> None:
    """Compare with Pillow's composite of the picture on black."""
    rgba = Image.fromarray(RNG.integers(0, 256, (20, 30, 4), np.uint8))
    black = Image.new("RGBA", rgba.size, (0, 0, 0, 255))
    reference = np.asarray(Image.alpha_composite(black, rgba).convert("L")) / 255
    # Pillow rounds to whole values twice.
    np.testing.assert_allclose(decode(encode_image(rgba, "PNG"), "x").pixels, reference, atol=1.1 / 255)


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "TIFF"])
def test_exif_orientation_is_pillows_transpose(kind: str, orientation: int) -> None:
    image = Image.fromarray(RNG.integers(0, 256, (6, 4, 3), np.uint8).repeat(8, 0).repeat(8, 1))
    tags = Image.Exif()
    tags[274] = orientation
    data = encode_image(image, kind, exif=tags, **({"lossless": True} if kind == "WEBP" else {}))
    reference = np.asarray(ImageOps.exif_transpose(Image.open(BytesIO(data))).convert("L")) / 255
    np.testing.assert_allclose(decode(data, "x").pixels, reference, atol=1e-7)


def test_an_exif_turn_by_hand() -> None:
    """Turn an image of orientation 6: the file stores the top row as the left column; the viewer turns it clockwise."""
    data = png(np.array([[1, 2, 3], [4, 5, 6]]), 8, 0, [chunk(b"eXIf", exif(6))])
    np.testing.assert_array_equal(np.rint(decode(data, "x").pixels * 255), [[4, 1], [5, 2], [6, 3]])


def test_16_bit_samples_keep_their_lower_byte() -> None:
    values = np.array([[0, 1, 255, 256], [257, 32768, 65534, 65535]])
    for data in (png(values, 16, 0), tiff(values, 16, 1), tiff(values, 16, 1, order=">")):
        np.testing.assert_array_equal(decode(data, "x").pixels, (values / 65535).astype(np.float32))


def test_a_declared_depth_sets_white() -> None:
    data = png(np.array([[0, 2048, 4095]]), 16, 0)
    np.testing.assert_allclose(decode(data, "x", depth=12).pixels, [[0, 2048 / 4095, 1]])


def test_a_value_above_the_declared_depth_is_an_error() -> None:
    with pytest.raises(ImageError, match="holds the value 5000, above 4095"):
        decode(png(np.array([[0, 5000]]), 16, 0), "x", depth=12)


@pytest.mark.parametrize(("colour_type", "samples"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_colour_agrees_with_the_upper_byte_of_pillow(colour_type: int, samples: int) -> None:
    """Compare all five row filters with Pillow, which reads the upper byte of each sample."""
    values = RNG.integers(0, 65536, (11, 7, samples))
    values[..., 1:] = values[..., :1]  # grey, so that luma is the value itself
    if samples in (2, 4):
        values[..., -1] = 65535
    data = png(values, 16, colour_type, filtered=True)
    pillow = np.asarray(Image.open(BytesIO(data)).convert("RGB"))[..., 0]
    pixels = decode(data, "x").pixels
    np.testing.assert_array_equal(np.rint(pixels.astype(float) * 65535).astype(int) >> 8, pillow)
    np.testing.assert_array_equal(pixels, (values[..., 0] / 65535).astype(np.float32))


def interlaced(values: np.ndarray, rows_kept: int = 1000) -> bytes:
    """Return an Adam7 PNG of 8-bit grey, whose last pass has at most ``rows_kept`` rows."""
    passes = [(0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2)]
    lines = [b"\0" + bytes(row.tolist()) for x, y, dx, dy in passes for row in values[y::dy, x::dx] if row.size]
    lines = lines[: len(lines) - max(0, values.shape[0] // 2 - rows_kept)]
    header = struct.pack(">2I5B", values.shape[1], values.shape[0], 8, 0, 0, 0, 1)
    body = chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"".join(lines))) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + body


@pytest.mark.parametrize("shape", [(24, 20), (1, 1), (3, 2), (9, 5)])
def test_an_interlaced_png_is_decoded(shape: tuple[int, int]) -> None:
    values = RNG.integers(1, 256, shape)
    np.testing.assert_array_equal(np.rint(decode(interlaced(values), "x").pixels * 255), values)


def test_an_interlaced_png_without_its_last_rows_is_an_error() -> None:
    with pytest.raises(ImageError, match="end before the last row"):
        decode(interlaced(RNG.integers(1, 256, (24, 20)), rows_kept=3), "x")


@pytest.mark.parametrize("colour_type", [0, 3])
def test_image_data_that_end_early_are_an_error_even_with_right_checksums(colour_type: int) -> None:
    palette = [chunk(b"PLTE", bytes(range(1, 256)) + bytes(513))] if colour_type == 3 else []
    data = png(RNG.integers(0, 256, (40, 30)), 8, colour_type, palette)
    at = data.index(b"IDAT") + 4
    rows = zlib.decompress(data[at : at + int.from_bytes(data[at - 8 : at - 4], "big")])
    short = data[: at - 8] + chunk(b"IDAT", zlib.compress(rows[: 31 * 39])) + chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="end before the last row"):
        decode(short, "x")


def test_black_last_rows_are_not_an_error() -> None:
    values = RNG.integers(0, 256, (40, 30))
    values[-5:] = 0
    np.testing.assert_array_equal(np.rint(decode(png(values, 8, 0), "x").pixels * 255), values)


def test_every_flipped_bit_of_a_png_is_an_error() -> None:
    data = png(RNG.integers(0, 256, (4, 4)), 8, 0)
    for at in range(len(data)):
        damaged = bytearray(data)
        damaged[at] ^= 1 << (at % 8)
        with pytest.raises(ImageError):
            decode(bytes(damaged), "x")


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP"])
def test_every_truncation_is_an_error(kind: str) -> None:
    data = encode_image(Image.fromarray(RNG.integers(0, 256, (24, 24), np.uint8)), kind)
    for length in [*range(0, len(data), 7), len(data) - 2, len(data) - 1]:
        with pytest.raises(ImageError):
            decode(data[:length], "x")


def test_an_exif_thumbnail_does_not_hide_the_truncation_of_a_jpeg() -> None:
    thumbnail = encode_image(Image.new("L", (8, 8)), "JPEG")
    whole = encode_image(
        Image.fromarray(RNG.integers(0, 256, (64, 64), np.uint8)), "JPEG", exif=b"Exif\0\0" + thumbnail
    )
    for cut in (1, 2, 3, 500):
        with pytest.raises(ImageError, match="truncated JPEG"):
            decode(whole[:-cut], "x")


def test_cmyk_is_refused() -> None:
    with pytest.raises(ImageError, match="colour mode CMYK"):
        decode(encode_image(Image.new("CMYK", (8, 8)), "JPEG"), "x")


@pytest.mark.parametrize("mode", ["I", "F"])
def test_samples_without_a_defined_white_are_refused(mode: str) -> None:
    with pytest.raises(ImageError, match="32 bits"):
        decode(encode_image(Image.new(mode, (8, 8)), "TIFF"), "x")


@pytest.mark.parametrize(("kind", "frames"), [("PNG", 3), ("WEBP", 2), ("TIFF", 4)])
def test_the_refusal_of_several_frames_gives_their_number(kind: str, frames: int) -> None:
    images = [Image.new("L", (8, 8), 40 * i) for i in range(frames)]
    with pytest.raises(ImageError, match=f"holds {frames} frames"):
        decode(encode_image(images[0], kind, save_all=True, append_images=images[1:]), "x")


def test_a_constant_image_is_not_an_error() -> None:
    assert not decode(encode_image(Image.new("L", (5, 5)), "PNG"), "x").pixels.any()


@pytest.mark.shared
@pytest.mark.parametrize(
    "pattern",
    [
        "radiography/**/COVID/images/*.png",
        "kaggle-pneumonia/**/*.jpeg",
        "ieee8023/images/*",
        "nih/images/*.png",
    ],
)
def test_real_radiographs_are_what_pillow_reads(shared: Path, pattern: str) -> None:
    files = sorted((shared / "data").glob(pattern))
    assert len(files) > 100
    for path in files[:: len(files) // 12]:
        image = Image.open(BytesIO(path.read_bytes()))
        if image.mode in ("RGBA", "P"):
            continue  # Pillow has no one-step reading of these; see the golden arrays
        reference = np.asarray(ImageOps.exif_transpose(image).convert("L")) / 255
        np.testing.assert_allclose(decode(path.read_bytes(), path.name).pixels, reference, atol=1e-7)


@pytest.mark.parametrize(("colour_type", "samples"), [(2, 3), (4, 2), (6, 4)])
def test_16_bit_colour_is_exact(colour_type: int, samples: int) -> None:
    """Compare both bytes of each sample with those that were encoded, over all five row filters."""
    values = RNG.integers(0, 65536, (300, 7, samples))
    grey = values[..., 0] if samples == 2 else luma(*np.moveaxis(values[..., :3].astype(np.uint16), -1, 0))
    expected = grey / np.float32(65535) * (values[..., -1] / np.float32(65535) if samples != 3 else 1)
    pixels = decode(png(values, 16, colour_type, filtered=True), "x").pixels
    np.testing.assert_allclose(pixels, expected, atol=1e-7)


def test_the_transparent_colour_of_16_bits_is_black() -> None:
    values = RNG.integers(1, 65536, (300, 7, 3))
    values[290, 3] = (7, 500, 65000)
    data = png(values, 16, 2, [chunk(b"tRNS", struct.pack(">3H", 7, 500, 65000))])
    assert decode(data, "x").pixels[290, 3] == 0
    assert (decode(data, "x").pixels > 0).sum() == 300 * 7 - 1


@pytest.mark.parametrize("colour_type", [0, 2, 3])
def test_image_data_that_cannot_be_inflated_are_damaged(colour_type: int) -> None:
    palette = [chunk(b"PLTE", bytes(768))] if colour_type == 3 else []
    samples, bits = (3, 16) if colour_type == 2 else (1, 8)
    data = png(np.zeros((4, 4, samples) if samples > 1 else (4, 4), np.int64), bits, colour_type, palette)
    at = data.index(b"IDAT") - 4
    for coded in (b"", b"\x78\x9c\x07", b"not zlib", zlib.compress(b"\0" * 9)):
        with pytest.raises(ImageError) as error_info:
            decode(data[:at] + chunk(b"IDAT", coded) + chunk(b"IEND", b""), "x")
        assert error_info.value.code == "damaged"
        assert "Error -" not in error_info.value.problem


def test_formats_that_take_twice_the_memory_have_half_of_a_large_limit() -> None:
    """Both declare 70 megapixels in their headers, below the limit of 100 million."""
    header = chunk(b"IHDR", struct.pack(">2I5B", 10_000, 7_000, 16, 2, 0, 0, 0))
    data = b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", b"") + chunk(b"IEND", b"")
    with pytest.raises(ImageError, match="at most 50,000,000") as caught:
        decode(data, "x")
    assert caught.value.code == "too-many-pixels"
    with pytest.raises(ImageError, match=r"damaged|truncated"):
        decode(data, "x", max_pixels=200_000_000)
    webp = encode_image(Image.new("L", (8, 8)), "WEBP", lossless=True)
    at = webp.index(b"VP8L") + 9  # 14 bits of width - 1, 14 of height - 1 (RFC 9649 3.4)
    webp = webp[:at] + struct.pack("<I", 9_999 | 6_999 << 14) + webp[at + 4 :]
    with pytest.raises(ImageError, match="at most 50,000,000"):
        decode(webp, "x")
    assert decode(encode_image(Image.new("L", (8, 8)), "WEBP"), "x", max_pixels=64).pixels.shape == (8, 8)


@pytest.mark.parametrize("colour_type", [0, 3, 2])
def test_black_image_data_are_inflated_in_pieces(colour_type: int) -> None:
    """A black last row makes the reader count the inflated bytes; 9 MB of them take several pieces."""
    palette = [chunk(b"PLTE", bytes(768))] if colour_type == 3 else []
    samples = np.zeros((3000, 3000, 3) if colour_type == 2 else (3000, 3000), np.int64)
    data = png(samples[:1], 8, colour_type, palette)
    row = b"\0" + bytes(3000 * (3 if colour_type == 2 else 1))
    rows = row * 3000
    header = struct.pack(">2I5B", 3000, 3000, 8, colour_type, 0, 0, 0)
    start = data[:8] + chunk(b"IHDR", header) + b"".join(palette)
    coded = zlib.compress(rows, 1)
    parts = chunk(b"IDAT", coded[:5000]) + chunk(b"IDAT", b"") + chunk(b"IDAT", coded[5000:])
    assert not decode(start + parts + chunk(b"IEND", b""), "x").pixels.any()
    short = zlib.compress(rows[: -len(row)], 1)
    with pytest.raises(ImageError, match="end before the last row"):
        decode(start + chunk(b"IDAT", short) + chunk(b"IEND", b""), "x")
