"""What is stored of a file: its pixels, exactly; nothing that says whose they are."""

from __future__ import annotations

import hashlib
import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pneumoscope.core.errors import ImageError
from pneumoscope.imaging.golden_files.encode import exif
from pneumoscope.imaging.read import decode
from pneumoscope.server.errors import InvalidRequestError, TooLargeError
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage.png_codec import thumbnail, unpack
from pneumoscope.server.uploads.archive import members
from pneumoscope.server.uploads.deidentify import take
from server.drawn import archive, dicom, png


@pytest.mark.parametrize("deep", [False, True])
def test_pixels_are_stored_exactly(deep: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 65536 if deep else 256, (31, 47)).astype("u2" if deep else "u1")
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    taken, stored, _ = take(buffer.getvalue(), "file 1", 10_000)
    np.testing.assert_array_equal(decode(stored, "x").pixels, decode(buffer.getvalue(), "y").pixels)
    assert taken.data_sha256 == hashlib.sha256(buffer.getvalue()).hexdigest()
    assert taken.png_sha256 == hashlib.sha256(stored).hexdigest()


def test_nothing_in_a_stored_dicom_says_who_it_is() -> None:
    data = dicom({"InstitutionName": "St Elsewhere", "ImageComments": "Doe"})
    taken, stored, _ = take(data, "file 1", 10_000)
    kept = stored + thumbnail(unpack(stored, "x")) + repr(taken.facts).encode()
    for word in (b"Doe", b"Jane", b"4711", b"1930", b"2024", b"Elsewhere"):
        assert word in data
        assert word not in kept
    assert taken.facts["age"] == 90.0  # 95 in the file
    assert taken.facts["sex"] == "F"
    assert taken.exam is not None
    assert (taken.exam.patient_id, taken.exam.patient_name, taken.exam.date) == ("4711", "Doe^Jane", "20240506")


def test_exif_and_text_are_left_behind_and_the_orientation_is_kept() -> None:
    buffer = BytesIO()
    square = np.zeros((8, 16), np.uint8)
    square[0] = 255
    Image.fromarray(square).save(buffer, "JPEG", exif=b"Exif\0\0" + exif(6), comment=b"Doe Jane", quality=95)
    taken, stored, _ = take(buffer.getvalue(), "file 1", 10_000)
    assert b"Exif" not in stored
    assert b"Doe" not in stored
    assert (taken.width, taken.height) == (8, 16)  # orientation 6: turned by a quarter


def test_names_in_the_pixels_are_refused() -> None:
    with pytest.raises(ImageError, match="BurnedInAnnotation"):
        take(dicom({"BurnedInAnnotation": "YES"}), "file 1", 10_000)
    assert take(dicom({"BurnedInAnnotation": None}), "file 1", 10_000)[0].facts["burned_in"] == "unknown"


def test_an_archive_gives_its_files_under_names_of_ours(tmp_path: Path) -> None:
    data = archive({"../../etc/passwd": png(0.5), "/root/Doe^Jane.png": png(0.2), "folder/": b""})
    sent = list(members(data, "file 2", Settings(home=tmp_path)))
    assert [each.name for each in sent] == ["file 2, member 1", "file 2, member 2"]
    assert [each.data for each in sent] == [png(0.5), png(0.2)]


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    sent = list(members(archive({"bomb.png": b"\0" * 20_000_000}), "file 1", Settings(home=tmp_path)))
    assert sent[0].refused is not None
    assert "200 times" in str(sent[0].refused)


def test_an_archive_that_lies_about_a_size_is_found_out(tmp_path: Path) -> None:
    data = bytearray(archive({"a.png": b"\0" * 5000}))
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (100).to_bytes(4, "little")  # uncompressed size (APPNOTE 4.3.12)
    sent = list(members(bytes(data), "file 1", Settings(home=tmp_path)))
    assert sent[0].refused is not None


def test_too_many_or_too_much_is_refused_before_unpacking(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="at most 2 are taken"):
        list(members(archive({f"{n}.png": b"x" for n in range(3)}), "file 1", Settings(home=tmp_path, max_files=2)))
    limited = Settings(home=tmp_path, max_request_bytes=2**20)
    with pytest.raises(TooLargeError, match="would unpack"):
        list(members(archive({"a": b"\0" * 3_000_000}), "file 1", limited))


def test_archives_in_archives_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    sent = list(members(archive({"in.zip": archive({"a.png": png(0.5)})}), "file 1", Settings(home=tmp_path)))
    assert "archive in an archive" in str(sent[0].refused)
    with pytest.raises(InvalidRequestError, match="damaged"):
        list(members(b"PK\x03\x04" + b"\0" * 50, "file 1", Settings(home=tmp_path)))
    nameless = archive({"a.png": b""}).replace(b"a.png", b"\0.png")
    assert [each.data for each in members(nameless, "file 1", Settings(home=tmp_path))] == [b""]
    assert zipfile.is_zipfile(BytesIO(archive({"a": b""})))
