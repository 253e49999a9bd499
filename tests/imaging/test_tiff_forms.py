"""TIFF with alpha channels, separate planes and thumbnails against tifffile, and libtiff's silence."""

from __future__ import annotations

import subprocess
import sys
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.golden_files.encode import tiff
from pneumoscope.imaging.read import decode

tifffile: Any = pytest.importorskip("tifffile", reason="tifffile is not installed (PyPI: tifffile)")
RNG = np.random.default_rng(11)


def draw(bits: int, samples: int) -> NDArray[np.unsignedinteger]:
    """Return [40, 30, samples] random samples."""
    return RNG.integers(0, 2**bits, (40, 30, samples)).astype(f"u{bits // 8}")


def write(samples: NDArray[np.unsignedinteger], photometric: str, extra: list[str], planar: str, zipped: bool) -> bytes:
    """Return a TIFF with extra samples in each pixel."""
    buffer = BytesIO()
    pixels = samples if planar == "contig" else np.moveaxis(samples, -1, 0).copy()
    tifffile.imwrite(
        buffer, pixels, photometric=photometric, extrasamples=extra, planarconfig=planar,
        compression="zlib" if zipped else None, rowsperstrip=7,
    )  # fmt: skip
    return buffer.getvalue()


@pytest.mark.parametrize("bits", [8, 16])
@pytest.mark.parametrize("planar", ["contig", "separate"])
@pytest.mark.parametrize("zipped", [False, True])
@pytest.mark.parametrize("extra", [["unassalpha"], ["assocalpha"], ["unspecified"], ["unspecified", "unassalpha"]])
@pytest.mark.parametrize("photometric", ["minisblack", "miniswhite", "rgb"])
def test_a_picture_with_alpha_lies_over_black_or_is_refused(
    bits: int, planar: str, zipped: bool, extra: list[str], photometric: str
) -> None:
    """Premultiplied colours lie over black already (TIFF 6.0 p. 31); an unspecified sample has no influence."""
    colours, white = 3 if photometric == "rgb" else 1, 2**bits - 1
    samples = draw(bits, colours + len(extra))
    if "assocalpha" in extra:  # colours are at most alpha
        samples[..., :colours] = np.minimum(samples[..., :colours], samples[..., -1:])
    data = write(samples, photometric, extra, planar, zipped)
    np.testing.assert_array_equal(
        np.squeeze(tifffile.imread(BytesIO(data))), samples if planar == "contig" else np.moveaxis(samples, -1, 0)
    )
    values = samples.astype(np.float64) / white
    grey = values[..., :3] @ [0.299, 0.587, 0.114] if colours == 3 else values[..., 0]
    grey = 1 - grey if photometric == "miniswhite" else grey
    if "unassalpha" in extra:
        grey = grey * values[..., -1]
    try:
        pixels = decode(data, "x").pixels
    except ImageError as error:
        assert error.code == "unsupported"
        assert f"{bits} bits" in error.problem
        assert planar == "contig" or photometric == "miniswhite" or (bits == 16 and colours == 3)
    else:
        np.testing.assert_allclose(pixels, grey, atol=1.6 / 255 if colours == 3 else 1e-6)


def test_the_message_says_which_samples_a_pixel_has() -> None:
    data = write(draw(16, 2), "minisblack", ["unassalpha"], "contig", False)
    problem = r"stores 2 samples of 16 bits a pixel \(grey with alpha\).* without an alpha channel"
    with pytest.raises(ImageError, match=problem):
        decode(data, "x")


@pytest.mark.parametrize("samples", [0, 7, 4000, 65535])
def test_a_number_of_samples_that_no_image_has_is_refused_silently(
    samples: int, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tiff(np.zeros((4, 4), np.int64), 8, 1, tags={277: [samples]})
    with pytest.raises(ImageError) as caught:
        decode(data, "x")
    assert caught.value.code in ("unsupported", "damaged")
    assert capfd.readouterr() == ("", "")


def write_pages(pages: list[tuple[int, int | None]], *, big: bool = False) -> bytes:
    """Return a TIFF of pages: (side, NewSubfileType), each filled with its side."""
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer, bigtiff=big) as writer:
        for side, kind in pages:
            writer.write(
                np.full((side, side), side, np.uint8), photometric="minisblack", subfiletype=kind, metadata=None
            )
    return buffer.getvalue()


@pytest.mark.parametrize("big", [False, True])
@pytest.mark.parametrize("pages", [[(16, 1), (64, 0)], [(64, 0), (16, 1)], [(8, 1), (16, 1), (64, 0)], [(64, 1)]])
def test_a_thumbnail_is_not_the_image(pages: list[tuple[int, int]], big: bool) -> None:
    """Bit 0 of NewSubfileType means a copy of another image in lower resolution (TIFF 6.0 p. 36)."""
    data = write_pages(pages, big=big)
    with tifffile.TiffFile(BytesIO(data)) as file:
        full = [page for page in file.pages if not page.is_reduced] or file.pages[:1]
        np.testing.assert_array_equal(np.rint(decode(data, "x").pixels * 255), full[0].asarray())


def test_two_full_pages_are_refused() -> None:
    with pytest.raises(ImageError, match="holds 2 frames"):
        decode(write_pages([(16, 1), (64, 0), (64, 0)]), "x")


def test_a_thumbnail_whose_full_image_is_an_inner_directory() -> None:
    """A camera's layout: the first directory is a thumbnail, and SubIFDs (330) holds the image."""
    buffer = BytesIO()
    with tifffile.TiffWriter(buffer) as writer:
        thumbnail = np.full((16, 16), 16, np.uint8)
        writer.write(thumbnail, photometric="minisblack", subfiletype=1, subifds=1, metadata=None)
        writer.write(np.full((64, 64), 64, np.uint8), photometric="minisblack", subfiletype=0, metadata=None)
    data = buffer.getvalue()
    with tifffile.TiffFile(BytesIO(data)) as file:
        full = file.pages[0].pages[0].asarray()
    np.testing.assert_array_equal(np.rint(decode(data, "x").pixels * 255), full)


def test_a_chain_of_directories_that_comes_back_ends() -> None:
    data = bytearray(write_pages([(16, 1), (64, 0)]))
    with tifffile.TiffFile(BytesIO(bytes(data))) as file:
        last, first = file.pages[1], file.pages[0]
        at = last.offset + 2 + 12 * len(last.tags)
    data[at : at + 4] = first.offset.to_bytes(4, "little")
    assert decode(bytes(data), "x").pixels.shape == (64, 64)


def test_libtiff_does_not_write_to_the_terminal(tmp_path: Path) -> None:
    if not list(Path(sys.prefix).glob("lib/*/site-packages/pillow.libs/libtiff*")):
        pytest.skip("Pillow is not the wheel that brings its own libtiff")
    for name, options in {"a": {"compression": "zlib"}, "b": {"compression": "lzma"}}.items():
        data = bytearray(write_zipped(options["compression"]))
        data[200:260] = bytes(60)
        (tmp_path / f"{name}.tif").write_bytes(data)
    code = (
        "import sys\nfrom pneumoscope.core.errors import ImageError\nfrom pneumoscope.imaging.read import read\n"
        "for path in sys.argv[1:]:\n    try:\n        read(path)\n    except ImageError as error:\n        print(1)\n"
    )
    files = [str(path) for path in sorted(tmp_path.iterdir())]
    result = subprocess.run([sys.executable, "-c", code, *files], capture_output=True, text=True, check=True)
    assert (result.stdout, result.stderr) == ("1\n1\n", "")


def write_zipped(compression: str) -> bytes:
    """Return a compressed TIFF whose strips come before its directory's values."""
    buffer = BytesIO()
    tifffile.imwrite(buffer, draw(8, 1)[..., 0], photometric="minisblack", compression=compression, metadata=None)
    return buffer.getvalue()
