"""Files out of archives: named by their place, within limits, and nothing is believed that an archive declares."""

from __future__ import annotations

import random
import struct
import tracemalloc
import zipfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from pneumoscope.core.errors import ImageError
from pneumoscope.server.errors import InvalidRequestError, TooLargeError
from pneumoscope.server.settings import Settings
from pneumoscope.server.uploads.archive import read_members
from pneumoscope.server.uploads.outcome import NothingStoredError
from pneumoscope.server.uploads.spool import SealedSpool
from server.client import serve_client
from server.sample_files import archive, png


def test_files_of_an_archive_are_named_by_their_place(tmp_path: Path) -> None:
    data = archive({"../../etc/passwd": png(0.5), "/root/Doe^Jane.png": png(0.2), "folder/": b""})
    files = list(read_members(BytesIO(data), "file 2", Settings(home=tmp_path)))
    assert [file.name for file in files] == ["file 2, member 1", "file 2, member 2"]
    assert [file.read() for file in files] == [png(0.5), png(0.2)]
    assert [file.sent_name for file in files] == ["passwd", "Doe^Jane.png"]


def test_a_bomb_is_not_unpacked(tmp_path: Path) -> None:
    files = list(read_members(BytesIO(archive({"bomb.png": b"\0" * 20_000_000})), "file 1", Settings(home=tmp_path)))
    with pytest.raises(ImageError, match="200 times"):
        files[0].read()


def test_a_false_size_in_an_archive_is_detected(tmp_path: Path) -> None:
    data = bytearray(archive({"a.png": b"\0" * 5000}))
    directory = data.index(b"PK\x01\x02")
    data[directory + 24 : directory + 28] = (100).to_bytes(4, "little")  # uncompressed size (APPNOTE 4.3.12)
    files = list(read_members(BytesIO(bytes(data)), "file 1", Settings(home=tmp_path)))
    with pytest.raises(ImageError, match="can't be unpacked"):
        files[0].read()


def test_too_many_or_too_much_is_refused_before_unpacking(tmp_path: Path) -> None:
    with pytest.raises(TooLargeError, match="at most 2 are taken"):
        list(
            read_members(
                BytesIO(archive({f"{n}.png": b"x" for n in range(3)})), "file 1", Settings(home=tmp_path, max_files=2)
            )
        )
    limited = Settings(home=tmp_path, max_request_bytes=2**20)
    with pytest.raises(TooLargeError, match="would unpack"):
        list(read_members(BytesIO(archive({"a": b"\0" * 3_000_000})), "file 1", limited))


def test_archives_in_archives_and_damaged_ones_are_refused(tmp_path: Path) -> None:
    files = list(
        read_members(BytesIO(archive({"in.zip": archive({"a.png": png(0.5)})})), "file 1", Settings(home=tmp_path))
    )
    with pytest.raises(ImageError, match="archive in an archive"):
        files[0].read()
    with pytest.raises(InvalidRequestError, match="damaged"):
        list(read_members(BytesIO(b"PK\x03\x04" + b"\0" * 50), "file 1", Settings(home=tmp_path)))
    nameless = archive({"a.png": b""}).replace(b"a.png", b"\0.png")
    assert [file.read() for file in read_members(BytesIO(nameless), "file 1", Settings(home=tmp_path))] == [b""]
    assert zipfile.is_zipfile(BytesIO(archive({"a": b""})))


def _directory_of(entries: int, *, counted: int) -> bytes:
    """An archive of empty files that share one name and one place, and an end record that counts what it likes."""
    entry = b"PK\x01\x02" + bytes(24) + struct.pack("<HHHHHII", 1, 0, 0, 0, 0, 0, 0) + b"a"
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, counted, counted, len(entry) * entries, 5, 0)
    return b"PK\x03\x04\0" + entry * entries + end


@pytest.mark.parametrize("counted", [65_535, 60_000, 1, 0])
def test_a_long_directory_is_refused_before_it_is_read(tmp_path: Path, counted: int) -> None:
    """APPNOTE 4.3.16 counts the entries; the directory may be longer than that says. Each entry costs 500 bytes."""
    data = BytesIO(_directory_of(60_000, counted=counted))
    tracemalloc.start()
    with pytest.raises(TooLargeError, match="at most 500 are taken"):
        list(read_members(data, "file 1", Settings(home=tmp_path)))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 3 * 2**20


def test_a_directory_with_more_entries_than_a_record_of_16_bits_can_count_is_counted(tmp_path: Path) -> None:
    """APPNOTE 4.3.14: the ZIP64 end record counts in 64 bits."""
    large = struct.pack("<4sQ2H2I4Q", b"PK\x06\x06", 44, 45, 45, 0, 0, 5_000_000, 5_000_000, 235_000_000, 5)
    locator = struct.pack("<4sIQI", b"PK\x06\x07", 0, 5, 1)
    end = struct.pack("<4s4H2IH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFF, 0)
    with pytest.raises(TooLargeError, match="holds 5,000,000 files"):
        list(read_members(BytesIO(b"PK\x03\x04\0" + large + locator + end), "file 1", Settings(home=tmp_path)))


def test_folders_are_entries_and_no_files(tmp_path: Path) -> None:
    data = archive({"a/": b"", "a/b/": b"", "a/b/c/": b"", "a/b/c/one.png": png(0.5)})
    files = list(read_members(BytesIO(data), "file 1", Settings(home=tmp_path, max_files=1)))
    assert [file.read() for file in files] == [png(0.5)]


@pytest.mark.parametrize("method", [zipfile.ZIP_LZMA, zipfile.ZIP_BZIP2])
def test_methods_that_claim_memory_by_themselves_are_refused(tmp_path: Path, method: int) -> None:
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as file:
        file.writestr("a.png", png(0.5))
    (member,) = read_members(buffer, "file 1", Settings(home=tmp_path))
    with pytest.raises(ImageError, match="method that is not read"):
        member.read()


def test_a_member_is_unpacked_when_it_is_read_and_in_little_more_than_its_own_size(tmp_path: Path) -> None:
    """Fault C: eight uploads at once held eight members, each three times."""
    size = 16 * 2**20
    data = archive({"noise.bin": random.Random(0).randbytes(size), "later.png": png(0.5)})
    files = read_members(BytesIO(data), "file 1", Settings(home=tmp_path))
    tracemalloc.start()
    first = next(files)
    assert tracemalloc.get_traced_memory()[1] < size / 4
    assert len(first.read()) == size
    assert tracemalloc.get_traced_memory()[1] < 1.5 * size
    tracemalloc.stop()


def test_files_that_were_refused_are_held_no_longer(settings: Settings) -> None:
    """Fault C: each refusal kept the frames that it came through, and with them its file."""
    size, noise = 4 * 2**20, random.Random(0)
    files: list[Any] = [SealedSpool(settings.home.parent) for _ in range(8)]
    for file in files:
        file.write(noise.randbytes(size))
        file.seek(0)
    with serve_client(settings) as client:
        tracemalloc.start()
        with pytest.raises(NothingStoredError):
            client.app.state.context.uploads.stage(files, (), "reader")
        peak = tracemalloc.get_traced_memory()[1]
        assert peak < 4 * size
        tracemalloc.stop()


def test_a_name_in_utf_8_is_read_though_the_archive_does_not_say_so(tmp_path: Path) -> None:
    data = archive({"M\u00fcller.png": png(0.5)})
    said = struct.pack("<H", 0x800)
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        at = data.index(signature) + place
        assert data[at : at + 2] == said
        data = data[:at] + b"\0\0" + data[at + 2 :]
    (file,) = read_members(BytesIO(data), "file 1", Settings(home=tmp_path))
    assert file.sent_name == "M\u00fcller.png"
