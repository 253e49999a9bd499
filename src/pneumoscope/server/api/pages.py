"""The web app's files: they are public, since no patient's data is in them; nothing beside them is.

They are read once, when the server starts. That fixed list of paths answers without a login; no path of the disk is
ever built from a request. A name under ``assets/`` holds a hash of its content (Vite's build), so a browser may cache
it forever; ``index.html`` is requested each time, and answered 304 while it is the same.
"""

from __future__ import annotations

import gzip
import hashlib
import threading
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from pneumoscope.core.labels import DISCLAIMER

FOLDER = Path(__file__).resolve().parents[2] / "web"
"""Folder of the built app in the package; its sources are in the repository's ``web``."""
HOME = "index.html"
HASHED = "assets/"
_TYPES: Mapping[str, str] = MappingProxyType(
    {
        ".html": "text/html; charset=utf-8",
        ".js": "text/javascript; charset=utf-8",
        ".mjs": "text/javascript; charset=utf-8",
        ".css": "text/css; charset=utf-8",
        ".json": "application/json",
        ".svg": "image/svg+xml",
        ".txt": "text/plain; charset=utf-8",
        ".wasm": "application/wasm",
        ".webmanifest": "application/manifest+json",
        ".ico": "image/vnd.microsoft.icon",
        ".png": "image/png",
        ".woff2": "font/woff2",
    }
)
_COMPRESSED = frozenset({".png", ".woff2"})
"""Types that gzip makes no smaller."""


class Page:
    """One file of the app, in memory."""

    def __init__(self, name: str, content: bytes) -> None:
        suffix = Path(name).suffix
        self.address = "/" if name == HOME else f"/{name}"
        self.content = content
        self._gzip: bytes | None = None
        self._compresses = suffix not in _COMPRESSED
        self._lock = threading.Lock()
        # Weak: the same tag stands for the file as it is and compressed (RFC 9110, 8.8.1).
        self._tag = f'W/"{hashlib.sha256(content).hexdigest()[:20]}"'
        self._headers = {
            "Content-Type": _TYPES.get(suffix, "application/octet-stream"),
            "Cache-Control": "public, max-age=31536000, immutable" if name.startswith(HASHED) else "no-cache",
            "ETag": self._tag,
            "Vary": "Accept-Encoding",
        }

    def answer(self, request: Request) -> Response:
        """Answer a GET or a HEAD; uvicorn leaves the content of a HEAD out."""
        if self._tag in [tag.strip() for tag in request.headers.get("if-none-match", "").split(",")]:
            return Response(status_code=304, headers=self._headers)
        if self._compresses and accepts_gzip(request.headers.get("accept-encoding", "")):
            return Response(self.compressed(), headers={**self._headers, "Content-Encoding": "gzip"})
        return Response(self.content, headers=self._headers)

    def compressed(self) -> bytes:
        """Return the content as gzip, compressed on the first call."""
        with self._lock:
            if self._gzip is None:
                self._gzip = gzip.compress(self.content, mtime=0)
            return self._gzip


class Pages:
    """All files of the app; one page that says so where the app was not built."""

    def __init__(self, folder: Path = FOLDER) -> None:
        files = sorted(path for path in folder.rglob("*") if path.is_file()) if (folder / HOME).is_file() else []
        pages = [Page(path.relative_to(folder).as_posix(), path.read_bytes()) for path in files]
        self._pages = pages or [Page(HOME, _NOT_BUILT.encode())]
        self.addresses = frozenset(page.address for page in self._pages)

    def routes(self) -> list[Route]:
        """Return a route for each file: for exactly its path, and for GET and HEAD only."""
        return [Route(page.address, page.answer, methods=["GET"], include_in_schema=False) for page in self._pages]


def accepts_gzip(accepts: str) -> bool:
    """Return whether an Accept-Encoding names gzip, and not with a weight of 0 (RFC 9110, 12.5.3)."""
    for each in accepts.lower().split(","):
        coding, _, weight = each.partition(";")
        if coding.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False


_NOT_BUILT = f"""<!doctype html>
<html lang="en">
<title>Pneumoscope</title>
<p>This installation holds no built web app (npm run build, in the folder web); the API is described at
<a href="/api/openapi.json">/api/openapi.json</a>.</p>
<p>{DISCLAIMER}</p>
</html>
"""
