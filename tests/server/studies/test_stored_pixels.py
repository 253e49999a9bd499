"""Stored pixels are checked against their hash wherever they are served, and so are the pictures drawn from them."""

from __future__ import annotations

from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from pneumoscope.server.settings import Settings
from pneumoscope.server.storage import blobs
from server.client import Client, serve_client
from server.sample_files import png


@pytest.fixture
def client(settings: Settings) -> Iterator[Client]:
    with serve_client(settings) as client:
        yield client


@pytest.fixture
def image(client: Client) -> str:
    return str(client.upload(png(0.5)).json()["files"][0]["image"])


def shade(content: bytes) -> int:
    return int(Image.open(BytesIO(content)).convert("L").getpixel((0, 0)))  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [png(0.9), b"", None], ids=["another", "empty", "lost"])
def test_altered_or_lost_pixels_are_served_nowhere(
    client: Client, settings: Settings, image: str, content: bytes | None
) -> None:
    address = f"/api/images/{image}"
    assert client("GET", f"{address}/pixels").status_code == 200
    path = blobs.path_of(settings.files, image)
    if content is None:
        path.unlink()
    else:
        path.write_bytes(content)
    for part in ("pixels", "thumbnail"):
        answer = client("GET", f"{address}/{part}")
        assert answer.status_code == 500
        assert answer.json()["detail"] == "is not as it was stored. Restore it from a backup."
        assert answer.json()["type"].endswith(":image-altered")


@pytest.mark.parametrize("of_another", [False, True])
def test_a_thumbnail_that_the_server_has_not_drawn_is_drawn_again(
    client: Client, settings: Settings, image: str, of_another: bool
) -> None:
    """Also one that it has drawn, of another image."""
    other = client.upload(png(0.9)).json()["files"][0]["image"]
    shades = [shade(client("GET", f"/api/images/{number}/thumbnail").content) for number in (image, other)]
    assert shades == [128, 230]
    stored: Path = blobs.path_of(settings.files, image, blobs.THUMBNAIL)
    foreign = blobs.path_of(settings.files, other, blobs.THUMBNAIL).read_bytes()
    stored.write_bytes(foreign if of_another else png(0.9))
    assert shade(client("GET", f"/api/images/{image}/thumbnail").content) == 128
    before = stored.read_bytes()
    assert shade(client("GET", f"/api/images/{image}/thumbnail").content) == 128
    assert stored.read_bytes() == before  # drawn once
