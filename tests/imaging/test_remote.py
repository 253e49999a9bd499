"""Files at addresses: an S3 server of this test's own, fsspec's memory, and what is said where one is not there."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, unquote, urlparse

import numpy as np
import pytest
from PIL import Image

from pneumoscope.core.errors import ImageError, MissingExtraError, UsageError
from pneumoscope.data.manifest import Manifest
from pneumoscope.data.masks import read_mask
from pneumoscope.imaging import remote
from pneumoscope.imaging.files import find_images
from pneumoscope.imaging.read import read
from pneumoscope.inference.journal import stamp


class BucketHandler(BaseHTTPRequestHandler):
    """The four requests of S3 that reading needs, on the files of a folder; signatures are not checked."""

    protocol_version = "HTTP/1.1"

    def __init__(self, folder: Path, *rest: object) -> None:
        self.folder = folder
        super().__init__(*rest)  # type: ignore[arg-type]

    def log_message(self, *_: object) -> None:
        """Print nothing."""

    def do_HEAD(self) -> None:
        """Answer for an object without its bytes."""
        self.do_GET()

    def do_GET(self) -> None:
        """Answer for an object, or list those below a prefix."""
        url = urlparse(self.path)
        bucket, _, key = unquote(url.path).lstrip("/").partition("/")
        if not key:
            prefix = parse_qs(url.query).get("prefix", [""])[0]
            paths = sorted(path for path in (self.folder / bucket).rglob("*") if path.is_file())
            names = [(path.relative_to(self.folder / bucket).as_posix(), path.stat().st_size) for path in paths]
            found = "".join(
                f"<Contents><Key>{name}</Key><Size>{size}</Size>"
                "<LastModified>2026-01-01T00:00:00.000Z</LastModified></Contents>"
                for name, size in names
                if name.startswith(prefix)
            )
            count = f"<KeyCount>{found.count('<Key>')}</KeyCount>"
            listing = f"<IsTruncated>false</IsTruncated>{count}<Prefix>{prefix}</Prefix>{found}"
            self.answer(200, f"<?xml version='1.0'?><ListBucketResult>{listing}</ListBucketResult>".encode())
        elif (self.folder / bucket / key).is_file():
            content = (self.folder / bucket / key).read_bytes()
            if span := self.headers.get("Range"):
                first, last = span.removeprefix("bytes=").split("-")
                last = min(int(last or len(content)), len(content) - 1)
                part = content[int(first) : int(last) + 1]
                self.answer(206, part, {"Content-Range": f"bytes {first}-{last}/{len(content)}"})
            else:
                self.answer(200, content)
        else:
            self.answer(404, b"<Error><Code>NoSuchKey</Code><Message>none</Message></Error>")

    def answer(self, code: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        """Send a response."""
        self.send_response(code)
        more = {"Last-Modified": "Thu, 01 Jan 2026 00:00:00 GMT", "ETag": '"1"', **(headers or {})}
        for name, value in {"Content-Length": str(len(body)), **more}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The folder that s3://films is."""
    folder = tmp_path / "server" / "films"
    (folder / "set" / "more").mkdir(parents=True)
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(BucketHandler, folder.parent))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    for name, value in {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{server.server_port}",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_EC2_METADATA_DISABLED": "true",
    }.items():
        monkeypatch.setenv(name, value)
    remote._system.cache_clear()
    yield folder
    remote._system.cache_clear()
    server.shutdown()
    server.server_close()


def draw(path: Path, level: int = 100) -> Path:
    """Write a grey picture of 40 x 30 pixels."""
    Image.new("L", (40, 30), level).save(path)
    return path


@pytest.mark.parametrize(
    ("path", "address"),
    [
        ("s3://films/set/a.png", "s3://films/set/a.png"),
        (Path("s3://films/set") / "a.png", "s3://films/set/a.png"),  # as a manifest joins root and image
        (Path("file:///data/a.png"), "file:///data/a.png"),
        ("memory://a.png", "memory:///a.png"),
        ("/data/a.png", None),
        ("C:/data/a.png", None),
        ("a:b/c.png", None),
        (Path("set") / "a.png", None),
    ],
)
def test_an_address_is_told_from_a_path(path: str | Path, address: str | None) -> None:
    assert remote.address_of(path) == address


def test_a_file_in_a_bucket_is_read_as_the_same_file_on_disk(bucket: Path) -> None:
    local = draw(bucket / "set" / "a.png")
    here, there = read(local), read("s3://films/set/a.png")
    assert here.sha256 == there.sha256
    np.testing.assert_array_equal(here.pixels, there.pixels)
    np.testing.assert_array_equal(read_mask(Path("s3://films/set/a.png")), read_mask(local))
    assert stamp("s3://films/set/a.png") == [local.stat().st_size, 1767225600 * 10**9]
    assert stamp("s3://films/set/b.png") is None


def test_the_images_of_a_folder_in_a_bucket_are_found(bucket: Path) -> None:
    for name in ("b.png", "a.png", "more/c.dcm", ".hidden.png", "notes.txt"):
        draw(bucket / "set" / name.replace(".dcm", ".png").replace(".txt", ".png")).rename(bucket / "set" / name)
    found = find_images(["s3://films/set/", Path("s3://films/none.png")])
    assert found.files == [
        *(f"s3://films/set/{name}" for name in ("a.png", "b.png", "more/c.dcm")),
        "s3://films/none.png",
    ]
    assert found.passed_over == {"hidden": 1, ".txt": 1}


def test_an_object_that_is_not_there_is_named(bucket: Path) -> None:
    with pytest.raises(ImageError, match=r"s3://films/set/none.png: there is no such file"):
        read("s3://films/set/none.png")


def test_a_server_that_does_not_answer_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    from pyarrow import fs

    one_attempt = fs.S3FileSystem(
        endpoint_override="http://127.0.0.1:9", access_key="a", secret_key="b",
        retry_strategy=fs.AwsStandardS3RetryStrategy(max_attempts=1),
    )  # fmt: skip
    monkeypatch.setattr(remote, "_system", lambda protocol, bucket: one_attempt)
    with pytest.raises(ImageError, match=r"s3://films/a.png: cannot be read: "):
        read("s3://films/a.png")
    with pytest.raises(UsageError, match=r"s3://films/a.png: cannot be listed: "):
        find_images(["s3://films/a.png"])


def test_a_manifest_whose_source_lies_in_a_bucket(bucket: Path, phantom_set: Manifest, tmp_path: Path) -> None:
    source = phantom_set.table.source[0]
    rows = phantom_set.where(np.arange(len(phantom_set)) == 0)
    target = bucket / "set" / rows.table.image[0]
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_bytes(rows.paths()[0].read_bytes())
    Manifest.from_rows(rows.table.to_dict("records"), {source: Path("s3://films/set")}).write(tmp_path / "m.parquet")
    moved = Manifest.read(tmp_path / "m.parquet")
    assert read(moved.paths()[0]).sha256 == rows.table.sha256[0]
    phantom_root = str(phantom_set.roots[source])
    assert Manifest.read(tmp_path / "m.parquet", {source: phantom_root}).paths() == rows.paths()


def test_fsspec_opens_other_addresses(tmp_path: Path) -> None:
    fsspec = pytest.importorskip("fsspec", reason="no fsspec: pip install 'pneumoscope[remote]'")
    local = draw(tmp_path / "a.png")
    with fsspec.open("memory://films/a.png", "wb") as file:
        file.write(local.read_bytes())
    assert find_images(["memory://films"]).files == ["memory:///films/a.png"]
    assert read("memory://films/a.png").sha256 == read(local).sha256 == read(f"file://{local}").sha256
    with pytest.raises(ImageError, match="there is no such file"):
        read("memory://films/b.png")
    with pytest.raises(UsageError, match="no kind of address that is known"):
        read("nowhere://films/b.png")


def test_a_missing_library_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    remote._system.cache_clear()
    monkeypatch.setitem(sys.modules, "fsspec", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'pneumoscope\[remote\]'"):
        read("memory://films/a.png")
