"""The folder of the pixels goes away, or loses a file: nothing is accepted that is not kept, and a file comes back."""

from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import select

from pneumoscope.core.errors import UsageError
from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from pneumoscope.server.storage.database import open_store
from pneumoscope.server.storage.tables import Image
from server.client import serve_client
from server.sample_files import png


@pytest.mark.parametrize("empty", [False, True], ids=["no folder", "an empty mount point"])
def test_nothing_is_accepted_while_the_volume_is_away(settings: Settings, empty: bool) -> None:
    away = settings.home / "away"
    with serve_client(settings) as client:
        assert client.upload(png(0.3)).status_code == 201
        settings.files.rename(away)
        if empty:
            settings.files.mkdir()
        answer = client.upload(png(0.5))
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (503, "store-away")
        assert client.upload(png(0.3)).status_code == 503  # a duplicate too: its pixels are not here
        assert client.get("/healthz") == {"status": "ok"}
        assert settings.files.exists() == empty  # nobody made it again
        if empty:
            for path in settings.files.iterdir():
                assert not list(path.iterdir())
                path.rmdir()
            settings.files.rmdir()
        away.rename(settings.files)
        assert client.upload(png(0.5)).status_code == 201


def test_a_server_does_not_start_over_an_empty_mount_point(settings: Settings) -> None:
    with serve_client(settings) as client:
        assert client.upload(png(0.3)).status_code == 201
    settings.files.rename(settings.home / "away")
    with pytest.raises(UsageError, match="does not hold the pixels"):
        open_store(replace(settings))


@pytest.mark.parametrize("damage", ["lost", "empty", "altered"])
def test_the_same_file_again_repairs_its_pixels(settings: Settings, damage: str) -> None:
    with serve_client(settings) as client:
        first = client.upload(png(0.3)).json()["files"][0]
        context = client.app.state.context
        with context.store.read() as session:
            image = session.scalars(select(Image)).one()
        path = blobs.path_of(settings.files, image.id)
        content = path.read_bytes()
        if damage == "lost":
            path.unlink()
        else:
            path.write_bytes(b"" if damage == "empty" else content[:-1] + b"x")
        again = client.upload(png(0.3)).json()["files"][0]
        assert (again["status"], again["image"]) == ("duplicate", first["image"])
        assert path.read_bytes() == content
        assert len(list(settings.files.glob("*/*.png"))) == 1
        blobs.read_pixels(settings.files, image.id, image.sha256)
