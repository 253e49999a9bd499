"""Files out of archives: named by their place, within limits, and nothing is believed that an archive declares."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from pneumoscope.server.errors import InvalidRequestError, TooLargeError
from pneumoscope.server.settings import Settings
from pneumoscope.server.uploads.archive import read_members
from server.sample_files import archive, png


def test_files_of_an_archive_are_named_by_their_place(tmp_path: Path) -> None:
    data = archive({"../../etc/passwd": png(0.5), "/root/Doe^Jane.png": png(0.2), "folder/": b""})
    files = list(read_members(data, "file 2", Settings(home=tmp_path)))
    assert [file.name for file in files] == ["file 2, member 1", "file 2, member 2"]
    assert [file.data for file in files] == [png(0.5), png(0.2)]


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    files = list(read_members(archive({"bomb.png": b"\0" * 20_000_000}), "file 1", Settings(home=tmp_path)))
    assert files[0].refusal is not None
    assert "200 times" in str(files[0].refusal)


def test_a_false_size_in_an_archive_is_detected(tmp_path: Path) -> None:
    data = bytearray(archive({"a.png": b"\0" * 5000}))
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (100).to_bytes(4, "little")  # uncompressed size (APPNOTE 4.3.12)
    files = list(read_members(bytes(data), "file 1", Settings(home=tmp_path)))
    assert files[0].refusal is not None


def test_too_many_or_too_much_is_refused_before_unpacking(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="at most 2 are taken"):
        list(
            read_members(archive({f"{n}.png": b"x" for n in range(3)}), "file 1", Settings(home=tmp_path, max_files=2))
        )
    limited = Settings(home=tmp_path, max_request_bytes=2**20)
    with pytest.raises(TooLargeError, match="would unpack"):
        list(read_members(archive({"a": b"\0" * 3_000_000}), "file 1", limited))


def test_archives_in_archives_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    files = list(read_members(archive({"in.zip": archive({"a.png": png(0.5)})}), "file 1", Settings(home=tmp_path)))
    assert "archive in an archive" in str(files[0].refusal)
    with pytest.raises(InvalidRequestError, match="damaged"):
        list(read_members(b"PK\x03\x04" + b"\0" * 50, "file 1", Settings(home=tmp_path)))
    nameless = archive({"a.png": b""}).replace(b"a.png", b"\0.png")
    assert [file.data for file in read_members(nameless, "file 1", Settings(home=tmp_path))] == [b""]
    assert zipfile.is_zipfile(BytesIO(archive({"a": b""})))
