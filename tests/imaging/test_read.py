"""`read` and `decode`: paths, formats, malformed files, threads and limits. Every failure is an ImageError."""

from __future__ import annotations

import hashlib
import os
import pickle
import re
import subprocess
import sys
import warnings
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageFile

import pneumoscope as ps
from malformed import malformed_files
from pneumoscope.core.errors import ImageError, UsageError
from pneumoscope.imaging.golden_files import make
from pneumoscope.imaging.golden_files.encode import png
from pneumoscope.imaging.read import decode, read, sniff

GREY = png(make.pattern(8), 8, 0)


def test_the_bytes_determine_the_format_not_the_name(tmp_path: Path) -> None:
    path = tmp_path / "image.dcm"
    path.write_bytes(GREY)
    radiograph = ps.read(path)
    assert radiograph.format == "png"
    assert radiograph.sha256 == hashlib.sha256(GREY).hexdigest()


@pytest.mark.parametrize(
    ("file", "kind"),
    [
        ("png-rgb8.png", "png"),
        ("jpeg-rgb.jpg", "jpeg"),
        ("webp-alpha.webp", "webp"),
        ("tiff-grey16-be.tif", "tiff"),
        ("dicom-explicit.dcm", "dicom"),
    ],
)
def test_each_format_is_recognised(file: str, kind: str) -> None:
    assert sniff((make.FOLDER / file).read_bytes(), file) == kind


def test_dicom_with_the_preamble_of_tiff_is_dicom() -> None:
    data = (make.FOLDER / "dicom-explicit.dcm").read_bytes()
    assert sniff(b"II*\0" + data[4:], "x") == "dicom"


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"", "is empty"),
        (b"GIF89a....", "is a GIF image"),
        (b"%PDF-1.4\n...", "is a PDF document"),
        (b"PK\x03\x04....", "is a ZIP archive"),
        (b"\x1f\x8b\x08...", "is a gzip archive"),
        (b"\0\0\0\x18ftypheic", "is a HEIC image"),
        (b"version https://git-lfs.github.com/spec/v1\n", "is a Git LFS pointer"),
        ("Befund: unauffällig".encode(), "is a text file"),
        (("x" * 511 + "ä").encode(), "is a text file"),
        (b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100", "is a DICOM data set without its file header"),
        (bytes(200), "is of an unknown kind"),
    ],
)
def test_the_error_names_the_kind_of_another_file(data: bytes, words: str) -> None:
    with pytest.raises(ImageError, match=words):
        decode(data, "x")


def test_a_missing_file_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match=r"none\.png: cannot be read: No such file"):
        read(tmp_path / "none.png")


def test_a_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="is a folder"):
        read(tmp_path)


def test_a_file_without_read_permission_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "locked.png"
    path.write_bytes(GREY)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user may read everything")
    with pytest.raises(ImageError, match="Permission denied"):
        read(path)


def test_a_pipe_is_an_error_and_does_not_hang(tmp_path: Path) -> None:
    if not hasattr(os, "mkfifo"):
        pytest.skip("this system has no named pipes")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ImageError, match="not a regular file"):
        read(tmp_path / "pipe.png")


def test_an_impossible_path_is_an_error() -> None:
    with pytest.raises(ImageError, match="cannot be read"):
        read("a\0b.png")


def test_a_file_above_the_size_limit_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "large.png"
    with path.open("wb") as file:
        file.truncate(600 * 2**20)  # a sparse file
    with pytest.raises(ImageError, match="600 MiB; at most 512 MiB"):
        read(path)


def test_the_caller_sets_the_limit_of_pixels() -> None:
    with pytest.raises(ImageError, match=r"20 x 24 pixels; at most 479 .* save a smaller copy .* a larger max_pixels"):
        decode(GREY, "x", max_pixels=479)
    assert decode(GREY, "x", max_pixels=480).pixels.size == 480


def test_an_invalid_depth_is_wrong_usage() -> None:
    with pytest.raises(UsageError):
        decode(GREY, "x", depth=0)


def test_two_hundred_malformed_files_give_one_clear_error_each(tmp_path: Path) -> None:
    pytest.importorskip("pydicom")
    for path in malformed_files(tmp_path, 200):
        with pytest.raises(ImageError) as error_info:
            read(path)
        assert str(error_info.value).startswith(f"{path}: ")
        assert error_info.value.way_out


def test_malformed_files_are_the_same_for_a_seed(tmp_path: Path) -> None:
    one, two = malformed_files(tmp_path / "a", 60, seed=5), malformed_files(tmp_path / "b", 60, seed=5)
    assert [p.name for p in one] == [p.name for p in two]
    assert [p.read_bytes() for p in one] == [p.read_bytes() for p in two]


def test_the_exception_of_a_library_is_the_cause() -> None:
    with pytest.raises(ImageError) as error_info:
        decode(b"II*\0" + bytes(20), "x")
    assert isinstance(error_info.value.__cause__, Exception)


def test_threads_agree_with_one_thread_and_change_no_global_state() -> None:
    """Read every golden file in four threads: the arrays are equal, and warnings and Pillow keep their settings."""
    pytest.importorskip("pydicom")
    files = [p for p in make.FOLDER.glob("*-*.*") if p.suffix != ".f32" and not p.name.startswith("refused")]
    single = [read(path).pixels for path in files]
    before = (list(warnings.filters), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES)
    with ThreadPoolExecutor(4) as pool:
        for _ in range(2):
            for alone, together in zip(single, pool.map(read, files), strict=True):
                np.testing.assert_array_equal(alone, together.pixels)
    assert (list(warnings.filters), Image.MAX_IMAGE_PIXELS, ImageFile.LOAD_TRUNCATED_IMAGES) == before


def test_a_radiograph_can_be_pickled() -> None:
    radiograph = decode(GREY, "x")
    copy = pickle.loads(pickle.dumps(radiograph))
    np.testing.assert_array_equal(copy.pixels, radiograph.pixels)
    assert copy.metadata == {}


def test_the_reader_imports_no_heavy_library() -> None:
    code = (
        "import sys; import pneumoscope.imaging.read; "
        "print(*sorted({'pydicom', 'pandas', 'torch', 'scipy', 'matplotlib'} & set(sys.modules)))"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert result.stdout.strip() == ""


def test_the_html_of_a_radiograph_has_no_path(tmp_path: Path) -> None:
    folder = tmp_path / "a-patients-name"
    folder.mkdir()
    Image.new("L", (600, 300), 90).save(folder / "x.png")
    radiograph = read(folder / "x.png")
    assert repr(radiograph).startswith("Radiograph(size 600 x 300 pixels, format png, bits 8, sha256 ")
    html = radiograph._repr_html_()
    data = re.search(r'base64,([^"]+)"', html)
    assert data is not None
    assert Image.open(BytesIO(b64decode(data[1]))).size == (256, 128)
    assert "a-patients-name" not in html + repr(radiograph)
