"""The built web app in a real browser, on a running server of its own with drawn studies.

Skips, and says so, where there is no Chromium or no Playwright. Every page watches its console: an error there, a
request to another site or a script that fails ends the test.
"""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from pneumoscope.data.phantoms.files import write_png
from pneumoscope.data.phantoms.phantom import draw
from pneumoscope.server.administration import add_account
from pneumoscope.server.settings import Settings

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

DESKTOP = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
PATIENCE = 60_000
"""Milliseconds for which a test waits for what a page shall show."""


@dataclass(frozen=True)
class Site:
    """A running server."""

    url: str
    home: Path

    def api(self, method: str, path: str, **options: Any) -> Any:
        """Ask the server as a program does; return the JSON it answers with."""
        answer = httpx.request(method, self.url + path, timeout=30, **options)
        assert answer.is_success, answer.text
        return answer.json() if answer.content else None

    def upload(self, *files: bytes, models: tuple[str, ...] = ("covid",)) -> list[str]:
        """Upload files and wait for the answers; return the studies."""
        parts = [("files", (f"{number}.bin", data)) for number, data in enumerate(files)]
        made = self.api("POST", "/api/studies", files=parts, data={"models": list(models)})
        studies = list(dict.fromkeys(one["study"] for one in made["files"]))
        for study in studies:
            self.wait(study)
        return studies

    def wait(self, study: str, seconds: float = 60) -> None:
        """Wait until every answer about a study is there."""
        end = time.monotonic() + seconds
        while any(p["state"] in ("queued", "running") for p in self.api("GET", f"/api/studies/{study}")["predictions"]):
            assert time.monotonic() < end, "no answer in time"
            time.sleep(0.1)


@contextmanager
def running(home: Path, *options: str) -> Iterator[Site]:
    """Run `pneumoscope serve` on a free port of this machine until the block ends."""
    with closing(socket.socket()) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "pneumoscope", "serve", "--home", str(home), "--port", str(port), *options]
    with (home.parent / f"{home.name}.log").open("wb") as log:
        process = subprocess.Popen([*command, "--workers", "1"], stdout=log, stderr=log)
        try:
            site = Site(f"http://127.0.0.1:{port}", home)
            end = time.monotonic() + 120
            while True:
                try:
                    httpx.get(site.url + "/healthz", timeout=5).raise_for_status()
                    break
                except httpx.HTTPError:
                    assert process.poll() is None and time.monotonic() < end, "the server did not start"
                    time.sleep(0.1)
            yield site
        finally:
            process.terminate()
            process.wait(30)


def drawn(number: int, label: str = "covid-19", size: int = 512) -> bytes:
    """A drawn radiograph as the bytes of a PNG file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "drawn.png"
        write_png(path, draw(2020, number, label, size=size).pixels)
        return path.read_bytes()


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server for this machine alone, with three drawn studies that the built-in model has answered."""
    with running(tmp_path_factory.mktemp("site") / "home") as made:
        made.upload(*(drawn(number, label) for number, label in enumerate(("covid-19", "normal", "viral-pneumonia"))))
        yield made


@pytest.fixture(scope="session")
def department(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A server that asks for a login and lets the reader read first; its admin is ``chief``, password ``PASSWORD``."""
    home = tmp_path_factory.mktemp("department") / "home"
    add_account(Settings(home=home), "chief", PASSWORD, admin=True, sees_names=True)  # without a second Python
    with running(home, "--accounts") as made:
        yield made


PASSWORD = "a long enough password"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's Chromium, or another one on this machine.

    Its headless program comes first: it draws pages alone, without the windows around them, in two thirds of the time.
    One a file: while it is open Playwright's event loop runs in this process, in which other tests use their own.
    """
    api = pytest.importorskip("playwright.sync_api", reason="no playwright: pip install 'pneumoscope[dev]'")
    names = ("chromium-headless-shell", "chromium", "chromium-browser", "google-chrome")
    program = next(filter(None, map(shutil.which, names)), None)
    if program is None:
        pytest.skip("no Chromium: apt-get install chromium")
    api.expect.set_options(timeout=PATIENCE)
    with api.sync_playwright() as play:
        # As root Chromium can't build its sandbox; what it opens here is ours alone.
        root = hasattr(os, "geteuid") and os.geteuid() == 0
        opened = play.chromium.launch(executable_path=program, args=["--no-sandbox"] if root else [])
        yield opened
        opened.close()


SEEN = pytest.StashKey[list[tuple["Page", list[str]]]]()
"""The pages of a test, each with what its console said and which of its requests failed."""


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, Any]:
    """Say what the pages of a failed test showed: where a test waited in vain, the page says why."""
    report = yield
    if call.when == "call" and report.failed:
        for page, said in item.stash.get(SEEN, []):
            with suppress(Exception):  # a page that is closed or hangs has nothing to say
                page.set_default_timeout(5000)
                shown = page.locator("body").inner_text()
                report.sections.append((f"Page {page.url}", "\n".join([shown, "", "The console and requests:", *said])))
    return report


@pytest.fixture
def new_page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Callable[..., Page]]:
    """Make pages whose consoles must stay silent."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []
    seen = request.node.stash.setdefault(SEEN, [])

    def make(size: dict[str, int] = DESKTOP, **options: Any) -> Page:
        context = browser.new_context(
            viewport=size,
            locale="en-US",
            reduced_motion="reduce",
            **options,  # type: ignore[arg-type]
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda said: complaints.append(said.text) if said.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        said: list[str] = []
        seen.append((page, said))
        page.on("console", lambda message: said.append(f"{message.type}: {message.text}"))
        page.on("requestfailed", lambda sent: said.append(f"no answer ({sent.failure}): {sent.method} {sent.url}"))
        page.on("response", lambda got: said.append(f"{got.status}: {got.url}") if got.status >= 400 else None)
        return page

    yield make
    for context in contexts:
        context.close()
    # The browser itself logs each answer that is not OK; which ones are right is for the tests to say.
    assert not [text for text in complaints if not text.startswith("Failed to load resource")]


@pytest.fixture
def page(new_page: Callable[..., Page]) -> Page:
    """A page on a workstation."""
    return new_page()


@pytest.fixture
def phone(new_page: Callable[..., Page]) -> Page:
    """A page on a phone."""
    return new_page(PHONE, has_touch=True, is_mobile=True, device_scale_factor=2)
