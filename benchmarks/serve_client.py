"""Clients that upload files and wait for their answers: one process, asyncio, plain HTTP/1.1 over kept connections.

    python benchmarks/serve_client.py --port 8000 --files files.json --clients 16 --model builtin --out result.json

Its processor time counts in the benchmarks, so it does no more than a client must: it frames its own requests, reads
status, headers and body as declared (Content-Length or chunked), keeps connections, and does what a sensible client
does when something goes wrong: waits as Retry-After says, sends again after a broken connection, gives up on any other
refusal. With a model, the server is Pneumoscope, and the upload asks to wait for its answer (`Prefer: wait`); with
``--watch`` one event stream (as a page has) tells when an answer is there, then it is fetched. Without a model, it is a
server whose reply to the upload is the answer.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import resource
import sys
import time
from collections import deque
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

BOUNDARY = "pneumoscope-benchmark-5f3b9a"
PATIENCE = 120.0
"""Seconds that one file may take, retries included."""
LOOK_AGAIN = 10.0
"""Seconds without news after which an answer is asked for anyway."""


class BrokenError(Exception):
    """The connection ended before the answer did."""


class Connection:
    """One kept connection."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def ask(self, method: str, path: str, *body: bytes, **headers: str) -> tuple[int, dict[str, str], bytes]:
        """Send a request; return status, headers and the whole body.

        Raises:
            BrokenError: There is no server, or no whole answer.
        """
        status, answer_headers = await self.begin(method, path, *body, **headers)
        assert self._reader is not None
        try:
            content = await self._reader.readexactly(int(answer_headers["content-length"]))
        except (OSError, EOFError) as error:
            self.close()
            raise BrokenError from error
        if answer_headers.get("connection") == "close":
            self.close()
        return status, answer_headers, content

    async def begin(self, method: str, path: str, *body: bytes, **headers: str) -> tuple[int, dict[str, str]]:
        """Send a request; return status and headers."""
        try:
            if self._writer is None:
                self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
            lines = [f"{method} {path} HTTP/1.1", f"Host: 127.0.0.1:{self._port}"]
            if body:
                lines.append(f"Content-Length: {sum(map(len, body))}")
            lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
            self._writer.writelines([("\r\n".join(lines) + "\r\n\r\n").encode(), *body])
            assert self._reader is not None
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        except (OSError, EOFError) as error:
            self.close()
            raise BrokenError from error
        pairs = (line.partition(":") for line in head[1:-2])
        return int(head[0].split(" ")[1]), {name.lower(): value.strip() for name, _, value in pairs}

    async def chunk(self) -> bytes:
        """Return the next chunk of a chunked answer (RFC 9112 7.1)."""
        assert self._reader is not None
        try:
            size = int((await self._reader.readuntil(b"\r\n")).partition(b";")[0], 16)
            content = await self._reader.readexactly(size + 2)
        except (OSError, EOFError) as error:
            raise BrokenError from error
        if not size:
            raise BrokenError
        return content[:-2]

    def close(self) -> None:
        """Close it; the next request opens another."""
        if self._writer is not None:
            self._writer.close()
        self._reader = self._writer = None


@dataclass
class Done:
    """What became of one file."""

    file: str
    upload: float = 0.0
    """Seconds until it was accepted, retries included."""
    answer: float = 0.0
    """Seconds until its answer was here."""
    retries: int = 0
    put_off: int = 0
    """Answers 429 and 503."""
    study: str = ""
    image: str = ""
    prediction: str = ""
    result: dict[str, Any] | None = None
    error: str = ""


@dataclass
class Run:
    """A run under way."""

    port: int
    model: str
    watch: bool
    todo: deque[str]
    finished: list[Done] = field(default_factory=list)
    news: dict[str, asyncio.Future[None]] = field(default_factory=dict)
    early: set[str] = field(default_factory=set)
    begun: float = field(default_factory=time.perf_counter)


def multipart(data: bytes, model: str) -> tuple[bytes, bytes, bytes]:
    """Return the body of an upload of one file (RFC 7578)."""
    models = f'Content-Disposition: form-data; name="models"\r\n\r\n{model}\r\n--{BOUNDARY}\r\n' if model else ""
    name = "files" if model else "file"
    head = (
        f"--{BOUNDARY}\r\n{models}"
        f'Content-Disposition: form-data; name="{name}"; filename="image"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    )
    return head.encode(), data, f"\r\n--{BOUNDARY}--\r\n".encode()


async def persist(connection: Connection, done: Done, method: str, path: str, *body: bytes, **headers: str) -> bytes:
    """Ask until there is an answer, as a sensible client does; return its body.

    Raises:
        RuntimeError: The server refused it.
    """
    if body:
        headers["Content_Type"] = f"multipart/form-data; boundary={BOUNDARY}"
    wait, until = 0.1, time.perf_counter() + PATIENCE
    while time.perf_counter() < until:
        try:
            async with asyncio.timeout(30):
                status, found, content = await connection.ask(method, path, *body, **headers)
        except (BrokenError, TimeoutError):
            connection.close()
            done.retries += 1
            await asyncio.sleep(wait)
            wait = min(2.0, 2 * wait)
            continue
        if status in (429, 503):
            done.put_off += 1
            await asyncio.sleep(float(found.get("retry-after", "1")))
        elif status // 100 == 2:
            return content
        else:
            raise RuntimeError(f"{method} {path.partition('?')[0][:12]}: {status} {content[:300]!r}")
    raise RuntimeError("no answer in time")


async def one(run: Run, connection: Connection, file: str) -> Done:
    """Upload one file and wait for its answer."""
    done, begun = Done(file), time.perf_counter()
    body = multipart(Path(file).read_bytes(), run.model)
    try:
        if not run.model:
            done.result = json.loads(await persist(connection, done, "POST", "/predict", *body))
            done.upload = done.answer = time.perf_counter() - begun
            return done
        prefer = {} if run.watch else {"Prefer": "wait=20"}
        reply = json.loads(await persist(connection, done, "POST", "/api/studies", *body, **prefer))
        sent = reply["files"][0]
        done.upload = time.perf_counter() - begun
        if sent["status"] == "refused":
            raise RuntimeError(sent["problem"])
        done.study, done.image = sent["study"], sent["image"]
        look(done, reply.get("answers") or ())
        waits_for = sent["predictions"][0] if sent["predictions"] else ""  # none: asked by an upload that was cut off
        while done.result is None:
            await news_of(run, waits_for, time.perf_counter() - begun)
            look(done, json.loads(await persist(connection, done, "GET", f"/api/studies/{done.study}/predictions")))
            if done.result is None and time.perf_counter() - begun > PATIENCE:
                raise RuntimeError("no prediction in time")
        done.answer = time.perf_counter() - begun
        done.error = done.result.get("error", "")
    except RuntimeError as error:
        done.error = str(error)
    return done


def look(done: Done, rows: Iterable[dict[str, Any]]) -> None:
    """Take the answer, if it is there."""
    for row in rows:
        if row["image"] == done.image and row["state"] in ("done", "failed"):
            done.prediction, done.result = row["id"], row["result"]


async def news_of(run: Run, prediction: str, waited: float) -> None:
    """Return when a prediction is said to be finished, or after a while."""
    if prediction in run.early:
        run.early.discard(prediction)
        return
    if not prediction or not run.watch:  # look now and then
        await asyncio.sleep(0.0 if waited < 1 else 1.0)
        return
    future = run.news[prediction] = asyncio.get_running_loop().create_future()
    with suppress(TimeoutError):
        await asyncio.wait_for(future, LOOK_AGAIN)
    run.news.pop(prediction, None)


async def watch(run: Run) -> None:
    """Follow the event stream, and take it up again where it broke."""
    connection, last, rest = Connection(run.port), "0", b""
    while True:
        try:
            status, _ = await connection.begin("GET", "/api/events", Last_Event_ID=last)
            while status == 200:
                *lines, rest = (rest + await connection.chunk()).split(b"\n")
                for line in lines:
                    if line.startswith(b"id: "):
                        last = line[4:].decode()
                    elif line.startswith(b"data: ") and (b'"done"' in line or b'"failed"' in line):
                        tell(run, json.loads(line[6:])["id"])
        except BrokenError:
            pass
        connection.close()
        rest = b""
        await asyncio.sleep(0.2)


def tell(run: Run, prediction: str) -> None:
    """Wake the threads that wait for a prediction; it may be finished before its upload is answered."""
    future = run.news.get(prediction)
    if future is None:
        run.early.add(prediction)
    elif not future.done():
        future.set_result(None)


async def client(run: Run) -> None:
    """Send one file after the other."""
    connection = Connection(run.port)
    while run.todo:
        done = await one(run, connection, run.todo.popleft())
        run.finished.append(done)
        if len(run.finished) % 10 == 0:
            print(len(run.finished), flush=True)  # the harness kills by it
    connection.close()


async def everything(run: Run, clients: int) -> None:
    """Run all clients to the end."""
    watcher = asyncio.create_task(watch(run)) if run.model and run.watch else None
    await asyncio.gather(*(client(run) for _ in range(clients)))
    if watcher is not None:
        watcher.cancel()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--files", type=Path, required=True, help="JSON list of paths")
    parser.add_argument("--clients", type=int, required=True)
    parser.add_argument("--model", default="", help="which model to ask; none: the reply to the upload is the answer")
    parser.add_argument("--watch", action="store_true", help="follow the event stream instead of waiting")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    run = Run(options.port, options.model, options.watch, deque(json.loads(options.files.read_text())))
    before = resource.getrusage(resource.RUSAGE_SELF)
    begun = time.perf_counter()
    asyncio.run(everything(run, options.clients))
    seconds, after = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    result = {"seconds": seconds, "cpu": cpu, "files": [asdict(done) for done in run.finished]}
    options.out.write_text(json.dumps(result))
    sys.stdout.flush()


if __name__ == "__main__":
    main()
