"""The web app's files: public, cached as their names allow, and nothing beside them."""

from __future__ import annotations

import gzip
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from urllib.parse import urljoin

import pytest

from pneumoscope.core.labels import DISCLAIMER
from pneumoscope.server.api.pages import FOLDER, Pages, accepts_gzip
from pneumoscope.server.settings import Settings
from server.client import Client, serve_client

SCRIPT = b"export const reading = 'room';\n" * 100


@pytest.fixture
def web(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A built app, as Vite leaves it."""
    folder = tmp_path / "web"
    (folder / "assets" / "codecs").mkdir(parents=True)
    (folder / "index.html").write_text("<!doctype html><title>Room</title>")
    (folder / "favicon.svg").write_text("<svg/>")
    (folder / "assets" / "index-B7y.js").write_bytes(SCRIPT)
    (folder / "assets" / "codecs" / "j2k-a1.wasm").write_bytes(b"\0asm")
    (tmp_path / "secret.key").write_text("secret")
    monkeypatch.setattr("pneumoscope.server.app.Pages", partial(Pages, folder))
    return folder


@pytest.fixture
def department(settings: Settings, web: Path) -> Iterator[Client]:
    """Of a server with accounts; nobody has logged in."""
    with serve_client(replace(settings, host="10.1.2.3", proxy="10.1.2.1")) as client:
        yield client


@pytest.mark.parametrize(
    ("address", "kind", "cache"),
    [
        ("/", "text/html; charset=utf-8", "no-cache"),
        ("/favicon.svg", "image/svg+xml", "no-cache"),
        ("/assets/index-B7y.js", "text/javascript; charset=utf-8", "public, max-age=31536000, immutable"),
        ("/assets/codecs/j2k-a1.wasm", "application/wasm", "public, max-age=31536000, immutable"),
    ],
)
def test_the_app_needs_no_login(department: Client, address: str, kind: str, cache: str) -> None:
    for method in ("GET", "HEAD"):
        answer = department(method, address)
        assert answer.status_code == 200
        assert answer.headers["content-type"] == kind
        assert answer.headers["cache-control"] == cache
        assert "default-src 'none'" in answer.headers["content-security-policy"]


def test_nothing_beside_the_app_is_public(department: Client, web: Path) -> None:
    (web / "assets" / "later.js").write_text("put there after the start")
    for address in (
        "/index.html", "/assets", "/assets/", "/assets/later.js", "/assets/index-b7y.js", "/assets/../secret.key",
        "/assets/..%2f..%2fsecret.key", "/assets/codecs", "/secret.key", "/assets/index-B7y.js/",
    ):  # fmt: skip
        assert department("GET", address).status_code == 401, address
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        assert department(method, "/").status_code in (401, 403), method


def test_pages_are_compressed_where_the_browser_accepts_it(department: Client) -> None:
    plain = department("GET", "/assets/index-B7y.js", headers={"Accept-Encoding": "identity"})
    assert plain.content == SCRIPT
    assert "content-encoding" not in plain.headers
    packed = department("GET", "/assets/index-B7y.js", headers={"Accept-Encoding": "br, gzip"})
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.content == SCRIPT  # unpacked by the client
    assert int(packed.headers["content-length"]) == len(gzip.compress(SCRIPT)) < len(SCRIPT)
    assert packed.headers["vary"] == plain.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize(
    ("accepts", "taken"),
    [("", False), ("gzip", True), ("*", True), ("br;q=1.0, gzip;q=0.5", True), ("gzip;q=0", False), ("br", False)],
)
def test_accept_encoding_decides_about_gzip(accepts: str, taken: bool) -> None:
    assert accepts_gzip(accepts) is taken


def test_the_first_page_is_revalidated_and_not_sent_again(department: Client) -> None:
    tag = department("GET", "/").headers["etag"]
    again = department("GET", "/", headers={"If-None-Match": tag})
    assert (again.status_code, again.content, again.headers["etag"]) == (304, b"", tag)
    assert department("GET", "/", headers={"If-None-Match": '"other"'}).status_code == 200


def test_pages_hold_no_data_and_are_not_in_the_audit_log(settings: Settings, web: Path) -> None:
    with serve_client(settings) as client:
        client("GET", "/")
        client("GET", "/assets/index-B7y.js")
        client("GET", "/api/me")
        assert [line["action"] for line in client.get("/api/audit")] == ["GET /api/me"]
        assert 'route="(web app)",status="200"} 2.0' in client("GET", "/metrics").text
        assert "/" not in client.get("/api/openapi.json")["paths"]


def test_other_host_names_and_floods_get_no_page(settings: Settings, web: Path) -> None:
    with serve_client(replace(settings, requests_per_minute=3)) as client:
        assert client("GET", "/", headers={"Host": "evil.example"}).status_code == 421
        assert [client("GET", "/").status_code for _ in range(4)] == [200, 200, 200, 429]


def test_without_a_built_app_a_page_says_so(settings: Settings, web: Path) -> None:
    (web / "index.html").unlink()
    with serve_client(settings) as client:
        page = client("GET", "/")
        assert "no built web app" in page.text
        assert DISCLAIMER in page.text
        assert client("GET", "/assets/index-B7y.js").status_code == 404


@pytest.mark.parametrize("page", ["index.html", "device.html"])
def test_the_app_in_the_package_is_complete(page: str) -> None:
    """What a page names is there."""
    home = (FOLDER / page).read_text() if (FOLDER / page).is_file() else ""
    if not home:
        pytest.skip("the web app is not built: npm run build, in web")
    named = [part.partition('"')[0] for part in home.replace('href="', 'src="').split('src="')[1:]]
    assert named
    assert {urljoin("/", name) for name in named} <= Pages().addresses
