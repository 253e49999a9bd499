"""Uploads from this machine: outcomes of files, and waiting while the queue is full."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pneumoscope.core.errors import ImageError
from pneumoscope.server.settings import Settings
from pneumoscope.server.studies.lookup import has_studies
from pneumoscope.server.uploads import local_upload
from pneumoscope.server.uploads.local_upload import upload_files
from server.client import predict_all, serve_client
from server.sample_files import archive, dicom, png


def test_each_file_has_its_own_outcome(settings: Settings, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(png(0.5))
    (tmp_path / "b.dcm").write_bytes(dicom({"BurnedInAnnotation": "YES"}))
    (tmp_path / "c.zip").write_bytes(archive({"x.png": png(0.6), "notes.txt": b"none"}))
    files = [tmp_path / name for name in ("a.png", "b.dcm", "c.zip", "absent.png")]
    with serve_client(settings) as client:
        context = client.app.state.context
        assert not has_studies(context.store)
        outcomes = dict(upload_files(context.uploads, files, [], lambda: False))
        assert has_studies(context.store)
        assert len(client.get("/api/studies")["studies"]) == 2
    image, refused, several, absent = (outcomes[file] for file in files)
    assert isinstance(image, list)
    assert [file.status for file in image] == ["accepted"]
    assert isinstance(refused, ImageError)
    assert "BurnedInAnnotation" in str(refused)
    assert isinstance(several, list)
    assert [file.status for file in several] == ["accepted", "refused"]
    assert isinstance(absent, ImageError)


def test_a_full_queue_is_waited_for(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(local_upload, "_PAUSE", 0.0)
    files = [tmp_path / f"{number}.png" for number in range(3)]
    for number, file in enumerate(files):
        file.write_bytes(png(0.5, 30 + number))
    with serve_client(replace(settings, queue_limit=1)) as client:
        model = next(model["id"] for model in client.get("/api/models") if not model["builtin"])
        questions = 0

        def every_third_time_a_worker_comes() -> bool:
            nonlocal questions
            questions += 1
            if questions % 3 == 0:
                predict_all(client)
            return False

        uploads = client.app.state.context.uploads
        outcomes = list(upload_files(uploads, files, [model], every_third_time_a_worker_comes))
        assert all(isinstance(outcome, list) for _, outcome in outcomes)
        assert len(client.get("/api/studies")["studies"]) == 3
        assert list(upload_files(uploads, files, [model], lambda: True)) == []
