"""Sends 5,000 malformed requests and files to real servers and counts failures, hangs and leaks.

    python benchmarks/serve_fuzz.py [--requests 5000] [--seed 1] [-o result.json]

Against `pneumoscope serve` without accounts and with them (`--accounts`: a department's rules), in four parts:

*schema*: requests made from /api/openapi.json by Schemathesis, fitting and not; half of them about things that exist.
*files*: real PNG, JPEG and DICOM files, and ZIPs of them, with bytes changed, cut, repeated or moved.
*raw*: lines, headers, lengths, chunks and multipart bodies that break HTTP itself.
*stranger*: the same kinds without a session, where only health, login and the static pages may answer.

Each answer must come within the limit and be no 500; none may hold a trace, a path of the server, or the marker that
was planted as patient's name and number, file name, header value and search term. Nor may the log, the metrics, the
database or the stored files hold the marker (the tables of identities are sealed, so that all bytes are searched).
"""

from __future__ import annotations

import argparse
import json
import random
import re
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from PIL import Image
from schemathesis import GenerationMode
from serve_files import choose
from serve_load import Server

from pneumoscope.core.files import write_json
from pneumoscope.imaging.golden_files.encode import dicom
from pneumoscope.imaging.read import read

HERE = Path(__file__).resolve().parent


MARKER = "Qxmarker7Zv"
LIMIT = 30.0
"""Seconds that an answer may take."""
_SILENCE = 0.5
"""Seconds after which a server that answers nothing is taken to wait for the rest of a request."""
PASSWORD = "correct horse battery"
PAGES = re.compile(r"^/(healthz|assets/.*|favicon.*|)$")
"""What answers anyone."""


@dataclass
class Watch:
    """What was asked, and what was wrong with the answers."""

    traces: tuple[str, ...]
    asked: Counter[str] = field(default_factory=Counter)
    statuses: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)
    slowest: float = 0.0

    def check(self, part: str, what: str, status: int, text: str, seconds: float) -> None:
        """Judge one answer; ``status`` 0: the connection was closed without one."""
        self.asked[part] += 1
        self.statuses[f"{part} {status}"] += 1
        self.slowest = max(self.slowest, seconds)
        leaks = [trace for trace in self.traces if trace in text]
        if status >= 500 and status != 503:
            self.faults.append(f"{part}: {what}: {status} {text[:300]}")
        if leaks:
            self.faults.append(f"{part}: {what}: {status} gives away {leaks}: {text[:300]}")
        if seconds > LIMIT:
            self.faults.append(f"{part}: {what}: took {seconds:.0f} s")
        if part.startswith("stranger") and status // 100 == 2:
            self.faults.append(f"{part}: {what}: answered a stranger with {status}")


@dataclass
class Target:
    """A server, and how to speak to it."""

    server: Server
    mode: str
    headers: dict[str, str]

    @property
    def base(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.server.port}"

    def ask(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send a request that is well-formed as HTTP."""
        headers = {**self.headers, **options.pop("headers", {})}
        return requests.request(method, self.base + path, headers=headers, timeout=LIMIT, **options)

    def something(self, draw: random.Random) -> dict[str, str]:
        """Upload an image; return its numbers, by the names of path parameters."""
        files = {"files": (f"{MARKER}.png", _square(draw.randrange(256), 40 + draw.randrange(400)))}
        one = self.ask("POST", "/api/studies", files=files, data={"models": "builtin"}).json()["files"][0]
        prediction = (one["predictions"] or ["a1"])[0]
        return {"study": one["study"], "image": one["image"], "prediction": prediction, "model": "builtin"}


def _square(value: int, side: int) -> bytes:
    buffer = BytesIO()
    Image.fromarray(np.full((side, side), value, np.uint8)).save(buffer, "PNG")
    return buffer.getvalue()


def from_schema(target: Target, watch: Watch, count: int, part: str, number: int) -> None:
    """Send what Schemathesis makes of the API's description."""
    document = target.ask("GET", "/api/openapi.json").json() if part == "schema" else DOCUMENT[0]
    DOCUMENT[:] = [document]
    schema = schemathesis.openapi.from_dict(document)
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [each for each in operations if each.path not in ("/api/events", "/api/logout")]
    draw, numbers = random.Random(number), dict[str, str]()
    before = watch.asked[f"{part} {target.mode}"]

    def send(case: Any) -> None:
        nonlocal numbers
        if draw.random() < 0.05 and part == "schema":
            numbers = target.something(draw)
        if draw.random() < 0.5:
            case.path_parameters = {key: numbers.get(key, value) for key, value in (case.path_parameters or {}).items()}
        begun = time.perf_counter()
        try:
            headers = {**(case.headers or {}), **target.headers, "X-Marker": MARKER}
            answer = case.call(base_url=target.base, headers=headers, timeout=LIMIT)
            status, text = answer.status_code, answer.text
        except requests.Timeout:
            status, text = 0, ""
        except (requests.RequestException, UnicodeError, ValueError):  # the client itself could not send it
            return
        if part == "stranger" and (case.path, status) == ("/healthz", 200):
            return
        spent = time.perf_counter() - begun
        watch.check(f"{part} {target.mode}", f"{case.method} {case.path}", status, text, spent)

    round_ = 0
    while watch.asked[f"{part} {target.mode}"] - before < count and round_ < 20:
        round_ += 1
        each = max(2, (count - watch.asked[f"{part} {target.mode}"] + before) // (2 * len(operations)) + 1)
        for operation in operations:
            for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):
                with suppress(Exception):  # an operation that takes nothing can't be asked wrongly
                    strategy = operation.as_strategy(generation_mode=mode)
                    how = settings(
                        max_examples=each, deadline=None, database=None, phases=[Phase.generate],
                        suppress_health_check=list(HealthCheck),
                    )  # fmt: skip
                    how(seed(number + round_)(given(case=strategy)(send)))()


DOCUMENT: list[Any] = []


def mutants(good: bytes, draw: random.Random) -> Iterator[bytes]:
    """Yield broken copies of a file without end."""
    while True:
        data = bytearray(good)
        for _ in range(draw.choice((1, 1, 3, 20))):
            # Headers, tags and directories are at both ends: half of the changes go there.
            at = draw.choice((draw.randrange(len(data)), draw.randrange(min(len(data), 600)), -draw.randrange(1, 200)))
            kind = draw.randrange(6)
            if kind == 0:
                data[at] = draw.randrange(256)
            elif kind == 1:
                del data[at : at + draw.randrange(1, 60)]
            elif kind == 2:
                data[at:at] = data[at : at + draw.randrange(1, 60)]
            elif kind == 3:
                data[at : at + 4] = draw.choice((b"\xff\xff\xff\xff", b"\0\0\0\0", b"\x7f\xff\xff\xff", b"\0\0\0\x80"))
            elif kind == 4:
                del data[len(data) - draw.randrange(1, len(data)) :]
            else:
                data[at : at + 8] = draw.randbytes(8)
            if len(data) < 300:
                break
        yield bytes(data)


def seeds(files: list[str], draw: random.Random) -> dict[str, list[bytes]]:
    """Return good files of each kind; the DICOM ones are of a patient called by the marker."""
    by_kind: dict[str, list[bytes]] = {"png": [], "jpeg": [], "dicom": [], "zip": []}
    for path in files:
        data = Path(path).read_bytes()
        if len(data) < 300_000:
            by_kind.setdefault({"89": "png", "ff": "jpeg"}.get(data[:1].hex(), "dicom"), []).append(data)
    names = {"PatientName": f"{MARKER}^A", "PatientID": MARKER, "AccessionNumber": MARKER, "BurnedInAnnotation": "NO"}
    more = {"StudyDescription": MARKER, "InstitutionName": MARKER, "ImageComments": MARKER, "ViewPosition": "PA"}
    by_kind["dicom"] = []
    for path in files[:12]:
        samples = np.rint(read(path).pixels[:200, :200] * 4095).astype(np.uint16)
        by_kind["dicom"].append(
            dicom(samples, 12, {**names, **more, "StudyInstanceUID": f"2.25.{draw.getrandbits(60)}"})
        )
    for _ in range(6):
        buffer = BytesIO()
        with zipfile.ZipFile(buffer, "w", draw.choice((zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED))) as archive:
            archive.writestr(f"../{MARKER}.png", draw.choice(by_kind["png"]))
            archive.writestr(f"/etc/{MARKER}/x.dcm", draw.choice(by_kind["dicom"]))
        by_kind["zip"].append(buffer.getvalue())
    return {kind: found for kind, found in by_kind.items() if found}


def of_files(target: Target, watch: Watch, count: int, good: dict[str, list[bytes]], draw: random.Random) -> None:
    """Upload broken files, under names and types that say who it is."""
    broken = {kind: [mutants(data, draw) for data in found] for kind, found in good.items()}
    with requests.Session() as session:
        for number in range(count):
            kind = list(broken)[number % len(broken)]
            data = next(draw.choice(broken[kind]))
            begun = time.perf_counter()
            try:
                answer = session.post(
                    f"{target.base}/api/studies",
                    files=[("files", (f"{MARKER} {number}.{kind}", data, f"image/{MARKER}"))],
                    data={"models": "builtin"} if number % 3 == 0 else {},
                    headers={**target.headers, "User-Agent": MARKER},
                    timeout=LIMIT,
                )
                status, text = answer.status_code, answer.text
            except requests.RequestException as error:
                status, text = 599, type(error).__name__
            watch.check(f"files {target.mode}", f"a broken {kind}", status, text, time.perf_counter() - begun)
            if status == 429:
                time.sleep(1)


def raw(target: Target, watch: Watch, count: int, draw: random.Random, part: str = "raw") -> None:
    """Send bytes that are hardly HTTP, and see what comes back."""
    own = [f"{name}: {value}".encode() for name, value in target.headers.items()]
    marker, form = MARKER.encode(), b"Content-Type: multipart/form-data; boundary=x"

    def of(line: bytes, *headers: bytes, body: bytes = b"", host: bytes = b"localhost") -> bytes:
        return b"\r\n".join((line + b" HTTP/1.1", b"Host: " + host, b"Connection: close", *own, *headers, b"", body))

    def noise(size: int) -> bytes:
        return draw.randbytes(size).replace(b"\r", b"").replace(b"\n", b"")

    lengths = b"-1", b"1e3", b"0x10", b"9" * 20, b"5, 7", b"\xb2"
    kinds = b"", b"; boundary=", b"; boundary=" + b"y" * 300, b'; boundary="x'
    shapes: list[Callable[[], bytes]] = [
        lambda: draw.randbytes(draw.randrange(1, 400)) + b"\r\n\r\n",
        lambda: of(b"GET /" + noise(60)),
        lambda: of(b"GET /api/studies?patient=" + marker + b"%00%ff&limit=" + str(draw.getrandbits(80)).encode()),
        lambda: of(b"GET /api/studies?received_from=" + marker + b"&after=" + noise(20).hex().encode()),
        lambda: of(b"POST /api/studies", b"Content-Length: " + draw.choice(lengths), body=b"hello"),
        lambda: of(b"POST /api/studies", form, b"Transfer-Encoding: chunked", body=b"zz\r\n" + draw.randbytes(9)),
        lambda: of(b"POST /api/studies", form, b"Transfer-Encoding: chunked", body=b"-5\r\nabc\r\n0\r\n\r\n"),
        lambda: of(
            b"POST /api/studies", b"Content-Type: multipart/form-data" + draw.choice(kinds), b"Content-Length: 60",
            body=draw.randbytes(60),
        ),
        lambda: of(
            b"POST /api/studies", form, b"Content-Length: 120",
            body=b'--x\r\nContent-Disposition: form-data; name="files"; filename="' + marker + draw.randbytes(80),
        ),
        lambda: of(b"POST /api/login", b"Content-Length: 30", body=draw.randbytes(30)),
        lambda: of(b"GET /api/studies", b"Cookie: session=" + marker + b";=;;\x80\xff"),
        lambda: of(b"GET /api/studies", host=marker + b".example"),
        lambda: of(b"GET /api/studies", b"Authorization: Bearer " + marker + b"\xff"),
        lambda: of(b"GET /api/me", b"X-A: " + b"b" * draw.choice((10, 70_000))),
        lambda: of(b"GET /" + marker + b"/%2e%2e/%2e%2e/etc/passwd"),
        lambda: of(b"GET /assets/../../" + draw.choice((b"secret.key", b"..%2f..%2fetc/passwd", b"%00"))),
        lambda: of(draw.choice((b"BREW", b"OPTIONS", b"TRACE", b"PUT", marker)) + b" /api/studies"),
        lambda: of(b"GET /api/events", b"Last-Event-ID: " + marker, b"Content-Length: 7", body=b"{"),
    ]  # fmt: skip
    for number in range(count):
        sent, begun = shapes[number % len(shapes)](), time.perf_counter()
        text = _exchanged(target.server.port, sent)
        status = int(match[1]) if (match := re.match(r"HTTP/1\.[01] (\d{3})", text)) else 0
        path = match[1] if (match := re.match(r"[A-Z]+ (/\S*)", sent.decode("latin-1"))) else ""
        if part == "stranger" and PAGES.match(path.partition("?")[0]):
            continue
        what = repr(sent.split(b"\r\n")[0][:60])
        watch.check(f"{part} {target.mode}", what, status, text, time.perf_counter() - begun)


def _exchanged(port: int, sent: bytes) -> str:
    """Send bytes and return what comes back until the connection ends, or nothing more comes for a while."""
    data = b""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=LIMIT) as connection:
        connection.sendall(sent)
        connection.settimeout(_SILENCE)
        while piece := connection.recv(65536):
            data += piece
    return data.decode("latin-1")


def leftovers(target: Target, home: Path, log: Path) -> list[str]:
    """Return where the marker, or a trace of an error, is left after all."""
    lines = log.read_text(errors="replace").splitlines()
    faults = [f"the log says: {line[:300]}" for line in lines if MARKER in line or "Traceback" in line]
    if MARKER in target.ask("GET", "/metrics").text:
        faults.append("the metrics hold the marker")
    files = [path for path in home.rglob("*") if path.is_file()]
    faults += [f"{path.name} holds the marker" for path in files if MARKER.encode() in path.read_bytes()]
    if target.ask("GET", "/healthz").status_code != 200:
        faults.append("the server is no longer well")
    return faults


def started(folder: Path, mode: str) -> Target:
    """Start a server, with an account and its token in department mode."""
    home = folder / mode
    server = Server(home, 1)
    headers: dict[str, str] = {}
    if mode == "department":
        server.command.append("--accounts")
        users = [*server.command[:3], "users", "add", "fuzz", "--admin", "--password-stdin", "--home", str(home)]
        subprocess.run(users, input=PASSWORD, text=True, check=True, capture_output=True)
    server.start()
    if mode == "department":
        base = f"http://127.0.0.1:{server.port}"
        with requests.Session() as session:
            me = session.post(f"{base}/api/login", json={"name": "fuzz", "password": PASSWORD}, timeout=LIMIT).json()
            token = session.post(
                f"{base}/api/me/tokens", json={"label": "fuzz"}, headers={"X-CSRF-Token": me["csrf"]}, timeout=LIMIT
            )
        headers = {"Authorization": f"Bearer {token.json()['token']}"}
    return Target(server, mode, headers)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=HERE.parents[1] / "shared" / "data")
    parser.add_argument("--requests", type=int, default=5000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("-o", "--out", type=Path)
    options = parser.parse_args()
    draw, left, begun = random.Random(options.seed), [], time.perf_counter()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        watch = Watch((MARKER, "Traceback", "site-packages", str(folder), "sqlite", "sqlalchemy", 'File "'))
        good = seeds(choose(options.data, 60, folder / "made", options.seed)[0], draw)
        for mode in ("local", "department"):
            target, share = started(folder, mode), options.requests / 2
            from_schema(target, watch, round(share * 0.4), "schema", options.seed)
            target.ask(
                "POST", "/api/models/builtin/switch", json={"on": True, "reason": "it may have been switched off"}
            )
            of_files(target, watch, round(share * (0.45 if mode == "local" else 0.3)), good, draw)
            raw(target, watch, round(share * 0.15), draw)
            if mode == "department":
                stranger = Target(target.server, mode, {})
                from_schema(stranger, watch, round(share * 0.1), "stranger", options.seed)
                raw(stranger, watch, round(share * 0.05), draw, "stranger")
            left += [f"{mode}: {each}" for each in leftovers(target, folder / mode, folder / f"{mode}.log")]
            target.server.stop()
            print(f"{mode}: {sum(watch.asked.values())} asked, {len(watch.faults)} faults", flush=True)
    report = {
        "requests": sum(watch.asked.values()),
        "parts": dict(watch.asked),
        "statuses": dict(sorted(watch.statuses.items())),
        "slowest": round(watch.slowest, 2),
        "seconds": round(time.perf_counter() - begun),
        "faults": watch.faults,
        "left behind": left,
    }
    print(json.dumps(report, indent=2))
    if options.out:
        write_json(options.out, report)
    sys.exit(1 if watch.faults or left else 0)


if __name__ == "__main__":
    main()
