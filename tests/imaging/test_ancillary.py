"""Notes around the pixels of a PNG, JPEG or WebP file neither veto the pixels nor write to the terminal."""

from __future__ import annotations

import subprocess
import sys
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from authorities import decode_with_libpng
from bundles import write_bundle
from pneumoscope.cli.main import app
from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.golden_files import make
from pneumoscope.imaging.golden_files.encode import chunk, exif, png
from pneumoscope.imaging.read import decode, describe_damaged_exif

P8 = make.pattern(8)
NOISE = np.random.default_rng(5).bytes(1_100_000)
BROKEN_EXIF = (b"garbage", b"", b"MM", b"MM\0*\0\0\0\x08\0\x05rest", b"II*\0\xff\xff\xff\xff", b"Exif\0\0")
CHUNKS = {
    "a long text": chunk(b"zTXt", b"Comment\0\0" + zlib.compress(bytes(2_000_000))),
    "a long international text": chunk(b"iTXt", b"Comment\0\1\0\0\0" + zlib.compress(bytes(2_000_000))),
    "a broken text": chunk(b"zTXt", b"Comment\0\0notzlib"),
    "a long Exif text": chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(bytes(2_000_000))),
    "a broken Exif text": chunk(b"tEXt", b"Raw profile type exif\0\n\n\nnothexadecimal"),
    "a large colour profile": chunk(b"iCCP", b"icc\0\0" + zlib.compress(NOISE)),
    "a broken colour profile": chunk(b"iCCP", b"icc\0\0notzlib"),
    **{f"Exif {place}": chunk(b"eXIf", block) for place, block in enumerate(BROKEN_EXIF)},
    **{f"a short {kind.decode()}": chunk(kind, b"") for kind in (b"gAMA", b"cHRM", b"pHYs", b"sRGB", b"tIME", b"sBIT")},
    "a wrong checksum": chunk(b"tEXt", b"a\0b")[:-1] + b"\0",
    "Exif with a wrong checksum": chunk(b"eXIf", exif(6))[:-1] + b"\0",
    "a transparency of the wrong length": chunk(b"tRNS", b"\0"),
    "a chunk that is not known": chunk(b"xyZa", b"anything"),
}


def encode_with_pillow(kind: str, block: bytes) -> bytes:
    buffer = BytesIO()
    Image.fromarray(P8.astype(np.uint8)).save(buffer, kind, lossless=True, quality=100, exif=block)
    return buffer.getvalue()


@pytest.mark.parametrize("name", CHUNKS)
@pytest.mark.parametrize("bits", [8, 16])
def test_a_chunk_that_the_pixels_do_not_depend_on_is_no_veto(name: str, bits: int) -> None:
    samples = make.pattern(bits)
    data = png(samples, bits, 0, [CHUNKS[name]])
    np.testing.assert_array_equal(decode(data, "x").pixels, decode(png(samples, bits, 0), "x").pixels)
    np.testing.assert_allclose(decode(data, "x").pixels, samples / (2**bits - 1), atol=1e-7)


@pytest.mark.parametrize("name", CHUNKS)
def test_libpng_reads_them_too(name: str) -> None:
    np.testing.assert_array_equal(decode_with_libpng(png(P8, 8, 0, [CHUNKS[name]])), P8)


def test_a_wrong_checksum_of_what_the_pixels_depend_on_is_an_error() -> None:
    key = chunk(b"tRNS", b"\0\x09")
    for part in (key[:-1] + bytes([key[-1] ^ 1]), chunk(b"ABcd", b"")[:-1] + b"\0"):
        with pytest.raises(ImageError, match="checksum"):
            decode(png(make.pattern(4), 4, 0, [part]), "x")


def test_every_flipped_bit_of_an_ancillary_chunk_gives_the_same_pixels_or_an_error() -> None:
    plain = png(P8, 8, 0)
    expected = decode(plain, "x").pixels
    data = png(P8, 8, 0, [chunk(b"tEXt", b"Comment\0some words")])
    outcomes = set()
    for at in range(33, 33 + len(data) - len(plain)):
        for bit in range(8):
            damaged = data[:at] + bytes([data[at] ^ 1 << bit]) + data[at + 1 :]
            try:
                np.testing.assert_array_equal(decode(damaged, "x").pixels, expected)
                outcomes.add("pixels")
            except ImageError:
                outcomes.add("error")
    assert outcomes == {"pixels", "error"}


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
@pytest.mark.parametrize("block", BROKEN_EXIF[3:])
def test_broken_exif_is_no_veto(kind: str, block: bytes) -> None:
    data = encode_with_pillow(kind, block)
    np.testing.assert_array_equal(decode(data, "x").pixels, decode(encode_with_pillow(kind, b""), "x").pixels)


@pytest.mark.parametrize(
    ("marker", "content"),
    [
        (0xE0, b"JFIF"),
        (0xE0, b"JFIF\0"),
        (0xE0, b"JFXX\0\x10" + bytes(2000)),
        (0xE1, b"Exif\0\0MM\0*\0\0\0\x08\0\x05rest"),
        (0xE1, b"http://ns.adobe.com/xap/1.0/\0<broken"),
        (0xE2, b"ICC_PROFILE\0\x09\x01" + bytes(500)),
        (0xE2, b"MPF\0garbage"),
        (0xED, b"Photoshop 3.0\x008BIM\x04\x04\0"),
        (0xEE, b"Adobe"),
        (0xFE, bytes(60_000)),
    ],
)
def test_a_broken_application_segment_is_no_veto(marker: int, content: bytes) -> None:
    plain = encode_with_pillow("JPEG", b"")
    segment = bytes([0xFF, marker]) + (len(content) + 2).to_bytes(2, "big") + content
    for data in (plain[:2] + segment + plain[2:], plain[:2] + segment + plain[20:]):  # with and without JFIF
        np.testing.assert_array_equal(decode(data, "x").pixels, decode(plain, "x").pixels)


def test_the_adobe_segment_still_says_how_colours_are_coded() -> None:
    """Pillow writes RGB without a transform as Adobe's transform 0; without the segment it would be taken for YCbCr."""
    colours = make.colours(8).astype(np.uint8)
    buffer = BytesIO()
    Image.fromarray(colours).save(buffer, "JPEG", quality=100, keep_rgb=True)
    reference = np.asarray(Image.open(BytesIO(buffer.getvalue())).convert("L")) / 255
    np.testing.assert_allclose(decode(buffer.getvalue(), "x").pixels, reference, atol=1e-7)


def test_no_warning_reaches_the_terminal(tmp_path: Path) -> None:
    broken = b"Exif\0\0MM\0*\0\0\0\x08\0\x05rest"
    plain = encode_with_pillow("JPEG", broken)
    (tmp_path / "a.jpg").write_bytes(plain)
    (tmp_path / "b.jpg").write_bytes(plain[:2] + plain[20:])  # without JFIF Pillow looks for a resolution in Exif
    (tmp_path / "c.png").write_bytes(png(P8, 8, 0, [CHUNKS["Exif 3"]]))
    (tmp_path / "d.webp").write_bytes(encode_with_pillow("WEBP", broken))
    code = (
        "import sys, warnings; warnings.simplefilter('always');"
        "from pneumoscope.imaging.read import read; [read(path) for path in sys.argv[1:]]"
    )
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    result = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert result.stdout + result.stderr == ""


DAMAGED_EXIF = (
    chunk(b"eXIf", exif(6))[:-1] + b"\0",  # a wrong checksum: libpng drops the chunk
    chunk(b"eXIf", b"garbage"),
    chunk(b"eXIf", exif(6)[:16]),
    chunk(b"eXIf", exif(6)[:4] + b"\xff" * 4 + exif(6)[8:]),
    chunk(b"eXIf", exif(9)),
    chunk(b"eXIf", exif(0)),
)


@pytest.mark.parametrize("part", DAMAGED_EXIF, ids=range(len(DAMAGED_EXIF)))
def test_an_orientation_that_may_be_lost_is_said(part: bytes) -> None:
    radiograph = decode(png(P8, 8, 0, [part]), "x")
    np.testing.assert_allclose(radiograph.pixels, P8 / 255, atol=1e-7)
    assert radiograph.metadata["exif"] == "damaged"


@pytest.mark.parametrize("kind", ["JPEG", "WEBP"])
def test_a_damaged_exif_block_is_said_in_every_format(kind: str) -> None:
    for block, damaged in ((b"Exif\0\0MM\0*\0\0\0\x08\0\x05rest", True), (b"Exif\0\0" + exif(6), False), (b"", False)):
        assert (decode(encode_with_pillow(kind, block), "x").metadata.get("exif") == "damaged") is damaged


def test_whole_exif_is_not_damaged() -> None:
    other = b"MM\0*" + bytes.fromhex("00000008 0001 0132 0002 00000002 41000000 00000000".replace(" ", ""))
    xmp = chunk(b"iTXt", b'XML:com.adobe.xmp\0\0\0\0\0<rdf:Description tiff:Orientation="6"/>')
    for parts in ([], [chunk(b"eXIf", exif(6))], [chunk(b"eXIf", other)], [chunk(b"eXIf", exif(9)), xmp]):
        assert "exif" not in decode(png(P8, 8, 0, parts), "x").metadata


def test_files_with_damaged_exif_are_counted(tmp_path: Path) -> None:
    assert describe_damaged_exif(1).startswith("1 file has a damaged Exif block")
    assert describe_damaged_exif(2000).startswith("2,000 files have")
    (tmp_path / "images" / "normal").mkdir(parents=True)
    for number, part in enumerate((DAMAGED_EXIF[0], DAMAGED_EXIF[1], chunk(b"eXIf", exif(6)))):
        samples = np.random.default_rng(number).integers(0, 256, (64, 64))
        (tmp_path / "images" / "normal" / f"{number}.png").write_bytes(png(samples, 8, 0, [part]))
    for arguments in (
        ("predict", "--model", write_bundle(tmp_path / "tiny"), tmp_path / "images"),
        ("data", "import", "folder", tmp_path / "images", "-o", tmp_path / "m.parquet"),
    ):
        shown = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert "2 files have a damaged Exif block" in " ".join((shown.stdout + shown.stderr).split())


@pytest.mark.parametrize("prefix", [b"", b"Exif\0\0"])
def test_the_orientation_in_every_place_is_still_honoured(prefix: bytes) -> None:
    upright = np.rot90(P8 / 255, -1)
    profile = b"\nexif\n      %d\n%s\n" % (len(exif(6)), exif(6).hex().encode())
    xmp = b'<x:xmpmeta><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    for part in (
        chunk(b"eXIf", prefix + exif(6)),
        chunk(b"tEXt", b"Raw profile type exif\0" + profile),
        chunk(b"zTXt", b"Raw profile type exif\0\0" + zlib.compress(profile)),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + xmp),
        chunk(b"iTXt", b"XML:com.adobe.xmp\0\1\0\0\0" + zlib.compress(xmp)),
    ):
        data = png(P8, 8, 0, [part])
        np.testing.assert_allclose(decode(data, "x").pixels, upright, atol=1e-7)
        # Exif may follow the image data.
        end = png(P8, 8, 0)[:-12] + part + chunk(b"IEND", b"")
        np.testing.assert_allclose(decode(end, "x").pixels, upright, atol=1e-7)
