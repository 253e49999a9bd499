"""A full disk refuses uploads and nothing else."""

from __future__ import annotations

import pytest

from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import reserve
from server.client import serve_client
from server.sample_files import png


def test_reading_and_erasing_go_on_when_the_disk_is_full(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reserve, "_BYTES", 2**16)
    with serve_client(settings) as client:
        store = client.app.state.context.store
        store.reserve.keep()
        file = settings.home / "reserve"
        assert file.stat().st_size == 2**16
        first = client.upload(png(0.3)).json()["files"][0]
        monkeypatch.setattr(reserve, "free_bytes", lambda _: 100)
        answer = client.upload(png(0.5))
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (507, "store-full")
        assert not file.exists()  # its space is there for the audit log, sessions and erasures
        assert client.get("/healthz") == {"status": "ok"}
        assert client.get(f"/api/studies/{first['study']}")["id"] == first["study"]
        assert client("DELETE", f"/api/studies/{first['study']}").status_code == 200
        assert client.upload(png(0.5)).status_code == 507
        monkeypatch.undo()
        monkeypatch.setattr(reserve, "_BYTES", 2**16)
        assert client.upload(png(0.5)).status_code == 201
        assert file.exists()


def test_a_data_folder_that_vanishes_is_said_and_work_goes_on_when_it_is_back(settings: Settings) -> None:
    """Its volume was unmounted, for instance: that is no failure of the server."""
    with serve_client(settings) as client:
        client.app.state.context.store.reserve.keep()
        first = client.upload(png(0.3)).json()["files"][0]
        elsewhere = settings.home.rename(settings.home.with_name("elsewhere"))
        for answer in (client.upload(png(0.5)), client("GET", "/api/studies")):
            assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (503, "store-away")
            assert int(answer.headers["Retry-After"]) > 0
        assert client.get("/healthz") == {"status": "ok"}
        assert not settings.home.exists()
        settings.home.mkdir()  # a mount point without its volume: nothing is written there
        assert client.upload(png(0.5)).status_code == 503
        assert list(settings.home.iterdir()) == []
        settings.home.rmdir()
        elsewhere.rename(settings.home)
        assert client.get(f"/api/studies/{first['study']}")["id"] == first["study"]
        assert client.upload(png(0.5)).status_code == 201


def test_a_reserve_is_kept_by_servers_alone(settings: Settings) -> None:
    with serve_client(settings) as client:
        client.app.state.context.store.reserve.check()
        assert client.upload(png(0.3)).status_code == 201
    assert not (settings.home / "reserve").exists()
