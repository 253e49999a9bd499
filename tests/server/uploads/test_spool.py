"""An upload on its way: nothing that can be read reaches a disk, and nothing at all the system's own folder."""

from __future__ import annotations

import io
import os
import tempfile
from pathlib import Path

import numpy as np
import pytest

from pneumoscope.server.settings import Settings
from pneumoscope.server.uploads import spool
from pneumoscope.server.uploads.spool import SealedSpool
from server.client import serve_client
from server.sample_files import dicom, png


@pytest.mark.parametrize("limit", [0, 100, 10**6])
def test_a_spool_is_a_file(limit: int, tmp_path: Path) -> None:
    content = np.random.default_rng(0).bytes(1000)
    file = SealedSpool(tmp_path, limit)
    for start in range(0, 1000, 37):
        assert file.write(content[start : start + 37]) == len(content[start : start + 37])
    for place, size in ((0, -1), (0, 4), (17, 100), (999, 5), (1000, 5), (16, 16)):
        assert file.seek(place) == place
        assert file.read(size) == (content[place:] if size < 0 else content[place : place + size])
    assert file.seek(-10, io.SEEK_END) == 990
    assert file.readall() == content[990:]
    file.close()
    assert file.closed


def test_what_is_on_the_disk_can_not_be_read_and_has_no_name(tmp_path: Path) -> None:
    file = SealedSpool(tmp_path, 10)
    file.write(b"Doe^Jane 4711 " * 100)
    file._file.flush()
    raw = os.pread(file._file.fileno(), 10_000, 0)
    assert len(raw) == 1400
    assert b"Doe" not in raw
    assert list(tmp_path.iterdir()) == []


def test_an_upload_does_not_touch_the_systems_folder(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "IN_MEMORY", 10)
    monkeypatch.setattr(SealedSpool.__init__, "__defaults__", (10,))
    used: list[object] = []
    make = tempfile.TemporaryFile

    def watch(*arguments: object, **options: object) -> object:
        used.append(options.get("dir"))
        return make(*arguments, **options)  # type: ignore[call-overload]

    monkeypatch.setattr(tempfile, "TemporaryFile", watch)
    monkeypatch.setenv("TMPDIR", str(tmp_path / "absent"))
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))  # a file there would be an error
    with serve_client(settings) as client:
        assert client.upload(dicom(), png(0.5)).status_code == 201
        assert client(
            "POST", "/api/studies", content=b"x", headers={"content-type": "multipart/form-data"}
        ).status_code in (400, 422)
    assert used == [settings.incoming] * 2
